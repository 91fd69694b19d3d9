//! Answers of the program's own, and bodies that are read piece by piece as their clients take them.
//!
//! A download costs one piece, which is read when the one before has left; the reader is asked once in a turn, within
//! the budget of its work. Where the server has no room for a piece the download waits until it has.

use super::admission::Answer;
use super::answers::{Exchange, Label, PLAIN_TEXT, connection_field};
use super::application::{Application, Event, Response};
use super::body::{Body, Content, Download, Piece, Share};
use super::budget::Purpose;
use super::byte_queue::{is_worth_sharing, memory_of};
use super::connection::Connection;
use super::queues::Notice;
use super::reply::{AnswerError, Ticket};
use super::writing::Form;
use super::{Engine, Stage};
use crate::collections::Key;
use crate::http::{self, ResponseHead, write_long_content_length};

/// Bytes that a reader is asked for at once. With what surrounds them they fit into a buffer of the pool.
pub(super) const PIECE: usize = 15 << 10;

/// Bytes of memory that a piece takes in an outbox.
const PIECE_MEMORY: usize = 16 << 10;

impl Engine {
    /// Answers a request that may not open a session.
    pub(super) fn answer_refusal(&mut self, exchange: &Exchange<'_>, answer: Answer) {
        match answer {
            Answer::Status(status) => self.answer_error(exchange, status, http::reason_phrase(status)),
            Answer::Response(response) => {
                let Response { status, headers, body } = response;
                if !self.has_room_for_body(&body) {
                    // It was counted as a refusal when the program gave it.
                    self.answer_error(exchange, 503, http::reason_phrase(503));
                    return self.discard_body(body);
                }
                let form = exchange.form().for_body(status, &body);
                let last = Exchange { keep_alive: form.keep_alive, ..*exchange };
                let label = Label { content_type: None, ..self.error_label(exchange) };
                self.memory.buffers.scratch.clear();
                let scratch = &mut self.memory.buffers.scratch;
                let head = label.head(scratch, &last, status, &self.endpoints, &self.time.date);
                add_fields(head, &headers, label);
                self.send_page(exchange.key, form, status, body);
            }
        }
    }

    /// Answers a request outside of every endpoint with what the program made.
    pub(super) fn answer_page(&mut self, key: Key<Connection>, form: Form, response: Response) {
        let Response { status, headers, body } = response;
        if !self.has_room_for_body(&body) {
            self.note_refusal(key, 503);
            self.answer_page_error(key, form, 503);
            return self.discard_body(body);
        }
        let form = form.for_body(status, &body);
        self.memory.buffers.scratch.clear();
        let head = ResponseHead::new(&mut self.memory.buffers.scratch, status, &self.time.date);
        add_fields(connection_field(head, form), &headers, Label::TEXT);
        self.send_page(key, form, status, body);
    }

    /// The program answers a request later.
    pub(super) fn defer(&mut self, exchange: &Exchange<'_>, ticket: Ticket) {
        // The time that the program took is no part of the wait.
        let now = self.time.read();
        if let Some(connection) = self.connections.get_mut(exchange.key) {
            connection.defer(ticket.number, exchange.form(), now);
            self.counters.deferred += 1;
            self.arm_connection(exchange.key);
        }
    }

