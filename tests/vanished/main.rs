//! Clients that vanish are told to `on_close` in a bounded time on every transport, and clients that are only slow are
//! never given up (rules 7.13 and 7.14). The time in which a handler blocked or the process was stopped counts against no
//! client (rules 12.11 and 12.12).
//!
//! `cargo test --test vanished -- --nocapture` prints the measured times.

#[path = "../support/mod.rs"]
mod support;

mod blocked;
mod child;
mod clients;
mod closing;
mod cut;
mod frozen;
mod namespaces;
mod pace;
mod slow;
mod stalled;
mod stopped;
mod timers;
mod vanishing;

use std::time::Duration;

use sockjs_server::ServerOptions;

const SECOND: Duration = Duration::from_secs(1);

/// The rate in bytes per second from which on a client that reads steadily is never given up. Today's server has no such
/// option, so the rate is not set: `options.slowest_client = rate` sets it.
fn with_slowest_client(options: &mut ServerOptions, rate: usize) {
    options.slowest_client = rate;
}
