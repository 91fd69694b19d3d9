//! A driver without an operating system: its sockets are buffers, and both their ends are here.
//!
//! In go what clients do with their ends (bytes, the end of the stream, a reset, a window); out comes what
//! the server wrote. Between stands the same order of calls as in the reactor, so that simulations, the
//! tests of the engine, and programs that look for its faults, see the turns of a real server. Nothing here
//! sleeps, and the time is the engine's.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::net::SocketAddr;

use crate::collections::Key;
use crate::engine::{Application, Arrival, Connection, Engine, Millis, Order};

/// What one read takes at most, as the reactor's.
const BUFFER: usize = 64 << 10;

/// Connections of a crowd.
const CROWD: usize = 200;

/// A socket, with its two ends. It stays when the server has dropped its end, for what the client has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(usize);

impl SocketId {
    /// The place of this socket among all, in the order in which they were opened.
    pub fn place(self) -> usize {
        self.0
    }
}

/// Sockets, and what happened on them.
#[derive(Default)]
pub struct Loopback {
    sockets: Vec<Socket>,
    by_key: HashMap<Key<Connection>, SocketId>,
    backlog: VecDeque<SocketId>,
    has_stopped_listening: bool,
    events: VecDeque<Event>,
    /// Sockets on which the client has something new to see.
    news: VecDeque<SocketId>,
    /// Everything that had arrived by then was read.
    heard: Millis,
    /// How many bytes a read takes of those that are there; `None`: all.
    read_size: Option<ReadSize>,
    /// Reads that found bytes, or an end, and were not welcome.
    pauses: usize,
    /// Writes that the server made.
    writes: usize,
}

/// See [`Loopback::cut_reads`].
type ReadSize = Box<dyn FnMut(usize) -> usize + Send>;

/// What a driver learns of a socket.
enum Event {
    Readable(SocketId),
    Writable(SocketId),
}

struct Socket {
    peer: Option<SocketAddr>,
    /// The server's end.
    server: Server,
    /// Written by the client, and not read by the server.
    unread: VecDeque<u8>,
    sending: Sending,
    /// How many bytes it takes yet; `None`: all.
    window: Option<usize>,
    is_blocked: bool,
    received: Vec<u8>,
}

/// The server's end of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// It waits to be accepted.
    Waiting,
    Open(Key<Connection>),
    /// Nothing follows.
    Shut(Key<Connection>),
    Dropped {
        /// Its end was in order: it was shut before.
        was_shut: bool,
    },
}

/// The client's sending side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    /// It is over, and no event tells of it: see [`Loopback::finish_unnoticed`].
    FinishedUnnoticed,
    Finished,
    Reset,
}

impl Loopback {
    /// A client connects: its socket waits to be accepted.
    pub fn connect(&mut self, peer: Option<SocketAddr>) -> SocketId {
        let id = SocketId(self.sockets.len());
        self.sockets.push(Socket {
            peer,
            server: if self.has_stopped_listening {
                Server::Dropped { was_shut: false }
            } else {
                Server::Waiting
            },
            unread: VecDeque::new(),
            sending: Sending::Open,
            window: None,
            is_blocked: false,
            received: Vec::new(),
        });
        if self.has_stopped_listening {
            self.news.push_back(id);
        } else {
            self.backlog.push_back(id);
        }
        id
    }

    /// A client writes. Bytes behind its end are lost.
    pub fn write(&mut self, id: SocketId, bytes: &[u8]) {
        if let Some(socket) = self.sockets.get_mut(id.0).filter(|socket| socket.sending == Sending::Open) {
            socket.unread.extend(bytes);
            self.events.push_back(Event::Readable(id));
        }
    }

