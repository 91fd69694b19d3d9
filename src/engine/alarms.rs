//! The application's timers: one for each session and one for each endpoint. They ring on time, while the server's own
//! [timers](super::timing) judge clients and wait until everybody was heard.

use super::session::Session;
use super::{Application, Engine, Millis};
use crate::collections::Key;

/// Whose alarm it is.
#[derive(Clone, Copy)]
pub(super) enum Alarm {
    Session(Key<Session>),
    Endpoint(u16),
}

impl Engine {
    /// Sets the application's timer of a session, `delay` milliseconds ahead; `None` stops it.
    pub fn set_session_alarm(&mut self, key: Key<Session>, delay: Option<Millis>) {
        // A callback sets it, and may have worked for long before.
        let now = self.clock.read();
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.is_open()) else { return };
        match delay {
            Some(delay) => {
                self.alarms.arm(&mut session.alarm, Alarm::Session(key), ahead(now, delay));
            }
            None => self.alarms.cancel(&mut session.alarm),
        }
    }

    /// Sets the application's timer of an endpoint, `delay` milliseconds ahead; `None` stops it.
    pub fn set_endpoint_alarm(&mut self, number: u16, delay: Option<Millis>) {
        let now = self.clock.read();
        let Some(endpoint) = self.endpoints.get_mut(usize::from(number)) else { return };
        match delay {
            Some(delay) => {
                self.alarms.arm(&mut endpoint.alarm, Alarm::Endpoint(number), ahead(now, delay));
            }
            None => self.alarms.cancel(&mut endpoint.alarm),
        }
    }

    /// Calls the application for every alarm that is due; but where a flush is due too, for one, and for the rest of them
    /// in the next turn.
    pub(super) fn ring(&mut self, application: &mut dyn Application) {
        // Not read again meanwhile: an alarm that sets itself anew while others are called is for the next turn.
        let now = self.clock.now();
        while let Some(alarm) = self.alarms.expire(now) {
            match alarm {
                Alarm::Session(key) if self.is_open(key) => application.session_alarm(self, key),
                Alarm::Session(_) => {}
                Alarm::Endpoint(number) => application.endpoint_alarm(self, number),
            }
            self.clock.read();
            self.tell(application);
            if self.flush_due {
                break;
            }
        }
    }
}

/// Always in the future, so that an alarm that sets itself again cannot hold the turn.
fn ahead(now: Millis, delay: Millis) -> Millis {
    now.saturating_add(delay.max(1))
}
