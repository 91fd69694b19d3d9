//! The engine with clients that cost nothing: a socket takes all bytes and keeps none. So a bench of a million
//! sessions measures the engine, its time and its heap, and not what stands for its clients. The calls of a turn
//! are in the order of every driver.

use std::collections::HashSet;
use std::time::Duration;

use sockjs_server::collections::Key;
use sockjs_server::engine::{
    Application, Arrival, Close, Connection, EndpointNumber, EndpointOptions, Engine, Event, ManualClock,
    Message, Millis, Order, Refusal, Reply, Request, Response, ServerOptions, Session,
};
use sockjs_server::{Transport, Transports};

/// The endpoint whose sessions have receivers all the time.
pub const ATTACHED: EndpointNumber = EndpointNumber::new(0);

/// The prefixes of the endpoints: of sessions that have receivers, and of those between two polls.
pub const PREFIXES: [&str; 2] = ["/attached", "/between"];

/// An echo that counts.
#[derive(Default)]
pub struct Program {
    /// Sessions that opened, and were not taken out.
    pub opened: Vec<Key<Session>>,
    pub messages: u64,
    pub closed: u64,
}

impl Application for Program {
    fn admit(&mut self, _: EndpointNumber, _: &Request<'_>) -> Result<(), Refusal> {
        Ok(())
    }
    fn opened(&mut self, _: &mut Engine, session: Key<Session>, _: &Request<'_>) {
        self.opened.push(session);
    }
    fn message(&mut self, engine: &mut Engine, session: Key<Session>, message: Message<'_>) {
        self.messages += 1;
        if let Message::Text(text) = message {
            let _ = engine.send(session, text);
        }
    }
    fn closed(&mut self, _: &mut Engine, _: Key<Session>, _: &Close) {
        self.closed += 1;
    }
    fn drained(&mut self, _: &mut Engine, _: Key<Session>, _: u64) {}
    fn group_started(&mut self, _: &mut Engine, _: EndpointNumber, _: &str) {}
    fn group_ended(&mut self, _: &mut Engine, _: EndpointNumber, _: &str) {}
    fn session_timer(&mut self, _: &mut Engine, _: Key<Session>, _: u32) {}
    fn endpoint_timer(&mut self, _: &mut Engine, _: EndpointNumber, _: u32) {}
    fn observe(&mut self, _: &Event<'_>) {}
    fn respond(&mut self, _: &mut Engine, _: &Request<'_>, _: &[u8]) -> Reply {
        Response::new(404).into()
    }
}

/// The engine, its clock, and what its clients have seen.
pub struct Driver {
    pub engine: Engine,
    pub program: Program,
    clock: ManualClock,
    /// Connections whose clients were pinged, and have not answered.
    pub pings: Vec<Key<Connection>>,
    /// Connections that the server has dropped.
    pub dropped: Vec<Key<Connection>>,
    /// Connections whose sending side was shut: their clients end theirs.
    shut: Vec<Key<Connection>>,
    /// Connections whose sockets take nothing.
    pub blocked: HashSet<Key<Connection>>,
    bytes: Vec<u8>,
}

/// A ping frame without content.
const PING: [u8; 2] = [0x89, 0];

impl Driver {
    /// A server with room for so many sessions, which wait for a receiver for so long where they have none.
    pub fn new(sessions: usize, heartbeat_delay: Duration, disconnect_delay: [Duration; 2]) -> Self {
        // The client of jsonp would not wait for seldom heartbeats.
        let transports = Transports::all().without(Transport::JsonpPolling);
        let options = ServerOptions::default().connections(1 << 20).buffered_bytes(4 << 30);
        let clock = ManualClock::default();
        let mut engine = Engine::new(options, Box::new(clock.clone()), 1_700_000_000);
        for (prefix, delay) in PREFIXES.into_iter().zip(disconnect_delay) {
            let options =
                EndpointOptions::default().sessions(sessions).groups(1 << 20).disconnect_delay(delay);
            // No stream ends while it is busy; and heartbeats are as seldom as the caller says.
            let options =
                options.response_limit(1 << 30).transports(transports).heartbeat_delay(heartbeat_delay);
            engine.mount(prefix, options).expect("sound options").expect("one of few");
        }
        Self {
            engine,
            program: Program::default(),
            clock,
            pings: Vec::with_capacity(4096),
            dropped: Vec::with_capacity(4096),
            shut: Vec::with_capacity(4096),
            blocked: HashSet::new(),
            bytes: Vec::with_capacity(4096),
        }
    }

