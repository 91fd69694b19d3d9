//! The application's timers: as many as it likes for each session and each endpoint, told apart by a number of its own.
//!
//! They are on a wheel of their own: they run out on time, while the server's own judge clients, and wait until
//! everything that had arrived was read.

use super::endpoint::EndpointNumber;
use super::session::Session;
use super::{Engine, Millis};
use crate::collections::{Key, Timer, Wheel};

/// Which timer it is.
#[derive(Clone, Copy)]
pub(super) enum AppTimer {
    Session(Key<Session>, u32),
    Endpoint(EndpointNumber, u32),
}

/// The timers of one owner, by their numbers. Without any it costs a pointer.
#[derive(Default)]
pub(super) struct AppTimers(Option<Box<Sorted>>);

/// Timers, sorted by their numbers.
#[derive(Default)]
struct Sorted(Vec<Entry>);

struct Entry {
    number: u32,
    timer: Timer,
}

impl AppTimers {
    /// Arms a timer, or moves it if it is armed.
    fn arm(&mut self, wheel: &mut Wheel<AppTimer>, number: u32, owner: AppTimer, deadline: Millis) {
        let Sorted(entries) = &mut **self.0.get_or_insert_default();
        let place = match entries.binary_search_by_key(&number, |entry| entry.number) {
            Ok(place) => place,
            Err(place) => {
                if entries.is_empty() {
                    // Mostly there is one, and a vector makes room for four.
                    entries.reserve_exact(1);
                }
                entries.insert(place, Entry { number, timer: Timer::default() });
                place
            }
        };
        if let Some(entry) = entries.get_mut(place) {
            wheel.arm(&mut entry.timer, owner, deadline);
        }
    }

    /// Disarms a timer, if it is armed.
    fn cancel(&mut self, wheel: &mut Wheel<AppTimer>, number: u32) {
        if let Some(mut timer) = self.take(number) {
            wheel.cancel(&mut timer);
        }
    }

    /// Disarms all of them.
    pub(super) fn cancel_all(&mut self, wheel: &mut Wheel<AppTimer>) {
        for mut entry in self.0.take().into_iter().flat_map(|sorted| sorted.0) {
            wheel.cancel(&mut entry.timer);
        }
    }

    /// A timer has run out: nothing is kept of it.
    fn take(&mut self, number: u32) -> Option<Timer> {
        let Sorted(entries) = &mut **self.0.as_mut()?;
        let place = entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        let timer = entries.remove(place).timer;
        if entries.is_empty() {
            self.0 = None;
        }
        Some(timer)
    }
}

impl Engine {
    /// Sets a timer of a session, `delay` milliseconds ahead, or moves it; `None` stops it.
    pub fn set_session_timer(&mut self, key: Key<Session>, number: u32, delay: Option<Millis>) {
        // A callback sets it, and may have worked for long before.
        let now = self.time.read();
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.is_open()) else { return };
        let (timers, wheel) = (&mut session.app_timers, &mut self.time.app_timers);
        match delay {
            Some(delay) => timers.arm(wheel, number, AppTimer::Session(key, number), ahead(now, delay)),
            None => timers.cancel(wheel, number),
        }
    }

    /// Sets a timer of an endpoint, `delay` milliseconds ahead, or moves it; `None` stops it.
    pub fn set_endpoint_timer(&mut self, endpoint: EndpointNumber, number: u32, delay: Option<Millis>) {
        let now = self.time.read();
        let Some(owner) = self.endpoints.of_mut(endpoint) else { return };
        let (timers, wheel) = (&mut owner.app_timers, &mut self.time.app_timers);
        match delay {
            Some(delay) => timers.arm(wheel, number, AppTimer::Endpoint(endpoint, number), ahead(now, delay)),
            None => timers.cancel(wheel, number),
        }
    }

    /// The next timer that has run out by now.
    pub(super) fn next_app_timer(&mut self, now: Millis) -> Option<AppTimer> {
        let expired = self.time.app_timers.expire(now)?;
        let timer = match expired {
            AppTimer::Session(key, number) => {
                self.sessions.get_mut(key).and_then(|session| session.app_timers.take(number))
            }
            AppTimer::Endpoint(endpoint, number) => {
                self.endpoints.of_mut(endpoint).and_then(|it| it.app_timers.take(number))
            }
        };
        debug_assert!(timer.is_some(), "a timer is armed as long as its owner knows of it");
        Some(expired)
    }
}

/// Always in the future, so that a timer that sets itself again cannot hold the turn.
fn ahead(now: Millis, delay: Millis) -> Millis {
    now.saturating_add(delay.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of endpoint 0 that run out by then, in order.
    fn expired(wheel: &mut Wheel<AppTimer>, timers: &mut AppTimers, now: Millis) -> Vec<u32> {
        let next = || match wheel.expire(now)? {
            AppTimer::Endpoint(_, number) => {
                assert!(timers.take(number).is_some());
                Some(number)
            }
            _ => panic!("there is no other"),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn timers_of_one_owner_are_told_apart() {
        let (mut wheel, mut timers) = (Wheel::new(0), AppTimers::default());
        for (number, deadline) in [(7, 30), (1, 10), (u32::MAX, 20), (0, 40), (7, 5)] {
            timers.arm(&mut wheel, number, AppTimer::Endpoint(EndpointNumber::new(0), number), deadline);
        }
        assert_eq!(wheel.len(), 4, "the last one moved the first");
        timers.cancel(&mut wheel, 1);
        timers.cancel(&mut wheel, 2);
        assert_eq!(expired(&mut wheel, &mut timers, 20), [7, u32::MAX]);
        assert_eq!(expired(&mut wheel, &mut timers, 100), [0]);
        assert!(timers.0.is_none() && wheel.is_empty(), "nothing is kept");
    }

    #[test]
    fn all_of_an_owner_are_disarmed_at_once() {
        let (mut wheel, mut timers) = (Wheel::new(0), AppTimers::default());
        (0..100).for_each(|number| {
            timers.arm(&mut wheel, number, AppTimer::Endpoint(EndpointNumber::new(0), number), 10)
        });
        timers.cancel_all(&mut wheel);
        assert!(timers.0.is_none() && wheel.is_empty());
        assert_eq!(expired(&mut wheel, &mut timers, 10), [0; 0]);
    }
}
