//! WebSocket: one frame at a time; whole messages are dispatched, control frames answered.

use super::Step;
use crate::collections::Key;
use crate::engine::budget::Purpose;
use crate::engine::connection::Connection;
use crate::engine::pool::kept_assembly;
use crate::engine::session::Session;
use crate::engine::writing::WebSocket;
use crate::engine::{Application, Engine, Message};
use crate::sockjs::{Messages, Transport};
use crate::websocket::close;
use crate::websocket::discard::Discarded;
use crate::websocket::frame::{Opcode, write_header};
use crate::websocket::message::Event;

/// The header of a control frame.
const HEADER: usize = 2;

impl Engine {
    /// Reads one WebSocket frame, as far as it has arrived; a whole message is dispatched.
    pub(super) fn consume_frame(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        application: &mut dyn Application,
    ) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        let Some(&WebSocket { session, .. }) = connection.websocket() else { return Step::Keep(0) };
        let Some(decoder) = connection.decoder_mut() else { return Step::Keep(0) };
        let mut decoder = std::mem::take(decoder);
        let (raw, limit) = self.format_of(session);
        let step = match decoder.decode(input, limit, &mut self.memory.buffers.assembly) {
            Ok((0, Event::NeedMore)) => Step::Keep(input.len()),
            Ok((used, event)) => {
                // Control frames cost work too; the messages of a data frame are counted where they are told.
                if let Event::Ping(_) | Event::Pong = event {
                    self.turn.work.note_input();
                }
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
        decoder.reclaim(&mut self.memory.buffers.assembly, kept_assembly(&self.options));
        let now = self.time.now();
        let Some(connection) = self.connections.get_mut(key) else { return step };
        if let Some(place) = connection.decoder_mut() {
            *place = decoder;
            if let Step::Took(_) = step {
                connection.note_heard(now);
            }
        }
        step
    }

    /// Whether the messages of a session go without SockJS framing, and the most bytes
    /// that one of its payloads may have.
    fn format_of(&self, session: Key<Session>) -> (bool, usize) {
        let Some(session) = self.sessions.get(session) else { return (false, 0) };
        let raw = session.transport == Transport::RawWebSocket;
        let limit = self.endpoints.of(session.endpoint).map_or(0, |endpoint| match raw {
            true => endpoint.options.message_size,
            false => endpoint.payload_limit(),
        });
        (raw, limit)
    }

    /// Acts on a frame of a SockJS session, or on a control frame of a raw WebSocket.
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
                    connection.note_pong(self.time.now());
                }
                let Some(session) = self.sessions.get_mut(session) else { return };
                // The next ping was due by then, and its answer too.
                let most = self
                    .endpoints
                    .of(session.endpoint)
                    .map_or(0, |endpoint| endpoint.heartbeat_delay.saturating_add(endpoint.pong_timeout));
                if let Some(round_trip) = session.round_trip_mut() {
                    round_trip.note_pong_received(self.time.now(), most);
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
                if !self.make_room(Purpose::Control, payload.len() + HEADER) {
                    return self.drop_connection(key);
                }
                // Where room was made, the connection may itself have been one of those that take nothing.
                let Some(connection) = self.connections.get_mut(key).filter(|it| !it.is_gone()) else {
                    return;
                };
                connection.outbox.write(&mut self.memory.pool, |out| {
                    write_header(out, Opcode::Pong, payload.len());
                    out.extend_from_slice(payload);
                });
                self.send_later(key);
            }
            Event::Close(frame) => self.answer_close(key, frame.map(|frame| (frame.code, frame.reason))),
        }
    }

    /// Our close frame is out: all frames of the client but its close frame are thrown away (RFC 6455 §7.1.1).
    pub(super) fn discard_until_close(&mut self, key: Key<Connection>, input: &[u8]) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        match connection.discard(input) {
            Ok(Discarded::Bytes(0)) => Step::Keep(input.len()),
            Ok(Discarded::Bytes(count)) => Step::Took(count),
            Ok(Discarded::Close) | Err(_) => {
                connection.close();
                self.send_later(key);
                Step::Keep(0)
            }
        }
    }
}
