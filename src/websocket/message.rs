//! Messages (RFC 6455 §5.4–5.6). The bytes of a connection go in, cut anywhere; messages, pings, pongs and
//! closes come out, or the first rule that was broken, and the same ones however the bytes were cut.
//!
//! A message that lies whole in the input is unmasked and delivered where it lies. Any other is put together
//! in memory that grows with what has arrived, never with what was announced, and never beyond the limit. A
//! decoder without a message under way holds no memory, and none ever answers: pongs and closes are the
//! caller's to send.

use super::WebSocketError;
use super::close::CloseFrame;
use super::frame::{CONTROL_LIMIT, FrameHeader, Opcode};
use super::mask::unmask;
use super::utf8::Text;
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

/// One connection's decoder. Between messages it is two words and owns no memory.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// A frame's header comes next; that of a message under way, if there is one.
    Header(Option<Box<Assembly>>),
    /// The rest of a data frame's payload comes next.
    Payload(Box<Assembly>),
    /// A message was put together and delivered: the caller is done with it when it calls again.
    Delivered(Box<Assembly>),
    /// Nothing comes next: a close frame was delivered, or an error.
    Closed,
}

/// A message under way that does not lie whole in the input: what of it is there, and where its frame stands.
///
/// One of them, passed from decoder to decoder, serves all the connections of a loop.
#[derive(Debug, Default)]
pub struct Assembly {
    content: Content,
    /// Bytes of the frame's payload that are still to come.
    remaining: usize,
    /// As the next byte needs it.
    mask: [u8; 4],
    /// The message ends with this frame.
    fin: bool,
}

#[derive(Debug)]
enum Content {
    Text(Text),
    Binary(Vec<u8>),
}

/// The most bytes that are left in the input for want of more: those of the largest control frame but one.
pub const INCOMPLETE: usize = 2 + 4 + CONTROL_LIMIT - 1;

/// Bytes that are unmasked, checked and copied before the next ones: they stay in the processor's nearest cache
/// meanwhile. A multiple of the mask's length.
const BLOCK: usize = 16 << 10;

impl Decoder {
    /// A decoder for the bytes behind a handshake.
    pub fn new() -> Self {
        Self { state: State::Header(None) }
    }

