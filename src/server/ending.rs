//! The end of a server, in parts: it may stop listening and serve on, refuse new sessions and let the old ones leave, or
//! close them all.

use std::time::{Duration, Instant};

use super::{Report, Server, Stage};
use crate::handle::Ending;

impl Server {
    /// Closes every listening socket, and serves on: connections that are there, and those that wait to be accepted as far
    /// as the limits allow, keep their service. The ports are free at once, for the process that comes after this one.
    /// [`Server::listen`] and the like may be called again.
    ///
    /// Sessions over HTTP polling and streaming need new connections of their clients, which reach this process no more. To let
    /// them live to their end, go on listening and [refuse new sessions](Server::refuse_sessions).
    pub fn stop_listening(&mut self) {
        if self.check_running().is_ok() {
            self.reactor.tell_time(&mut self.engine);
            self.reactor.accept_rest(&mut self.engine, &mut self.mounts);
            self.reactor.stop_listening();
            self.addresses.clear();
        }
    }

    /// Whether new sessions are refused from now on: each request that would open one is answered 503, on every endpoint,
    /// without a question to its handler. Sessions that are open go on, on as many connections as they need, and so do pages.
    /// `false` admits them again: a program may also use this to shed load. It takes back a [drain](Server::drain), too, which
    /// would close the new sessions with the old ones, but not a shutdown.
    ///
    /// [`Counters::sessions`](crate::Counters) says how many sessions are left, and the program decides how to go on when none
    /// is. [`Server::drain`] decides by itself.
    pub fn refuse_sessions(&mut self, refuse: bool) {
        self.engine.refuse_sessions(refuse);
        if let (false, Stage::Draining { .. }) = (refuse, &self.stage) {
            self.stage = Stage::Running;
        }
    }

    /// Whether new sessions are refused: after [`Server::refuse_sessions`], or since the end has begun.
    pub fn refuses_sessions(&self) -> bool {
        self.engine.refuses_sessions()
    }

    /// Begins the end that disturbs no client: [refuses new sessions](Server::refuse_sessions), lets those that are open live to
    /// their own end, and begins the [shutdown](Server::shutdown) with this code and reason when none is left, or after
    /// `patience` in any case. It goes on listening until then, since sessions over HTTP need new connections.
    ///
    /// A second drain takes the place of the first; [`refuse_sessions(false)`](Server::refuse_sessions) takes it back.
    ///
    /// With this a rolling restart is one line, on the signal that asks for it. The balancer must know, too, that new clients
    /// have to go elsewhere: from a health check that fails meanwhile. HAProxy's `http-check disable-on-404`, say, sends no
    /// new clients to a process that answers its check with 404, but goes on to send clients with a cookie that names the process.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use sockjs_server::{Response, Server, Session};
    ///
    /// # fn on_sigterm(_: impl FnOnce() + Send + 'static) {}
    /// # fn main() -> std::io::Result<()> {
    /// let mut server = Server::bind("127.0.0.1:8081")?;
    /// server.mount("/echo", |session: &mut Session<'_>, text: &str| {
    ///     let _ = session.send(text);
    /// })?;
    /// server.fallback(|context, request, _| match request.path() {
    ///     "/health" if context.refuses_sessions() => Response::new(404),
    ///     "/health" => Response::new(200),
    ///     _ => Response::new(404),
    /// });
    /// let handle = server.handle();
    /// on_sigterm(move || _ = handle.drain(Duration::from_secs(300), 1012, "Service restart"));
    /// let report = server.run_until_stopped()?;
    /// println!("{} sessions were cut", report.sessions_cut);
    /// # Ok(()) }
    /// ```
    pub fn drain(&mut self, patience: Duration, code: u16, reason: &str) {
        if self.check_running().is_ok() {
            self.engine.refuse_sessions(true);
            // A time that no clock can show never comes.
            let until = Instant::now().checked_add(patience);
            self.stage = Stage::Draining { until, code, reason: reason.to_owned() };
        }
    }

    /// Begins the end: accepts no more, closes every session with this code and reason, and stops when all are gone, or
    /// when [`ServerOptions::shutdown_grace`](crate::ServerOptions::shutdown_grace) is over.
    pub fn shutdown(&mut self, code: u16, reason: &str) {
        if self.check_running().is_ok() {
            self.reactor.stop_listening();
            self.reactor.tell_time(&mut self.engine);
            self.engine.stop(code, reason, &mut self.mounts);
            self.reactor.end_turn(&mut self.engine, &mut self.mounts);
            self.stage = Stage::Stopping { until: Instant::now() + self.engine.options().shutdown_grace };
        }
    }

    /// Whether no session and no connection is there.
    pub fn is_empty(&self) -> bool {
        self.engine.is_empty()
    }

    /// The sessions and connections that were left when it stopped; `None` before that.
    pub fn report(&self) -> Option<Report> {
        match self.stage {
            Stage::Stopped(report) => Some(report),
            _ => None,
        }
    }

    /// Carries out a command of a handle.
    pub(super) fn end(&mut self, ending: Ending) {
        match ending {
            Ending::StopListening => self.stop_listening(),
            Ending::RefuseSessions(refuse) => self.refuse_sessions(refuse),
            Ending::Drain(patience, code, reason) => self.drain(patience, code, &reason),
            Ending::Shutdown(code, reason) => self.shutdown(code, &reason),
        }
    }

    /// How long the present stage may last: no longer, where its work is done.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let (until, is_done) = match &self.stage {
            Stage::Running => return None,
            Stage::Draining { until, .. } => (*until, self.engine.counters().sessions == 0),
            Stage::Stopping { until } => (Some(*until), self.engine.is_empty()),
            Stage::Stopped(_) => (None, true),
        };
        if is_done {
            return Some(Duration::ZERO);
        }
        until.map(|until| until.saturating_duration_since(Instant::now()))
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
            self.reactor.end_turn(&mut self.engine, &mut self.mounts);
            self.stage = Stage::Stopped(Report { sessions_cut, connections_cut });
            self.close_mailbox();
        }
    }
}
