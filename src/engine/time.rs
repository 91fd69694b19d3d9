//! The time: read from the driver's clock, and read again whenever a wait begins. And the timers.
//!
//! A callback of the application may take long, and the process may be stopped at any point. So the time is not taken
//! once for a turn: it is read behind every callback, and again where a wait for a client begins, so that the time
//! before belongs to no wait (contract, rule 12.11). Between two readings the time stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::app_timers::AppTimer;
use super::connection::Connection;
use super::endpoint::EndpointNumber;
use super::session::Session;
use crate::collections::{Key, Wheel};
use crate::http::Date;

/// The server's time: milliseconds since it was made.
pub type Millis = u64;

/// The driver's clock: the system's, or one that a test moves by hand.
pub trait TimeSource: Send {
    /// The time now. It never goes back.
    fn now(&self) -> Millis;
}

/// A clock that is moved by hand; its clones are one clock. For tests and fuzz targets.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Sets the time.
    pub fn set(&self, now: Millis) {
        self.0.store(now, Ordering::Relaxed);
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::Relaxed)
    }
}

/// The engine's time: the time of the last reading, the clock from which it came, and the timers.
pub(super) struct Time {
    source: Box<dyn TimeSource>,
    now: Millis,
    /// Everything that had arrived by then was handed over by the driver.
    pub(super) heard: Millis,
    /// The calendar, for the `Date` of answers.
    pub(super) date: Date,
    /// One timer for each connection, session and full endpoint that waits for something.
    pub(super) timers: Wheel<Owner>,
    /// The application's own timers.
    pub(super) app_timers: Wheel<AppTimer>,
}

/// The owner of a timer.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Connection(Key<Connection>),
    Session(Key<Session>),
    Endpoint(EndpointNumber),
}

impl Time {
    pub(super) fn new(source: Box<dyn TimeSource>, unix_seconds: u64) -> Self {
        let now = source.now();
        Self {
            source,
            now,
            heard: now,
            date: Date::new(unix_seconds),
            timers: Wheel::new(now),
            app_timers: Wheel::new(now),
        }
    }

    /// The time of the last reading.
    pub(super) fn now(&self) -> Millis {
        self.now
    }

    /// Reads the clock.
    pub(super) fn read(&mut self) -> Millis {
        self.now = self.now.max(self.source.now());
        self.now
    }
}
