//! A simulated server, for tests of handlers: the same engine, without sockets, threads or a clock.
//!
//! A [`Simulation`] mounts endpoints as a [`Server`](crate::Server) does. Its clients are simulated too, over every
//! transport; and time passes when the test says so, so that a heartbeat, an expiry and a whole night take milliseconds.
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
//! Each call of a client, and [`Simulation::advance`], goes on until there is nothing left to do at that moment: the server
//! has had its turns, and the clients have read, polled and answered. What is to arrive in one turn stands in
//! [`Simulation::together`]. Commands of a [`Handle`] are carried out with the next call.
//!
//! The time is in milliseconds, and moves from one deadline to the next, never beyond one. A turn takes no time. A timer of
//! a handler runs out one millisecond behind its delay: a server's clock may have counted none of the first one.
//!
//! # The same bytes each time
//!
//! The same calls give the same bytes: what is random in a server, and with clients, comes from the seed
//! ([`Simulation::seed`]), and the `Date` of answers begins at 2000-01-01. Handlers must not bring in chance themselves, nor
//! threads.
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

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use client::{Client, ClientId, Connect};
use peer::Peer;

use crate::engine::{
    Counters, EndpointOptions, Engine, Event, ManualClock, Millis, OptionError, Reply, Request,
    ServerOptions, TimeSource, sooner, split_mix,
};
use crate::handle::{Ending, ForServer, Handle, Pending};
use crate::handler::{Context, Endpoint, EndpointId, Handler};
use crate::loopback::Loopback;
use crate::mailbox::{Blocks, Mailbox, weigh};
use crate::mounts::{self, Mounts};
use crate::server::{MountError, Report, mounting};
use crate::sockjs::Transport;

/// 2000-01-01T00:00:00Z, in seconds since 1970.
const START: u64 = 946_684_800;

/// A handler that always has more to do at the same moment would hold a simulation for ever.
const MOST_TURNS: usize = 1 << 20;

/// A server with simulated clients; see the [module](self).
pub struct Simulation {
    engine: Engine,
    mounts: Mounts,
    network: Loopback,
    clock: ManualClock,
    mailbox: Arc<Mailbox>,
    commands: Blocks,
    peers: Vec<Peer>,
    random: u64,
    turns: Turns,
    stage: Stage,
}

/// When the server has its turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turns {
    AtOnce,
    /// Behind what is under way.
    Held,
}