    /// A client sends no more; it can still read.
    pub fn finish(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id.0)
            && matches!(socket.sending, Sending::Open | Sending::FinishedUnnoticed)
        {
            socket.sending = Sending::Finished;
            self.events.push_back(Event::Readable(id));
        }
    }

    /// A client sends no more, too late for the events of the turn that is under way: the server reads the end if it
    /// looks at the socket, and is not told of it before [`Loopback::finish`].
    pub fn finish_unnoticed(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id.0).filter(|socket| socket.sending == Sending::Open) {
            socket.sending = Sending::FinishedUnnoticed;
        }
    }

    /// Whether a client sends no more, and the server has not read that.
    pub fn is_finish_unnoticed(&self, id: SocketId) -> bool {
        self.sockets.get(id.0).is_some_and(|socket| socket.sending == Sending::FinishedUnnoticed)
    }

    /// A client resets its connection: what the server has not read is lost.
    pub fn reset(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id.0) {
            socket.sending = Sending::Reset;
            socket.unread.clear();
            self.events.push_back(Event::Readable(id));
        }
    }

    /// From now on the socket takes so many bytes from the server, and no more before this is said again; `None`: all.
    pub fn set_window(&mut self, id: SocketId, window: Option<usize>) {
        if let Some(socket) = self.sockets.get_mut(id.0) {
            socket.window = window;
            if socket.is_blocked && window != Some(0) {
                socket.is_blocked = false;
                self.events.push_back(Event::Writable(id));
            }
        }
    }

    /// How many bytes the socket takes yet; `None`: all.
    pub fn window(&self, id: SocketId) -> Option<usize> {
        self.sockets.get(id.0).and_then(|socket| socket.window)
    }

    /// What the client has received, all in all.
    pub fn received(&self, id: SocketId) -> &[u8] {
        self.sockets.get(id.0).map_or(&[], |socket| &socket.received)
    }

    /// Whether the server has ended its side: nothing follows what was received.
    pub fn has_ended(&self, id: SocketId) -> bool {
        self.sockets
            .get(id.0)
            .is_none_or(|socket| matches!(socket.server, Server::Shut(_) | Server::Dropped { .. }))
    }

    /// Whether the server is done with the socket, so that bytes which the client writes are lost.
    pub fn is_dropped(&self, id: SocketId) -> bool {
        self.sockets.get(id.0).is_none_or(|socket| matches!(socket.server, Server::Dropped { .. }))
    }

    /// Whether the server has ended its side in order, and not by dropping the socket.
    pub fn was_shut(&self, id: SocketId) -> bool {
        let server = self.sockets.get(id.0).map(|socket| socket.server);
        matches!(server, Some(Server::Shut(_) | Server::Dropped { was_shut: true }))
    }

    /// Whether the socket takes no bytes of those that the server has for it.
    pub fn is_blocked(&self, id: SocketId) -> bool {
        self.sockets.get(id.0).is_some_and(|socket| socket.is_blocked)
    }

    /// Whether the server has not read everything that the client has written.
    pub fn has_unread(&self, id: SocketId) -> bool {
        self.sockets.get(id.0).is_some_and(|socket| !socket.unread.is_empty())
    }

    /// Whether the server is to be told of something at once.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the server is to be told at once that there is something to read on this socket.
    pub fn is_readable(&self, id: SocketId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Readable(readable) if *readable == id))
    }

    /// The sockets whose connections the server has not dropped, in no order.
    pub fn connections(&self) -> impl Iterator<Item = (Key<Connection>, SocketId)> {
        self.by_key.iter().map(|(key, id)| (*key, *id))
    }

    /// Each read takes as many bytes as this says of the number that is there, and goes on: so a
    /// program tries where bytes are cut.
    pub fn cut_reads(&mut self, read_size: impl FnMut(usize) -> usize + Send + 'static) {
        self.read_size = Some(Box::new(read_size));
    }

    /// How often there was something to read, and the server had no room for it.
    pub fn pauses(&self) -> usize {
        self.pauses
    }

    /// How often the server wrote to a socket that took something.
    pub fn writes(&self) -> usize {
        self.writes
    }

    /// The next socket on which bytes, or an end, have come for the client.
    pub fn next_news(&mut self) -> Option<SocketId> {
        self.news.pop_front()
    }

    /// The server listens no more: connections that wait to be accepted are dropped, and so are those that come.
    pub fn stop_listening(&mut self) {
        self.has_stopped_listening = true;
        while let Some(id) = self.backlog.pop_front() {
            if let Some(socket) = self.sockets.get_mut(id.0) {
                socket.server = Server::Dropped { was_shut: false };
                self.news.push_back(id);
            }
        }
    }

    /// Whether the next turn has something to do at once.
    pub fn is_pending(&self, engine: &Engine) -> bool {
        let accepts = engine.can_accept() && !self.backlog.is_empty();
        accepts || !self.events.is_empty() || engine.is_pending()
    }

    /// The first part of a turn: what was left over goes on.
    pub fn begin_turn(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        engine.read_clock();
        engine.begin_turn(application);
        self.carry_out(engine, application);
        while engine.go_on(application) {
            self.carry_out(engine, application);
        }
    }

    /// The second part: connections are accepted, and what arrived is handed over.
    pub fn take_events(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        self.accept_rest(engine);
        // What these cause is for the next turn.
        for _ in 0..self.events.len() {
            match self.events.pop_front() {
                Some(Event::Readable(id)) => self.read(id, engine, application),
                Some(Event::Writable(id)) => {
                    if let Some(key) = self.connection(id) {
                        engine.writable(key);
                    }
                }
                None => break,
            }
            self.carry_out(engine, application);
        }
        if self.events.is_empty() && engine.postponed() == 0 {
            self.heard = engine.now();
        }
    }

    /// The last part of a turn: what is due happens, and all that the turn brought about leaves.
    pub fn end_turn(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        engine.advance(self.heard, application);
        self.carry_out(engine, application);
    }

    /// Does what the engine asks for.
    pub fn carry_out(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        while let Some(order) = engine.next_order(application) {
            match order {
                Order::Probe(key) => {
                    if let Some(id) = self.by_key.get(&key).copied() {
                        self.read(id, engine, application);
                    }
                }
                Order::Write(key) => self.send(key, engine, application),
                Order::Read(key) => {
                    if let Some(id) = self.by_key.get(&key).copied() {
                        self.events.push_back(Event::Readable(id));
                    }
                }
                Order::Shut(key) => self.end(key, Server::Shut(key)),
                Order::Drop(key) => {
                    let was_shut = self.by_key.get(&key).is_some_and(|id| self.was_shut(*id));
                    self.end(key, Server::Dropped { was_shut });
                    self.by_key.remove(&key);
                }
            }
        }
        self.check(engine);
    }

    /// In tests of this crate what is booked is compared with what is held. All connections are looked
    /// at, so that it is not for crowds.
    fn check(&self, engine: &Engine) {
        if cfg!(test) && self.by_key.len() < CROWD {
            assert_eq!(engine.audit(), Ok(()));
        }
    }

    /// Accepts the connections that wait, as far as the limits allow.
    pub fn accept_rest(&mut self, engine: &mut Engine) {
        while engine.can_accept()
            && let Some(id) = self.backlog.pop_front()
        {
            self.accept(id, engine);
        }
    }

    fn accept(&mut self, id: SocketId, engine: &mut Engine) {
        if let Some(socket) = self.sockets.get_mut(id.0) {
            let key = engine.accept(socket.peer);
            socket.server = Server::Open(key);
            self.by_key.insert(key, id);
            // What was written before is found by the first event.
            self.events.push_back(Event::Readable(id));
        }
    }

    /// The connection of the server's end; `None`: it is not accepted yet, or it is dropped.
    pub fn connection(&self, id: SocketId) -> Option<Key<Connection>> {
        match self.sockets.get(id.0)?.server {
            Server::Open(key) | Server::Shut(key) => Some(key),
            Server::Waiting | Server::Dropped { .. } => None,
        }
    }

    fn end(&mut self, key: Key<Connection>, end: Server) {
        let Some(id) = self.by_key.get(&key).copied() else { return };
        if let Some(socket) = self.sockets.get_mut(id.0) {
            socket.server = end;
            self.news.push_back(id);
        }
    }

    /// One buffer full of bytes, and the end behind them if it has come.
    fn read(&mut self, id: SocketId, engine: &mut Engine, application: &mut dyn Application) {
        loop {
            let Some(key) = self.connection(id) else { return };
            let Some(socket) = self.sockets.get_mut(id.0) else { return };
            if socket.sending == Sending::Reset {
                return engine.receive(key, Arrival::Failure, application);
            }
            if !engine.ask_to_read(key) {
                let has_finished = socket.has_finished();
                self.pauses += usize::from(!socket.unread.is_empty() || has_finished);
                if has_finished {
                    engine.receive(key, Arrival::EndBehindUnread, application);
                }
                return;
            }
            let most = socket.unread.len().min(BUFFER);
            let count = match &mut self.read_size {
                Some(read_size) if most > 0 => read_size(most).clamp(1, most),
                _ => most,
            };
            if count == 0 {
                if socket.has_finished() {
                    engine.receive(key, Arrival::End, application);
                }
                return;
            }
            let mut bytes: Vec<u8> = socket.unread.drain(..count).collect();
            engine.receive(key, Arrival::Bytes(&mut bytes), application);
            if count == BUFFER {
                self.events.push_back(Event::Readable(id));
                return;
            }
        }
    }

    /// Hands over what the engine has for a client.
    fn send(&mut self, key: Key<Connection>, engine: &mut Engine, application: &mut dyn Application) {
        let Some(id) = self.by_key.get(&key).copied() else { return };
        let Some(socket) = self.sockets.get_mut(id.0) else { return };
        if socket.sending == Sending::Reset {
            return engine.receive(key, Arrival::Failure, application);
        }
        let written = engine.outgoing(key, |slices| socket.take(slices));
        let (count, blocked) = written.unwrap_or_default();
        socket.is_blocked = blocked;
        if count > 0 {
            self.writes += 1;
            self.news.push_back(id);
        }
        engine.sent(key, count, blocked);
    }
}

impl Socket {
    /// Whether the client sends no more, which the server has noticed now.
    fn has_finished(&mut self) -> bool {
        if self.sending == Sending::FinishedUnnoticed {
            self.sending = Sending::Finished;
        }
        self.sending == Sending::Finished
    }

    /// Takes as much as the window lets it, and says whether that was less than there was.
    fn take(&mut self, slices: &[IoSlice<'_>]) -> (usize, bool) {
        let mut count = 0;
        for slice in slices {
            let room = self.window.map_or(slice.len(), |window| window.min(slice.len()));
            self.received.extend(slice.iter().take(room));
            self.window = self.window.map(|window| window - room);
            count += room;
            if room < slice.len() {
                return (count, true);
            }
        }
        (count, false)
    }
}
