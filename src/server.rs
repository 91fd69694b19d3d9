//! The server: endpoints are mounted on it, and it runs, or is turned by a program with a loop of its own.

mod adding;
mod ending;
mod sockets;

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::engine::{Counters, EndpointOptions, Engine, Event, Reply, Request, ServerOptions, sooner};
use crate::handle::Handle;
use crate::handler::{Context, Endpoint, EndpointId, Handler};
use crate::host::{Host, MountError, Report};
use crate::mailbox::Mailbox;
use crate::reactor::{Reactor, calendar};
pub use adding::{ListenerOptions, Preamble};
use sockets::SystemSockets;

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
    host: Host<SystemSockets>,
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
        let mailbox = Mailbox::new(Some(reactor.waker()?), options.mailbox_bytes);
        let engine = Engine::new(options, reactor.clock(), calendar());
        Ok(Self { host: Host::new(engine, SystemSockets::new(reactor), mailbox) })
    }

    /// One of its endpoints, for a program that turns the server itself: what is sent leaves in the next turn, for
    /// which [`Server::next_timeout`] is zero then.
    pub fn endpoint<S: 'static>(&mut self, endpoint: EndpointId<S>) -> Endpoint<'_, S> {
        self.host.endpoint(endpoint)
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
        self.host.handler(endpoint)
    }

    /// The handler of an endpoint, and the endpoint, at once; `None` if the handler is of another type.
    pub fn handler_and_endpoint<H, S>(&mut self, endpoint: EndpointId<S>) -> Option<(&mut H, Endpoint<'_, S>)>
    where
        H: Handler<S>,
        S: 'static,
    {
        self.host.handler_and_endpoint(endpoint)
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
        self.host.mount(prefix, options, handler)
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
    /// An answer may come later: then the fallback returns a [`Reply`] in place of a
    /// [`Response`](crate::Response); see [`Reply::later`].
    pub fn fallback<F, R>(&mut self, answer: F)
    where
        F: FnMut(&mut Context<'_>, &Request<'_>, &[u8]) -> R + Send + 'static,
        R: Into<Reply>,
    {
        self.host.mounts.set_fallback(answer);
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
        self.host.mounts.set_observer(Box::new(observer));
    }

    /// A way to reach the server from other threads.
    pub fn handle(&self) -> Handle {
        self.host.handle()
    }

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.host.engine.counters()
    }

    /// The most memory in bytes that the options let this server use, whatever clients do; what handlers keep for
    /// themselves is not in it. [Layers](crate::Layer) are in it when they are known: from the first listener or
    /// connection on that has one. Smaller limits make it smaller: see [`ServerOptions::buffered_bytes`],
    /// [`ServerOptions::mailbox_bytes`], [`ServerOptions::connections`] and [`EndpointOptions::sessions`].
    pub fn memory_ceiling(&self) -> usize {
        let Host { engine, sockets, .. } = &self.host;
        let mailbox = engine.options().mailbox_bytes.saturating_add(Mailbox::MEMORY);
        let reactor = sockets.reactor.memory(engine.options().connections);
        engine.memory_ceiling().saturating_add(reactor).saturating_add(mailbox)
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
            if let Some(report) = self.report() {
                return Ok(report);
            }
            self.turn_at_once(None)?;
        }
    }

    /// One turn of the loop: sleeps until there is something to do, `timeout` at most, and does it. What was sent
    /// before leaves in it. For a loop of one's own: a game's frame calls it with [`Duration::ZERO`].
    ///
    /// Once the server has stopped, [`Server::report`] says so, and a turn does nothing.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // The program may have been away for long, and a turn begins with the last reading of the clock.
        self.host.engine.read_clock();
        self.turn_at_once(timeout)
    }

    /// The same where the last turn has only just ended.
    fn turn_at_once(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout =
            if self.host.has_mail() { Some(Duration::ZERO) } else { sooner(timeout, self.host.time_left()) };
        let left_over = self.host.engine.left_over_flush();
        self.turn_once(timeout)?;
        // What the program has sent leaves before it goes on, though arrivals are looked at between the parts of a
        // large flush. It is in the flush behind one that was left over.
        self.finish_flush(left_over)?;
        self.finish_flush(self.host.engine.left_over_flush())
    }

    /// Turns until this flush is over.
    fn finish_flush(&mut self, flush: Option<u64>) -> io::Result<()> {
        while flush.is_some() && self.host.engine.left_over_flush() == flush {
            self.turn_once(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    fn turn_once(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Host { engine, mounts, sockets, .. } = &mut self.host;
        let is_woken = sockets.reactor.turn(engine, mounts, timeout)?;
        self.host.end_turn(is_woken);
        Ok(())
    }

    /// How long [`Server::turn`] would sleep at most; `None`: until an event. For foreign loops, together with the
    /// descriptor of [`AsRawFd`]: it is time for a turn when either says so.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.host.has_mail() {
            return Some(Duration::ZERO);
        }
        let Host { engine, sockets, .. } = &self.host;
        let own = sockets.reactor.next_timeout(engine);
        match self.report() {
            Some(_) => own,
            None => sooner(own, self.host.time_left()),
        }
    }
}

impl Drop for Server {
    /// Sessions that are still there are cut off, and every handler hears the end of its own.
    fn drop(&mut self) {
        self.host.cut();
    }
}

#[cfg(unix)]
impl AsRawFd for Server {
    /// The poll descriptor: readable when there is something to do. (mio offers no `AsFd`, and making one of a raw
    /// descriptor is `unsafe`.)
    fn as_raw_fd(&self) -> RawFd {
        self.host.sockets.reactor.descriptor()
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
                server.host.engine.mount(&format!("/{number}"), EndpointOptions::default()),
                Ok(Some(EndpointNumber::new(number)))
            );
            server.host.mounts.push(ignore);
        }
        assert_eq!(server.mount("/last", ignore), Ok(EndpointId::new(EndpointNumber::new(u16::MAX))));
        assert_eq!(server.mount("/beyond", ignore), Err(MountError::TooMany));
        assert_eq!(server.host.engine.prefix(EndpointNumber::new(0)), "/0");
        assert_eq!(server.host.engine.prefixes().count(), 1 << 16);
    }
}
