//! A simulated server, for tests of handlers: the same engine, without sockets, threads or a clock.
//!
//! A [`Simulation`] mounts endpoints as a [`Server`](crate::Server) does. Its clients are simulated too,
//! over every transport; and time passes when the test says so, so that a heartbeat, an expiry and a
//! whole night take milliseconds.
//!
//! ```
//! use std::time::Duration;
//! use sockjs_server::simulation::Simulation;
//! use sockjs_server::{ServerOptions, Session, Transport};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut simulation = Simulation::new(ServerOptions::default())?;
//! simulation.mount("/shout", |session: &mut Session<'_>, text: &str| {
//!     session.broadcast(&text.to_uppercase());
//! })?;
//! let alice = simulation.connect(Transport::WebSocket, "/shout");
//! let bob = simulation.connect(Transport::XhrPolling, "/shout");
//!
//! simulation.client(alice).send("hello");
//! assert_eq!(simulation.client(bob).messages(), ["HELLO"]);
//!
//! simulation.advance(Duration::from_secs(25));
//! assert_eq!(simulation.client(alice).frames(), ["o", r#"a["HELLO"]"#, "h"]);
//!
//! // Bob's connection is lost, and he does not come back.
//! simulation.client(bob).cut();
//! simulation.advance(Duration::from_secs(5));
//! assert_eq!(simulation.counters().closed, 1);
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! Each call of a client, and [`Simulation::advance`], goes on until there is nothing left to do at that moment: the
//! server has had its turns, and the clients have read, polled and answered. What is to arrive in one turn stands in
//! [`Simulation::together`]. Commands of a [`Handle`] are carried out with the next call.
//!
//! The time is in milliseconds, and moves from one deadline to the next, never beyond one. A turn takes
//! no time. A timer of a handler runs out one millisecond behind its delay: a server's clock may have
//! counted none of the first one.
//!
//! # The same bytes each time
//!
//! The same calls give the same bytes: what is random in a server, and with clients, comes from the seed
//! ([`Simulation::seed`]), and the `Date` of answers begins at 2000-01-01. Handlers must not bring in
//! chance themselves, nor threads.
//!
//! # What it does not show
//!
//! There is no operating system, so that nothing fails for want of descriptors, and no proxy. Bytes arrive whole
//! and at once. `sockjs-client` itself, and browsers, are other programs: a client here follows their rules, but for
//! `/info` and the fallback from one transport to another.

mod client;
mod frames;
mod peer;
mod response;
mod sockets;

use std::fmt;
use std::time::Duration;

pub use client::{Client, ClientId, Connect};
use peer::Peer;

use crate::engine::{
    Counters, EndpointOptions, Engine, Event, ManualClock, Millis, OptionError, Reply, Request,
    ServerOptions, TimeSource, sooner, split_mix,
};
use crate::handle::{Ending, Handle};
use crate::handler::{Context, Endpoint, EndpointId, Handler};
use crate::host::{Host, MountError, Report};
use crate::loopback::Loopback;
use crate::mailbox::Mailbox;
use crate::sockjs::Transport;

/// 2000-01-01T00:00:00Z, in seconds since 1970.
const START: u64 = 946_684_800;

/// A handler that always has more to do at the same moment would hold a simulation for ever.
const MOST_TURNS: usize = 1 << 20;

/// A server with simulated clients; see the [module](self).
pub struct Simulation {
    host: Host<Loopback>,
    clock: ManualClock,
    peers: Vec<Peer>,
    random: u64,
    turns: Turns,
}

/// When the server has its turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turns {
    AtOnce,
    /// Behind what is under way.
    Held,
}

impl Simulation {
    /// A server without endpoints, at the time zero.
    ///
    /// # Errors
    /// An option that cannot work.
    pub fn new(options: ServerOptions) -> Result<Self, OptionError> {
        options.validate()?;
        let clock = ManualClock::default();
        let mailbox = Mailbox::new(None, options.mailbox_bytes);
        let mut engine = Engine::new(options, Box::new(clock.clone()), START);
        engine.seed(0);
        let host = Host::new(engine, Loopback::default(), mailbox);
        Ok(Self { host, clock, peers: Vec::new(), random: 0, turns: Turns::AtOnce })
    }

