//! The handlers of the tests, and what a test does to a server: on the driver of simulations, whose sockets are
//! buffers. Time passes when the test says so.

use std::collections::HashMap;

use crate::collections::Key;
use crate::engine::TimeSource;
use crate::engine::{
    Application, Close, Connection, EndpointNumber, EndpointOptions, Engine, Event, ManualClock, Message,
    Refusal, Reply, Request, Response, SendError, ServerOptions, Session, Ticket,
};
use crate::loopback::{Loopback, SocketId};

/// The endpoint that was mounted first.
pub(super) const FIRST: EndpointNumber = EndpointNumber::new(0);

/// What a handler does, by endpoint.
pub(super) type Behaviour = fn(&mut Engine, Key<Session>, Moment<'_>);

/// The moment at which a handler is called.
pub(super) enum Moment<'m> {
    Open,
    Message(&'m str),
    Timer,
    Close,
    Drain,
    /// A group of this name got its first member, or lost its last one.
    Group(&'m str),
}

/// The handlers of a test: they log what they hear, then behave.
pub(super) struct Recorder {
    pub(super) log: Vec<String>,
    pub(super) names: HashMap<Key<Session>, usize>,
    /// How long each callback works, in milliseconds, before it does anything.
    pub(super) work: u64,
    /// Messages that were skipped, as drains and closes told.
    pub(super) skipped: u64,
    /// How large a page of the program's own is; none is 404.
    pub(super) page: usize,
    /// The statuses and close codes of refusals, as the observer hears them.
    pub(super) refusals: Vec<u16>,
    /// The methods and paths of requests, as `admit` and `respond` are shown them.
    pub(super) shown: Vec<String>,
    /// How the handlers refuse every session, if they do.
    pub(super) refuse: fn() -> Option<Refusal>,
    /// What a page is answered if it has no size, and the requests that wait for their answers.
    pub(super) reply: fn(&mut Engine, &Request<'_>, &mut Vec<Ticket>) -> Reply,
    pub(super) tickets: Vec<Ticket>,
    clock: ManualClock,
    behaviours: Vec<Behaviour>,
}

impl Recorder {
    fn new(behaviour: Behaviour, clock: ManualClock) -> Self {
        let (log, names, work, page, refusals, shown, tickets) = Default::default();
        let reply = |_: &mut Engine, _: &Request<'_>, _: &mut Vec<Ticket>| Response::new(404).into();
        let (skipped, refuse, behaviours) = (0, || None, vec![behaviour]);
        Self { log, names, work, page, skipped, refusals, shown, refuse, reply, tickets, clock, behaviours }
    }

    fn hear(&mut self, engine: &mut Engine, key: Key<Session>, what: String, moment: Moment<'_>) {
        let next = self.names.len();
        let name = *self.names.entry(key).or_insert(next);
        self.log.push(format!("{name} {what}"));
        self.clock.set(self.clock.now() + self.work);
        let number = engine.endpoint_of(key).expect("a session that is told of has an endpoint");
        self.behaviours[number.place()](engine, key, moment);
    }
}

impl Recorder {
    /// The behaviour is given a session that is open, if there is one.
    fn hear_of_group(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str, what: &str) {
        self.log.push(format!("{name} {what}"));
        let first = engine.open_sessions(number).next();
        if let Some(key) = first {
            self.behaviours[number.place()](engine, key, Moment::Group(name));
        }
    }
}

impl Application for Recorder {
    fn admit(&mut self, _: EndpointNumber, request: &Request<'_>) -> Result<(), Refusal> {
        self.shown.push(format!("{} {}", request.method(), request.path()));
        (self.refuse)().map_or(Ok(()), Err)
    }
    fn opened(&mut self, engine: &mut Engine, key: Key<Session>, _: &Request<'_>) {
        self.hear(engine, key, "open".into(), Moment::Open);
    }
    fn message(&mut self, engine: &mut Engine, key: Key<Session>, message: Message<'_>) {
        let Message::Text(text) = message else { return };
        self.hear(engine, key, format!("message {text}"), Moment::Message(text));
    }
    fn closed(&mut self, engine: &mut Engine, key: Key<Session>, close: &Close) {
        assert_eq!(engine.send(key, "too late"), Err(SendError::Gone));
        self.skipped += close.skipped;
        self.hear(engine, key, format!("close {} {:?}", close.code, close.cause), Moment::Close);
    }
    fn drained(&mut self, engine: &mut Engine, key: Key<Session>, skipped: u64) {
        self.skipped += skipped;
        self.hear(engine, key, "drain".into(), Moment::Drain);
    }
    fn group_started(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        self.hear_of_group(engine, number, name, "starts");
    }
    fn group_ended(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        self.hear_of_group(engine, number, name, "ends");
    }
    fn session_timer(&mut self, engine: &mut Engine, key: Key<Session>, timer: u32) {
        self.hear(engine, key, format!("timer {timer}"), Moment::Timer);
    }
    fn endpoint_timer(&mut self, _: &mut Engine, number: EndpointNumber, timer: u32) {
        self.log.push(format!("endpoint {} timer {timer}", number.place()));
    }
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Refused { status, .. } = event {
            self.refusals.push(*status);
        }
    }
    fn respond(&mut self, engine: &mut Engine, request: &Request<'_>, _: &[u8]) -> Reply {
        self.shown.push(format!("{} {}", request.method(), request.path()));
        match self.page {
            0 => (self.reply)(engine, request, &mut self.tickets),
            length => Response::new(200).body(vec![b'p'; length]).into(),
        }
    }
}

/// The server, its clients' ends of the connections, and the clock.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) clock: ManualClock,
    pub(super) handlers: Recorder,
    pub(super) network: Loopback,
    /// The sockets of all connections that there were, and how much of what their clients have received was taken.
    sockets: HashMap<Key<Connection>, (SocketId, usize)>,
}

/// The default options, for clients that read at once what was written to them: other waits end at an exact time.
pub(super) fn quick() -> ServerOptions {
    ServerOptions { slowest_client: 1 << 30, ..ServerOptions::default() }
}

pub(super) fn echo(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
    if let Moment::Message(text) = moment {
        let _ = engine.send(key, text);
    }
}

impl World {
    /// One endpoint, `/e`, with the default options.
    pub(super) fn new(behaviour: Behaviour) -> Self {
        Self::with(EndpointOptions::default(), behaviour)
    }

    pub(super) fn with(options: EndpointOptions, behaviour: Behaviour) -> Self {
        Self::build(quick(), options, behaviour)
    }

    pub(super) fn build(server: ServerOptions, options: EndpointOptions, behaviour: Behaviour) -> Self {
        let clock = ManualClock::default();
        let mut engine = Engine::new(server, Box::new(clock.clone()), 0);
        engine.mount("/e", options).expect("sound options").expect("one of few");
        Self {
            engine,
            handlers: Recorder::new(behaviour, clock.clone()),
            clock,
            network: Loopback::default(),
            sockets: HashMap::new(),
        }
    }

    pub(super) fn connect(&mut self) -> Key<Connection> {
        let socket = self.network.connect(None);
        self.network.accept_rest(&mut self.engine);
        let key = self.network.connection(socket).expect("room for one more");
        self.sockets.insert(key, (socket, 0));
        key
    }

    /// How often the engine wrote to a socket that took something.
    pub(super) fn writes(&self) -> usize {
        self.network.writes()
    }

    /// The client ends its side, of which the next turn hears.
    pub(super) fn finish_socket(&mut self, key: Key<Connection>) {
        self.network.finish(self.socket(key));
    }

    fn socket(&self, key: Key<Connection>) -> SocketId {
        self.sockets[&key].0
    }

    /// Bytes from a client, and nothing else of the turn.
    pub(super) fn receive(&mut self, key: Key<Connection>, bytes: impl AsRef<[u8]>) {
        self.network.write(self.socket(key), bytes.as_ref());
        self.take_events();
    }

    /// Bytes from a client, and one turn alone.
    pub(super) fn send_once(&mut self, key: Key<Connection>, bytes: impl AsRef<[u8]>) {
        self.network.write(self.socket(key), bytes.as_ref());
        self.turn_once();
    }

    /// Bytes from a client, their turn, and those that follow at once.
    pub(super) fn send(&mut self, key: Key<Connection>, bytes: impl AsRef<[u8]>) {
        self.network.write(self.socket(key), bytes.as_ref());
        self.turn();
    }

    /// Bytes from a client, which the next turn reads.
    pub(super) fn write(&mut self, key: Key<Connection>, bytes: impl AsRef<[u8]>) {
        self.network.write(self.socket(key), bytes.as_ref());
    }

    /// A POST to a path below `/e/000/`.
    pub(super) fn post(&mut self, key: Key<Connection>, path: &str, body: &str) {
        self.send(key, Self::request(path, body));
    }

    /// The same request alone.
    pub(super) fn request(path: &str, body: &str) -> String {
        let length = body.len();
        format!("POST /e/000/{path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    /// The same on a new connection.
    pub(super) fn post_anew(&mut self, path: &str, body: &str) {
        let key = self.connect();
        self.post(key, path, body);
    }

    /// A new connection that upgrades: to a raw WebSocket, or to one that speaks SockJS.
    pub(super) fn websocket(&mut self, path: &str) -> Key<Connection> {
        let key = self.connect();
        self.send(key, Self::handshake(path));
        let head = self.take(key);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let (_, frames) = head.split_once("\r\n\r\n").expect("a whole head");
        if let Some((_, taken)) = self.sockets.get_mut(&key) {
            *taken -= frames.len();
        }
        key
    }

    /// The request for an upgrade.
    pub(super) fn handshake(path: &str) -> String {
        format!(
            "GET /e/{path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    /// The session that opened as this one in the row.
    pub(super) fn session(&self, number: usize) -> Key<Session> {
        let mut names = self.handlers.names.iter();
        *names.find(|(_, name)| **name == number).expect("so many opened").0
    }

    /// A client's frame, masked with zeros.
    pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..65536 => {
                frame.push(0xfe);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(0xff);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        frame
    }

    /// The client hangs up; the server learns of it when it looks at the socket.
    pub(super) fn hang_up_unnoticed(&mut self, key: Key<Connection>) {
        self.network.finish_unnoticed(self.socket(key));
    }

    pub(super) fn is_hang_up_unnoticed(&self, key: Key<Connection>) -> bool {
        self.network.is_finish_unnoticed(self.socket(key))
    }

    /// The client ends its side, in the turn that is under way.
    pub(super) fn finish_in_turn(&mut self, key: Key<Connection>) {
        self.network.finish(self.socket(key));
        self.take_events();
    }

    /// The client resets its connection, in the turn that is under way.
    pub(super) fn reset_in_turn(&mut self, key: Key<Connection>) {
        self.network.reset(self.socket(key));
        self.take_events();
    }

    pub(super) fn hang_up(&mut self, key: Key<Connection>) {
        self.network.finish(self.socket(key));
        self.turn();
    }

    pub(super) fn reset(&mut self, key: Key<Connection>) {
        self.network.reset(self.socket(key));
        self.turn();
    }

    /// From now on the socket takes so many bytes, and no others; `None`: all.
    pub(super) fn set_room(&mut self, key: Key<Connection>, room: Option<usize>) {
        self.network.set_window(self.socket(key), room);
        self.take_events();
    }

    /// How many bytes the socket takes yet; `None`: all.
    pub(super) fn room(&self, key: Key<Connection>) -> Option<usize> {
        self.network.window(self.socket(key))
    }

    /// The socket takes nothing.
    pub(super) fn block(&mut self, key: Key<Connection>) {
        self.set_room(key, Some(0));
    }

    /// The socket takes bytes again.
    pub(super) fn unblock(&mut self, key: Key<Connection>) {
        self.set_room(key, None);
        self.turn();
    }

    /// Whether the server has ended its side, and nothing follows.
    pub(super) fn was_shut(&self, key: Key<Connection>) -> bool {
        self.network.was_shut(self.socket(key))
    }

    /// Whether the server has dropped the connection.
    pub(super) fn is_dropped(&self, key: Key<Connection>) -> bool {
        self.network.is_dropped(self.socket(key))
    }

    /// Time passes, deadline by deadline.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        let end = self.engine.now() + milliseconds;
        while let Some(deadline) = self.engine.next_deadline().filter(|deadline| *deadline <= end) {
            self.run_due_timers(deadline);
        }
        self.run_due_timers(end);
    }

    /// Moves the clock, and nothing else.
    pub(super) fn set_time(&mut self, now: u64) {
        self.clock.set(now);
        self.engine.read_clock();
    }

    fn run_due_timers(&mut self, now: u64) {
        self.set_time(now);
        self.engine.set_date(now / 1000);
        self.turn();
    }

    /// A turn, and those that follow at once.
    pub(super) fn turn(&mut self) {
        self.begin_turn();
        self.flush();
    }

    /// The end of a turn, and those that follow at once.
    pub(super) fn flush(&mut self) {
        self.end_turn();
        for turns in 0.. {
            assert!(turns < 4000, "turns without end");
            let is_due = self.engine.next_deadline().is_some_and(|next| next <= self.engine.now());
            if !self.network.is_pending(&self.engine) && !is_due {
                return;
            }
            self.turn_once();
        }
    }

    /// A turn alone.
    pub(super) fn turn_once(&mut self) {
        self.begin_turn();
        self.end_turn();
    }

    /// The begin of a turn: what was left over goes on, and what has arrived by now is read.
    pub(super) fn begin_turn(&mut self) {
        self.network.begin_turn(&mut self.engine, &mut self.handlers);
        self.take_events();
    }

    pub(super) fn take_events(&mut self) {
        self.network.take_events(&mut self.engine, &mut self.handlers);
    }

    pub(super) fn end_turn(&mut self) {
        self.network.end_turn(&mut self.engine, &mut self.handlers);
    }

    pub(super) fn carry_out(&mut self) {
        self.network.carry_out(&mut self.engine, &mut self.handlers);
    }

    /// The server reads the end of the stream of each client that has hung up unnoticed, if one has.
    pub(super) fn notice_hang_ups(&mut self) {
        let sockets: Vec<_> = self.network.connections().map(|(_, socket)| socket).collect();
        for socket in sockets {
            if self.network.is_finish_unnoticed(socket) {
                self.network.finish(socket);
            }
        }
        if self.network.has_events() {
            self.turn();
        }
    }

    /// What a client received since it was asked last, and may be asked again.
    pub(super) fn received(&self, key: Key<Connection>) -> String {
        let (socket, taken) = self.sockets[&key];
        String::from_utf8_lossy(&self.network.received(socket)[taken..]).into_owned()
    }

    /// What a client received since it was asked last.
    pub(super) fn take(&mut self, key: Key<Connection>) -> String {
        let received = self.received(key);
        let (socket, taken) = self.sockets.get_mut(&key).expect("a connection");
        *taken = self.network.received(*socket).len();
        received
    }

    /// What the clients received since this was asked last: all of it of one client, and then
    /// of the next that was written to.
    pub(super) fn take_writes(&mut self) -> Vec<(Key<Connection>, Vec<u8>)> {
        let mut writes = Vec::new();
        while let Some(socket) = self.network.next_news() {
            let known = self.sockets.iter_mut().find(|(_, (known, _))| *known == socket);
            let (key, (_, taken)) = known.expect("a connection");
            let bytes = self.network.received(socket)[*taken..].to_vec();
            *taken += bytes.len();
            writes.push((*key, bytes));
        }
        writes
    }

    /// The body of the one answer that a client received.
    pub(super) fn take_body(&mut self, key: Key<Connection>) -> String {
        let answer = self.take(key);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        assert!(head.starts_with("HTTP/1.1 2"), "{head}");
        body.to_owned()
    }

    /// The frames of a streaming response so far; the prelude counts as one.
    pub(super) fn take_chunks(&mut self, key: Key<Connection>) -> Vec<String> {
        let received = self.take(key);
        let mut rest = received.split_once("\r\n\r\n").map_or(received.as_str(), |(head, body)| {
            if head.starts_with("HTTP/1.1") { body } else { received.as_str() }
        });
        let mut chunks = Vec::new();
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            chunks.push(after[..size].to_owned());
            rest = &after[size + 2..];
        }
        chunks
    }

    /// What the handlers heard since they were asked last.
    pub(super) fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.handlers.log)
    }

    /// Everything has an end: after the last wait nothing is left.
    pub(super) fn finish(mut self) {
        let keys: Vec<_> = self.sockets.keys().copied().collect();
        for key in keys {
            self.hang_up(key);
        }
        self.pass(200_000);
        self.assert_nothing_is_left();
    }

    pub(super) fn assert_nothing_is_left(&self) {
        let counters = self.engine.counters();
        let left = (counters.connections, counters.sessions, counters.timers, counters.buffered);
        assert_eq!(left, (0, 0, 0, 0), "{counters:?}");
        assert_eq!(counters.opened, counters.closed);
        assert!(self.engine.has_no_groups());
    }
}
