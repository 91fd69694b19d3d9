//! The server: endpoints are mounted on it, and it runs, or is turned by a program with a loop of its own.

mod adding;
mod ending;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{
    Counters, EndpointOptions, Engine, Event, OptionError, Reply, Request, ServerOptions, sooner,
};
use crate::handle::{ForServer, Handle, Pending};
use crate::handler::{Context, Endpoint, EndpointId, Handler};
use crate::http::is_normal_path;
use crate::mailbox::{Blocks, Mailbox, weigh};
use crate::mounts::{self, Mounts};
use crate::reactor::{Reactor, calendar};
pub use adding::{ListenerOptions, Preamble};

/// A SockJS server: one thread, no runtime.
///
/// ```no_run
/// use sockjs_server::{Server, Session};
///
/// fn main() -> std::io::Result<()> {
///     let mut server = Server::bind("127.0.0.1:8081")?;
///     server.mount("/echo", |session: &mut Session<'_>, text: &str| {
///         let _ = session.send(text);
///     })?;
///     server.run()
/// }
/// ```
pub struct Server {
    engine: Engine,
    mounts: Mounts,
    reactor: Reactor,
    mailbox: Arc<Mailbox>,
    /// Commands that were taken out of the mailbox, and are not carried out.
    commands: Blocks,
    /// Commands wait, here or in the mailbox.
    has_mail: bool,
    addresses: Vec<SocketAddr>,
    stage: Stage,
}

/// From work to rest.
enum Stage {
    Running,
    /// New sessions are refused. The shutdown begins when the old ones have left, or then.
    Draining {
        until: Option<Instant>,
        code: u16,
        reason: String,
    },
    /// Every session was closed; connections that are still there by then are cut.
    Stopping {
        until: Instant,
    },
    Stopped(Report),
}

/// Why nothing is added to a server that ends.
const SHUT_DOWN: &str =
    "the server is shutting down, or has stopped: what is added now would never be served";

/// What was left when a server stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Sessions that were cut at the end of the grace period: their clients did not hear the close.
    pub sessions_cut: usize,
    /// Connections that were cut.
    pub connections_cut: usize,
}

/// Why an endpoint could not be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountError {
    /// A prefix is empty, or a path as browsers ask for it, without a trailing slash: `/echo`, `/a/b`. They remove segments
    /// such as `.` and `..`, and percent-encode what may not stand in a path (RFC 3986 §3.3).
    Prefix(String),
    /// Another endpoint has this prefix.
    Taken(String),
    /// An option cannot work.
    Option(OptionError),
    /// The server has 65,536 endpoints, and can have no more.
    TooMany,
    /// The server is shutting down, or has stopped: no client could reach the endpoint.
    ShutDown,
}

impl fmt::Display for MountError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::Prefix(prefix) => {
                let rule = "it must be empty, or a path as browsers ask for it, like \"/echo\"";
                write!(
                    formatter,
                    "{prefix:?} is no prefix: {rule} (RFC 3986 §3.3; no empty segments, `.` or `..`)"
                )
            }
            MountError::Taken(prefix) => write!(formatter, "another endpoint has the prefix {prefix:?}"),
            MountError::Option(error) => error.fmt(formatter),
            MountError::TooMany => formatter.write_str("a server has 65,536 endpoints at most"),
            MountError::ShutDown => formatter.write_str(SHUT_DOWN),
        }
    }
}

impl std::error::Error for MountError {}

impl From<MountError> for io::Error {
    fn from(error: MountError) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

impl Server {
    /// A server with the default options that listens on one address.
    ///
    /// # Errors
    /// Those of the operating system: the address is in use, or not ours.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut server = Self::new(ServerOptions::default())?;
        server.listen(address)?;
        Ok(server)
    }

    /// A server that listens nowhere yet.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for an option that cannot work, and those of the operating system.
    pub fn new(options: ServerOptions) -> io::Result<Self> {
        options.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let reactor = Reactor::new()?;
        let mailbox = Mailbox::new(reactor.waker()?, options.mailbox_bytes);
        Ok(Self {
            engine: Engine::new(options, reactor.clock(), calendar()),
            mounts: Mounts::default(),
            reactor,
            mailbox,
            commands: Blocks::default(),
            has_mail: false,
            addresses: Vec::new(),
            stage: Stage::Running,
        })
    }

    /// A socket that is added when the others were closed would take connections, and serve none.
    fn check_running(&self) -> io::Result<()> {
        match self.stage {
            Stage::Running | Stage::Draining { .. } => Ok(()),
            Stage::Stopping { .. } | Stage::Stopped(_) => {
                Err(io::Error::new(io::ErrorKind::NotConnected, SHUT_DOWN))
            }
        }
    }

