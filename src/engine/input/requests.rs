//! HTTP: one request at a time, its head and then its body.

use super::Step;
use crate::collections::Key;
use crate::engine::answers::Exchange;
use crate::engine::answers::names_head;
use crate::engine::connection::Connection;
use crate::engine::reading::{Partial, PartialBody};
use crate::engine::{Application, Engine};
use crate::http::{self, BodyDecoder, HeaderStorage, HttpError, Progress};

impl Engine {
    /// Reads the header in which a load balancer names its client. A connection that begins otherwise does not come
    /// from the balancer, and gets no answer.
    pub(super) fn consume_proxy_header(&mut self, key: Key<Connection>, input: &[u8]) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        match http::proxy::parse(input) {
            Ok(Some((client, length))) => {
                connection.note_proxy_header(client);
                if client.is_some() {
                    self.count_client(key);
                }
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

    /// How many of these bytes, the next of a connection, belong to the PROXY header with which it must begin: what
    /// follows them is not for the engine yet, but for a layer in front of it. `None`: all of them do, and more are to
    /// come; or they are no such header, and the engine refuses them.
    pub fn end_of_proxy_header(&self, key: Key<Connection>, bytes: &[u8]) -> Option<usize> {
        let inbox = &self.connections.get(key)?.inbox;
        let (_, length) = http::proxy::parse(&[inbox, bytes].concat()).ok()??;
        length.checked_sub(inbox.len())
    }

    /// Reads a request, as far as it has arrived.
    pub(super) fn consume_request(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        application: &mut dyn Application,
    ) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Keep(0) };
        let mut scanner = match connection.take_partial(self.time.now()) {
            Some(Partial::Head(scanner)) => scanner,
            Some(Partial::Body(partial)) => return self.consume_body(key, input, partial, application),
            None => return Step::Keep(0),
        };
        match scanner.scan(input, &self.options.head_limits()) {
            Ok(Some(length)) => self.consume_head(key, input, length, application),
            Ok(None) => {
                connection.await_head(scanner);
                self.arm_connection(key);
                Step::Keep(input.len())
            }
            Err(error) => self.refuse(key, error, input),
        }
    }

    /// Reads a whole head, and the body behind it as far as it has arrived; a whole request is handled.
    fn consume_head(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        head_length: usize,
        application: &mut dyn Application,
    ) -> Step {
        let Some((head, body)) = input.split_at_mut_checked(head_length) else { return Step::Keep(0) };
        let mut storage = HeaderStorage::new();
        let request = match http::Request::parse(head, &mut storage, &self.options.head_limits()) {
            Ok(request) => request,
            Err(error) => return self.refuse(key, error, head),
        };
        let exchange = Exchange::new(key, &request, self.stage);
        let decoder = BodyDecoder::new(request.framing(), self.body_limit(&request));
        let read = decoder.and_then(|mut decoder| Ok((decoder.decode(body, 0)?, decoder)));
        match read {
            Ok((Progress { complete: false, length, .. }, decoder)) => {
                // A client that began with the body does not wait to be invited (RFC 9110 §10.1.1).
                let invited = body.is_empty() && request.expects_continue();
                let partial = PartialBody { head_length, decoder, decoded: length };
                self.begin_body(key, Box::new(partial), invited);
                Step::Keep(head_length + length)
            }
            read => {
                self.end_body(&exchange, body, read.map(|(progress, _)| progress), head_length, application)
            }
        }
    }

    /// Reads on in a body. Its head is read again only when the body is whole, or is none: not for each packet.
    fn consume_body(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        mut partial: Box<PartialBody>,
        application: &mut dyn Application,
    ) -> Step {
        let PartialBody { head_length, decoded, .. } = *partial;
        let Some((head, body)) = input.split_at_mut_checked(head_length) else { return Step::Keep(0) };
        let read = partial.decoder.decode(body, decoded);
        if let (Ok(Progress { complete: false, length, .. }), Some(connection)) =
            (&read, self.connections.get_mut(key))
        {
            partial.decoded = *length;
            connection.await_body(partial);
            return Step::Keep(head_length + length);
        }
        let mut storage = HeaderStorage::new();
        let request = match http::Request::parse(head, &mut storage, &self.options.head_limits()) {
            Ok(request) => request,
            Err(error) => return self.refuse(key, error, head),
        };
        let exchange = Exchange::new(key, &request, self.stage);
        self.end_body(&exchange, body, read, head_length + decoded, application)
    }

    /// Handles a request whose body is whole, or refuses one whose body is none. So many bytes were read `before`.
    fn end_body(
        &mut self,
        exchange: &Exchange<'_>,
        body: &mut [u8],
        read: Result<Progress, HttpError>,
        before: usize,
        application: &mut dyn Application,
    ) -> Step {
        match read {
            Ok(progress) => {
                self.counters.requests += 1;
                self.turn.work.note_input();
                self.turn.answering = Some(exchange.key);
                self.handle(exchange, body.get_mut(..progress.length).unwrap_or_default(), application);
                self.turn.answering = None;
                Step::Took(before + progress.consumed)
            }
            Err(error) => {
                self.refuse_request(exchange, error);
                Step::Keep(0)
            }
        }
    }

    /// The rest of a body is yet to come; its time runs from the end of the head.
    fn begin_body(&mut self, key: Key<Connection>, partial: Box<PartialBody>, invited: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.await_body(partial);
        connection.since = self.time.now();
        if invited {
            connection.outbox.write(&mut self.memory.pool, |out| out.extend_from_slice(http::CONTINUE));
            self.send_later(key);
        }
        self.arm_connection(key);
    }

    /// Answers a head that cannot be trusted, and reads no further.
    fn refuse(&mut self, key: Key<Connection>, error: HttpError, head: &[u8]) -> Step {
        self.refuse_head(key, error.status(), names_head(head));
        Step::Keep(0)
    }
}
