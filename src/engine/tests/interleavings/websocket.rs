//! One session over WebSocket, SockJS or raw: it lives as long as its connection. Then the client may come again.

use super::fingerprint::{self, hash, without_serials};
use super::life::{Life, PANIC, handler, message, note, options};
use super::search::{Ending, Scenario};
use crate::collections::Key;
use crate::engine::tests::world::{World, quick};
use crate::engine::{Cause, Connection, Session};

/// What happens, in a turn of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The client connects, and asks for the upgrade.
    Open,
    /// The client sends a message; or the rest of one of which it has sent a part.
    Send,
    SendPart,
    /// The client sends a message, one at which the handler panics, and another.
    SendPanic,
    /// The client answers a ping.
    Pong,
    /// The client sends a close frame.
    Close,
    /// The client ends its side.
    Fin,
    /// The same, but the server reads it behind what happens next.
    FinUnread,
    Reset,
    /// The socket takes a few bytes more, and no others.
    Stall,
    /// The socket takes bytes again.
    Drain,
    /// Time passes to the next deadline.
    Time,
    ApplicationSends,
    ApplicationCloses,
}

/// Bytes that a stalled socket takes yet: a part of the answer to the handshake, or some frames.
const LAST_ROOM: usize = 20;

/// The payload of the client's close frame: code 3000.
const CLOSE: [u8; 2] = [0x0b, 0xb8];

/// Bytes of a frame that are sent first, where it comes in two parts.
const PART: usize = 5;

/// What a client knows of its connection.
#[derive(Default)]
struct Client {
    key: Option<Key<Connection>>,
    unread: Vec<u8>,
    knows: Knows,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Knows {
    /// The answer to its handshake was read.
    is_upgraded: bool,
    has_sent_part: bool,
    has_sent_close: bool,
    has_read_close: bool,
    is_pinged: bool,
    is_stalled: bool,
    is_finished: bool,
}

/// The server, its client, and what is known of the sessions.
pub(super) struct WebSocket {
    world: World,
    path: &'static str,
    client: Client,
    /// In the order in which they opened.
    lives: Vec<Life>,
    untold: Vec<String>,
    sent: usize,
}

impl WebSocket {
    pub(super) fn new(path: &'static str) -> Self {
        Self {
            world: World::build(quick(), options(), handler),
            path,
            client: Client::default(),
            lives: Vec::new(),
            untold: Vec::new(),
            sent: 0,
        }
    }

    fn is_raw(&self) -> bool {
        self.path == "websocket"
    }

    fn session(&self) -> Option<Key<Session>> {
        (!self.lives.is_empty()).then(|| self.world.session(self.lives.len() - 1))
    }

    fn is_open(&self) -> bool {
        self.session().is_some_and(|key| self.world.engine.is_open(key))
    }

    fn receive(&mut self, bytes: &[u8]) {
        let Some(key) = self.client.key else { return };
        assert!(self.world.engine.ask_to_read(key), "little waits for the client");
        self.world.receive(key, bytes);
    }

    fn message_frame(&self, serial: usize) -> Vec<u8> {
        let text = message(serial);
        let payload = if self.is_raw() { text } else { format!("[\"{text}\"]") };
        World::frame(1, payload.as_bytes())
    }

    fn send(&mut self) {
        let frame = self.message_frame(self.sent);
        let first = if self.client.knows.has_sent_part { PART } else { 0 };
        self.client.knows.has_sent_part = false;
        if self.is_open() {
            self.untold.push(message(self.sent));
        }
        self.sent += 1;
        self.receive(&frame[first..]);
    }

    fn send_panic(&mut self) {
        let texts = [message(self.sent), PANIC.to_owned(), message(self.sent + 1)];
        self.sent += 1;
        let frames = match self.is_raw() {
            true => texts.iter().flat_map(|text| World::frame(1, text.as_bytes())).collect(),
            false => World::frame(1, serde_json::to_string(&texts).expect("strings").as_bytes()),
        };
        if self.is_open() {
            self.untold.extend(texts);
        }
        self.receive(&frames);
    }

    fn application_sends(&mut self) {
        let Some(key) = self.session() else { return };
        let life = self.lives.last_mut().expect("a session has a life");
        life.send(&mut self.world.engine, key);
    }

