//! One session by xhr-polling and xhr-streaming, on a few connections of its client.

mod checks;

use super::client::{Asked, Client};
use super::fingerprint::{self, hash};
use super::life::{Life, PANIC, message, options};
use super::search::{Ending, Scenario};
use crate::collections::Key;
use crate::engine::tests::world::{Behaviour, World, quick};
use crate::engine::{Cause, Session};
use std::fmt;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A client asks for one frame; as a second receiver where the session has one.
    Poll(usize),
    Stream(usize),
    /// A client sends a message.
    Send(usize),
    /// A client sends a message, one at which the handler panics, and another.
    SendPanic(usize),
    /// A client ends its side.
    Fin(usize),
    /// The same, but the server reads it behind this turn, unless it looks at the socket before.
    FinUnread(usize),
    Reset(usize),
    /// The socket takes a few bytes more, and no others.
    Stall(usize),
    /// The socket takes bytes again.
    Drain(usize),
    /// Time passes to the next deadline.
    Time,
    ApplicationSends,
    ApplicationCloses,
}

/// An event, and whether the turn ends with it.
#[derive(Clone, Copy)]
pub(super) struct Step {
    event: Event,
    ends_turn: bool,
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.ends_turn { "" } else { " and" };
        write!(formatter, "{:?}{end}", self.event)
    }
}

/// How events meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turns {
    /// Each has a turn of its own.
    Apart,
    /// Several may arrive in one turn.
    Shared,
}

/// Bytes that a stalled socket takes yet: a part of a head, or some frames of a stream.
const LAST_ROOM: usize = 20;

/// The server, its clients, and what is known of the sessions.
pub(super) struct Http {
    world: World,
    turns: Turns,
    is_in_turn: bool,
    clients: Vec<Client>,
    /// Clients that asked for frames in this turn.
    askers: Vec<usize>,
    /// In the order in which they opened.
    lives: Vec<Life>,
    /// Texts that clients sent to a session that was open, and that the application has not been told.
    untold: Vec<String>,
    sent: usize,
}

impl Http {
    pub(super) fn new(connections: usize, turns: Turns, handler: Behaviour) -> Self {
        Self {
            world: World::build(quick(), options(), handler),
            turns,
            is_in_turn: false,
            clients: (0..connections).map(|_| Client::default()).collect(),
            askers: Vec::new(),
            lives: Vec::new(),
            untold: Vec::new(),
            sent: 0,
        }
    }

    /// The session that opened last.
    fn session(&self) -> Option<Key<Session>> {
        (!self.lives.is_empty()).then(|| self.world.session(self.lives.len() - 1))
    }

    fn is_open(&self) -> bool {
        self.session().is_some_and(|key| self.world.engine.is_open(key))
    }

