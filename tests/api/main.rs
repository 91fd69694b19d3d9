//! The library as an embedding program sees it: each of the things people do with it, through the public API alone.

#[path = "../support/mod.rs"]
mod support;

mod building;
mod clients;
mod embedding;
mod examples;
mod feed;
mod groups;
mod handlers;
mod handles;
mod idle;
mod listeners;
mod origins;
mod pages;
mod panics;
mod proxied;
mod raw;
mod reentrancy;
mod sending;
mod shutdown;
mod timers;
mod watching;

/// How many descriptors this process may have; few where it is not known.
pub fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    match soft {
        Some("unlimited") => usize::MAX,
        soft => soft.and_then(|soft| soft.parse().ok()).unwrap_or(256),
    }
}
