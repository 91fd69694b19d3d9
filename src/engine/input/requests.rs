//! HTTP: one request at a time, its head and then its body.

use super::Step;
use crate::collections::Key;
use crate::engine::answers::Exchange;
use crate::engine::connection::{Connection, PartialBody, Phase};
use crate::engine::{Application, Engine};
use crate::http::{self, BodyDecoder, HeadScanner, HeaderStorage, HttpError};

impl Engine {
    /// Reads what a load balancer says of its client. A connection that begins otherwise does not come from one: there
    /// is nobody to answer.
    pub(super) fn consume_proxy_header(&mut self, key: Key<Connection>, input: &[u8]) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        match http::proxy::parse(input) {
            Ok(Some((client, length))) => {
                if let Some(client) = client {
                    connection.set_peer(client);
                }
                connection.phase = Phase::Idle { first: true };
                Step::Took(length)
            }
            Ok(None) => Step::Keep(input.len()),
            Err(_) => {
                self.note_refusal(key, 400);
                self.drop_connection(key);
                Step::Keep(0)
            }
        }
    }

    /// Reads a request, as far as it is there.
    pub(super) fn consume_request(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        application: &mut dyn Application,
    ) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        let mut scanner = match std::mem::replace(&mut connection.phase, Phase::Idle { first: false }) {
            Phase::Body(partial) => return self.consume_body(key, input, partial, application),
            Phase::Head(scanner) => scanner,
            Phase::Idle { first } => {
                // The first request's time runs from the accept.
                if !first {
                    connection.since = self.now;
                }
                HeadScanner::default()
            }
            _ => return Step::Keep(0),
        };
        match scanner.scan(input, &self.options.head_limits()) {
            Ok(Some(head_length)) => {
                let whole = PartialBody { head_length, decoder: None, decoded: 0 };
                self.consume_body(key, input, whole, application)
            }
            Ok(None) => {
                connection.phase = Phase::Head(scanner);
                self.arm_connection(key);
                Step::Keep(input.len())
            }
            Err(error) => self.refuse(key, error),
        }
    }

    /// Reads the body behind a head that is there; a whole request is handled.
    fn consume_body(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        mut partial: PartialBody,
        application: &mut dyn Application,
    ) -> Step {
        let Some((head, body)) = input.split_at_mut_checked(partial.head_length) else {
            return Step::Keep(0);
        };
        let mut storage = HeaderStorage::new();
        let request = match http::Request::parse(head, &mut storage, &self.options.head_limits()) {
            Ok(request) => request,
            Err(error) => return self.refuse(key, error),
        };
        let exchange = Exchange::new(key, &request, self.stage);
        let fresh = partial.decoder.is_none();
        let decoded = match &mut partial.decoder {
            Some(decoder) => decoder.decode(body, partial.decoded),
            None => BodyDecoder::new(request.framing(), self.body_limit(&request))
                .and_then(|decoder| partial.decoder.insert(decoder).decode(body, 0)),
        };
        match decoded {
            Ok(progress) if progress.complete => {
                self.counters.requests += 1;
                let whole = body.get_mut(..progress.length).unwrap_or_default();
                self.handle(&exchange, whole, application);
                Step::Took(partial.head_length + partial.decoded + progress.consumed)
            }
            Ok(progress) => {
                // A client that began with the body does not wait to be invited (RFC 9110 §10.1.1).
                let invited = fresh && body.is_empty() && request.expects_continue();
                partial.decoded = progress.length;
                let keep = partial.head_length + partial.decoded;
                self.await_body(key, partial, fresh, invited);
                Step::Keep(keep)
            }
            Err(error) => {
                self.refuse_request(&exchange, error);
                Step::Keep(0)
            }
        }
    }

    /// The rest of a body is yet to come; its time runs from the end of the head.
    fn await_body(&mut self, key: Key<Connection>, partial: PartialBody, fresh: bool, invited: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.phase = Phase::Body(partial);
        if fresh {
            connection.since = self.now;
        }
        if invited {
            connection.outbox.write(&mut self.memory, |out| out.extend_from_slice(http::CONTINUE));
            self.mark_dirty(key);
        }
        self.arm_connection(key);
    }

    /// Answers a head that cannot be trusted, and reads no further.
    fn refuse(&mut self, key: Key<Connection>, error: HttpError) -> Step {
        self.refuse_head(key, error.status());
        Step::Keep(0)
    }
}