    /// Takes everything random from this seed from now on: the numbers of `/info`, names of sessions, keys and masks of
    /// WebSockets. Without it the seed is 0.
    pub fn seed(&mut self, seed: u64) {
        self.random = seed;
        self.host.engine.seed(seed);
    }

    /// Mounts an endpoint with the default options; see [`Server::mount`](crate::Server::mount).
    ///
    /// # Errors
    /// As there.
    pub fn mount<S, H>(&mut self, prefix: &str, handler: H) -> Result<EndpointId<S>, MountError>
    where
        S: Send + 'static,
        H: Handler<S>,
    {
        self.mount_with(prefix, EndpointOptions::default(), handler)
    }

    /// Mounts an endpoint with options of its own; see [`Server::mount_with`](crate::Server::mount_with).
    ///
    /// # Errors
    /// As there.
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

    /// Answers requests for paths under no prefix; see [`Server::fallback`](crate::Server::fallback).
    pub fn fallback<F, R>(&mut self, answer: F)
    where
        F: FnMut(&mut Context<'_>, &Request<'_>, &[u8]) -> R + Send + 'static,
        R: Into<Reply>,
    {
        self.host.mounts.set_fallback(answer);
    }

    /// Hears what happens; see [`Server::observe`](crate::Server::observe).
    pub fn observe(&mut self, observer: impl FnMut(&Event<'_>) + Send + 'static) {
        self.host.mounts.set_observer(Box::new(observer));
    }

    /// A way to reach the server as from another thread. A command is carried out with the next call of the simulation.
    pub fn handle(&self) -> Handle {
        self.host.handle()
    }

    /// One of its endpoints; see [`Server::endpoint`](crate::Server::endpoint). What is sent leaves with
    /// the next call of the simulation.
    pub fn endpoint<S: 'static>(&mut self, endpoint: EndpointId<S>) -> Endpoint<'_, S> {
        self.host.endpoint(endpoint)
    }

    /// The handler of an endpoint; `None` if it is of another type.
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

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.host.engine.counters()
    }

    /// How much time has passed.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.clock.now())
    }
}

impl Simulation {
    /// A client connects over this transport to the endpoint with this prefix.
    pub fn connect(&mut self, transport: Transport, prefix: &str) -> ClientId {
        self.connect_with(Connect::new(transport, prefix))
    }

    /// A client connects, with headers, a query or an address of its own.
    ///
    /// ```
    /// # use sockjs_server::simulation::{Connect, Simulation};
    /// # use sockjs_server::{Response, ServerOptions};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut simulation = Simulation::new(ServerOptions::default())?;
    /// simulation.fallback(|_, request, _| Response::new(200).body(request.path().to_owned()));
    /// let raw = simulation.connect_with(Connect::raw().address(([192, 0, 2, 1], 4000)));
    /// simulation.client(raw).write("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    /// assert!(simulation.client(raw).bytes().ends_with(b"\r\n\r\n/page"));
    /// # Ok(()) }
    /// ```
    pub fn connect_with(&mut self, connect: Connect) -> ClientId {
        let id = ClientId(self.peers.len());
        let random = split_mix(&mut self.random);
        self.peers.push(Peer::new(connect, random, &mut self.host.sockets));
        self.settle();
        id
    }