    fn request(&mut self, client: usize, path: &str, body: &str) {
        let key = self.clients[client].key.unwrap_or_else(|| self.world.connect());
        self.clients[client].key = Some(key);
        let length = body.len();
        let head = format!("POST /e/0/s/{path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        assert!(self.world.engine.ask_to_read(key), "a client between two requests is read");
        self.world.receive(key, head + body);
        self.hear();
    }

    fn ask_for_frames(&mut self, client: usize, path: &str) {
        let number = self.lives.len().saturating_sub(1);
        // One that asked in this turn may be the receiver when the turn is over.
        let is_first = |(place, other): (usize, &Client)| {
            !other.socket.is_finished && (other.receives(number) || self.askers.contains(&place))
        };
        let is_second = self.clients.iter().enumerate().any(is_first);
        self.request(client, path, "");
        let session = self.lives.len() - 1;
        let is_second = is_second && session == number;
        self.askers.push(client);
        self.clients[client].asked = Some(Asked::ToReceive { session, is_second });
    }

    fn send(&mut self, client: usize, with_panic: bool) {
        let texts = match with_panic {
            false => vec![message(self.sent)],
            true => vec![message(self.sent), PANIC.to_owned(), message(self.sent + 1)],
        };
        self.sent += 1;
        if self.is_open() {
            self.untold.extend_from_slice(&texts);
        }
        let is_known = match self.lives.last() {
            Some(Life { close: None, .. }) if self.is_open() => Some(true),
            None | Some(Life { close: Some(Cause::Expired), .. }) => Some(false),
            // It is found for a while.
            Some(_) => None,
        };
        self.clients[client].asked = Some(Asked::ToSend { is_known });
        self.request(client, "xhr_send", &serde_json::to_string(&texts).expect("strings"));
    }

    fn application_sends(&mut self) {
        let Some(key) = self.session() else { return };
        let life = self.lives.last_mut().expect("a session has a life");
        life.send(&mut self.world.engine, key);
    }

    fn application_closes(&mut self) {
        if let Some(key) = self.session() {
            assert!(self.world.engine.close(key, 3000, "Go away!"));
        }
    }

    /// A client leaves: what it had not read may be lost, unless it was turned away.
    fn note_leaving(&mut self, client: usize) {
        self.clients[client].socket.is_finished = true;
        if let Some(Asked::ToReceive { session, is_second }) = self.clients[client].asked {
            let is_first = |other: &Client| other.receives(session) && !other.socket.is_finished;
            if !is_second || !self.clients.iter().any(is_first) {
                self.lives[session].is_broken = true;
            }
        }
    }

    fn drain(&mut self, client: usize) {
        self.clients[client].socket.is_stalled = false;
        if let Some(key) = self.clients[client].key {
            self.world.set_room(key, None);
        }
    }

    fn stall(&mut self, client: usize) {
        self.clients[client].socket.is_stalled = true;
        if let Some(key) = self.clients[client].key {
            self.world.set_room(key, Some(LAST_ROOM));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Poll(client) => self.ask_for_frames(client, "xhr"),
            Event::Stream(client) => self.ask_for_frames(client, "xhr_streaming"),
            Event::Send(client) => self.send(client, false),
            Event::SendPanic(client) => self.send(client, true),
            Event::Fin(client) => {
                self.note_leaving(client);
                self.clients[client].key.into_iter().for_each(|key| self.world.finish_in_turn(key));
            }
            Event::FinUnread(client) => {
                self.note_leaving(client);
                if let Some(key) = self.clients[client].key {
                    self.world.hang_up_unnoticed(key);
                }
            }
            Event::Reset(client) => {
                self.note_leaving(client);
                // The rest of its response is gone.
                self.clients[client].socket.is_stalled = false;
                self.clients[client].key.into_iter().for_each(|key| self.world.reset_in_turn(key));
            }
            Event::Stall(client) => self.stall(client),
            Event::Drain(client) => self.drain(client),
            Event::Time => {}
            Event::ApplicationSends => self.application_sends(),
            Event::ApplicationCloses => self.application_closes(),
        }
        self.hear();
    }

    fn begin_turn(&mut self, event: Event) {
        if let (Event::Time, Some(deadline)) = (event, self.world.engine.next_deadline()) {
            self.world.set_time(deadline.max(self.world.engine.now()));
        }
        self.world.begin_turn();
        self.is_in_turn = true;
    }

    fn end_turn(&mut self) {
        if !self.is_in_turn {
            self.world.begin_turn();
        }
        self.world.flush();
        self.notice();
        self.world.notice_hang_ups();
        self.notice();
        self.is_in_turn = false;
        self.settle_askers();
        self.check();
    }

    /// What came of the last calls.
    fn notice(&mut self) {
        self.hear();
        self.read();
        self.notice_ends();
    }

    fn play_in_turn(&mut self, event: Event) {
        self.play(Step { event, ends_turn: true });
    }

    /// Its client reads everything, and comes for what waits.
    fn end_patiently(&mut self) {
        for client in 0..self.clients.len() {
            self.play_in_turn(Event::Drain(client));
        }
        for _ in 0..8 {
            let number = self.lives.len().saturating_sub(1);
            let is_over = self.lives.last().is_none_or(|life| life.close == Some(Cause::Expired));
            let is_said = self.lives.last().is_some_and(Life::is_said_to_be_over);
            if is_over || is_said || self.clients.iter().any(|client| client.receives(number)) {
                break;
            }
            self.clients.push(Client::default());
            self.play_in_turn(Event::Poll(self.clients.len() - 1));
        }
        if let Some(life) = self.lives.last() {
            life.check_all_is_read();
        }
        for client in 0..self.clients.len() {
            if self.clients[client].key.is_some() && !self.clients[client].socket.is_finished {
                self.play_in_turn(Event::Fin(client));
            }
        }
    }

    /// What can happen to one client.
    fn events_of(&self, number: usize) -> Vec<Event> {
        let client = &self.clients[number];
        // One that is not connected is like the next.
        let is_fresh = self.clients.iter().position(|client| client.key.is_none()) == Some(number);
        let mut events = Vec::new();
        if client.is_idle() || is_fresh {
            events.extend([Event::Poll, Event::Stream, Event::Send, Event::SendPanic]);
        }
        if client.key.is_some() {
            events.push(if client.socket.is_stalled { Event::Drain } else { Event::Stall });
            events.push(Event::Reset);
            if !client.socket.is_finished {
                events.extend([Event::Fin as fn(usize) -> Event, Event::FinUnread]);
            }
        }
        events.into_iter().map(|event: fn(usize) -> Event| event(number)).collect()
    }
}

impl Scenario for Http {
    type Event = Step;

