//! Calls of the application about sessions: openings, messages, closes, drains, timers; and how much of it in one turn.
//!
//! A packet may cause much: thousands of messages, and each of them is for thousands. So each connection has a share of
//! the turn. The rest of its input goes on in the next turn, with a flush and the shares of all others between; until
//! then nothing more is read from that connection, and a request is not answered before its last message was delivered.

use super::admission::{Admitted, Answer, Outcome};
use super::answers::Exchange;
use super::app_timers::AppTimer;
use super::application::Application;
use super::budget::Purpose;
use super::connection::{Connection, Delivered};
use super::connections::TOO_MANY;
use super::endpoint::EndpointNumber;
use super::groups::{Group, Told};
use super::queues::Notice;
use super::reading::Rest;
use super::session::Session;
use super::writing::Frame;
use super::{Engine, Event, Message};
use crate::collections::Key;
use crate::sockjs::{Messages, OPEN_FRAME, Route, Transport};

/// Decoded text whose memory is kept for the next payload.
pub(super) const DECODED_KEPT: usize = 64 << 10;

impl Engine {
    /// Whether the rest of what the connection at hand sent must wait for the next turn, or at least for a flush.
    pub(super) fn is_share_used_up(&self) -> bool {
        self.must_flush_first() || self.turn.work.is_share_done()
    }

