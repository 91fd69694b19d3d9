//! WebSocket: one frame at a time; whole messages are dispatched, control frames answered.

use super::Step;
use crate::collections::Key;
use crate::engine::connection::{Connection, Phase};
use crate::engine::memory::kept_assembly;
use crate::engine::session::Session;
use crate::engine::{Application, Engine, Message};
use crate::sockjs::Messages;
use crate::websocket::close;
use crate::websocket::frame::{Opcode, write_header};
use crate::websocket::message::Event;

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
        let Some(Connection { phase: Phase::WebSocket(socket), .. }) = self.connections.get_mut(key) else {
            return Step::Keep(0);
        };
        let (session, raw) = (socket.session, socket.raw);
        let mut decoder = std::mem::take(&mut socket.decoder);
        self.memory.input.release(decoder.buffered());
        let limit = self.message_limit(session, raw);
        let step = match decoder.decode(input, limit, &mut self.assembly) {
            Ok((0, Event::NeedMore)) => Step::Keep(input.len()),
            Ok((used, event)) => {
                match event {
                    Event::Text(text) if raw => self.deliver_raw(session, Message::Text(text), application),
                    Event::Binary(bytes) if raw => {
                        self.deliver_raw(session, Message::Binary(bytes), application)
                    }
                    event => self.take_event(key, session, event, application),
                }
                Step::Took(used)
            }
            Err(error) => {
                self.fail_websocket(key, error.close_code(), &error.to_string());
                Step::Keep(0)
            }
        };
        decoder.reclaim(&mut self.assembly, kept_assembly(&self.options));
        let now = self.clock.now();
        let Some(connection) = self.connections.get_mut(key) else { return step };
        if let Phase::WebSocket(socket) = &mut connection.phase {
            self.memory.input.hold(decoder.buffered());
            socket.decoder = decoder;
            if let Step::Took(_) = step {
                connection.note_heard(now);
            }
        }
        step
    }

    fn message_limit(&self, session: Key<Session>, raw: bool) -> usize {
        let Some(session) = self.sessions.get(session) else { return 0 };
        let Some(endpoint) = self.endpoints.get(usize::from(session.endpoint)) else { return 0 };
        if raw { endpoint.options.message_size } else { endpoint.payload_limit() }
    }

    /// What a frame of a SockJS session amounts to; on a raw WebSocket, a control frame.
    fn take_event(
        &mut self,
        key: Key<Connection>,
        session: Key<Session>,
        event: Event<'_>,
        application: &mut dyn Application,
    ) {
        match event {
            Event::NeedMore => {}
            Event::Pong => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.note_pong(self.clock.now());
                }
            }
            Event::Text(text) => match Messages::parse_frame(text) {
                Ok(messages) => {
                    let left = self.deliver(session, messages, application);
                    self.keep_rest(key, left);
                }
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
        self.memory.input.release(decoder.buffered());
        let step = match decoder.decode(input, FAREWELL_LIMIT, &mut self.assembly) {
            Ok((_, Event::Close(_))) | Err(_) => {
                connection.phase = Phase::Finishing { peer_done: false };
                self.mark_dirty(key);
                return Step::Keep(0);
            }
            Ok((0, Event::NeedMore)) => Step::Keep(input.len()),
            Ok((used, _)) => Step::Took(used),
        };
        decoder.reclaim(&mut self.assembly, kept_assembly(&self.options));
        self.memory.input.hold(decoder.buffered());
        step
    }
}
