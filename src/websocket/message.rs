//! Messages (RFC 6455 §5.4–5.6). The bytes of a connection go in, cut anywhere; messages, pings, pongs and
//! closes come out, or the first rule that was broken, and the same ones however the bytes were cut.
//!
//! A message that lies whole in the input is unmasked and delivered where it lies. Any other is put together
//! in a buffer that grows with what has arrived, never with what was announced, and never beyond the limit. A
//! decoder without a message under way holds no memory, and none ever answers: pongs and closes are the
//! caller's to send.

use super::WebSocketError;
use super::close::CloseFrame;
use super::frame::{FrameHeader, Opcode};
use super::mask::unmask;
use super::utf8::Utf8;
use std::{mem, str};

#[cfg(test)]
mod tests;

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing yet.
    NeedMore,
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong,
    /// The client closes, with a code and a reason or without. It is the last event.
    Close(Option<CloseFrame<'a>>),
}

/// One connection's decoder.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// What arrived of the message under way; empty if there is none, or if it lies whole in the input.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// A frame's header comes next; that of a message under way, if there is one.
    Header(Option<Kind>),
    /// The rest of a data frame's payload comes next.
    Payload(Payload),
    /// The buffer holds a message that was delivered: the caller is done with it when it calls again.
    Delivered,
    /// Nothing comes next: a close frame was delivered, or an error.
    Closed,
}

/// The kind of a message, with what must be known of a text to check the rest of it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text(Utf8),
    Binary,
}

/// What is still to come of a frame.
#[derive(Debug)]
struct Payload {
    remaining: usize,
    mask: [u8; 4],
    /// Where the next byte stands in the payload, modulo 256: all that the mask needs.
    offset: u8,
    kind: Kind,
    /// The message ends with this frame.
    fin: bool,
}

impl Decoder {
    /// A decoder for the bytes behind a handshake.
    pub fn new() -> Self {
        Self { state: State::Header(None), buffer: Vec::new() }
    }

