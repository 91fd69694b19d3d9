//! WebSocket: one frame at a time; whole messages are dispatched, control frames answered.

use super::Step;
use crate::collections::Key;
use crate::engine::connection::{Connection, Phase, Ping};
use crate::engine::session::Session;
use crate::engine::{Application, Engine, Message};
use crate::sockjs::{Messages, Transport};
use crate::websocket::close;
use crate::websocket::frame::{Opcode, write_header};
use crate::websocket::message::Event;

/// Capacity of the one buffer that is kept for messages that arrive in parts.
const ASSEMBLY_KEPT: usize = 2 << 20;

/// The largest message that is read, to be thrown away, while the closing handshake is under way.
const FAREWELL_LIMIT: usize = 1 << 20;

impl Engine {
    /// Reads one WebSocket frame, as far as it is there; a whole message is dispatched.
    pub(super) fn consume_frame(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        application: &mut dyn Application,
    ) -> Step {
        let Some(Connection { phase: Phase::WebSocket(socket), since, .. }) = self.connections.get_mut(key)
        else {
            return Step::Keep(0);
        };
        // Whoever sends is alive, though the pong may still be behind a long message.
        (socket.ping, *since) = (Ping::Rest, self.now);
        let session = socket.session;
        let mut decoder = std::mem::take(&mut socket.decoder);
        self.memory.release(decoder.buffered());
        if decoder.buffered() == 0 {
            decoder.lend(std::mem::take(&mut self.assembly));
        }
        let limit = self.message_limit(session);
        let step = match decoder.decode(input, limit) {
            Ok((0, Event::NeedMore)) => Step::Keep(input.len()),
            Ok((used, event)) => {
                self.take_event(key, session, event, application);
                Step::Took(used)
            }
            Err(error) => {
                self.fail_websocket(key, error.close_code(), &error.to_string());
                Step::Keep(0)
            }
        };
        if let Some(spare) = decoder.reclaim()
            && spare.capacity() <= ASSEMBLY_KEPT
        {
            self.assembly = spare;
        }
        if let Some(Connection { phase: Phase::WebSocket(socket), .. }) = self.connections.get_mut(key) {
            self.memory.hold(decoder.buffered());
            socket.decoder = decoder;
        }
        step
    }

    fn message_limit(&self, session: Key<Session>) -> usize {
        let Some(session) = self.sessions.get(session) else { return 0 };
        let Some(endpoint) = self.endpoints.get(usize::from(session.endpoint)) else { return 0 };
        match session.transport {
            Transport::RawWebSocket => endpoint.options.message_size,
            _ => endpoint.payload_limit(),
        }
    }

    fn take_event(
        &mut self,
        key: Key<Connection>,
        session: Key<Session>,
        event: Event<'_>,
        application: &mut dyn Application,
    ) {
        let raw =
            self.sessions.get(session).is_some_and(|session| session.transport == Transport::RawWebSocket);
        match event {
            Event::NeedMore | Event::Pong => {}
            Event::Text(text) if raw => self.deliver_raw(session, Message::Text(text), application),
            Event::Binary(bytes) if raw => self.deliver_raw(session, Message::Binary(bytes), application),
            Event::Text(text) => match Messages::parse_frame(text) {
                Ok(messages) => self.deliver(session, messages, application),
                Err(error) => self.fail_websocket(key, close::PROTOCOL_ERROR, error.message()),
            },
            Event::Binary(_) => self.fail_websocket(key, close::UNSUPPORTED, "SockJS messages are text"),
            Event::Ping(payload) => {
                let Some(connection) = self.connections.get_mut(key) else { return };
                connection.outbox.write(&mut self.memory, |out| {
                    write_header(out, Opcode::Pong, payload.len());
                    out.extend_from_slice(payload);
                });
                self.mark_dirty(key);
            }
            Event::Close(frame) => self.answer_close(key, frame.map(|frame| (frame.code, frame.reason))),
        }
    }

    /// Our close frame is out: everything but the client's is thrown away (RFC 6455 §7.1.1).
    pub(super) fn consume_farewell(&mut self, key: Key<Connection>, input: &mut [u8]) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        let Phase::Farewell(decoder) = &mut connection.phase else { return Step::Keep(0) };
        self.memory.release(decoder.buffered());
        let step = match decoder.decode(input, FAREWELL_LIMIT) {
            Ok((_, Event::Close(_))) | Err(_) => {
                connection.phase = Phase::Finishing { peer_done: false };
                self.mark_dirty(key);
                return Step::Keep(0);
            }
            Ok((0, Event::NeedMore)) => Step::Keep(input.len()),
            Ok((used, _)) => Step::Took(used),
        };
        if let Some(spare) = decoder.reclaim() {
            self.memory.give(spare);
        }
        self.memory.hold(decoder.buffered());
        step
    }
}
