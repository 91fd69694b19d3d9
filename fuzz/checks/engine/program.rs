//! The application of the engine's check: at each callback it does what a byte of its program says. Which one depends on
//! the session and on how often it was called, not on who else was called before: sessions whose time comes in the same
//! tick may be told in any order.

use std::collections::HashMap;

use sockjs_server::collections::Key;
use sockjs_server::engine::{
    Application, Cause, Close, Engine, Event, Message, Refusal, Request, Response, SendError, Session,
};
use sockjs_server::{Transport, engine};

/// What the application was told, with sessions by the order in which they opened.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Opened(usize, Transport),
    Message(usize, Vec<u8>),
    Alarm(usize),
    Closed(usize, u16, String),
}

impl Told {
    pub fn session(&self) -> usize {
        match self {
            Told::Opened(session, _)
            | Told::Message(session, _)
            | Told::Alarm(session)
            | Told::Closed(session, ..) => *session,
        }
    }
}

/// A request as its client will need it to read the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub is_head: bool,
    pub is_raw_websocket: bool,
}

#[derive(Default)]
pub struct Program {
    pub actions: Vec<u8>,
    pub told: Vec<Told>,
    /// The serials of the messages that `send` took, for each session.
    pub sent: Vec<Vec<usize>>,
    /// The port of the client that opened each session over WebSocket.
    pub websockets: Vec<Option<u16>>,
    /// By the client's port.
    pub asked: HashMap<u16, Vec<Asked>>,
    /// A queue was full: what happens then depends on who read when.
    pub full: bool,
    sessions: Vec<Key<Session>>,
    numbers: HashMap<Key<Session>, usize>,
    /// How often each session was called, and the endpoints.
    calls: HashMap<Option<usize>, usize>,
    /// How many sends each session has seen.
    serials: HashMap<usize, usize>,
    admissions: usize,
    /// A request was admitted: its session opens now, since its state is there.
    is_admitted: bool,
}

