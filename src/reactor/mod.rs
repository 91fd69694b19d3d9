//! The only module with sockets and a clock: sleeps until something happens, reads into one shared buffer, hands the
//! bytes to the engine, and writes what the engine has to send.
//!
//! Events are edge-triggered, so what an event said is remembered until a read or an accept finds nothing more. A read
//! that did not fill the buffer has drained the socket, with the exceptions that `socket.rs` names. Work per turn is
//! bounded: one buffer from each connection (two in the turn in which a pass over those that are not drained begins), a
//! share of the waiting accepts; work that is left over makes the next sleep zero.
//!
//! Light sockets come first. One whose last read caused much work is read behind all others, and only
//! few of these before the operating system is asked again: a short message waits for them, and not for
//! all floods that are under way.

mod layered;
mod layers;
mod listener;
mod round;
mod socket;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Poll, Token, Waker};

use crate::collections::{Key, put, trim};
use crate::engine::{Application, Arrival, Connection, Engine, Event, Millis, Order, TimeSource, sooner};
use layered::Layered;
use layers::Layers;
pub(crate) use listener::{Accepted, Acceptor, Begins, Factory, NewLayer};
use listener::{Failure, Listeners};
use round::{Left, Round, Told};
pub(crate) use socket::Stream;
use socket::{Input, Socket, Weight};

/// The shared read buffer.
const BUFFER: usize = 64 << 10;

/// Events taken from the operating system at once.
const EVENTS: usize = 1024;

/// Connections accepted from one listener in one turn.
const ACCEPTS: usize = 64;

/// Rounds of accepts before a listener is closed: 4,096 connections, the longest backlog that Linux allows by default
/// (`net.core.somaxconn`).
const LAST_ACCEPTS: usize = 64;

/// Reads of one socket in one turn where none of them fills the buffer.
const SHORT_READS: usize = 16;

/// A read is heavy that causes so much work, in the engine's unit: some messages, or one of
/// many bytes or for many clients.
const HEAVY: u64 = 256;

/// So much of it is caused by heavy reads before the operating system is asked again. With a few messages in each read
/// the question costs some hundredths of the work.
const ENOUGH: u64 = 4 << 10;

/// How far a socket is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Until a read that leaves room in the buffer has drained it.
    Drained,
    /// Until it says that there is no more: the end of the stream may stand behind the last byte.
    ToTheEnd,
}

/// Events that one source may have at once: kqueue tells of reading and writing apart.
const EVENTS_EACH: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 1 } else { 2 };

const WAKER: Token = Token(usize::MAX);

/// Bits of a token for the index of a connection; the others hold as much of its generation as fits. Tokens near
/// `usize::MAX` are no connection's: that one is the waker's, and those below it are the listeners'.
const INDEX_BITS: u32 = if usize::BITS >= 64 { 32 } else { 21 };

/// Sockets, and the way to sleep on all of them.
pub(crate) struct Reactor {
    poll: Poll,
    events: Events,
    listeners: Listeners,
    /// By the index of the connection's key.
    sockets: Vec<Option<Socket>>,
    buffer: Box<[u8]>,
    /// Those of connections that have one.
    layers: Layers,
    /// Sockets with bytes unread: heavy ones, and those whose turn is over.
    unread: VecDeque<Key<Connection>>,
    /// How many of them are left of the pass that is under way.
    left_in_pass: usize,
    /// A socket that the pass leaves out may hold bytes that had arrived before the pass began: one more
    /// must follow before all is read.
    must_pass_again: bool,
    clock: SystemClock,
    /// The second of the clock in which the engine was told the date.
    dated_second: u64,
    /// Everything that had arrived by then was read.
    heard: Millis,
    /// Another thread has woken it in this turn.
    is_woken: bool,
    round: Round,
}

/// The system's monotonic clock, from the moment at which the server was made.
#[derive(Clone, Copy)]
struct SystemClock(Instant);