    /// One of its endpoints, for a program that turns the server itself: what is sent leaves in the next turn, for which
    /// [`Server::next_timeout`] is zero then.
    pub fn endpoint<S: 'static>(&mut self, endpoint: EndpointId<S>) -> Endpoint<'_, S> {
        // The last turn may be long ago, and timers are set from now on.
        self.reactor.tell_time(&mut self.engine);
        mounts::endpoint(self.mounts.all(), &mut self.engine, endpoint)
    }

    /// The handler of an endpoint, for a program that turns the server itself; `None` if it is of another type.
    ///
    /// ```
    /// # use sockjs_server::{Handler, Server, Session};
    /// #[derive(Default)]
    /// struct Votes(usize);
    ///
    /// impl Handler for Votes {
    ///     fn on_message(&mut self, _: &mut Session<'_>, _: &str) {
    ///         self.0 += 1;
    ///     }
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let mut server = Server::bind("127.0.0.1:0")?;
    /// let votes = server.mount("/votes", Votes::default())?;
    /// server.turn(Some(std::time::Duration::ZERO))?;
    /// assert_eq!(server.handler::<Votes>(votes).map(|votes| votes.0), Some(0));
    /// # Ok(()) }
    /// ```
    pub fn handler<H: 'static>(&mut self, endpoint: EndpointId<impl Sized>) -> Option<&mut H> {
        mounts::handler(self.mounts.all(), endpoint)
    }

    /// The handler of an endpoint, and the endpoint, at once; `None` if the handler is of another type.
    pub fn handler_and_endpoint<H, S>(&mut self, endpoint: EndpointId<S>) -> Option<(&mut H, Endpoint<'_, S>)>
    where
        H: Handler<S>,
        S: 'static,
    {
        self.reactor.tell_time(&mut self.engine);
        mounts::handler_and_endpoint(self.mounts.all(), &mut self.engine, endpoint)
    }

    /// Mounts an endpoint with the default options. A trailing slash of the prefix does not count.
    ///
    /// # Errors
    /// A prefix that is none, or is taken; a server whose shutdown has begun.
    pub fn mount<S, H>(&mut self, prefix: &str, handler: H) -> Result<EndpointId<S>, MountError>
    where
        S: Send + 'static,
        H: Handler<S>,
    {
        self.mount_with(prefix, EndpointOptions::default(), handler)
    }

    /// Mounts an endpoint with options of its own.
    ///
    /// # Errors
    /// A prefix that is none, or is taken; an option that cannot work; an endpoint beyond the 65,536th; a server
    /// whose shutdown has begun.
    pub fn mount_with<S, H>(
        &mut self,
        prefix: &str,
        options: EndpointOptions,
        handler: H,
    ) -> Result<EndpointId<S>, MountError>
    where
        S: Send + 'static,
        H: Handler<S>,
    {
        if self.check_running().is_err() {
            return Err(MountError::ShutDown);
        }
        let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_normal_path(trimmed) {
            return Err(MountError::Prefix(prefix.to_owned()));
        }
        if self.engine.prefixes().any(|taken| taken == trimmed) {
            return Err(MountError::Taken(prefix.to_owned()));
        }
        let number = self.engine.mount(trimmed, options).map_err(MountError::Option)?;
        let number = number.ok_or(MountError::TooMany)?;
        self.mounts.push(handler);
        Ok(EndpointId::new(number))
    }

    /// Answers requests for paths under no prefix: pages, a health check. Without it they are 404.
    ///
    /// ```
    /// # use sockjs_server::{Response, Server};
    /// # fn main() -> std::io::Result<()> {
    /// # let mut server = Server::bind("127.0.0.1:0")?;
    /// server.fallback(|context, request, _body| match request.path() {
    ///     "/health" => {
    ///         let text = format!("{} sessions\n", context.counters().sessions);
    ///         Response::new(200).header("Content-Type", "text/plain").body(text)
    ///     }
    ///     _ => Response::new(404),
    /// });
    /// # Ok(()) }
    /// ```
    ///
    /// An answer may come later: then the fallback returns a [`Reply`] in place of a [`Response`](crate::Response); see [`Reply::later`].
    pub fn fallback<F, R>(&mut self, mut answer: F)
    where
        F: FnMut(&mut Context<'_>, &Request<'_>, &[u8]) -> R + Send + 'static,
        R: Into<Reply>,
    {
        self.mounts
            .set_fallback(Box::new(move |context, request, body| answer(context, request, body).into()));
    }

    /// Hears everything that a log may want to hold. Without it nothing is printed anywhere.
    ///
    /// ```
    /// # use sockjs_server::{Event, Server};
    /// # fn main() -> std::io::Result<()> {
    /// # let mut server = Server::bind("127.0.0.1:0")?;
    /// server.observe(|event| {
    ///     if let Event::Closed { session, close, .. } = event {
    ///         eprintln!("session {session} closed: {close}");
    ///     }
    /// });
    /// # Ok(()) }
    /// ```
    pub fn observe(&mut self, observer: impl FnMut(&Event<'_>) + Send + 'static) {
        self.mounts.set_observer(Box::new(observer));
    }

    /// A way to reach the server from other threads.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.mailbox))
    }

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// The most memory in bytes that the options let this server use, whatever clients do; what handlers keep for
    /// themselves is not in it. [Layers](crate::Layer) are in it when they are known: from the first listener or connection on that
    /// has one. Smaller limits make it smaller: see [`ServerOptions::buffered_bytes`],
    /// [`ServerOptions::mailbox_bytes`], [`ServerOptions::connections`] and [`EndpointOptions::sessions`].
    pub fn memory_ceiling(&self) -> usize {
        let mailbox = self.engine.options().mailbox_bytes.saturating_add(Mailbox::MEMORY);
        let reactor = self.reactor.memory(self.engine.options().connections);
        self.engine.memory_ceiling().saturating_add(reactor).saturating_add(mailbox)
    }

    /// Runs until it was shut down, through a [`Handle`] or by [`Server::shutdown`].
    ///
    /// # Errors
    /// Those of the operating system's poll, which do not happen in practice.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_until_stopped().map(drop)
    }

    /// Like [`Server::run`], and says what was left at the end.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn run_until_stopped(&mut self) -> io::Result<Report> {
        loop {
            if let Stage::Stopped(report) = self.stage {
                return Ok(report);
            }
            self.turn(None)?;
        }
    }

    /// One turn of the loop: sleeps until there is something to do, `timeout` at most, and does it. For a loop of one's
    /// own: a game's frame calls it with [`Duration::ZERO`].
    ///
    /// Once the server has stopped, [`Server::report`] says so, and a turn does nothing.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = if self.has_mail { Some(Duration::ZERO) } else { sooner(timeout, self.time_left()) };
        self.has_mail |= self.reactor.turn(&mut self.engine, &mut self.mounts, timeout)?;
        self.empty_mailbox();
        self.reactor.end_turn(&mut self.engine, &mut self.mounts);
        self.advance_stage();
        Ok(())
    }

    /// How long [`Server::turn`] would sleep at most; `None`: until an event. For foreign loops, together with the
    /// descriptor of [`AsRawFd`]: it is time for a turn when either says so.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.has_mail {
            return Some(Duration::ZERO);
        }
        let own = self.reactor.next_timeout(&self.engine);
        match &self.stage {
            Stage::Stopped(_) => own,
            _ => sooner(own, self.time_left()),
        }
    }

    fn empty_mailbox(&mut self) {
        let mut done = Pending::default();
        self.engine.begin_commands();
        while self.has_mail && !self.engine.is_turn_done() {
            if self.commands.is_empty() {
                self.mailbox.collect(&mut self.commands, &mut done);
            }
            let Some(command) = self.commands.pop() else {
                self.has_mail = false;
                break;
            };
            let weight = weigh(&command);
            self.engine.note_command();
            match command.run(&mut self.engine, &mut self.mounts) {
                None => {}
                Some(ForServer::Add(connection)) => {
                    let (connection, already_read) = *connection;
                    // The observer is told of one too many; otherwise the system has failed, and the client sees the close.
                    let _ = self.add_connection(connection, already_read);
                }
                Some(ForServer::End(ending)) => self.end(ending),
            }
            done.note(weight);
            self.reactor.carry_out(&mut self.engine, &mut self.mounts);
        }
        self.mailbox.settle(&mut done);
    }

    /// No command is carried out any more.
    fn close_mailbox(&mut self) {
        self.mailbox.close(&mut self.commands);
        self.has_mail = false;
    }
}