    /// The messages of a payload, in order, as long as the session is open. Returns the rest of it, for later turns.
    pub(super) fn deliver<'m>(
        &mut self,
        key: Key<Session>,
        mut messages: Messages<'m>,
        application: &mut dyn Application,
    ) -> &'m str {
        let mut decoded = std::mem::take(&mut self.memory.buffers.decoded);
        while self.is_open(key)
            && let Some(text) = messages.next(&mut decoded)
        {
            self.counters.messages_in += 1;
            self.turn.work.note_input();
            application.message(self, key, Message::Text(text));
            if !messages.is_empty() && self.must_wait(key, messages.left().len()) {
                break;
            }
        }
        if decoded.capacity() <= DECODED_KEPT {
            self.memory.buffers.decoded = decoded;
        }
        if self.is_open(key) { messages.left() } else { "" }
    }

    /// One message of a raw WebSocket.
    pub(super) fn deliver_raw(
        &mut self,
        key: Key<Session>,
        message: Message<'_>,
        application: &mut dyn Application,
    ) {
        if self.is_open(key) {
            self.counters.messages_in += 1;
            self.turn.work.note_input();
            application.message(self, key, message);
        }
    }

    /// Whether the rest of a payload, so many bytes of it, must wait. A WebSocket's also waits for its client to read;
    /// where that may read, a flush is requested.
    pub(super) fn must_wait(&mut self, key: Key<Session>, left: usize) -> bool {
        let receiver = self.sessions.get(key).and_then(|session| self.connections.get(session.receiver?));
        if let Some(receiver) =
            receiver.filter(|receiver| receiver.websocket().is_some() && self.has_output_waiting(receiver))
        {
            if !receiver.pace.takes_bytes() {
                return self.admits(Purpose::WholeInput, left);
            }
            // Its client may read, and so may the clients of messages that it caused.
            self.turn.flush_requested = true;
        }
        self.is_share_used_up() && self.admits(Purpose::WholeInput, left)
    }

    pub(super) fn deliver_rest(
        &mut self,
        key: Key<Connection>,
        session: Key<Session>,
        mut rest: Box<Rest>,
        application: &mut dyn Application,
    ) {
        let Some(connection) = self.connections.get(key) else { return };
        if connection.websocket().is_some() && self.has_output_waiting(connection) {
            // It goes on when the last byte for its client has left.
            return self.put_back(key, rest);
        }
        self.note_heard(key, session);
        let left = self.deliver(session, Messages::resume(rest.left()), application).len();
        if left > 0 {
            rest.shorten(left);
            self.put_back(key, rest);
            return self.postpone(key);
        }
        self.end_delivery(key);
    }

    /// While the messages of a client are delivered, the server does not read from it: so neither its pong nor its next
    /// receiver is missed.
    pub(super) fn note_heard(&mut self, key: Key<Connection>, session: Key<Session>) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.note_heard(self.time.now());
        }
        if let Some(Session { receiver: None, since, .. }) = self.sessions.get_mut(session) {
            *since = self.time.now();
            self.await_receiver(session);
        }
    }

    /// The last message was delivered: the answer of a request, and what is behind it.
    pub(super) fn end_delivery(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.end_delivery(&mut self.memory.pool) {
            Delivered::Answered { keep_alive } => self.finish_response(key, keep_alive),
            Delivered::Abandoned => self.drop_connection(key),
            Delivered::Frame if connection.inbox.is_empty() => {}
            Delivered::Frame => self.postpone(key),
        }
    }

    /// May one more session open here? If so, it must open now: the application has its state ready. One that the
    /// application refuses with a close opens too, for its client alone. `Err` holds what else is answered.
    pub(super) fn admit(
        &mut self,
        exchange: &Exchange<'_>,
        number: EndpointNumber,
        transport: Transport,
        application: &mut dyn Application,
    ) -> Result<Admitted, Answer> {
        if self.refuses_sessions() || !self.has_place(number) {
            self.note_refusal(exchange.key, 503);
            return Err(Answer::Status(503));
        }
        let path = self.endpoints.of(number).map_or("", |it| it.shown(exchange.request.path(), transport));
        let request = self.show(exchange, path, Some(transport));
        let client = self.clients.counts_sessions().then(|| request.client()).flatten();
        let client = client.filter(|client| !self.clients.is_trusted(*client));
        if client.is_some_and(|client| !self.clients.may_open_session(client)) {
            self.note_too_many(exchange.key);
            return Err(Answer::Status(TOO_MANY));
        }
        let admission = application.admit(number, &request);
        self.time.read();
        let refused = match admission {
            Ok(()) => None,
            Err(refusal) => {
                self.note_not_admitted(exchange.key, refusal.code());
                match refusal.0 {
                    Outcome::Close(close) => Some(close),
                    Outcome::Answer(answer) => return Err(answer),
                }
            }
        };
        self.make_place(number);
        Ok(Admitted { refused, client })
    }

    /// Sends the open frame through the first receiver, and tells the application. A session that was refused closes
    /// behind that frame, and the application does not hear of it.
    pub(super) fn open_session(
        &mut self,
        key: Key<Session>,
        exchange: &Exchange<'_>,
        application: &mut dyn Application,
    ) {
        if self.carries(exchange.key, key) {
            self.set_receiver(key, exchange.key);
        }
        let Some(session) = self.sessions.get(key) else { return };
        let (number, transport, is_open) = (session.endpoint, session.transport, session.is_open());
        if transport != Transport::RawWebSocket {
            self.emit(exchange.key, Frame::Whole(OPEN_FRAME));
        }
        self.arm_session(key);
        if !is_open {
            self.queues.unflushed.push_back(&mut self.sessions, key);
            return;
        }
        let path = self.endpoints.of(number).map_or("", |it| it.shown(exchange.request.path(), transport));
        let request = self.show(exchange, path, Some(transport));
        application.opened(self, key, &request);
        // What is sent first leaves now: the time that the application took is no part of any wait.
        let now = self.time.read();
        if let Some(session) = self.sessions.get_mut(key) {
            session.since = now;
        }
        if let Some(connection) = self.connections.get_mut(exchange.key)
            && connection.websocket().is_some()
        {
            connection.since = now;
        }
    }

    /// The observer is told of the request, without the part of the path that is a session's id,
    /// or may have been meant as one.
    pub(super) fn observe_request(
        &self,
        exchange: &Exchange<'_>,
        number: EndpointNumber,
        route: Option<Route<'_>>,
        application: &mut dyn Application,
    ) {
        let Some(endpoint) = self.endpoints.of(number) else { return };
        let path = match route {
            None | Some(Route::Session { .. }) => endpoint.prefix_of(exchange.request.path()),
            Some(_) => exchange.request.path(),
        };
        application.observe(&Event::Request(&self.show(exchange, path, None)));
    }

    /// Tells the application what its calls, and the last unit of input, brought about: mostly nothing. What is caused
    /// by that may be much too: where a flush is due, the rest is told behind it.
    #[inline]
    pub(super) fn notify(&mut self, application: &mut dyn Application) {
        if !self.queues.notices.is_empty() {
            self.notify_until_flush(application);
        }
    }

    pub(super) fn notify_until_flush(&mut self, application: &mut dyn Application) {
        while !self.is_flush_due()
            && !self.turn.work.are_notices_done()
            && let Some(notice) = self.queues.notices.pop_front()
        {
            let before = self.turn.work.begin_notice();
            match notice {
                Notice::Accepted(peer) => application.observe(&Event::Accepted { peer }),
                Notice::Refused(peer, status) => application.observe(&Event::Refused { peer, status }),
                Notice::Closed(key) => self.notify_closed(key, application),
                Notice::Unanswered(ticket) => application.observe(&Event::Unanswered { ticket }),
                Notice::Panicked => application.observe(&Event::Panicked { session: None }),
                Notice::Group(number, key) => self.notify_group(number, key, application),
            }
            self.turn.work.end_notice(before);
        }
        self.time.read();
    }

    pub(super) fn notify_closed(&mut self, key: Key<Session>, application: &mut dyn Application) {
        let Some(close) = self.sessions.get(key).and_then(Session::closed_with) else { return };
        application.closed(self, key, &close);
        // Behind the call: the handler may have ended the last receiver, and the slot must not be free before the state
        // and the groups of this session are gone, since the next session in the slot would find them.
        if let Some(session) = self.sessions.get_mut(key) {
            session.note_told();
        }
        if let Some(number) = self.endpoint_of(key)
            && let Some(endpoint) = self.endpoints.of_mut(number)
        {
            let count = endpoint.groups.forget_member(key.index());
            self.turn.work.note_memberships(count);
        }
        self.release(key);
    }

    fn notify_group(&mut self, number: EndpointNumber, key: Key<Group>, application: &mut dyn Application) {
        let Some(endpoint) = self.endpoints.of_mut(number) else { return };
        let before = self.queues.notices.len();
        match endpoint.groups.take_notice(key) {
            Some((name, Told::Started)) => application.group_started(self, number, &name),
            Some((name, Told::Ended)) => application.group_ended(self, number, &name),
            // The group began and ended again before its notice: the handler knows of the right state.
            None => {}
        }
        if self.queues.notices.len() > before {
            for notice in self.queues.notices.split_off(before) {
                match notice {
                    Notice::Group(..) => self.queues.next_notices.push_back(notice),
                    notice => self.queues.notices.push_back(notice),
                }
            }
        }
    }

    /// Tells those whose queue has drained; but where a flush is due, one of them, and the rest in the next turn.
    pub(super) fn notify_drained(&mut self, application: &mut dyn Application) {
        for _ in 0..self.queues.drained.len() {
            let Some(key) = self.queues.drained.pop_front() else { break };
            if let Some(skipped) = self.end_gap(key) {
                application.drained(self, key, skipped);
                self.time.read();
                self.notify(application);
            }
            self.turn.work.note_task();
            if self.must_flush_first() || self.turn.work.are_tasks_done() {
                break;
            }
        }
    }

    /// Calls the application for every timer of its own that is due; but where a flush is due too, for one, and for the
    /// rest of them in the next turn.
    pub(super) fn notify_app_timers(&mut self, application: &mut dyn Application) {
        // Not read again meanwhile: a timer that sets itself anew while others are told is for the next turn.
        let now = self.time.now();
        while let Some(timer) = self.next_app_timer(now) {
            match timer {
                AppTimer::Session(key, number) => application.session_timer(self, key, number),
                AppTimer::Endpoint(endpoint, number) => application.endpoint_timer(self, endpoint, number),
            }
            self.time.read();
            self.notify(application);
            self.turn.work.note_task();
            if self.must_flush_first() || self.turn.work.are_tasks_done() {
                break;
            }
        }
    }
}
