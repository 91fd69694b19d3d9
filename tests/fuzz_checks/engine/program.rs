//! The application of the engine's check: at each callback it does what a byte of its program says. Which one depends
//! on the session and on how often it was called, not on who else was called before: sessions whose time comes in the
//! same tick may be told in any order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sockjs_server::collections::Key;
use sockjs_server::engine::{
    Application, Cause, Close, EndpointNumber, Engine, Event, JoinError, Message, Outgoing, Refusal, Reply,
    Request, Response, SendError, Session,
};
use sockjs_server::{Transport, engine};

use super::pages::Pages;

/// What the application was told, with sessions by the order in which they opened.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Opened(usize, Transport),
    Message(usize, Vec<u8>),
    Timer(usize, u32),
    Closed(usize, u16, String),
}

impl Told {
    pub fn session(&self) -> usize {
        match self {
            Told::Opened(session, _)
            | Told::Message(session, _)
            | Told::Timer(session, _)
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
    /// It cut a client off, so that the messages and answers which that client has depend on turns.
    pub terminated: bool,
    /// Bytes of the largest message so far.
    pub largest: usize,
    sessions: Vec<Key<Session>>,
    numbers: HashMap<Key<Session>, usize>,
    /// How often each session was called, and the endpoints.
    calls: HashMap<Option<usize>, usize>,
    /// How many sends each session has seen.
    serials: HashMap<usize, usize>,
    admissions: usize,
    /// The members of each group, in order; closed sessions among them.
    members: BTreeMap<(EndpointNumber, &'static str), Vec<Key<Session>>>,
    /// The groups that were told to have begun, and not to have ended.
    started: BTreeSet<(EndpointNumber, String)>,
    /// Messages that were skipped, as drains and closes told.
    pub skipped: u64,
    pub pages: Pages,
    /// A request was admitted: its session opens now, since its state is there.
    is_admitted: bool,
}

/// The groups that there may be.
const GROUPS: [&str; 4] = ["", "a", "b", "too long for a group"];

/// The longest name of a group.
pub const GROUP_NAME: usize = 8;

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

    /// Whether every group that began was told to have ended.
    pub fn knows_of_no_group(&self) -> bool {
        self.started.is_empty()
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
        self.largest = self.largest.max(text.len());
        let was_open = engine.is_open(key);
        let sent = match filler % 5 {
            4 if filler.is_multiple_of(2) => engine.send_binary(key, text.as_bytes()),
            4 => engine.send_binary(key, text.into_bytes()),
            _ if number.is_multiple_of(2) => engine.send(key, &text),
            _ => engine.send(key, text),
        };
        match sent {
            Ok(()) => self.sent[number].push(serial),
            Err(SendError::Full) => self.full = true,
            Err(_) => {}
        }
        assert_eq!(sent == Err(SendError::Gone), !was_open, "gone is what is not open");
        sent
    }

    /// The same as another thread sends, which is told nothing.
    fn send_from_afar(&mut self, engine: &mut Engine, key: Key<Session>, filler: usize) {
        let number = self.number(key);
        let serial = self.serials.entry(number).or_default();
        *serial += 1;
        let serial = *serial;
        let text = format!("m:{number}:{serial}:{}", "x".repeat(filler));
        let (was_open, skipped) = (engine.is_open(key), engine.counters().skipped);
        engine.send_or_overflow(key, Outgoing::Text(text.into()));
        let overflows = engine.counters().skipped > skipped || engine.is_open(key) != was_open;
        self.full |= overflows;
        if was_open && !overflows {
            self.sent[number].push(serial);
        }
    }

    fn change_groups(&mut self, engine: &mut Engine, action: u8, key: Key<Session>) {
        let number = engine.endpoint_of(key).unwrap_or(EndpointNumber::new(0));
        let name = GROUPS[usize::from(action >> 5) % GROUPS.len()];
        self.forget_closed(engine, number, name);
        let members = self.members.entry((number, name)).or_default();
        let is_member = members.contains(&key);
        match action & 0x1f {
            20 => {
                let outcome = engine.join(key, name);
                let expected = match () {
                    () if !engine.is_open(key) => Err(JoinError::Gone),
                    () if name.len() > GROUP_NAME => Err(JoinError::NameTooLong),
                    () => Ok(()),
                };
                assert_eq!(outcome, expected);
                members.extend(outcome.is_ok().then_some(key).filter(|_| !is_member));
            }
            21 => {
                assert_eq!(engine.leave(key, name), is_member);
                members.retain(|member| *member != key);
            }
            22 => self.publish(engine, number, name, Message::Text("g<"), None),
            23 => self.publish(engine, number, name, Message::Text(&"g<".repeat(900)), Some(key)),
            _ => self.publish(engine, number, name, Message::Binary(b"g"), None),
        }
        self.forget_closed(engine, number, name);
        let members = self.members.entry((number, name)).or_default();
        assert!(engine.members(number, name).eq(members.iter().copied()));
        assert_eq!(engine.member_count(number, name), members.len());
        assert_eq!(engine.is_member(key, name), members.contains(&key));
    }

    fn forget_closed(&mut self, engine: &Engine, number: EndpointNumber, name: &'static str) {
        self.members.entry((number, name)).or_default().retain(|member| engine.is_open(*member));
    }

    /// Every member gets it, or is skipped, or is closed.
    fn publish(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        name: &str,
        message: Message<'_>,
        except: Option<Key<Session>>,
    ) {
        let is_meant = |engine: &Engine, key: &Key<Session>| {
            let takes_it = matches!(message, Message::Text(_))
                || engine.transport(*key) == Some(Transport::RawWebSocket);
            takes_it && Some(*key) != except
        };
        let meant =
            |engine: &Engine| engine.members(number, name).filter(|key| is_meant(engine, key)).count();
        let (before, skipped) = (meant(engine), engine.counters().skipped);
        let reached = engine.publish(number, name, message, except);
        let skipped = engine.counters().skipped - skipped;
        assert_eq!(meant(engine), reached + skipped as usize, "closed, skipped or reached, all of them");
        self.full |= skipped > 0 || meant(engine) < before;
    }

    fn hear_of_group(&mut self, engine: &mut Engine) {
        // Whether it was told depends on what happened in the same turn, and so does what this call does.
        self.full |= self.actions.iter().any(|action| action & 0x1f != 0x1f);
        self.next(engine, None);
    }

    /// One action, on a session of its own choice or on the one at hand.
    pub fn act(&mut self, engine: &mut Engine, action: u8, own: Option<Key<Session>>) {
        let choice = usize::from(action >> 5);
        let Some(key) = own.filter(|_| choice < 4).or_else(|| self.session(choice)) else { return };
        let number = engine.endpoint_of(key).unwrap_or(EndpointNumber::new(0));
        // One of two, chosen by a bit of the action.
        let timer = u32::from(action >> 7);
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
            13 => engine.set_session_timer(key, timer, Some(u64::from(action))),
            14 => engine.set_session_timer(key, timer, None),
            15 => engine.set_endpoint_timer(number, timer, Some(0)),
            16 => engine.set_endpoint_timer(number, timer, Some(5000)),
            17 => engine.set_endpoint_timer(number, timer, None),
            // A third of a megabyte, twice as much with its escapes.
            27 => {
                let _ = self.send(engine, key, 60_000);
            }
            18 => {
                for key in engine.open_sessions(number).collect::<Vec<_>>() {
                    engine.close(key, 4000, "");
                }
            }
            19 => {
                let was_open = engine.is_open(key);
                assert_eq!(engine.terminate(key), was_open);
                assert!(!engine.is_open(key));
                self.terminated = true;
            }
            20..25 => self.change_groups(engine, action, key),
            28 => self.pages.answer(engine, false),
            29 => self.pages.answer(engine, true),
            30 => self.pages.answer_all(engine),
            25 => self.send_from_afar(engine, key, 1),
            26 => (0..9).for_each(|_| self.send_from_afar(engine, key, 1000)),
            _ => {}
        }
    }

    fn broadcast(
        &mut self,
        engine: &mut Engine,
        number: EndpointNumber,
        except: Option<Key<Session>>,
        filler: usize,
    ) {
        let open = engine.open_count(number);
        assert_eq!(engine.open_sessions(number).count(), open);
        let excepted =
            except.is_some_and(|key| engine.is_open(key) && engine.endpoint_of(key) == Some(number));
        let skipped = engine.counters().skipped;
        let reached = engine.broadcast(number, &"b\u{2029}<".repeat(filler), except);
        let skipped = engine.counters().skipped - skipped;
        let counted = reached + skipped as usize + usize::from(excepted);
        let left = engine.open_count(number);
        // One that was reached may have closed since, to make room for the next ones.
        assert!((left..=open).contains(&counted), "closed, skipped or reached, all of them");
        self.full |= skipped > 0 || left < open;
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
    fn admit(&mut self, _: EndpointNumber, _: &Request<'_>) -> Result<(), Refusal> {
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
        self.skipped += close.skipped;
        self.told.push(Told::Closed(self.number(session), close.code, close.reason.clone()));
        self.next(engine, Some(session));
    }

    fn drained(&mut self, engine: &mut Engine, session: Key<engine::Session>, skipped: u64) {
        assert!(self.full && engine.is_open(session));
        self.skipped += skipped;
        self.next(engine, Some(session));
    }

    fn group_started(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        assert!(self.started.insert((number, name.to_owned())), "told twice of a start");
        assert!(engine.member_count(number, name) > 0);
        self.hear_of_group(engine);
    }

    fn group_ended(&mut self, engine: &mut Engine, number: EndpointNumber, name: &str) {
        assert!(self.started.remove(&(number, name.to_owned())), "ended, and never started");
        assert_eq!(engine.member_count(number, name), 0);
        self.hear_of_group(engine);
    }

    fn session_timer(&mut self, engine: &mut Engine, session: Key<engine::Session>, timer: u32) {
        self.told.push(Told::Timer(self.number(session), timer));
        self.next(engine, Some(session));
    }

    fn endpoint_timer(&mut self, engine: &mut Engine, _: EndpointNumber, _: u32) {
        self.next(engine, None);
    }

    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Unanswered { .. } = event {
            self.pages.note_unanswered();
        }
        if let Event::Request(request) = event {
            let port = request.peer().expect("all come by TCP").port();
            // A path that names a session is not shown: one that is can only be the raw WebSocket's.
            let is_raw_websocket = request.path().contains("/websocket");
            let asked = Asked { is_head: request.method() == "HEAD", is_raw_websocket };
            self.asked.entry(port).or_default().push(asked);
        }
    }

    fn respond(&mut self, engine: &mut Engine, request: &Request<'_>, body: &[u8]) -> Reply {
        self.next(engine, None);
        if request.path() != "/elsewhere" {
            let port = request.peer().expect("all come by TCP").port();
            let number = self.asked.get(&port).map_or(0, Vec::len) - 1;
            return self.pages.reply(request, number, body);
        }
        let status = [200, 204, 304, 404, 101, 999][body.len() % 6];
        Response::new(status)
            .header("X-Path", request.path())
            .header("X-Body", &String::from_utf8_lossy(body))
            .header("Content-Length", "7")
            .header("bad name", "x")
            .body(request.method().to_owned())
            .into()
    }
}