impl Drop for Server {
    /// Sessions that are still there are cut off, and every handler hears the end of its own.
    fn drop(&mut self) {
        self.close_mailbox();
        self.engine.cut(&mut self.mounts);
    }
}

#[cfg(unix)]
impl AsRawFd for Server {
    /// The poll descriptor: readable when there is something to do. (mio offers no `AsFd`, and making one of a raw
    /// descriptor is `unsafe`.)
    fn as_raw_fd(&self) -> RawFd {
        self.reactor.descriptor()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EndpointNumber;
    use crate::handler::Session;

    /// A number that begins again from 0 would send the messages of one endpoint to the handler of another.
    #[test]
    fn endpoints_end_with_their_numbers() {
        let mut server = Server::new(ServerOptions::default()).unwrap();
        let ignore = |_: &mut Session<'_>, _: &str| {};
        // Not through the server, which compares every prefix with all others.
        for number in 0..u16::MAX {
            assert_eq!(
                server.engine.mount(&format!("/{number}"), EndpointOptions::default()),
                Ok(Some(EndpointNumber::new(number)))
            );
            server.mounts.push(ignore);
        }
        assert_eq!(server.mount("/last", ignore), Ok(EndpointId::new(EndpointNumber::new(u16::MAX))));
        assert_eq!(server.mount("/beyond", ignore), Err(MountError::TooMany));
        assert_eq!(server.engine.prefix(EndpointNumber::new(0)), "/0");
        assert_eq!(server.engine.prefixes().count(), 1 << 16);
    }
}
