//! The library as an embedding program sees it: each of the things people do with it, through the public API alone.

#[path = "../support/mod.rs"]
mod support;

mod adding;
mod building;
mod downloads;
mod embedding;
mod ending;
mod examples;
mod feed;
mod groups;
mod handlers;
mod handles;
mod idle;
mod later;
mod layered;
mod listeners;
mod origins;
mod pages;
mod panics;
mod per_client;
mod proxied;
mod raw;
mod reentrancy;
mod refusals;
mod sending;
mod shutdown;
mod states;
mod timers;
#[cfg(unix)]
mod turns;
mod watching;
