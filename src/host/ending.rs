//! The end of a server, in stages. Times are those since it was made, as its [`Sockets`] have them.

use std::time::Duration;

use super::{Host, Sockets};
use crate::handle::Ending;

/// From work to rest.
pub(super) enum Stage {
    Running,
    /// New sessions are refused. The shutdown begins when the old ones have left, or then; `None`: at no time.
    Draining {
        until: Option<Duration>,
        code: u16,
        reason: String,
    },
    /// Every session was closed; connections that are still there by then are cut.
    Stopping {
        until: Duration,
    },
    Stopped(Report),
}

/// What was left when a server stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Sessions that were cut at the end of the grace period: their clients did not hear the close.
    pub sessions_cut: usize,
    /// Connections that were cut.
    pub connections_cut: usize,
}

impl<S: Sockets> Host<S> {
    /// Whether the shutdown has begun.
    pub(crate) fn is_ending(&self) -> bool {
        match self.stage {
            Stage::Running | Stage::Draining { .. } => false,
            Stage::Stopping { .. } | Stage::Stopped(_) => true,
        }
    }

    /// The sessions and connections that were left when it stopped; `None` before that.
    pub(crate) fn report(&self) -> Option<Report> {
        match self.stage {
            Stage::Stopped(report) => Some(report),
            _ => None,
        }
    }

    /// Carries out a part of the end.
    pub(crate) fn end(&mut self, ending: Ending) {
        match ending {
            Ending::RefuseSessions(refuse) => self.refuse_sessions(refuse),
            _ if self.is_ending() => {}
            Ending::StopListening => {
                self.sockets.tell_time(&mut self.engine);
                self.sockets.stop_listening(&mut self.engine, &mut self.mounts);
            }
            Ending::Drain(patience, code, reason) => {
                self.engine.refuse_sessions(true);
                // A time that no clock can show never comes.
                let until = self.sockets.elapsed(&self.engine).checked_add(patience);
                self.stage = Stage::Draining { until, code, reason };
            }
            Ending::Shutdown(code, reason) => self.shutdown(code, &reason),
        }
    }

    fn refuse_sessions(&mut self, refuse: bool) {
        self.engine.refuse_sessions(refuse);
        // The shutdown at the end of a drain would close the new sessions with the old ones.
        if let (false, Stage::Draining { .. }) = (refuse, &self.stage) {
            self.stage = Stage::Running;
        }
    }

    fn shutdown(&mut self, code: u16, reason: &str) {
        self.sockets.close_listeners();
        self.sockets.tell_time(&mut self.engine);
        self.engine.stop(code, reason, &mut self.mounts);
        self.sockets.end_turn(&mut self.engine, &mut self.mounts);
        let grace = self.engine.options().shutdown_grace;
        self.stage = Stage::Stopping { until: self.sockets.elapsed(&self.engine).saturating_add(grace) };
    }

    /// How long the present stage may last: no longer, where its work is done. `None`: until an event.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let (until, is_done) = match &self.stage {
            Stage::Running => return None,
            Stage::Draining { until, .. } => (*until, self.engine.counters().sessions == 0),
            Stage::Stopping { until } => (Some(*until), self.engine.is_empty()),
            Stage::Stopped(_) => (None, true),
        };
        if is_done {
            return Some(Duration::ZERO);
        }
        until.map(|until| until.saturating_sub(self.sockets.elapsed(&self.engine)))
    }

    /// The next stage, where the present one is over.
    pub(super) fn advance_stage(&mut self) {
        if let Stage::Draining { code, reason, .. } = &self.stage
            && self.time_left() == Some(Duration::ZERO)
        {
            let (code, reason) = (*code, reason.clone());
            self.shutdown(code, &reason);
        }
        if let Stage::Stopping { .. } = self.stage
            && self.time_left() == Some(Duration::ZERO)
        {
            let (sessions_cut, connections_cut) = self.engine.cut(&mut self.mounts);
            self.sockets.end_turn(&mut self.engine, &mut self.mounts);
            self.stage = Stage::Stopped(Report { sessions_cut, connections_cut });
            self.close_mailbox();
        }
    }
}
