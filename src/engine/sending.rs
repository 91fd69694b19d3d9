//! Messages from the application to clients: to one session, to some, to a group, or to all of an endpoint. Nothing is
//! framed here: that happens once at the end of the turn, with all that waits.

use std::borrow::Cow;

use super::backpressure::{QUOTES_AND_COMMA, REWRITTEN, Room};
use super::budget::{Purpose, Shared};
use super::byte_queue::ByteQueue;
use super::connection::Connection;
use super::endpoint::EndpointNumber;
use super::groups::Membership;
use super::outgoing::{Outgoing, payload_of, raw_frame};
use super::pool::Pool;
use super::session::{Awaited, Cause, Close, SendError, Session, SessionId, State};
use super::writing::Frame;
use super::{Engine, Message, Overflow};
use crate::collections::Key;
use crate::sockjs::Transport;
use crate::sockjs::json::{string_length, write_string};
use crate::websocket::close;

impl Engine {
    /// Queues a text message for one client.
    pub fn send<'m>(&mut self, key: Key<Session>, text: impl Into<Cow<'m, str>>) -> Result<(), SendError> {
        self.send_message(key, Outgoing::Text(text.into()))
    }

    /// Queues a binary message for one raw WebSocket.
    pub fn send_binary<'m>(
        &mut self,
        key: Key<Session>,
        bytes: impl Into<Cow<'m, [u8]>>,
    ) -> Result<(), SendError> {
        self.send_message(key, Outgoing::Binary(bytes.into()))
    }

    fn send_message(&mut self, key: Key<Session>, message: Outgoing<'_>) -> Result<(), SendError> {
        let length = self.estimated_length(key, message.as_message())?;
        let room = self.room_or_make_it(key, length, self.memory_for(key, &message, length))?;
        if room.is_full {
            self.note_full(key, &room);
            return Err(SendError::Full);
        }
        self.queue_message(key, &room, message, length);
        Ok(())
    }

    /// Queues a message for one client, from a sender that cannot be told `Full`: where there is no room, the
    /// endpoint's policy says what happens.
    pub fn send_or_overflow(&mut self, key: Key<Session>, message: Outgoing<'_>) {
        let Ok(length) = self.estimated_length(key, message.as_message()) else { return };
        let memory = self.memory_for(key, &message, length);
        let Ok(room) = self.room_or_make_it(key, length, memory) else { return };
        if !self.overflows(key, &room) {
            self.queue_message(key, &room, message, length);
        }
    }

    /// How long a message is as one session gets it, about.
    fn estimated_length(&self, key: Key<Session>, message: Message<'_>) -> Result<usize, SendError> {
        match (self.transport(key), message) {
            (Some(Transport::RawWebSocket), message) => Ok(payload_of(message).len()),
            (Some(_), Message::Text(text)) => Ok(self.estimated_json_length(text)),
            (Some(_), Message::Binary(_)) if self.is_open(key) => Err(SendError::NotBinary),
            _ => Err(SendError::Gone),
        }
    }

    /// How much memory a message of this length takes: on a raw WebSocket what comes with it may be kept.
    fn memory_for(&self, key: Key<Session>, message: &Outgoing<'_>, length: usize) -> usize {
        let own = message.memory();
        let is_kept = own > length && self.transport(key) == Some(Transport::RawWebSocket);
        if is_kept { own } else { length }
    }

    /// Queues a message for which there is room.
    fn queue_message(&mut self, key: Key<Session>, room: &Room, message: Outgoing<'_>, length: usize) {
        match (room.raw, message) {
            (Some(receiver), message) => {
                self.enqueue_raw(receiver, |outbox, pool| message.queue_frame(outbox, pool));
            }
            (None, Outgoing::Text(text)) => {
                self.enqueue(key, length, |queue, pool| {
                    queue.write_long(length, pool, |out| write_string(out, &text))
                });
            }
            // A raw WebSocket whose connection is gone is about to close.
            (None, Outgoing::Binary(_)) => {}
        }
    }

    /// How long a text is as a JSON string. Its escapes are left out while there is room for
    /// the message even if every byte of it is escaped.
    fn estimated_json_length(&self, text: &str) -> usize {
        let most = text.len().saturating_mul(LONGEST_ESCAPE);
        let is_roomy = self.admits(Purpose::Queued, most.saturating_mul(REWRITTEN));
        if is_roomy { text.len() + QUOTES_AND_COMMA } else { string_length(text) }
    }

    /// A message was queued for a client.
    fn note_queued(&mut self) {
        self.counters.messages_out += 1;
        self.turn.work.note_message();
    }

    /// A frame of a raw WebSocket leaves at the end of the turn.
    fn enqueue_raw(&mut self, receiver: Key<Connection>, write: impl FnOnce(&mut ByteQueue, &mut Pool)) {
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        let before = connection.outbox.footprint();
        write(&mut connection.outbox, &mut self.memory.pool);
        if connection.outbox.footprint() != before {
            // Most frames find room in the buffer that is there, and change nothing in the account.
            self.memory.book_connection(connection);
        }
        self.queues.unsent.push_back(&mut self.connections, receiver);
        self.note_queued();
    }

    /// A message of a SockJS session waits for the end of the turn, behind a comma if it is not alone.
    fn enqueue(&mut self, key: Key<Session>, length: usize, write: impl FnOnce(&mut ByteQueue, &mut Pool)) {
        self.end_frame(key, length);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.queue.is_empty() {
            session.queue.write(&mut self.memory.pool, |queue| queue.push(b','));
        }
        write(&mut session.queue, &mut self.memory.pool);
        self.memory.book_session(session);
        self.queues.unflushed.push_back(&mut self.sessions, key);
        self.note_queued();
    }

    /// Where one message more would make a WebSocket's next frame larger than a queue may be, the messages that wait
    /// become a frame now. Only a client that reads gets more than a queue in one turn, and clients have limits for
    /// one message (64 MiB in Node): they fail a connection that goes beyond. Over HTTP a response has no such limit,
    /// and ends with its first frame.
    fn end_frame(&mut self, key: Key<Session>, length: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.queue.is_empty() {
            return;
        }
        let limit = self.endpoints.of(session.endpoint).map_or(0, |endpoint| endpoint.options.send_queue);
        if session.queue.len() + length <= limit {
            return;
        }
        let Some(receiver) = session.receiver else { return };
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        if connection.websocket().is_none() || !connection.pace.takes_bytes() {
            return;
        }
        session.since = self.time.now();
        let mut queue = std::mem::take(&mut session.queue);
        self.memory.book_session(session);
        connection.write_frame(Frame::Messages(&mut queue), &mut self.memory.pool);
        self.send_later(receiver);
    }

    /// Whether a message to many, or from afar, is not for this session: it has no room, or others were skipped before.
    /// Then the endpoint's policy is carried out.
    fn overflows(&mut self, key: Key<Session>, room: &Room) -> bool {
        let Some(Session { state: State::Open { skipped, .. }, endpoint, .. }) = self.sessions.get_mut(key)
        else {
            return true;
        };
        let is_in_gap = *skipped > 0;
        if !is_in_gap && (!room.is_full || room.may_exceed_limit) {
            return false;
        }
        let policy = self.endpoints.of(*endpoint).map(|endpoint| endpoint.options.overflow);
        match policy.unwrap_or_default() {
            Overflow::Close => {
                let reason = "Send queue full";
                self.close_session(key, Close::new(close::TRY_AGAIN_LATER, reason, Cause::Overflow));
            }
            Overflow::Skip => {
                *skipped += 1;
                self.counters.skipped += 1;
                self.turn.work.note_message();
                if !is_in_gap {
                    // The end of the gap is told as a drain is.
                    self.note_full(key, room);
                }
            }
        }
        true
    }

    /// The handler is about to be told that all of a session's messages have left, and of so many that were skipped:
    /// from here on it gets messages again. `None`: it is closed, or has filled again meanwhile and is told later.
    pub(super) fn end_gap(&mut self, key: Key<Session>) -> Option<u64> {
        match self.sessions.get_mut(key)? {
            Session { state: State::Open { skipped, awaited }, .. }
                if awaited.unpacked() == Awaited::Nothing =>
            {
                Some(std::mem::take(skipped))
            }
            _ => None,
        }
    }

    /// A handler is told `Full`, and will be told when there is room again.
    fn note_full(&mut self, key: Key<Session>, room: &Room) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let wanted = u32::try_from(room.wanted).unwrap_or(u32::MAX);
        match session.awaited() {
            Awaited::Drain => {}
            Awaited::Room(before) => session.set_awaited(Awaited::Room(before.min(wanted))),
            Awaited::Nothing if !room.is_empty => session.set_awaited(Awaited::Drain),
            Awaited::Nothing => {
                session.set_awaited(Awaited::Room(wanted));
                if self.queues.waiting_for_memory.len() >= 2 * self.sessions.len() {
                    // Most of them have closed meanwhile.
                    self.queues.waiting_for_memory.retain(|key| self.sessions.contains(*key));
                }
                self.queues.waiting_for_memory.push_back(key);
            }
        }
    }

    /// Sends a text to all sessions of an endpoint, or to all but one; says to how many.
    pub fn broadcast(&mut self, number: EndpointNumber, text: &str, except: Option<Key<Session>>) -> usize {
        let roster = self.endpoints.of(number).map(|endpoint| &endpoint.roster);
        let first = roster.and_then(|roster| roster.first(&self.sessions));
        self.send_to_all(Audience::Everybody(number, first), Message::Text(text), except)
    }

    /// The same to all members of a group. A binary message goes to those on raw WebSockets.
    pub fn publish(
        &mut self,
        number: EndpointNumber,
        name: &str,
        message: Message<'_>,
        except: Option<Key<Session>>,
    ) -> usize {
        let groups = self.endpoints.of(number).map(|endpoint| &endpoint.groups);
        let first = groups.and_then(|groups| groups.first_in(groups.find_group(name)?));
        self.send_to_all(Audience::Members(number, first), message, except)
    }

    /// The same to these sessions, as far as they are of this endpoint, if one is named.
    pub fn send_to(&mut self, number: Option<EndpointNumber>, sessions: &[SessionId], text: &str) -> usize {
        self.send_to_all(Audience::Named(number, sessions), Message::Text(text), None)
    }

    /// Sends a message to all of an audience but one; says to how many. It is encoded once for each wire format. Where
    /// a session does not read, and has no room for it, the endpoint's policy says what happens: a gap is never silent.
    fn send_to_all(
        &mut self,
        mut audience: Audience<'_>,
        message: Message<'_>,
        except: Option<Key<Session>>,
    ) -> usize {
        let mut shared = SharedMessage { message, json: None, json_length: None, frame: None };
        let mut reached = 0;
        while let Some(place) = audience.next_session(self) {
            let room = match place {
                Some(key) if Some(key) != except => {
                    self.room_for_shared(key, &mut shared).ok().map(|room| (key, room))
                }
                _ => None,
            };
            // The next one is looked up only now, since making room may have closed it. The present one is still there:
            // room is made only for a session that has nothing of its own stalled.
            audience.go_on_to_next(self);
            let Some((key, room)) = room else {
                // Nothing is queued, but a walk over many sessions is work all the same.
                self.turn.work.note_message();
                continue;
            };
            if !self.overflows(key, &room) {
                self.queue_shared(key, &room, &mut shared);
                reached += 1;
            }
        }
        reached
    }

    /// Room for a message that goes to many. An encoding that is there already costs no more than its place in a
    /// list.
    fn room_for_shared(
        &mut self,
        key: Key<Session>,
        shared: &mut SharedMessage<'_>,
    ) -> Result<Room, SendError> {
        let is_raw = self.transport(key) == Some(Transport::RawWebSocket);
        let (is_shared, length) = match (is_raw, shared.message) {
            (true, message) => (shared.frame.is_some(), payload_of(message).len()),
            (false, Message::Text(text)) => {
                (shared.json.is_some(), *shared.json_length.get_or_insert_with(|| string_length(text)))
            }
            (false, Message::Binary(_)) => return Err(SendError::NotBinary),
        };
        self.room_or_make_it(key, length, if is_shared { length.min(ENTRY) } else { length })
    }

    /// Queues a message that goes to many for one of them.
    fn queue_shared(&mut self, key: Key<Session>, room: &Room, shared: &mut SharedMessage<'_>) {
        let budget = &mut self.memory.budget;
        match (room.raw, shared.message) {
            (Some(receiver), message) => {
                let frame = shared.frame.get_or_insert_with(|| budget.share(raw_frame(message)));
                self.enqueue_raw(receiver, |outbox, pool| outbox.push_shared(frame, pool));
            }
            (None, Message::Text(text)) => {
                let length = shared.json_length.unwrap_or(0);
                let json = shared.json.get_or_insert_with(|| budget.share(json_string(text, length)));
                self.enqueue(key, length, |queue, pool| queue.push_shared(json, pool));
            }
            (None, Message::Binary(_)) => {}
        }
    }

    /// The room of a session; where a client that reads and has nothing waiting would get nothing for want of memory,
    /// those that do not read make room.
    fn room_or_make_it(&mut self, key: Key<Session>, framed: usize, added: usize) -> Result<Room, SendError> {
        let room = self.room(key, framed, added)?;
        if room.is_full && room.is_empty && self.make_room(Purpose::Prompt, room.wanted) {
            return self.room(key, framed, added);
        }
        Ok(room)
    }

    /// Sessions that were told `Full` for want of memory, and would get now what they wanted, are drained. (A session
    /// that wants much does not keep the others waiting.)
    pub(super) fn settle_waiting_for_memory(&mut self) {
        for _ in 0..self.queues.waiting_for_memory.len() {
            if !self.admits(Purpose::Queued, 0) {
                return;
            }
            let Some(key) = self.queues.waiting_for_memory.pop_front() else { return };
            if !self.has_room_for(key) {
                self.queues.waiting_for_memory.push_back(key);
            } else if let Some(session) = self.sessions.get_mut(key) {
                session.set_awaited(Awaited::Drain);
                self.settle_drain(key);
            }
        }
    }

    /// Whether one of those sessions would get what it wanted.
    pub(super) fn has_room_for_waiting(&self) -> bool {
        self.admits(Purpose::Queued, 0)
            && self.queues.waiting_for_memory.iter().any(|key| self.has_room_for(*key))
    }

    /// Whether a session that waits for memory would get what it wanted; one that is gone wants nothing.
    fn has_room_for(&self, key: Key<Session>) -> bool {
        match self.sessions.get(key).map(Session::awaited) {
            Some(Awaited::Room(wanted)) => self.admits(Purpose::Prompt, wanted as usize),
            _ => true,
        }
    }
}