    /// Takes the next event off the front of `input`, which is unmasked in place, and says how many bytes
    /// that took. The caller drops those and calls again until the event is [`NeedMore`](Event::NeedMore).
    ///
    /// What is then left is an incomplete header or an incomplete control frame: at most [`INCOMPLETE`] bytes,
    /// untouched, to be passed again with more behind them. A message of more than `limit` bytes is refused
    /// by the header that announces it. After a close or an error, all input is taken and nothing comes of
    /// it.
    ///
    /// A message that has to be put together takes the `spare` memory if there is some; it is given back by
    /// [`reclaim`](Self::reclaim), or by the next call.
    pub fn decode<'a>(
        &'a mut self,
        input: &'a mut [u8],
        limit: usize,
        spare: &mut Option<Box<Assembly>>,
    ) -> Result<(usize, Event<'a>), WebSocketError> {
        let total = input.len();
        let mut rest = input;
        let event = loop {
            // A branch that does not put a state back, because of an error, leaves the decoder closed.
            match mem::replace(&mut self.state, State::Closed) {
                State::Header(message) => {
                    if let Some(event) = self.read_frame(&mut rest, message, limit, spare)? {
                        break Some(event);
                    }
                }
                State::Payload(mut assembly) => {
                    assembly.read(&mut rest, limit)?;
                    if assembly.remaining > 0 {
                        self.state = State::Payload(assembly);
                        break Some(Event::NeedMore);
                    }
                    if assembly.fin {
                        assembly.content.finish()?;
                        self.state = State::Delivered(assembly);
                        break None;
                    }
                    self.state = State::Header(Some(assembly));
                }
                State::Delivered(assembly) => {
                    *spare = Some(assembly);
                    self.state = State::Header(None);
                }
                State::Closed => {
                    rest = &mut [];
                    break Some(Event::NeedMore);
                }
            }
        };
        let used = total - rest.len();
        match (event, &self.state) {
            (Some(event), _) => Ok((used, event)),
            (None, State::Delivered(assembly)) => Ok((used, assembly.content.finish()?)),
            (None, _) => Ok((used, Event::NeedMore)),
        }
    }

    /// Bytes of a data frame's payload that are still to come.
    pub fn remaining(&self) -> u64 {
        match &self.state {
            State::Payload(assembly) => assembly.remaining as u64,
            State::Header(_) | State::Delivered(_) | State::Closed => 0,
        }
    }

    /// Bytes of memory in which a message is put together.
    pub fn buffered(&self) -> usize {
        match &self.state {
            State::Header(Some(assembly)) | State::Payload(assembly) | State::Delivered(assembly) => {
                assembly.capacity()
            }
            State::Header(None) | State::Closed => 0,
        }
    }

    /// Gives back the memory of a message that was delivered, for the next one that has to be put together; more than
    /// `keep` bytes go back to the allocator.
    pub fn reclaim(&mut self, spare: &mut Option<Box<Assembly>>, keep: usize) {
        if let State::Delivered(_) = self.state
            && let State::Delivered(assembly) = mem::replace(&mut self.state, State::Header(None))
        {
            *spare = Some(assembly).filter(|assembly| assembly.capacity() <= keep);
        }
    }

    /// Reads a frame's header, and the payload too if it needs no putting together. `None` leaves it to the
    /// new state to go on.
    #[inline]
    fn read_frame<'a>(
        &mut self,
        rest: &mut &'a mut [u8],
        message: Option<Box<Assembly>>,
        limit: usize,
        spare: &mut Option<Box<Assembly>>,
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
        let remaining = judge(&header, message.as_deref(), limit)?;
        if header.fin
            && message.is_none()
            && let Some(bytes) = take_whole(rest, &header, header_length)
        {
            let event = match header.opcode {
                Opcode::Text => Event::Text(str::from_utf8(bytes).map_err(|_| WebSocketError::InvalidUtf8)?),
                _ => Event::Binary(bytes),
            };
            self.state = State::Header(None);
            return Ok(Some(event));
        }
        let _header = rest.split_off_mut(..header_length);
        let mut assembly = message.unwrap_or_else(|| Assembly::new(header.opcode, spare.take()));
        (assembly.remaining, assembly.mask, assembly.fin) = (remaining, header.mask, header.fin);
        self.state = State::Payload(assembly);
        Ok(None)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembly {
    /// An empty one, in memory that served another message.
    fn new(opcode: Opcode, spare: Option<Box<Self>>) -> Box<Self> {
        let mut assembly = spare.unwrap_or_default();
        let mut memory = match mem::take(&mut assembly.content) {
            Content::Text(text) => text.into_memory(),
            Content::Binary(bytes) => bytes,
        };
        assembly.content = match opcode {
            Opcode::Text => Content::Text(Text::within(memory)),
            _ => {
                memory.clear();
                Content::Binary(memory)
            }
        };
        assembly
    }

    /// Bytes of memory that it holds for the message.
    pub fn capacity(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) => bytes.capacity(),
        }
    }

    fn len(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Binary(bytes) => bytes.len(),
        }
    }

    /// Takes what has come of the frame's payload, unmasked; a text must be one so far.
    fn read(&mut self, rest: &mut &mut [u8], limit: usize) -> Result<(), WebSocketError> {
        let arrived = self.remaining.min(rest.len());
        let chunk = rest.split_off_mut(..arrived).unwrap_or_default();
        self.reserve(arrived, limit);
        for block in chunk.chunks_mut(BLOCK) {
            unmask(block, self.mask);
            match &mut self.content {
                Content::Text(text) => text.push(block)?,
                Content::Binary(bytes) => bytes.extend_from_slice(block),
            }
        }
        self.mask.rotate_left(arrived % 4);
        self.remaining -= arrived;
        Ok(())
    }

    /// Makes room for so many bytes more: memory doubles, but not beyond the limit.
    fn reserve(&mut self, additional: usize, limit: usize) {
        let (length, capacity) = (self.len(), self.capacity());
        let needed = length.saturating_add(additional);
        if needed > capacity {
            let additional = needed.max(capacity.saturating_mul(2).min(limit)) - length;
            match &mut self.content {
                Content::Text(text) => text.reserve_exact(additional),
                Content::Binary(bytes) => bytes.reserve_exact(additional),
            }
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Content::Binary(Vec::new())
    }
}

impl Content {
    /// The message, if it may end here.
    fn finish(&self) -> Result<Event<'_>, WebSocketError> {
        match self {
            Content::Text(text) => text.finish().map(Event::Text),
            Content::Binary(bytes) => Ok(Event::Binary(bytes)),
        }
    }
}

/// Judges a data frame by what came before it (RFC 6455 §5.4) and by its length, which is returned.
#[inline]
fn judge(header: &FrameHeader, message: Option<&Assembly>, limit: usize) -> Result<usize, WebSocketError> {
    match (message, header.opcode) {
        (Some(_), Opcode::Continuation) | (None, Opcode::Text | Opcode::Binary) => {}
        (Some(_), _) => return Err(WebSocketError::InterruptedMessage),
        (None, _) => return Err(WebSocketError::UnexpectedContinuation),
    }
    let before = message.map_or(0, Assembly::len);
    usize::try_from(header.length)
        .ok()
        .filter(|length| length.checked_add(before).is_some_and(|sum| sum <= limit))
        .ok_or(WebSocketError::TooBig)
}

/// The payload of the frame at the front of `rest`, unmasked, if all of it is there; `rest` then begins
/// behind it.
#[inline]
fn take_whole<'a>(rest: &mut &'a mut [u8], header: &FrameHeader, header_length: usize) -> Option<&'a [u8]> {
    let length = usize::try_from(header.length).ok()?.checked_add(header_length)?;
    let payload = rest.split_off_mut(..length)?.get_mut(header_length..)?;
    unmask(payload, header.mask);
    Some(payload)
}

/// A whole control frame: a pong if it is neither of the others.
fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, WebSocketError> {
    Ok(match opcode {
        Opcode::Close => Event::Close(CloseFrame::parse(payload)?),
        Opcode::Ping => Event::Ping(payload),
        _ => Event::Pong,
    })
}