    fn note_leaving(&mut self) {
        self.client.knows.is_finished = true;
        if let (false, Some(life)) = (self.client.knows.has_read_close, self.lives.last_mut()) {
            life.is_broken = true;
        }
    }

    fn drain(&mut self) {
        self.client.knows.is_stalled = false;
        if let Some(key) = self.client.key {
            self.world.set_room(key, None);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Open => {
                self.client.key = Some(self.world.connect());
                self.receive(World::handshake(self.path).as_bytes());
            }
            Event::Send => self.send(),
            Event::SendPart => {
                self.client.knows.has_sent_part = true;
                self.receive(&self.message_frame(self.sent)[..PART]);
            }
            Event::SendPanic => self.send_panic(),
            Event::Pong => {
                self.client.knows.is_pinged = false;
                self.receive(&World::frame(10, b""));
            }
            Event::Close => {
                self.client.knows.has_sent_close = true;
                self.receive(&World::frame(8, &CLOSE));
            }
            Event::Fin => {
                self.note_leaving();
                self.client.key.into_iter().for_each(|key| self.world.finish_in_turn(key));
            }
            Event::Reset => {
                self.note_leaving();
                self.client.knows.is_stalled = false;
                self.client.key.into_iter().for_each(|key| self.world.reset_in_turn(key));
            }
            Event::FinUnread | Event::Stall | Event::Time => {}
            Event::Drain => self.drain(),
            Event::ApplicationSends => self.application_sends(),
            Event::ApplicationCloses => {
                if let Some(key) = self.session() {
                    assert!(self.world.engine.close(key, 3000, "Go away!"));
                }
            }
        }
    }

    /// What came of the last calls.
    fn notice(&mut self) {
        self.hear();
        for (key, bytes) in self.world.take_writes() {
            if self.client.key == Some(key) {
                self.client.unread.extend_from_slice(&bytes);
            }
        }
        self.read();
        if self.client.key.is_some_and(|key| self.world.is_dropped(key)) {
            self.notice_end();
        }
    }

    /// What the application was told since.
    fn hear(&mut self) {
        for line in self.world.heard() {
            let now = self.world.engine.now();
            if let Some((number, _)) = note(&line, &mut self.lives, &mut self.untold, now) {
                self.check_cause(number);
            }
        }
    }

