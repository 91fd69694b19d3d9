//! The WebSocket handshake: an HTTP request → a connection that speaks frames (RFC 6455 §4.2).

use super::answers::{Exchange, Label};
use super::endpoint::EndpointNumber;
use super::{Application, Engine};
use crate::http::ResponseHead;
use crate::sockjs::Transport;
use crate::websocket::handshake::{self, HandshakeError, Offer};

impl Engine {
    /// Answers an upgrade; where it is accepted, the session opens behind the answer.
    pub(super) fn upgrade(
        &mut self,
        exchange: &Exchange<'_>,
        number: EndpointNumber,
        transport: Transport,
        application: &mut dyn Application,
    ) {
        let accepted = match handshake::accept(&offer(exchange)) {
            Ok(key) if exchange.is_http11() => key,
            Ok(_) => return self.answer_error(exchange, 400, "WebSocket needs HTTP/1.1."),
            Err(error) => return self.refuse_upgrade(exchange, error),
        };
        let raw = transport == Transport::RawWebSocket;
        let subprotocol = if raw { self.choose_subprotocol(exchange, number) } else { None };
        let endpoint = self.endpoints.of(number);
        if raw && subprotocol.is_none() && endpoint.is_some_and(|it| it.options.subprotocol_required) {
            self.note_not_admitted(exchange.key, 400);
            return self.answer_error(
                exchange,
                400,
                "\"Sec-WebSocket-Protocol\" names none that is spoken here.",
            );
        }
        // Whether a session can open at all is known before the application makes its state.
        if !self.make_room_for_answer(exchange.key, 0) {
            return;
        }
        let admitted = match self.admit(exchange, number, transport, application) {
            Ok(admitted) => admitted,
            Err(answer) => return self.answer_refusal(exchange, answer),
        };
        let Some(connection) = self.connections.get_mut(exchange.key) else { return };
        let spoken = self.endpoints.of(number).map(|endpoint| &endpoint.options.subprotocols);
        let name = subprotocol.and_then(|place| spoken?.get(usize::from(place)));
        connection.outbox.write(&mut self.memory.pool, |out| {
            let mut head = ResponseHead::new(out, 101, &self.time.date)
                .header("Upgrade", "websocket")
                .header("Connection", "Upgrade")
                .header("Sec-WebSocket-Accept", accepted.as_str());
            if let Some(name) = name {
                head = head.header("Sec-WebSocket-Protocol", name);
            }
            head.end();
        });
        let session = self.create_session(number, transport, None, admitted);
        if let (Some(place), Some(session)) = (subprotocol, self.sessions.get_mut(session)) {
            session.subprotocol = place;
        }
        if let Some(connection) = self.connections.get_mut(exchange.key) {
            connection.begin_websocket(session, self.time.now());
        }
        self.leave_wait_to_session(exchange.key);
        self.send_later(exchange.key);
        self.open_session(session, exchange, application);
    }

    fn refuse_upgrade(&mut self, exchange: &Exchange<'_>, error: HandshakeError) {
        self.note_refusal(exchange.key, error.status());
        if error.status() != 426 {
            return self.answer_error(exchange, error.status(), error.body());
        }
        // This refusal names the versions that are spoken here (RFC 6455 §4.4, RFC 9110 §15.5.22).
        let label = Label { upgrade: true, ..self.error_label(exchange) };
        self.answer_with(exchange, 426, label, |head| {
            head.header("Sec-WebSocket-Version", handshake::SUPPORTED_VERSIONS).body(error.body().as_bytes());
        });
    }

    /// The first of the endpoint's subprotocols that the client offers too: its place among them.
    fn choose_subprotocol(&self, exchange: &Exchange<'_>, number: EndpointNumber) -> Option<u8> {
        let spoken = &self.endpoints.of(number)?.options.subprotocols;
        let offered = |name: &str| {
            let lists = exchange.request.header_values("sec-websocket-protocol");
            let mut names = lists.flat_map(|list| list.split(|byte| *byte == b','));
            names.any(|offered| offered.trim_ascii() == name.as_bytes())
        };
        u8::try_from(spoken.iter().position(|name| offered(name))?).ok()
    }
}

/// The parts of a request on which the handshake depends.
fn offer<'r>(exchange: &Exchange<'r>) -> Offer<'r> {
    let request = exchange.request;
    Offer {
        upgrade: request.list_contains("upgrade", "websocket"),
        connection: request.list_contains("connection", "upgrade"),
        version: match request.header_values("sec-websocket-version").count() {
            0 | 1 => request.header("sec-websocket-version"),
            // Several fields are one list (RFC 9110 §5.3), and a list is no version (RFC 6455 §11.3.5).
            _ => Some(b"several"),
        },
        key: request.header("sec-websocket-key"),
        key_count: request.header_values("sec-websocket-key").count(),
        hixie: request.header("sec-websocket-key1").is_some(),
    }
}