impl TimeSource for SystemClock {
    fn now(&self) -> Millis {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The calendar's clock, in seconds since 1970.
pub(crate) fn calendar() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Reactor {
    /// Bytes of memory that do not depend on what connects: the read buffer and the events.
    const MEMORY: usize = BUFFER + EVENTS * 16;

    /// Bytes of memory that it uses at most beside its sockets, which the engine counts: its own, and that of the
    /// layers of so many connections.
    pub(crate) fn memory(&self, connections: usize) -> usize {
        self.layers.memory(connections).saturating_add(Self::MEMORY)
    }

    /// Connections will have layers of this size.
    pub(crate) fn expect_layers(&mut self, memory: usize) {
        self.layers.expect(memory);
    }

    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            listeners: Listeners::default(),
            sockets: Vec::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            layers: Layers::default(),
            unread: VecDeque::new(),
            left_in_pass: 0,
            must_pass_again: false,
            clock: SystemClock(Instant::now()),
            dated_second: 0,
            heard: 0,
            is_woken: false,
            round: Round::default(),
        })
    }

    /// The clock of the server's time.
    pub(crate) fn clock(&self) -> Box<dyn TimeSource> {
        Box::new(self.clock)
    }

    /// Makes the waker that ends a sleep from another thread.
    pub(crate) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    /// The descriptor that becomes readable when there is something to do.
    #[cfg(unix)]
    pub(crate) fn descriptor(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.poll)
    }

    pub(crate) fn listen(&mut self, acceptor: Acceptor, begins: Begins) -> io::Result<()> {
        let token = |number| Token(usize::MAX - 1 - number);
        self.listeners.add(acceptor, begins, self.poll.registry(), token)
    }

    /// Takes in the connections that wait in the listening sockets, as far as the limits allow, and no more than
    /// backlogs hold: clients that go on connecting must not keep the sockets open.
    pub(crate) fn accept_rest(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        self.listeners.expect();
        for _ in 0..LAST_ACCEPTS {
            if !(engine.can_accept() && self.listeners.are_waiting()) {
                break;
            }
            self.accept_share(engine, application);
        }
    }

    /// Closes the listening sockets: their ports are free at once.
    pub(crate) fn stop_listening(&mut self) {
        self.listeners.close(self.poll.registry());
    }

    /// How long the next sleep may be; `None`: until an event.
    pub(crate) fn next_timeout(&self, engine: &Engine) -> Option<Duration> {
        self.sleep(engine, self.clock.now())
    }

    /// The same at this time. A deadline that has passed, but is not judged until more is read, is zero.
    fn sleep(&self, engine: &Engine, now: Millis) -> Option<Duration> {
        if self.round.is_more() || !self.unread.is_empty() || engine.is_pending() {
            return Some(Duration::ZERO);
        }
        let next_accept = self.listeners.next_accept().filter(|_| engine.can_accept());
        let next = sooner(engine.next_deadline(), next_accept)?;
        Some(Duration::from_millis(next.saturating_sub(now)))
    }

    /// Sleeps, then deals with everything that happened. `true`: another thread woke it.
    pub(crate) fn turn(
        &mut self,
        engine: &mut Engine,
        application: &mut dyn Application,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        // The last reading of the clock is as good as one more, whose cost each turn would bear:
        // mostly it is that of the last write.
        let before = engine.now();
        let told = self.poll(sooner(self.sleep(engine, before), timeout))?;
        self.tell_time(engine);
        engine.begin_turn(application);
        self.carry_out(engine, application);
        self.is_woken = false;
        self.layers.begin_turn();
        self.round.begin_turn(before, told);
        while engine.go_on(application) {
            self.carry_out(engine, application);
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            self.take_event(event, engine, application);
            self.carry_out(engine, application);
        }
        self.events = events;
        self.read_unread(engine, application);
        let accepts = self.accept_share(engine, application);
        let left = match self.left_in_pass {
            0 if accepts || self.must_pass_again || engine.postponed() > 0 => Left::More,
            0 => Left::Nothing,
            _ => Left::Pass,
        };
        let sources = self.sockets.len() + self.listeners.len() + 1;
        self.heard = self.round.end_turn(sources * EVENTS_EACH, left);
        Ok(self.is_woken)
    }

    /// Goes on with the pass over the sockets that are not drained, or begins the next one.
    fn read_unread(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        if self.left_in_pass == 0 {
            self.left_in_pass = self.unread.len();
            self.must_pass_again = false;
        }
        let enough = engine.work_done() + ENOUGH;
        while self.left_in_pass > 0 && engine.work_done() < enough {
            self.left_in_pass -= 1;
            let Some(key) = self.unread.pop_front() else { return };
            // It may have been read meanwhile, or be another one.
            if find(&mut self.sockets, key).is_some_and(|socket| socket.input == Input::Queued) {
                self.read_share(key, engine, application);
                self.carry_out(engine, application);
            }
        }
    }

    /// Reads what one turn has for a socket, and notes whether that was much work.
    fn read_share(&mut self, key: Key<Connection>, engine: &mut Engine, application: &mut dyn Application) {
        let before = engine.work_done();
        self.read(key, Extent::Drained, engine, application);
        let is_heavy = engine.work_done().saturating_sub(before) >= HEAVY;
        if let (true, Some(socket)) = (is_heavy, find(&mut self.sockets, key))
            && let Input::Drained(weight) = &mut socket.input
        {
            *weight = Weight::Heavy;
        }
    }

    /// The end of a turn: what is due happens, and all that the turn brought about leaves.
    pub(crate) fn end_turn(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        engine.advance(self.heard, application);
        self.carry_out(engine, application);
    }

    /// Sleeps until something happens.
    fn poll(&mut self, sleep: Option<Duration>) -> io::Result<Told> {
        match self.poll.poll(&mut self.events, sleep) {
            Ok(()) if self.events.iter().nth(EVENTS - 1).is_some() => Ok(Told::Many(EVENTS)),
            Ok(()) => Ok(Told::All),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(Told::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the engine know the time.
    pub(crate) fn tell_time(&mut self, engine: &mut Engine) {
        let second = engine.read_clock() / 1000;
        if std::mem::replace(&mut self.dated_second, second) != second {
            engine.set_date(calendar());
        }
    }

    fn take_event(
        &mut self,
        event: &mio::event::Event,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        let Token(token) = event.token();
        if event.token() == WAKER {
            self.is_woken = true;
            return;
        }
        if self.listeners.wake(usize::MAX - 1 - token) {
            return;
        }
        let Some(key) = self.key(token) else { return };
        if event.is_writable() {
            self.write_own(key, engine, application);
            engine.writable(key);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            if let Some(socket) = find(&mut self.sockets, key) {
                socket.hung_up |= event.is_read_closed() || event.is_error();
                socket.stops_short |= event.is_priority();
                match socket.input {
                    // It is in `unread` already.
                    Input::Queued => return,
                    // A paused socket is not read, so that no read would report the failure.
                    Input::Paused if event.is_error() => {
                        return engine.receive(key, Arrival::Failure, application);
                    }
                    // That its client has gone is known before the requests of others are answered
                    // (contract, rule 7.12).
                    Input::Drained(Weight::Heavy) if !socket.hung_up => {
                        // The pass that is under way ends before it, though its bytes may have come before that began.
                        self.must_pass_again |= self.left_in_pass > 0;
                        return self.queue_read(key);
                    }
                    Input::Paused | Input::Drained(_) => {}
                }
            }
            self.read_share(key, engine, application);
        }
    }

    /// One full buffer of a connection's bytes, or up to `SHORT_READS` reads that leave room in
    /// it; and its end if it has come.
    fn read(
        &mut self,
        key: Key<Connection>,
        extent: Extent,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        for reads in 1.. {
            let Some(socket) = find(&mut self.sockets, key) else { return };
            if socket.is_layered {
                return self.read_layered(key, extent, engine, application);
            }
            if !engine.ask_to_read(key) {
                socket.input = Input::Paused;
                if socket.hung_up {
                    engine.receive(key, Arrival::EndBehindUnread, application);
                }
                return;
            }
            socket.input = Input::Drained(Weight::Light);
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => return engine.receive(key, Arrival::End, application),
                Ok(count) => {
                    let is_drained = count < BUFFER && !socket.stops_short;
                    let goes_on = !is_drained || socket.hung_up || extent == Extent::ToTheEnd;
                    // A socket with more than this turn's share to read is read on in the next.
                    let is_over = count == BUFFER || (goes_on && reads == SHORT_READS);
                    if is_over {
                        self.queue_read_and_pass(key);
                    }
                    let bytes = self.buffer.get_mut(..count).unwrap_or_default();
                    engine.receive(key, Arrival::Bytes(bytes), application);
                    if is_over || !goes_on {
                        return;
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted => {}
                    _ => return engine.receive(key, Arrival::Failure, application),
                },
            }
        }
    }

    /// Does what the engine asks for: mostly nothing before the end of the turn.
    pub(crate) fn carry_out(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        while let Some(order) = engine.next_order(application) {
            match order {
                Order::Probe(key) => self.read(key, Extent::ToTheEnd, engine, application),
                Order::Write(key) => self.write(key, engine, application),
                Order::Read(key) => self.queue_read_and_pass(key),
                Order::Shut(key) => self.shut(key, engine, application),
                Order::Drop(key) => self.remove(key, application),
            }
        }
    }

    fn write(&mut self, key: Key<Connection>, engine: &mut Engine, application: &mut dyn Application) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if socket.is_layered {
            return self.write_layered(key, engine, application);
        }
        let written = loop {
            let written = engine.outgoing(key, |slices| {
                let waiting = slices.iter().map(|slice| slice.len()).sum::<usize>();
                socket.stream.write(slices).map(|count| (count, count < waiting))
            });
            match written {
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                written => break written,
            }
        };
        match written {
            None => engine.sent(key, 0, false),
            Some(Ok((count, blocked))) => engine.sent(key, count, blocked),
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => engine.sent(key, 0, true),
            Some(Err(_)) => engine.receive(key, Arrival::Failure, application),
        }
    }

    fn shut(&mut self, key: Key<Connection>, engine: &mut Engine, application: &mut dyn Application) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if socket.is_layered {
            return self.close_layer(key, engine, application);
        }
        // Whatever fails here fails the next read too.
        let _ = socket.stream.shut();
    }

    /// There may be more to read, in the next turn.
    fn queue_read(&mut self, key: Key<Connection>) {
        if let Some(socket) = find(&mut self.sockets, key) {
            socket.input = Input::Queued;
            self.unread.push_back(key);
        }
    }

    /// The same for a socket whose unread bytes may have arrived before those that were read of others.
    fn queue_read_and_pass(&mut self, key: Key<Connection>) {
        self.must_pass_again = true;
        self.queue_read(key);
    }

    /// Takes connections in, a share from each listener. Returns whether there may be bytes of theirs that no event has
    /// told of: of those that were accepted just now, and of those that still wait.
    fn accept_share(&mut self, engine: &mut Engine, application: &mut dyn Application) -> bool {
        if self.listeners.next_accept().is_none_or(|time| engine.now() < time) {
            return false;
        }
        let mut left = ACCEPTS * self.listeners.len();
        let mut accepts = false;
        while left > 0 && engine.can_accept() {
            left -= 1;
            match self.listeners.accept(engine.now(), self.poll.registry()) {
                None => return accepts,
                Some(Ok(accepted)) => {
                    accepts = true;
                    self.add(accepted, engine, application);
                }
                Some(Err(Failure { address, error, is_final })) => {
                    let event = Event::ListenerFailed { address, error: &error, is_final };
                    application.observe(&event);
                }
            }
        }
        accepts || (engine.can_accept() && self.listeners.are_waiting())
    }

    /// Takes in a connection from elsewhere, of which these bytes are read already.
    pub(crate) fn adopt(
        &mut self,
        accepted: Accepted,
        mut already_read: Vec<u8>,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) {
        let is_layered = accepted.layer.is_some();
        let key = self.add(accepted, engine, application);
        if is_layered {
            self.replay(key, &already_read, engine, application);
        } else if !already_read.is_empty() {
            engine.receive(key, Arrival::Bytes(&mut already_read), application);
        }
    }

    fn add(
        &mut self,
        accepted: Accepted,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) -> Key<Connection> {
        let Accepted { mut stream, peer, proxied, layer } = accepted;
        let key = if proxied { engine.accept_proxied(peer) } else { engine.accept(peer) };
        let index = key.index() as usize;
        if stream.register(self.poll.registry(), token(key)).is_err() {
            // Dropped at the end of the turn, like any other.
            engine.receive(key, Arrival::Failure, application);
        }
        let layered = layer.map(NewLayer::take).and_then(|(layer, is_https)| {
            if is_https {
                engine.note_https(key);
            }
            layer.map_err(|fault| layers::fail(key, fault, engine, application)).ok()
        });
        let is_layered = layered.is_some();
        if let Some(layer) = layered {
            self.layers.put(index, Box::new(Layered::new(layer, proxied)));
        }
        put(&mut self.sockets, index, Socket::new(key.generation(), stream, is_layered));
        key
    }

    fn remove(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let Some(slot) = self.sockets.get_mut(key.index() as usize) else { return };
        if let Some(mut socket) = slot.take_if(|socket| socket.generation == key.generation()) {
            if socket.is_layered {
                self.layers.part(key.index() as usize, &mut socket, application);
            }
            // Closing it would do, but the documented order is this.
            let _ = socket.stream.deregister(self.poll.registry());
        }
        trim(&mut self.sockets);
        self.listeners.resume();
    }

    /// The connection of a token, unless the event is a stale one.
    fn key(&self, token: usize) -> Option<Key<Connection>> {
        let index = token & ((1 << INDEX_BITS) - 1);
        let socket = self.sockets.get(index)?.as_ref()?;
        let key = Key::from_parts(u32::try_from(index).ok()?, socket.generation)?;
        (self::token(key) == Token(token)).then_some(key)
    }
}

fn token(key: Key<Connection>) -> Token {
    Token((key.generation() as usize) << INDEX_BITS | key.index() as usize)
}

fn find(sockets: &mut [Option<Socket>], key: Key<Connection>) -> Option<&mut Socket> {
    let socket = sockets.get_mut(key.index() as usize)?.as_mut()?;
    (socket.generation == key.generation()).then_some(socket)
}
