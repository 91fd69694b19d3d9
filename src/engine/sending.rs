//! Messages from the application to clients: one, or all of an endpoint. Nothing is framed here: that happens once
//! at the end of the turn, with all that waits.

use super::chain::Shared;
use super::connection::{Connection, Flow};
use super::session::{Cause, Close, SendError, Session};
use super::{Engine, Notice};
use crate::collections::Key;
use crate::sockjs::Transport;
use crate::sockjs::json::write_string;
use crate::websocket::close;
use crate::websocket::frame::{Opcode, write_header};

/// What a message costs beside its text: two quotes and a comma. Escapes are not foreseen, so the last message that is
/// taken may go beyond the limit by them.
const QUOTES: usize = 3;

impl Engine {
    /// Queues a text message for one client.
    pub fn send(&mut self, key: Key<Session>, text: &str) -> Result<(), SendError> {
        let session = self.check_room(key, text.len())?;
        if let Some(receiver) = session {
            return self.send_raw(receiver, Opcode::Text, text.as_bytes());
        }
        let session = self.sessions.get_mut(key).ok_or(SendError::Gone)?;
        let separator: &[u8] = if session.queue.is_empty() { b"" } else { b"," };
        session.queue.write(&mut self.memory, |queue| {
            queue.extend_from_slice(separator);
            write_string(queue, text);
        });
        self.counters.messages_out += 1;
        self.unflushed.push_back(&mut self.sessions, key);
        Ok(())
    }

    /// Queues a binary message for one raw WebSocket.
    pub fn send_binary(&mut self, key: Key<Session>, bytes: &[u8]) -> Result<(), SendError> {
        match self.check_room(key, bytes.len())? {
            Some(receiver) => self.send_raw(receiver, Opcode::Binary, bytes),
            None => Err(SendError::NotBinary),
        }
    }

    /// A message of a raw WebSocket is a frame at once.
    fn send_raw(
        &mut self,
        receiver: Key<Connection>,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let connection = self.connections.get_mut(receiver).ok_or(SendError::Gone)?;
        connection.outbox.write(&mut self.memory, |out| {
            write_header(out, opcode, payload.len());
            out.extend_from_slice(payload);
        });
        self.counters.messages_out += 1;
        self.mark_dirty(receiver);
        Ok(())
    }

    /// Whether a session takes so many bytes more. The connection is named where the message goes out as it is.
    fn check_room(&mut self, key: Key<Session>, length: usize) -> Result<Option<Key<Connection>>, SendError> {
        let session =
            self.sessions.get_mut(key).filter(|session| session.is_open()).ok_or(SendError::Gone)?;
        let connection = session.receiver.and_then(|receiver| self.connections.get(receiver));
        let waiting = session.queue.len() + connection.map_or(0, |connection| connection.outbox.len());
        let endpoint = self.endpoints.get(usize::from(session.endpoint)).ok_or(SendError::Gone)?;
        let raw = session.transport == Transport::RawWebSocket;
        let framed = length + if raw { 0 } else { QUOTES };
        let is_full = waiting > 0 && waiting + framed > endpoint.options.send_queue;
        if is_full || self.memory.held() + framed > self.options.buffered_bytes {
            session.owes_drain = true;
            return Err(SendError::Full);
        }
        Ok(session.receiver.filter(|_| raw))
    }

    /// Sends a text to all sessions of an endpoint, or to all but one; says to how many. It is encoded once for each
    /// wire format. A session whose queue it would overflow is closed: a gap is never silent.
    pub fn broadcast(&mut self, number: u16, text: &str, except: Option<Key<Session>>) -> usize {
        let Some(endpoint) = self.endpoints.get(usize::from(number)) else { return 0 };
        let mut next = endpoint.roster.first(&self.sessions);
        let (mut json, mut frame): (Option<Shared>, Option<Shared>) = (None, None);
        let mut reached = 0;
        while let Some(key) = next {
            next = self.endpoints.get(usize::from(number)).and_then(|it| it.roster.next(&self.sessions, key));
            if Some(key) == except {
                continue;
            }
            match self.check_room(key, text.len()) {
                Ok(Some(receiver)) => {
                    let frame = frame.get_or_insert_with(|| {
                        encode(text, |out| {
                            write_header(out, Opcode::Text, text.len());
                            out.extend_from_slice(text.as_bytes());
                        })
                    });
                    let Some(connection) = self.connections.get_mut(receiver) else { continue };
                    connection.outbox.push_shared(frame, &mut self.memory);
                    self.mark_dirty(receiver);
                }
                Ok(None) => {
                    let json = json.get_or_insert_with(|| encode(text, |out| write_string(out, text)));
                    let Some(session) = self.sessions.get_mut(key) else { continue };
                    if !session.queue.is_empty() {
                        session.queue.write(&mut self.memory, |queue| queue.push(b','));
                    }
                    session.queue.push_shared(json, &mut self.memory);
                    self.unflushed.push_back(&mut self.sessions, key);
                }
                Err(_) => {
                    let close = Close::new(close::TRY_AGAIN_LATER, "Send queue full", Cause::Overflow);
                    self.close_session(key, close);
                    continue;
                }
            }
            reached += 1;
        }
        self.counters.messages_out += reached as u64;
        reached
    }

    /// The open sessions of an endpoint, oldest first.
    pub fn open_sessions(&self, number: u16) -> impl Iterator<Item = Key<Session>> {
        let roster = self.endpoints.get(usize::from(number)).map(|endpoint| &endpoint.roster);
        let first = roster.and_then(|roster| roster.first(&self.sessions));
        std::iter::successors(first, move |key| roster?.next(&self.sessions, *key))
    }

    /// How many sessions of an endpoint are open.
    pub fn open_count(&self, number: u16) -> usize {
        self.endpoints.get(usize::from(number)).map_or(0, |endpoint| endpoint.roster.len())
    }

    /// If somebody was told `Full`, and nothing waits any more: they are told, once.
    pub(super) fn settle_drain(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.owes_drain || !session.queue.is_empty() {
            return;
        }
        let receiver = session.receiver.and_then(|receiver| self.connections.get(receiver));
        if receiver.is_none_or(|it| it.flow == Flow::Open && it.outbox.is_empty()) {
            session.owes_drain = false;
            self.notices.push_back(Notice::Drained(key));
        }
    }
}

fn encode(text: &str, write: impl FnOnce(&mut Vec<u8>)) -> Shared {
    let mut bytes = Vec::with_capacity(text.len() + 16);
    write(&mut bytes);
    Shared::from(bytes)
}