    /// Whether a session may end like this, for what its client has done.
    fn check_cause(&mut self, number: usize) {
        let (life, knows) = (&mut self.lives[number], self.client.knows);
        match life.close {
            Some(Cause::Application | Cause::Panic) => {}
            Some(Cause::Client) => assert!(knows.has_sent_close),
            Some(Cause::Interrupted) => assert!(knows.is_finished, "interrupted, though the client stayed"),
            Some(Cause::Unresponsive) => {
                assert!(knows.is_stalled || knows.is_pinged, "unresponsive, though it answers");
                life.is_broken = true;
            }
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self) {
        if !self.client.knows.is_upgraded {
            let unread = &mut self.client.unread;
            let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            assert!(unread.starts_with(b"HTTP/1.1 101 "));
            unread.drain(..end + 4);
            self.client.knows.is_upgraded = true;
            if self.is_raw() {
                self.lives.last_mut().expect("open was told").read("o");
            }
        }
        while let Some((opcode, payload)) = self.take_frame() {
            self.read_frame(opcode, &payload);
        }
    }

    /// The next frame, if it is there whole. All of them are short.
    fn take_frame(&mut self) -> Option<(u8, String)> {
        let (opcode, length) = match self.client.unread.as_slice() {
            [opcode, length, ..] => (opcode & 15, usize::from(*length)),
            _ => return None,
        };
        if self.client.unread.len() < 2 + length {
            return None;
        }
        let frame: Vec<u8> = self.client.unread.drain(..2 + length).collect();
        Some((opcode, String::from_utf8_lossy(&frame[2..]).into_owned()))
    }

    fn read_frame(&mut self, opcode: u8, payload: &str) {
        assert!(!self.client.knows.has_read_close, "{payload} behind the close frame");
        let is_raw = self.is_raw();
        let life = self.lives.last_mut().expect("open was told");
        match opcode {
            1 if is_raw => life.read_message(payload),
            1 => life.read(payload),
            9 => self.client.knows.is_pinged = true,
            8 => {
                self.client.knows.has_read_close = true;
                let reason = payload.trim_start_matches(|letter: char| !letter.is_ascii_alphabetic());
                life.read_websocket_close(reason, is_raw);
            }
            other => panic!("opcode {other}"),
        }
    }

    /// The server has ended the connection.
    fn notice_end(&mut self) {
        let (life, knows) = (self.lives.last_mut().expect("open was told"), self.client.knows);
        let may_end = knows.has_read_close || knows.is_finished || knows.is_stalled;
        assert!(may_end || life.close == Some(Cause::Unresponsive), "ended without a close frame");
        life.is_broken |= !knows.has_read_close;
        self.client = Client::default();
    }

    /// What holds between two turns.
    fn check(&mut self) {
        let counters = self.world.engine.counters();
        assert_eq!(counters.connections, usize::from(self.client.key.is_some()));
        if self.is_open() {
            assert_eq!(self.untold, Vec::<String>::new(), "the application was not told");
            assert!(self.client.key.is_some() && !self.client.knows.is_finished, "open without a client");
        }
        // A session of a WebSocket lives as long as the application has not heard of its end.
        let open = self.lives.iter().filter(|life| life.close.is_none()).count();
        assert!(counters.sessions - open <= usize::from(self.client.key.is_some()));
        self.untold.clear();
    }
}

impl Scenario for WebSocket {
    type Event = Event;

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let knows = self.client.knows;
        if self.client.key.is_none() {
            events.push(Event::Open);
        } else {
            events.extend([if knows.is_stalled { Event::Drain } else { Event::Stall }, Event::Reset]);
            if !knows.is_finished {
                events.extend([Event::Fin, Event::FinUnread]);
            }
            if knows.is_pinged && !knows.is_finished && !knows.has_sent_part {
                events.push(Event::Pong);
            }
            if !knows.is_finished && !knows.has_sent_close {
                events.push(Event::Send);
                if !knows.has_sent_part {
                    events.extend([Event::SendPart, Event::SendPanic, Event::Close]);
                }
            }
        }
        if self.world.engine.next_deadline().is_some() {
            events.push(Event::Time);
        }
        if self.is_open() {
            events.extend([Event::ApplicationSends, Event::ApplicationCloses]);
        }
        events
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::FinUnread => {
                self.note_leaving();
                self.client.key.into_iter().for_each(|key| self.world.hang_up_unnoticed(key));
                return;
            }
            Event::Stall => {
                self.client.knows.is_stalled = true;
                self.client.key.into_iter().for_each(|key| self.world.set_room(key, Some(LAST_ROOM)));
                return;
            }
            Event::Time => {
                let deadline = self.world.engine.next_deadline().unwrap_or_default();
                self.world.set_time(deadline.max(self.world.engine.now()));
            }
            _ => {}
        }
        self.world.begin_turn();
        self.happen(event);
        self.hear();
        self.world.flush();
        self.notice();
        self.world.notice_hang_ups();
        self.notice();
        self.check();
    }

    fn fingerprint(&self) -> u64 {
        let (engine, now) = (&self.world.engine, self.world.engine.now());
        let client = self.client.key.map(|key| {
            let socket = (self.world.room(key), self.world.is_hang_up_unnoticed(key));
            let unread = without_serials(&self.client.unread);
            (fingerprint::connection(engine, key), self.client.knows, unread, socket)
        });
        // What became of sessions whose connection has ended is of no consequence.
        let life = client.as_ref().and_then(|_| self.lives.last()).map(|life| life.state(now));
        hash((client, fingerprint::sessions(engine), life))
    }

    fn end(mut self, ending: Ending) {
        match ending {
            Ending::Patient => {
                self.play(Event::Drain);
                let knows = self.client.knows;
                if let Some(life) = self.lives.last().filter(|_| self.client.key.is_some()) {
                    assert!(knows.is_upgraded);
                    life.check_all_is_read();
                }
                self.play(Event::Fin);
            }
            Ending::Silent => {}
            Ending::Reset => {
                self.play(Event::Reset);
                assert_eq!(self.world.engine.counters().connections, 0);
            }
        }
        for _ in 0..200 {
            if self.world.engine.next_deadline().is_none() {
                break;
            }
            self.play(Event::Time);
        }
        self.world.assert_nothing_is_left();
        assert!(self.lives.iter().all(|life| life.close.is_some()), "never told of the close");
    }
}