/// The session and the serial of one of our messages.
pub fn tag(message: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(message).ok()?.strip_prefix("m:")?;
    let mut parts = text.split(':');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Program {
    fn number(&self, key: Key<Session>) -> usize {
        *self.numbers.get(&key).expect("told of a session that never opened")
    }

    pub fn session(&self, choice: usize) -> Option<Key<Session>> {
        self.sessions.get(choice % self.sessions.len().max(1)).copied()
    }

    pub fn is_open(&self, engine: &Engine, number: usize) -> bool {
        self.sessions.get(number).is_some_and(|key| engine.is_open(*key))
    }

    fn send(&mut self, engine: &mut Engine, key: Key<Session>, filler: usize) -> Result<(), SendError> {
        let number = self.number(key);
        let serial = self.serials.entry(number).or_default();
        *serial += 1;
        let serial = *serial;
        let text = format!("m:{number}:{serial}:{}", "<%\u{2028}\n".repeat(filler));
        let was_open = engine.is_open(key);
        let sent = match filler % 5 {
            4 => engine.send_binary(key, text.as_bytes()),
            _ => engine.send(key, &text),
        };
        match sent {
            Ok(()) => self.sent[number].push(serial),
            Err(SendError::Full) => self.full = true,
            Err(_) => {}
        }
        assert_eq!(sent == Err(SendError::Gone), !was_open, "gone is what is not open");
        sent
    }

    /// One action, on a session of its own choice or on the one at hand.
    pub fn act(&mut self, engine: &mut Engine, action: u8, own: Option<Key<Session>>) {
        let choice = usize::from(action >> 5);
        let Some(key) = own.filter(|_| choice < 4).or_else(|| self.session(choice)) else { return };
        let number = engine.endpoint_of(key).unwrap_or_default();
        match action & 0x1f {
            0..6 => {
                let _ = self.send(engine, key, usize::from(action & 7));
            }
            6 => while self.send(engine, key, 60).is_ok() {},
            7 => {
                let _ = self.send(engine, key, 700);
            }
            8 => {
                engine.close(key, 3000, "Go away!");
            }
            9 => {
                engine.close(key, 1005, "\u{fffd}\r\n".repeat(50).as_str());
            }
            10 => self.broadcast(engine, number, None, 1),
            11 => self.broadcast(engine, number, Some(key), 1),
            12 => self.broadcast(engine, number, None, 900),
            13 => engine.set_session_alarm(key, Some(u64::from(action))),
            14 => engine.set_session_alarm(key, None),
            15 => engine.set_endpoint_alarm(number, Some(0)),
            16 => engine.set_endpoint_alarm(number, Some(5000)),
            17 => engine.set_endpoint_alarm(number, None),
            18 => {
                for key in engine.open_sessions(number).collect::<Vec<_>>() {
                    engine.close(key, 4000, "");
                }
            }
            _ => {}
        }
    }

    fn broadcast(&mut self, engine: &mut Engine, number: u16, except: Option<Key<Session>>, filler: usize) {
        let open = engine.open_count(number);
        assert_eq!(engine.open_sessions(number).count(), open);
        let excepted =
            except.is_some_and(|key| engine.is_open(key) && engine.endpoint_of(key) == Some(number));
        let reached = engine.broadcast(number, &"b\u{2029}<".repeat(filler), except);
        assert_eq!(
            engine.open_count(number),
            reached + usize::from(excepted),
            "closed or reached, all of them"
        );
        self.full |= engine.open_count(number) < open;
    }

    fn next(&mut self, engine: &mut Engine, own: Option<Key<Session>>) {
        let number = own.map(|key| self.number(key));
        let calls = self.calls.entry(number).or_default();
        let place = number.unwrap_or_default() * 2 + *calls;
        *calls += 1;
        if let Some(action) = self.actions.get(place) {
            self.act(engine, *action, own);
        }
    }
}

impl Application for Program {
    fn admit(&mut self, _: u16, _: &Request<'_>) -> Result<(), Refusal> {
        assert!(!self.is_admitted, "a session that was admitted opens");
        self.admissions += 1;
        match self.actions.get(self.admissions) {
            Some(0xff) => Err(Refusal::status(403)),
            Some(0xfe) => Err(Refusal::close(4001, "refused")),
            _ => {
                self.is_admitted = true;
                Ok(())
            }
        }
    }

    fn opened(&mut self, engine: &mut Engine, session: Key<engine::Session>, request: &Request<'_>) {
        assert!(std::mem::take(&mut self.is_admitted), "a session that opens was admitted");
        let number = self.sessions.len();
        assert_eq!(self.numbers.insert(session, number), None, "a key is never used twice");
        self.sessions.push(session);
        self.sent.push(Vec::new());
        let transport = request.transport().expect("a session has a transport");
        let is_websocket = matches!(transport, Transport::WebSocket | Transport::RawWebSocket);
        self.websockets.push(request.peer().filter(|_| is_websocket).map(|peer| peer.port()));
        assert!(engine.is_open(session) && engine.transport(session) == Some(transport));
        self.told.push(Told::Opened(number, transport));
        self.next(engine, Some(session));
    }

    fn message(&mut self, engine: &mut Engine, session: Key<engine::Session>, message: Message<'_>) {
        assert!(engine.is_open(session) && !self.is_admitted);
        let bytes = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        };
        self.told.push(Told::Message(self.number(session), bytes.to_vec()));
        if self.actions.is_empty() {
            let _ = self.send(engine, session, 0);
        }
        self.next(engine, Some(session));
    }

    fn closed(&mut self, engine: &mut Engine, session: Key<engine::Session>, close: &Close) {
        assert!(!engine.is_open(session) && !self.is_admitted);
        self.full |= close.cause == Cause::Overflow;
        self.told.push(Told::Closed(self.number(session), close.code, close.reason.clone()));
        self.next(engine, Some(session));
    }

    fn drained(&mut self, engine: &mut Engine, session: Key<engine::Session>) {
        assert!(self.full && engine.is_open(session));
        self.next(engine, Some(session));
    }

    fn session_alarm(&mut self, engine: &mut Engine, session: Key<engine::Session>) {
        self.told.push(Told::Alarm(self.number(session)));
        self.next(engine, Some(session));
    }

    fn endpoint_alarm(&mut self, engine: &mut Engine, _: u16) {
        self.next(engine, None);
    }

    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Request(request) = event {
            let port = request.peer().expect("all come by TCP").port();
            // A path that names a session is not shown: one that is can only be the raw WebSocket's.
            let is_raw_websocket = request.path().contains("/websocket");
            let asked = Asked { is_head: request.method() == "HEAD", is_raw_websocket };
            self.asked.entry(port).or_default().push(asked);
        }
    }

    fn respond(&mut self, engine: &mut Engine, request: &Request<'_>, body: &[u8]) -> Response {
        self.next(engine, None);
        let status = [200, 204, 304, 404, 101, 999][body.len() % 6];
        Response::new(status)
            .header("X-Path", request.path())
            .header("X-Body", &String::from_utf8_lossy(body))
            .header("Content-Length", "7")
            .header("bad name", "x")
            .body(request.method())
    }
}