/// Bytes of an escape for one byte of text: `\u0001`.
const LONGEST_ESCAPE: usize = 6;

/// What a place in the list of a queue takes at most.
const ENTRY: usize = 256;

/// The sessions that a message is for, from the next one on.
enum Audience<'a> {
    /// All open sessions of an endpoint.
    Everybody(EndpointNumber, Option<Key<Session>>),
    /// The members of a group of an endpoint.
    Members(EndpointNumber, Option<Key<Membership>>),
    /// These sessions, as far as they are of this endpoint, if one is named.
    Named(Option<EndpointNumber>, &'a [SessionId]),
}

impl Audience<'_> {
    /// The next session; `Some(None)`: one that is to be passed over. `None`: there are no more.
    fn next_session(&self, engine: &Engine) -> Option<Option<Key<Session>>> {
        match *self {
            Audience::Everybody(_, key) => Some(Some(key?)),
            Audience::Members(number, membership) => {
                let membership = membership?;
                let groups = &engine.endpoints.of(number)?.groups;
                Some(groups.session_of(membership).and_then(|slot| engine.sessions.key_at(slot)))
            }
            Audience::Named(number, sessions) => {
                let SessionId(key) = *sessions.first()?;
                let is_meant = number.is_none() || engine.endpoint_of(key) == number;
                Some(Some(key).filter(|_| is_meant))
            }
        }
    }

    /// Goes on to the one behind.
    fn go_on_to_next(&mut self, engine: &Engine) {
        match self {
            Audience::Everybody(number, place) => {
                let roster = engine.endpoints.of(*number).map(|endpoint| &endpoint.roster);
                *place = roster.and_then(|roster| roster.next(&engine.sessions, (*place)?));
            }
            Audience::Members(number, place) => {
                let groups = engine.endpoints.of(*number).map(|endpoint| &endpoint.groups);
                *place = groups.and_then(|groups| groups.next_in((*place)?));
            }
            Audience::Named(_, sessions) => *sessions = sessions.get(1..).unwrap_or_default(),
        }
    }
}

/// A message for many, encoded once for each wire format, when the first session needs it.
struct SharedMessage<'m> {
    message: Message<'m>,
    json: Option<Shared>,
    json_length: Option<usize>,
    frame: Option<Shared>,
}

fn json_string(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    write_string(&mut bytes, text);
    bytes
}
