//! Bytes from the socket → one request or message at a time.
//!
//! A unit that lies whole in the read buffer is dealt with where it lies; only units that are incomplete, or must wait
//! for an answer before them, are kept in the connection's inbox. How bytes were cut into packets never matters.

mod requests;
mod websocket;

use std::ops::Range;

use super::budget::Purpose;
use super::connection::{Connection, Unit};
use super::reading::Reading;
use super::{Application, Engine};
use crate::collections::Key;
use crate::websocket::close;

/// The result of one look at the front of the input.
enum Step {
    /// So many bytes are dealt with; what follows is the next unit.
    Took(usize),
    /// Nothing more can be done now; so many bytes, from here on, must be kept.
    Keep(usize),
}

impl Engine {
    /// Bytes arrived.
    pub(super) fn take_bytes(
        &mut self,
        key: Key<Connection>,
        bytes: &mut [u8],
        application: &mut dyn Application,
    ) {
        self.turn.work.begin_connection();
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.counters.bytes_in += bytes.len() as u64;
        connection.note_arrival();
        if connection.inbox.is_empty() {
            let keep = self.consume(key, bytes, application);
            if let (false, Some(connection)) = (keep.is_empty(), self.connections.get_mut(key)) {
                // Copied at its own size: a single byte may stay for long.
                connection.inbox = bytes.get(keep).unwrap_or_default().to_vec();
            }
        } else {
            connection.inbox.extend_from_slice(bytes);
            self.consume_inbox(key, application);
        }
        self.turn.work.note_read(bytes.len());
        self.flush_if_worth_while();
        self.book_connection(key);
        self.check_memory(key, application);
        self.answer_ahead(key);
    }

    pub(super) fn consume_inbox(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut inbox = std::mem::take(&mut connection.inbox);
        let keep = self.consume(key, &mut inbox, application);
        match self.connections.get_mut(key) {
            Some(connection) if !keep.is_empty() => {
                inbox.truncate(keep.end);
                inbox.drain(..keep.start);
                inbox.shrink_to(2 * inbox.len());
                connection.inbox = inbox;
            }
            _ => self.memory.pool.give(inbox),
        }
        self.book_connection(key);
    }

    /// Where the server holds too much input, the connection that has just added to it ends: an unfinished request is
    /// answered, an unfinished message fails its WebSocket.
    pub(super) fn check_memory(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        if self.admits(Purpose::UnfinishedInput, 0) {
            return;
        }
        let Some(connection) = self.connections.get(key) else { return };
        let decoder =
            if let Reading::Frames { decoder, .. } = connection.reading() { decoder.buffered() } else { 0 };
        // The units of a connection that is postponed are whole, and wait for the next turn only; but behind a
        // download they wait for its end.
        let waits_for_turn = connection.is_postponed && !connection.is_downloading();
        if waits_for_turn || connection.inbox.len() + decoder == 0 {
            return;
        }
        match connection.reading() {
            Reading::Head(_) | Reading::Body(_) => self.refuse_unfinished(key, 503),
            Reading::Frames { .. } => {
                self.fail_websocket(key, close::TRY_AGAIN_LATER, "The server is out of memory");
            }
            // Pipelined requests: a refusal cannot go out before the answer that is under way.
            Reading::First | Reading::Next | Reading::Delivering { .. } => self.drop_connection(key),
            // Incomplete headers, for which no answer exists.
            Reading::Proxied | Reading::Discarded(_) => self.drop_connection(key),
            Reading::Ignored => return,
        }
        self.drop_inbox(key);
        self.notify(application);
    }

    /// Deals with one unit after the other, and reads the clock behind them; what is returned must be kept.
    fn consume(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        application: &mut dyn Application,
    ) -> Range<usize> {
        let kept = self.consume_units(key, input, application);
        self.time.read();
        kept
    }

    fn consume_units(
        &mut self,
        key: Key<Connection>,
        input: &mut [u8],
        application: &mut dyn Application,
    ) -> Range<usize> {
        let mut used = 0;
        loop {
            let rest = input.get_mut(used..).unwrap_or_default();
            if rest.is_empty() {
                return used..used;
            }
            let Some(connection) = self.connections.get(key) else { return 0..0 };
            let step = match connection.next_unit() {
                Unit::Ignored => Step::Keep(0),
                Unit::Later => Step::Keep(rest.len()),
                Unit::ProxyHeader => self.consume_proxy_header(key, rest),
                Unit::Discarded => self.discard_until_close(key, rest),
                Unit::Frame | Unit::Request if self.is_backed_up(connection) => {
                    // The client may read, and so may others for which its messages caused some.
                    self.turn.flush_requested |= connection.pace.takes_bytes();
                    Step::Keep(rest.len())
                }
                Unit::Frame | Unit::Request
                    if self.is_share_used_up() && self.admits(Purpose::WholeInput, rest.len()) =>
                {
                    self.postpone(key);
                    Step::Keep(rest.len())
                }
                Unit::Frame => self.consume_frame(key, rest, application),
                Unit::Request => {
                    if used > 0 {
                        // The time of this request does not begin before the one in front of it was dealt with.
                        self.time.read();
                    }
                    self.consume_request(key, rest, application)
                }
            };
            self.notify(application);
            match step {
                Step::Took(count) => used += count,
                Step::Keep(count) => return used..used + count,
            }
        }
    }
}
