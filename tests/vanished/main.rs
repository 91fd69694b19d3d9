//! Clients that vanish are told to `on_close` in a bounded time on every transport, and clients that are only slow are
//! never given up (rules 7.13 and 7.14). The time in which a handler blocked or the process was stopped counts against
//! no client (rules 12.11 and 12.12).
//!
//! `cargo test --test vanished -- --nocapture` prints the measured times.

#[path = "../support/mod.rs"]
mod support;

mod blocked;
mod child;
mod clients;
mod close_timeout;
mod cut;
mod early_timers;
mod frozen;
mod namespaces;
mod pace;
mod slow_readers;
mod stalled;
mod stopped;
mod vanishing;

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