    /// Takes the next event off the front of `input`, which is unmasked in place, and says how many bytes
    /// that took. The caller drops those and calls again until the event is [`NeedMore`](Event::NeedMore).
    ///
    /// What is then left is an incomplete header or an incomplete control frame: at most 130 bytes,
    /// untouched, to be passed again with more behind them. A message of more than `limit` bytes is refused
    /// by the header that announces it. After a close or an error, all input is taken and nothing comes of
    /// it.
    pub fn decode<'a>(
        &'a mut self,
        input: &'a mut [u8],
        limit: usize,
    ) -> Result<(usize, Event<'a>), WebSocketError> {
        let total = input.len();
        let mut rest = input;
        let event = loop {
            // Who does not put a state back, because of an error, leaves the decoder closed.
            match mem::replace(&mut self.state, State::Closed) {
                State::Header(message) => {
                    if let Some(event) = self.read_frame(&mut rest, message, limit)? {
                        break event;
                    }
                }
                State::Payload(mut payload) => {
                    let chunk = payload.read(&mut rest)?;
                    self.append(chunk, limit);
                    if payload.remaining > 0 {
                        self.state = State::Payload(payload);
                        break Event::NeedMore;
                    }
                    if payload.fin {
                        let event = data_event(payload.kind, &self.buffer)?;
                        self.state = State::Delivered;
                        break event;
                    }
                    self.state = State::Header(Some(payload.kind));
                }
                State::Delivered => {
                    self.buffer = Vec::new();
                    self.state = State::Header(None);
                }
                State::Closed => {
                    rest = &mut [];
                    break Event::NeedMore;
                }
            }
        };
        Ok((total - rest.len(), event))
    }

    /// Bytes of memory that the decoder holds.
    pub fn buffered(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives the decoder an allocation for the next message that has to be put together, unless it has one.
    /// With [`reclaim`](Self::reclaim) after each event, one allocation serves all the connections of a loop.
    pub fn lend(&mut self, mut spare: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            spare.clear();
            self.buffer = spare;
        }
    }

    /// Takes the allocation back, empty, if there is one and no message is under way in it.
    pub fn reclaim(&mut self) -> Option<Vec<u8>> {
        match self.state {
            State::Delivered => self.state = State::Header(None),
            State::Header(None) | State::Closed => {}
            State::Header(Some(_)) | State::Payload(_) => return None,
        }
        let mut spare = mem::take(&mut self.buffer);
        spare.clear();
        (spare.capacity() > 0).then_some(spare)
    }

    /// Reads a frame's header, and the payload too if it needs no putting together. `None` leaves it to the
    /// new state to go on.
    #[inline]
    fn read_frame<'a>(
        &mut self,
        rest: &mut &'a mut [u8],
        message: Option<Kind>,
        limit: usize,
    ) -> Result<Option<Event<'a>>, WebSocketError> {
        let Some((header, header_length)) = FrameHeader::parse(rest)? else {
            self.state = State::Header(message);
            return Ok(Some(Event::NeedMore));
        };
        if header.opcode.is_control() {
            let Some(bytes) = take_whole(rest, &header, header_length) else {
                self.state = State::Header(message);
                return Ok(Some(Event::NeedMore));
            };
            let event = control_event(header.opcode, bytes)?;
            if header.opcode != Opcode::Close {
                self.state = State::Header(message);
            }
            return Ok(Some(event));
        }
        let payload = self.begin(&header, message, limit)?;
        if header.fin
            && message.is_none()
            && let Some(bytes) = take_whole(rest, &header, header_length)
        {
            let event = data_event(payload.kind, bytes)?;
            self.state = State::Header(None);
            return Ok(Some(event));
        }
        let _header = rest.split_off_mut(..header_length);
        self.state = State::Payload(payload);
        Ok(None)
    }

    /// Judges a data frame by what came before it (RFC 6455 §5.4) and by its length.
    #[inline]
    fn begin(
        &self,
        header: &FrameHeader,
        message: Option<Kind>,
        limit: usize,
    ) -> Result<Payload, WebSocketError> {
        let kind = match (message, header.opcode) {
            (Some(kind), Opcode::Continuation) => kind,
            (Some(_), _) => return Err(WebSocketError::InterruptedMessage),
            (None, Opcode::Text) => Kind::Text(Utf8::default()),
            (None, Opcode::Binary) => Kind::Binary,
            (None, _) => return Err(WebSocketError::UnexpectedContinuation),
        };
        let remaining = usize::try_from(header.length)
            .ok()
            .filter(|length| length.checked_add(self.buffer.len()).is_some_and(|sum| sum <= limit))
            .ok_or(WebSocketError::TooBig)?;
        Ok(Payload { remaining, mask: header.mask, offset: 0, kind, fin: header.fin })
    }

    /// Grows by doubling, but not beyond the limit.
    fn append(&mut self, chunk: &[u8], limit: usize) {
        let needed = self.buffer.len().saturating_add(chunk.len());
        if needed > self.buffer.capacity() {
            let doubled = self.buffer.capacity().saturating_mul(2).min(limit);
            self.buffer.reserve_exact(needed.max(doubled) - self.buffer.len());
        }
        self.buffer.extend_from_slice(chunk);
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Payload {
    /// Takes what has come of the payload, unmasks it and checks text for bytes that can be none.
    fn read<'a>(&mut self, rest: &mut &'a mut [u8]) -> Result<&'a [u8], WebSocketError> {
        let arrived = self.remaining.min(rest.len());
        let chunk = rest.split_off_mut(..arrived).unwrap_or_default();
        unmask(chunk, self.mask, usize::from(self.offset));
        if let Kind::Text(utf8) = &mut self.kind {
            utf8.feed(chunk)?;
        }
        self.offset = self.offset.wrapping_add(arrived as u8);
        self.remaining -= arrived;
        Ok(chunk)
    }
}

/// The payload of the frame at the front of `rest`, unmasked, if all of it is there; `rest` then begins
/// behind it.
#[inline]
fn take_whole<'a>(rest: &mut &'a mut [u8], header: &FrameHeader, header_length: usize) -> Option<&'a [u8]> {
    let length = usize::try_from(header.length).ok()?.checked_add(header_length)?;
    let payload = rest.split_off_mut(..length)?.get_mut(header_length..)?;
    unmask(payload, header.mask, 0);
    Some(payload)
}

/// A whole message. A text put together was checked as it came; this looks again, since only a look makes
/// bytes a `str`.
#[inline]
fn data_event(kind: Kind, bytes: &[u8]) -> Result<Event<'_>, WebSocketError> {
    match kind {
        Kind::Text(utf8) => {
            utf8.finish()?;
            str::from_utf8(bytes).map(Event::Text).map_err(|_| WebSocketError::InvalidUtf8)
        }
        Kind::Binary => Ok(Event::Binary(bytes)),
    }
}

/// A whole control frame: a pong if it is neither of the others.
fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, WebSocketError> {
    Ok(match opcode {
        Opcode::Close => Event::Close(CloseFrame::parse(payload)?),
        Opcode::Ping => Event::Ping(payload),
        _ => Event::Pong,
    })
}