    fn events(&self) -> Vec<Step> {
        let mut events: Vec<_> = (0..self.clients.len()).flat_map(|client| self.events_of(client)).collect();
        if self.is_open() {
            events.extend([Event::ApplicationSends, Event::ApplicationCloses]);
        }
        let mut steps: Vec<_> = events.iter().map(|event| Step { event: *event, ends_turn: true }).collect();
        if self.turns == Turns::Shared {
            steps.extend(events.iter().map(|event| Step { event: *event, ends_turn: false }));
        }
        if !self.is_in_turn && self.world.engine.next_deadline().is_some() {
            steps.push(Step { event: Event::Time, ends_turn: true });
        }
        steps
    }

    fn play(&mut self, step: Step) {
        if !self.is_in_turn {
            if let (Turns::Apart, Event::FinUnread(_) | Event::Stall(_)) = (self.turns, step.event) {
                // Nothing of it reaches the server before the next turn.
                return self.happen(step.event);
            }
            self.begin_turn(step.event);
        }
        self.happen(step.event);
        self.notice();
        if step.ends_turn {
            self.end_turn();
        }
    }

    fn fingerprint(&self) -> u64 {
        let of_client = |(number, client): (usize, &Client)| {
            let Some(key) = client.key else { return 0 };
            let asked = client.asked.map(|asked| match asked {
                Asked::ToSend { is_known } => (0, is_known),
                Asked::InVain => (usize::MAX, None),
                Asked::ToReceive { session, is_second } => (self.lives.len() - session, Some(is_second)),
            });
            let socket = (client.socket, self.world.room(key), self.world.is_hang_up_unnoticed(key));
            let asks_now = self.askers.contains(&number);
            let known = (asked, asks_now, client.reader.state(), socket);
            hash((fingerprint::connection(&self.world.engine, key), known))
        };
        let mut clients: Vec<u64> = self.clients.iter().enumerate().map(of_client).collect();
        clients.sort_unstable();
        let life = self.lives.last().map(|life| life.state(self.world.engine.now()));
        let untold = self.untold.len();
        hash((clients, fingerprint::sessions(&self.world.engine), life, self.is_in_turn, untold))
    }

    fn end(mut self, ending: Ending) {
        self.end_turn();
        match ending {
            Ending::Patient => self.end_patiently(),
            Ending::Silent => {}
            Ending::Reset => {
                for client in 0..self.clients.len() {
                    if self.clients[client].key.is_some() {
                        self.play_in_turn(Event::Reset(client));
                    }
                }
                assert_eq!(self.world.engine.counters().connections, 0);
            }
        }
        for _ in 0..200 {
            if self.world.engine.next_deadline().is_none() {
                break;
            }
            self.play_in_turn(Event::Time);
        }
        self.world.assert_nothing_is_left();
        assert!(self.lives.iter().all(|life| life.close.is_some()), "never told of the close");
    }
}