    /// Whether a request waits for its answer.
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        let deferred = self.connections.get(ticket.connection).and_then(Connection::deferred);
        deferred.is_some_and(|(number, _)| number == ticket.number)
    }

    /// Answers a request that waits for it.
    ///
    /// # Errors
    /// It does not wait, or not any more.
    pub fn answer_later(&mut self, ticket: Ticket, response: Response) -> Result<(), AnswerError> {
        if !self.is_waiting(ticket) {
            return Err(AnswerError::Gone);
        }
        if let Some((_, form)) = self.take_deferred(ticket.connection) {
            let form = self.form_now(form);
            self.answer_page(ticket.connection, form, response.valid());
        }
        Ok(())
    }

    /// The program has let the time for an answer pass.
    pub(super) fn answer_unanswered(&mut self, key: Key<Connection>) {
        if let Some((ticket, form)) = self.take_deferred(key) {
            self.queues.notices.push_back(Notice::Unanswered(ticket));
            self.note_refusal(key, 503);
            let form = self.form_now(form);
            self.answer_page_error(key, form, 503);
        }
    }

    /// In a server that stops, an answer is the last of its connection.
    fn form_now(&self, form: Form) -> Form {
        Form { keep_alive: form.keep_alive && self.stage != Stage::Stopping, ..form }
    }

    /// Answers a request outside of every endpoint with this status, and its customary words as the body.
    pub(super) fn answer_page_error(&mut self, key: Key<Connection>, form: Form, status: u16) {
        self.memory.buffers.scratch.clear();
        let head = ResponseHead::new(&mut self.memory.buffers.scratch, status, &self.time.date);
        connection_field(head.header("Content-Type", PLAIN_TEXT), form).leave_open();
        self.send_page(key, form, status, http::reason_phrase(status).into());
    }

    fn has_room_for_body(&mut self, body: &Body) -> bool {
        let bytes = match &body.0 {
            Content::Static(bytes) if is_worth_sharing(bytes.len()) => 0,
            Content::Static(bytes) => bytes.len(),
            Content::Shared(bytes) if is_worth_sharing(bytes.len()) => {
                self.memory.budget.cost_of_program(bytes)
            }
            Content::Shared(bytes) => bytes.len(),
            Content::Owned(bytes) => memory_of(bytes.len(), bytes.capacity()),
            Content::Read(reader) => size_of::<Download>() + reader.footprint(),
        };
        // What costs nothing needs no room.
        bytes == 0 || self.make_room(Purpose::Page, bytes)
    }

    /// Puts an answer into the outbox whose head, but for its framing, is in the scratch buffer; or begins to.
    fn send_page(&mut self, key: Key<Connection>, form: Form, status: u16, body: Body) {
        if !self.make_room_for_answer(key, self.memory.buffers.scratch.len()) {
            return self.discard_body(body);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        let pool = &mut self.memory.pool;
        let is_behind_others = !connection.outbox.is_empty();
        let length = body.length();
        let small = length.filter(|length| !is_worth_sharing(*length as usize)).unwrap_or(0);
        let has_content = !(form.is_head || matches!(status, 204 | 304));
        connection.outbox.write_long(self.memory.buffers.scratch.len() + small as usize, pool, |out| {
            out.extend_from_slice(&self.memory.buffers.scratch);
            match length {
                _ if matches!(status, 204 | 304) => out.extend_from_slice(b"\r\n"),
                Some(length) => write_long_content_length(out, length),
                None if form.is_http11 => out.extend_from_slice(http::CHUNKED),
                None => out.extend_from_slice(b"\r\n"),
            }
        });
        match body.0 {
            content if !has_content => self.discard_body(Body(content)),
            Content::Static(bytes) => connection.outbox.push_static(bytes, pool),
            Content::Shared(bytes) if is_worth_sharing(bytes.len()) => {
                let shared = self.memory.budget.share_of_program(bytes);
                connection.outbox.push_shared(&shared, pool);
            }
            Content::Shared(bytes) => connection.outbox.write(pool, |out| out.extend_from_slice(&bytes)),
            Content::Owned(bytes) => connection.outbox.push_owned(bytes, pool),
            Content::Read(reader) => {
                connection
                    .begin_download(Download::new(reader, form.is_http11, form.keep_alive), self.time.now());
                return match is_behind_others {
                    true => self.send_later(key),
                    // The head leaves together with the first piece.
                    false => {
                        self.book_connection(key);
                        self.postpone(key);
                    }
                };
            }
        }
        self.finish_response(key, form.keep_alive);
    }

    /// Reads the next piece of a download; its client has taken the one before.
    pub(super) fn go_on_with_download(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        if !self.has_room_for_piece(key) {
            return self.wait_for_memory(key);
        }
        let began = self.time.read();
        let mut room = std::mem::take(&mut self.memory.buffers.piece);
        room.resize(PIECE, 0);
        let read = self.connections.get_mut(key).and_then(|connection| {
            let peer = connection.peer();
            connection.download_mut().map(|download| (download.read(&mut room), peer))
        });
        // A reader that takes its time has done the work of so many messages.
        self.turn.work.note_piece(self.time.read() - began);
        match read {
            Some((Piece::Bytes(count), _)) => self.take_piece(key, room.get(..count).unwrap_or_default()),
            Some((Piece::Last(count), _)) => {
                self.take_piece(key, room.get(..count).unwrap_or_default());
                let reader =
                    self.connections.get_mut(key).and_then(|it| it.end_download(&mut self.memory.pool));
                self.discard_reader(reader);
            }
            Some((Piece::Failed(error), peer)) => {
                application.observe(&Event::BodyFailed { peer, error: &error });
                self.drop_connection(key);
            }
            Some((Piece::Panicked, _)) => {
                application.observe(&Event::Panicked { session: None });
                self.drop_connection(key);
            }
            None => {}
        }
        self.memory.buffers.piece = room;
        self.book_connection(key);
    }

    fn take_piece(&mut self, key: Key<Connection>, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.write_piece(bytes, &mut self.memory.pool);
        // Where the outbox is empty, since the read was interrupted, or the body has ended,
        // what follows the last byte is due.
        self.send_later(key);
    }

    /// Whether a download has memory for its next piece. One that has waited for it may take what is kept for clients
    /// that read, and connections whose clients take nothing make room: these must not keep it from its end.
    fn has_room_for_piece(&mut self, key: Key<Connection>) -> bool {
        let Some(download) = self.connections.get_mut(key).and_then(Connection::download_mut) else {
            return false;
        };
        if self.memory.budget.admit(Purpose::Page, PIECE_MEMORY) {
            download.share = Share::Pages;
            return true;
        }
        download.share == Share::Readers && self.make_room(Purpose::Queued, PIECE_MEMORY)
    }

    /// A download has no memory for its next piece.
    fn wait_for_memory(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get(key) else { return };
        if !connection.outbox.is_empty() {
            // The head: the first piece is read when it has left.
            return self.send_later(key);
        }
        self.queues.waiting_downloads.push_back(key);
        self.arm_connection(key);
    }

    /// A download has waited for its next piece, and may take more of the memory now.
    pub(super) fn press_on_with_download(&mut self, key: Key<Connection>) {
        if let Some(download) = self.connections.get_mut(key).and_then(Connection::download_mut) {
            download.share = Share::Readers;
            self.postpone(key);
        }
        self.arm_connection(key);
    }

    /// Lets as many of the downloads that wait go on in the next turn as there is memory for.
    pub(super) fn settle_waiting_downloads(&mut self) {
        let mut promised = PIECE_MEMORY;
        while self.memory.budget.admit(Purpose::Page, promised)
            && let Some(key) = self.queues.waiting_downloads.pop_front()
        {
            promised += PIECE_MEMORY;
            self.postpone(key);
        }
    }

    /// Whether a download that waits for memory could go on.
    pub(super) fn can_resume_downloads(&self) -> bool {
        !self.queues.waiting_downloads.is_empty() && self.memory.budget.admit(Purpose::Page, PIECE_MEMORY)
    }

    /// Drops a body that is not sent.
    fn discard_body(&mut self, body: Body) {
        if let Content::Read(reader) = body.0 {
            self.discard_reader(Some(reader));
        }
    }
}

/// Adds the fields that are the program's to set, and leaves the head open.
fn add_fields(mut head: ResponseHead<'_>, headers: &[(String, String)], label: Label) {
    for (name, value) in headers.iter().filter(|(name, _)| label.leaves(name)) {
        head = head.header(name, value);
    }
    head.leave_open();
}