    /// A client, to act and to be asked.
    pub fn client(&mut self, id: ClientId) -> Client<'_> {
        Client::new(self, id)
    }

    /// What clients do within is there at once, for one turn of the server: so a test makes things meet.
    ///
    /// ```
    /// # use sockjs_server::simulation::Simulation;
    /// # use sockjs_server::{ServerOptions, Session, Transport};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut simulation = Simulation::new(ServerOptions::default())?;
    /// # simulation.mount("/echo", |session: &mut Session<'_>, text: &str| _ = session.send(text))?;
    /// let client = simulation.connect(Transport::WebSocket, "/echo");
    /// simulation.together(|simulation| {
    ///     simulation.client(client).send("one").send("two");
    /// });
    /// assert_eq!(simulation.client(client).frames(), ["o", r#"a["one","two"]"#]);
    /// # Ok(()) }
    /// ```
    pub fn together(&mut self, act: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.turns, Turns::Held);
        act(self);
        self.turns = before;
        self.settle();
    }

    /// Lets time pass, from one deadline to the next. It counts in whole milliseconds.
    pub fn advance(&mut self, time: Duration) {
        self.settle();
        let time = Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
        let end = self.clock.now().saturating_add(time);
        while let Some(next) =
            sooner(self.host.engine.next_deadline(), self.stage_ends()).filter(|next| *next < end)
        {
            self.set_time(next.max(self.clock.now() + 1));
        }
        self.set_time(end);
    }

    /// When the present stage of the end is over at the latest.
    fn stage_ends(&self) -> Option<Millis> {
        let left = self.host.time_left().filter(|_| self.report().is_none())?;
        // The clock shows no parts of a millisecond.
        let left = Millis::try_from(left.as_nanos().div_ceil(1_000_000)).ok()?;
        self.clock.now().checked_add(left)
    }

    fn set_time(&mut self, now: Millis) {
        self.clock.set(now);
        self.host.engine.read_clock();
        self.host.engine.set_date(START + now / 1000);
        self.settle();
    }

    /// Lets the server have its turns, and the clients read, until nothing is left to do at this moment. All calls of
    /// clients do so: it is needed behind calls of a [`Handle`] or an [`Endpoint`] alone.
    ///
    /// # Panics
    /// Where that has no end: for a handler that causes more work whenever it is called.
    pub fn settle(&mut self) {
        if self.turns == Turns::Held {
            return;
        }
        for turns in 0.. {
            assert!(turns < MOST_TURNS, "the handlers always have more to do, and time cannot pass");
            self.turn();
            let has_read = self.let_clients_read();
            if !(has_read || self.is_pending()) {
                break;
            }
        }
    }

    fn is_pending(&self) -> bool {
        if self.report().is_some() {
            return false;
        }
        let Host { engine, sockets, .. } = &self.host;
        let is_due = engine.next_deadline().is_some_and(|next| next <= self.clock.now());
        is_due || self.host.awaits_commands() || sockets.is_pending(engine)
    }

    /// One turn, as a server's.
    fn turn(&mut self) {
        if self.report().is_some() {
            return;
        }
        let Host { engine, mounts, sockets, .. } = &mut self.host;
        sockets.begin_turn(engine, mounts);
        sockets.take_events(engine, mounts);
        self.host.end_turn(self.host.awaits_commands());
    }

    /// `true`: one of them has read something.
    fn let_clients_read(&mut self) -> bool {
        let mut has_read = false;
        while let Some(socket) = self.host.sockets.next_news() {
            if let Some(peer) = self.peers.iter_mut().find(|peer| peer.owns(socket)) {
                peer.read(&mut self.host.sockets);
                has_read = true;
            }
        }
        has_read
    }

    fn act(&mut self, id: ClientId, act: impl FnOnce(&mut Peer, &mut Loopback)) {
        self.settle();
        if let Some(peer) = self.peers.get_mut(id.0) {
            act(peer, &mut self.host.sockets);
        }
        self.settle();
    }

    fn peer(&mut self, id: ClientId) -> Option<&mut Peer> {
        self.peers.get_mut(id.0)
    }
}

impl Simulation {
    /// Refuses connections from now on, and serves on; see [`Server::stop_listening`](crate::Server::stop_listening).
    pub fn stop_listening(&mut self) {
        self.host.end(Ending::StopListening);
        self.settle();
    }

    /// Refuses new sessions, or admits them again; see [`Server::refuse_sessions`](crate::Server::refuse_sessions).
    pub fn refuse_sessions(&mut self, refuse: bool) {
        self.host.end(Ending::RefuseSessions(refuse));
    }

    /// Lets the sessions leave, and shuts down then, or after `patience`; see [`Server::drain`](crate::Server::drain).
    pub fn drain(&mut self, patience: Duration, code: u16, reason: &str) {
        self.host.end(Ending::Drain(patience, code, reason.to_owned()));
        self.settle();
    }

    /// Closes every session, and stops; see [`Server::shutdown`](crate::Server::shutdown).
    pub fn shutdown(&mut self, code: u16, reason: &str) {
        self.host.end(Ending::Shutdown(code, reason.to_owned()));
        self.settle();
    }

    /// What was left when the server stopped; `None` before that.
    pub fn report(&self) -> Option<Report> {
        self.host.report()
    }
}

impl Drop for Simulation {
    /// Sessions that are still there are cut off, and every handler hears the end of its own.
    fn drop(&mut self) {
        self.host.cut();
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulation").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
