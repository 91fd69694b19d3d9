//! A message of the application on its way to one client, lent or given away; and the frames of raw WebSockets.

use std::borrow::Cow;

use super::Message;
use super::byte_queue::{ByteQueue, is_worth_moving, memory_of};
use super::pool::Pool;
use crate::websocket::frame::{Opcode, header_length, write_header};

/// A message for one client. It is copied, unless it is long, given away, and leaves as it is.
#[derive(Debug)]
pub enum Outgoing<'m> {
    /// Text.
    Text(Cow<'m, str>),
    /// Binary: for a raw WebSocket alone.
    Binary(Cow<'m, [u8]>),
}

impl<'m> Outgoing<'m> {
    pub(super) fn as_message(&self) -> Message<'_> {
        match self {
            Outgoing::Text(text) => Message::Text(text),
            Outgoing::Binary(bytes) => Message::Binary(bytes),
        }
    }

    /// Bytes of memory that come with it, if they may be kept.
    pub(super) fn memory(&self) -> usize {
        match self {
            Outgoing::Text(Cow::Owned(text)) => memory_of(text.len(), text.capacity()),
            Outgoing::Binary(Cow::Owned(bytes)) => memory_of(bytes.len(), bytes.capacity()),
            Outgoing::Text(Cow::Borrowed(_)) | Outgoing::Binary(Cow::Borrowed(_)) => 0,
        }
    }

    /// Queues it as a frame of a raw WebSocket.
    pub(super) fn queue_frame(self, outbox: &mut ByteQueue, pool: &mut Pool) {
        let (opcode, payload) = self.into_payload();
        match payload {
            Cow::Owned(bytes) if is_worth_moving(bytes.len(), bytes.capacity()) => {
                outbox.write(pool, |out| write_header(out, opcode, bytes.len()));
                outbox.push_owned(bytes, pool);
            }
            payload => {
                let length = frame_length(&payload);
                outbox.write_long(length, pool, |out| write_frame(out, opcode, &payload));
            }
        }
    }

    fn into_payload(self) -> (Opcode, Cow<'m, [u8]>) {
        match self {
            Outgoing::Text(Cow::Borrowed(text)) => (Opcode::Text, Cow::Borrowed(text.as_bytes())),
            Outgoing::Text(Cow::Owned(text)) => (Opcode::Text, Cow::Owned(text.into_bytes())),
            Outgoing::Binary(bytes) => (Opcode::Binary, bytes),
        }
    }
}

pub(super) fn payload_of(message: Message<'_>) -> &[u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
    }
}

/// A frame for many raw WebSockets.
pub(super) fn raw_frame(message: Message<'_>) -> Vec<u8> {
    let opcode = match message {
        Message::Text(_) => Opcode::Text,
        Message::Binary(_) => Opcode::Binary,
    };
    let payload = payload_of(message);
    let mut bytes = Vec::with_capacity(frame_length(payload));
    write_frame(&mut bytes, opcode, payload);
    bytes
}

fn frame_length(payload: &[u8]) -> usize {
    header_length(payload.len()) + payload.len()
}

fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    write_header(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(message: Outgoing<'_>) -> (ByteQueue, Vec<u8>) {
        let mut outbox = ByteQueue::default();
        message.queue_frame(&mut outbox, &mut Pool::default());
        let bytes = outbox.slices().collect::<Vec<_>>().concat();
        (outbox, bytes)
    }

    #[test]
    fn a_frame_is_the_same_whether_its_payload_is_lent_or_given_away() {
        for length in [0, 1, 125, 126, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x10000, 0x20000] {
            let text = "x".repeat(length);
            let frame = raw_frame(Message::Text(&text));
            assert_eq!(queued(Outgoing::Text(Cow::Borrowed(&text))).1, frame, "{length}");
            assert_eq!(queued(Outgoing::Text(Cow::Owned(text.clone()))).1, frame, "{length}");
            let bytes = text.as_bytes();
            let frame = raw_frame(Message::Binary(bytes));
            assert_eq!(queued(Outgoing::Binary(Cow::Borrowed(bytes))).1, frame, "{length}");
            assert_eq!(queued(Outgoing::Binary(Cow::Owned(bytes.to_vec()))).1, frame, "{length}");
        }
    }

    #[test]
    fn a_long_payload_that_is_given_away_is_not_copied() {
        let text = "x".repeat(100_000);
        let address = text.as_ptr();
        let (outbox, _) = queued(Outgoing::Text(Cow::Owned(text)));
        assert!(outbox.slices().any(|slice| slice.as_ptr() == address), "it lies where it lay");
    }

    #[test]
    fn memory_that_is_mostly_unused_is_not_kept_with_its_payload() {
        for (unused, is_kept) in [(20_000, true), (30_000, false)] {
            let mut bytes = Vec::with_capacity(100_000 + unused);
            bytes.resize(100_000, b'x');
            let address = bytes.as_ptr();
            let message = Outgoing::Binary(Cow::Owned(bytes));
            let memory = message.memory();
            let (outbox, _) = queued(message);
            assert_eq!(outbox.slices().any(|slice| slice.as_ptr() == address), is_kept, "{unused}");
            assert_eq!(memory, if is_kept { 100_000 + unused } else { 100_000 });
        }
    }
}