/// From work to rest, as a server's.
enum Stage {
    Running,
    Draining { until: Option<Millis>, code: u16, reason: String },
    Stopping { until: Millis },
    Stopped(Report),
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
        Ok(Self {
            engine,
            mounts: Mounts::default(),
            network: Loopback::default(),
            clock,
            mailbox,
            commands: Blocks::default(),
            peers: Vec::new(),
            random: 0,
            turns: Turns::AtOnce,
            stage: Stage::Running,
        })
    }

    /// Takes everything random from this seed from now on: the numbers of `/info`, names of sessions, keys and masks of
    /// WebSockets. Without it the seed is 0.
    pub fn seed(&mut self, seed: u64) {
        self.random = seed;
        self.engine.seed(seed);
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
        if matches!(self.stage, Stage::Stopping { .. } | Stage::Stopped(_)) {
            return Err(MountError::ShutDown);
        }
        mounting::mount(&mut self.engine, &mut self.mounts, prefix, options, handler)
    }

    /// Answers requests for paths under no prefix; see [`Server::fallback`](crate::Server::fallback).
    pub fn fallback<F, R>(&mut self, answer: F)
    where
        F: FnMut(&mut Context<'_>, &Request<'_>, &[u8]) -> R + Send + 'static,
        R: Into<Reply>,
    {
        self.mounts.set_fallback(answer);
    }

    /// Hears what happens; see [`Server::observe`](crate::Server::observe).
    pub fn observe(&mut self, observer: impl FnMut(&Event<'_>) + Send + 'static) {
        self.mounts.set_observer(Box::new(observer));
    }

    /// A way to reach the server as from another thread. A command is carried out with the next call of the simulation.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.mailbox))
    }

    /// One of its endpoints; see [`Server::endpoint`](crate::Server::endpoint). What is sent leaves with the next call of the
    /// simulation.
    pub fn endpoint<S: 'static>(&mut self, endpoint: EndpointId<S>) -> Endpoint<'_, S> {
        mounts::endpoint(self.mounts.all(), &mut self.engine, endpoint)
    }

    /// The handler of an endpoint; `None` if it is of another type.
    pub fn handler<H: 'static>(&mut self, endpoint: EndpointId<impl Sized>) -> Option<&mut H> {
        mounts::handler(self.mounts.all(), endpoint)
    }

    /// The handler of an endpoint, and the endpoint, at once; `None` if the handler is of another type.
    pub fn handler_and_endpoint<H, S>(&mut self, endpoint: EndpointId<S>) -> Option<(&mut H, Endpoint<'_, S>)>
    where
        H: Handler<S>,
        S: 'static,
    {
        mounts::handler_and_endpoint(self.mounts.all(), &mut self.engine, endpoint)
    }

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.engine.counters()
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
        self.peers.push(Peer::new(connect, random, &mut self.network));
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
            sooner(self.engine.next_deadline(), self.stage_ends()).filter(|next| *next < end)
        {
            self.set_time(next.max(self.clock.now() + 1));
        }
        self.set_time(end);
    }

    fn set_time(&mut self, now: Millis) {
        self.clock.set(now);
        self.engine.read_clock();
        self.engine.set_date(START + now / 1000);
        self.settle();
    }

    /// Lets the server have its turns, and the clients read, until nothing is left to do at this moment. All calls of clients
    /// do so: it is needed behind calls of a [`Handle`] or an [`Endpoint`] alone.
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
        if let Stage::Stopped(_) = self.stage {
            return false;
        }
        let now = self.clock.now();
        let is_due = self.engine.next_deadline().is_some_and(|next| next <= now);
        let has_mail = !self.commands.is_empty() || self.mailbox.pending().commands > 0;
        is_due || has_mail || self.network.is_pending(&self.engine)
    }

    /// One turn, as a server's.
    fn turn(&mut self) {
        if let Stage::Stopped(_) = self.stage {
            return;
        }
        self.network.begin_turn(&mut self.engine, &mut self.mounts);
        self.network.take_events(&mut self.engine, &mut self.mounts);
        self.carry_out_commands();
        self.network.end_turn(&mut self.engine, &mut self.mounts);
        self.advance_stage();
    }

    fn carry_out_commands(&mut self) {
        let mut done = Pending::default();
        self.engine.begin_commands();
        while !self.engine.is_turn_done() {
            if self.commands.is_empty() {
                self.mailbox.collect(&mut self.commands, &mut done);
            }
            let Some(command) = self.commands.pop() else { break };
            let weight = weigh(&command);
            self.engine.note_command();
            match command.run(&mut self.engine, &mut self.mounts) {
                // A socket of the operating system's has no place here: it is closed.
                None | Some(ForServer::Add(_)) => {}
                Some(ForServer::End(ending)) => self.end(ending),
            }
            done.note(weight);
            self.network.carry_out(&mut self.engine, &mut self.mounts);
        }
        self.mailbox.settle(&mut done);
    }

    /// `true`: one of them has read something.
    fn let_clients_read(&mut self) -> bool {
        let mut has_read = false;
        while let Some(socket) = self.network.next_news() {
            if let Some(peer) = self.peers.iter_mut().find(|peer| peer.owns(socket)) {
                peer.read(&mut self.network);
                has_read = true;
            }
        }
        has_read
    }

    fn act(&mut self, id: ClientId, act: impl FnOnce(&mut Peer, &mut Loopback)) {
        self.settle();
        if let Some(peer) = self.peers.get_mut(id.0) {
            act(peer, &mut self.network);
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
        self.end(Ending::StopListening);
        self.settle();
    }

    /// Refuses new sessions, or admits them again; see [`Server::refuse_sessions`](crate::Server::refuse_sessions).
    pub fn refuse_sessions(&mut self, refuse: bool) {
        self.engine.refuse_sessions(refuse);
    }

    /// Lets the sessions leave, and shuts down then, or after `patience`; see [`Server::drain`](crate::Server::drain).
    pub fn drain(&mut self, patience: Duration, code: u16, reason: &str) {
        self.end(Ending::Drain(patience, code, reason.to_owned()));
        self.settle();
    }

    /// Closes every session, and stops; see [`Server::shutdown`](crate::Server::shutdown).
    pub fn shutdown(&mut self, code: u16, reason: &str) {
        self.end(Ending::Shutdown(code, reason.to_owned()));
        self.settle();
    }

    /// What was left when the server stopped; `None` before that.
    pub fn report(&self) -> Option<Report> {
        match self.stage {
            Stage::Stopped(report) => Some(report),
            _ => None,
        }
    }

    fn end(&mut self, ending: Ending) {
        if matches!(self.stage, Stage::Stopping { .. } | Stage::Stopped(_)) {
            return;
        }
        let later = |wait: Duration| {
            Millis::try_from(wait.as_millis()).ok().and_then(|wait| self.clock.now().checked_add(wait))
        };
        match ending {
            Ending::StopListening => self.network.stop_listening(),
            Ending::RefuseSessions(refuse) => self.engine.refuse_sessions(refuse),
            Ending::Drain(patience, code, reason) => {
                self.stage = Stage::Draining { until: later(patience), code, reason };
                self.engine.refuse_sessions(true);
            }
            Ending::Shutdown(code, reason) => {
                self.stage = Stage::Stopping {
                    until: later(self.engine.options().shutdown_grace).unwrap_or(Millis::MAX),
                };
                self.network.stop_listening();
                self.engine.stop(code, &reason, &mut self.mounts);
                self.network.end_turn(&mut self.engine, &mut self.mounts);
            }
        }
    }

    /// When the present stage ends at the latest: at once, where its work is done.
    fn stage_ends(&self) -> Option<Millis> {
        let (until, is_done) = match &self.stage {
            Stage::Draining { until, .. } => (*until, self.engine.counters().sessions == 0),
            Stage::Stopping { until } => (Some(*until), self.engine.is_empty()),
            Stage::Running | Stage::Stopped(_) => return None,
        };
        if is_done { Some(self.clock.now()) } else { until }
    }

    fn advance_stage(&mut self) {
        let is_over =
            |simulation: &Self| simulation.stage_ends().is_some_and(|end| end <= simulation.clock.now());
        if is_over(self)
            && let Stage::Draining { code, reason, .. } = &self.stage
        {
            self.end(Ending::Shutdown(*code, reason.clone()));
        }
        if is_over(self)
            && let Stage::Stopping { .. } = self.stage
        {
            let (sessions_cut, connections_cut) = self.engine.cut(&mut self.mounts);
            self.network.end_turn(&mut self.engine, &mut self.mounts);
            self.stage = Stage::Stopped(Report { sessions_cut, connections_cut });
            self.mailbox.close(&mut self.commands);
        }
    }
}

impl Drop for Simulation {
    /// As a server's: every handler hears the end of its sessions.
    fn drop(&mut self) {
        self.mailbox.close(&mut self.commands);
        self.engine.cut(&mut self.mounts);
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulation").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
