//! The end of a server, in parts: it may stop listening and serve on, refuse new sessions and let the old
//! ones leave, or close them all.

use std::time::Duration;

use super::{Report, Server};
use crate::handle::Ending;

impl Server {
    /// Closes every listening socket, and serves on: connections that are there, and those that wait to be accepted as
    /// far as the limits allow, keep their service. The ports are free at once, for the process that comes after this
    /// one. [`Server::listen`] and the like may be called again.
    ///
    /// Sessions over HTTP polling and streaming need new connections of their clients, which reach this process no
    /// more. To let them live to their end, go on listening and [refuse new sessions](Server::refuse_sessions).
    pub fn stop_listening(&mut self) {
        self.host.end(Ending::StopListening);
    }

    /// Whether new sessions are refused from now on: each request that would open one is answered 503, on every
    /// endpoint, without a question to its handler. Sessions that are open go on, on as many connections as they need,
    /// and so do pages. `false` admits them again: a program may also use this to shed load. It takes back a
    /// [drain](Server::drain), too, which would close the new sessions with the old ones, but not a shutdown.
    ///
    /// [`Counters::sessions`](crate::Counters) says how many sessions are left, and the program decides how to go on
    /// when none is. [`Server::drain`] decides by itself.
    pub fn refuse_sessions(&mut self, refuse: bool) {
        self.host.end(Ending::RefuseSessions(refuse));
    }

    /// Whether new sessions are refused: after [`Server::refuse_sessions`], or since the end has begun.
    pub fn refuses_sessions(&self) -> bool {
        self.host.engine.refuses_sessions()
    }

    /// Begins the end that disturbs no client: [refuses new sessions](Server::refuse_sessions), lets those
    /// that are open live to their own end, and begins the [shutdown](Server::shutdown) with this code and
    /// reason when none is left, or after `patience` in any case. It goes on listening until then, since
    /// sessions over HTTP need new connections.
    ///
    /// A second drain takes the place of the first; [`refuse_sessions(false)`](Server::refuse_sessions) takes it back.
    ///
    /// With this a rolling restart is one line, on the signal that asks for it. The balancer must know, too, that new
    /// clients have to go elsewhere: from a health check that fails meanwhile. HAProxy's `http-check disable-on-404`,
    /// say, sends no new clients to a process that answers its check with 404, but goes on to send clients with a
    /// cookie that names the process.
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
        self.host.end(Ending::Drain(patience, code, reason.to_owned()));
    }

    /// Begins the end: accepts no more, closes every session with this code and reason, and stops when all are gone, or
    /// when [`ServerOptions::shutdown_grace`](crate::ServerOptions::shutdown_grace) is over.
    pub fn shutdown(&mut self, code: u16, reason: &str) {
        self.host.end(Ending::Shutdown(code, reason.to_owned()));
    }

    /// Whether no session and no connection is there.
    pub fn is_empty(&self) -> bool {
        self.host.engine.is_empty()
    }

    /// The sessions and connections that were left when it stopped; `None` before that.
    pub fn report(&self) -> Option<Report> {
        self.host.report()
    }
}