    pub fn now(&self) -> Millis {
        self.engine.now()
    }

    /// Time passes up to this, deadline by deadline, as far as each of them is at least a tick behind the one before.
    pub fn pass_until(&mut self, end: Millis, tick: Millis, mut each: impl FnMut(&mut Self)) {
        while self.now() < end {
            let next = self.engine.next_deadline().unwrap_or(end).max(self.now() + tick).min(end);
            self.clock.set(next);
            self.settle();
            each(self);
        }
    }

    /// Moves the clock, and nothing else.
    pub fn set_time(&mut self, now: Millis) {
        self.clock.set(now);
    }

    /// One turn of a program: a flush that leaves in parts is over when it ends, as with `Server::turn`.
    pub fn turn(&mut self, arrivals: impl FnOnce(&mut Self)) {
        self.turn_once(arrivals);
        let flush = self.engine.left_over_flush();
        while flush.is_some() && self.engine.left_over_flush() == flush {
            self.turn_once(|_| {});
        }
    }

    fn turn_once(&mut self, arrivals: impl FnOnce(&mut Self)) {
        let now = self.engine.read_clock();
        self.engine.begin_turn(&mut self.program);
        self.carry_out();
        while self.engine.go_on(&mut self.program) {
            self.carry_out();
        }
        arrivals(self);
        self.engine.advance(now, &mut self.program);
        self.carry_out();
    }

    /// Turns, until nothing is due.
    pub fn settle(&mut self) {
        self.turn(|_| {});
        while self.engine.is_pending() || self.engine.next_deadline().is_some_and(|due| due <= self.now()) {
            self.turn(|_| {});
        }
    }

    pub fn accept(&mut self) -> Key<Connection> {
        self.engine.accept(None)
    }

    /// Bytes from a client. They are copied, since the engine rewrites them.
    pub fn receive(&mut self, key: Key<Connection>, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.bytes);
        buffer.clear();
        buffer.extend_from_slice(bytes);
        if self.engine.ask_to_read(key) {
            self.engine.receive(key, Arrival::Bytes(&mut buffer), &mut self.program);
        }
        self.bytes = buffer;
        self.carry_out();
    }

    /// The client hangs up.
    pub fn hang_up(&mut self, key: Key<Connection>) {
        self.engine.receive(key, Arrival::End, &mut self.program);
        self.carry_out();
    }

    /// The socket takes bytes again.
    pub fn unblock(&mut self, key: Key<Connection>) {
        if self.blocked.remove(&key) {
            self.engine.writable(key);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(order) = self.engine.next_order(&mut self.program) {
            match order {
                Order::Write(key) if self.blocked.contains(&key) => self.engine.sent(key, 0, true),
                Order::Write(key) => {
                    let pings = &mut self.pings;
                    let count = self.engine.outgoing(key, |slices| {
                        if slices.iter().any(|slice| slice.ends_with(&PING) || slice.starts_with(&PING)) {
                            pings.push(key);
                        }
                        slices.iter().map(|slice| slice.len()).sum()
                    });
                    self.engine.sent(key, count.unwrap_or(0), false);
                }
                Order::Shut(key) => self.shut.push(key),
                Order::Drop(key) => {
                    self.blocked.remove(&key);
                    self.dropped.push(key);
                }
                Order::Probe(_) | Order::Read(_) => {}
            }
            if let (true, Some(key)) = (self.shut.len() > 100, self.shut.pop()) {
                self.engine.receive(key, Arrival::End, &mut self.program);
            }
        }
        while let Some(key) = self.shut.pop() {
            self.hang_up(key);
        }
    }
}

/// The request for a WebSocket that speaks SockJS.
pub fn handshake() -> String {
    let prefix = PREFIXES[0];
    format!(
        "GET {prefix}/000/any/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A request for a session.
pub fn post(prefix: &str, id: usize, action: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {prefix}/000/{id}/{action} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A client's frame, masked with zeros.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}
