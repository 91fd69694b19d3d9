//! Decodes a request body in place.
//!
//! In goes a buffer with what was decoded before and the raw bytes that arrived since; out comes how much of
//! it is body now, and whether that was all. Bytes behind the body are left where they are. A size that a
//! client declares is compared with the limit and allocates nothing.

use super::chunk::{Step, Syntax};
use super::{Framing, HttpError};

/// Most bytes of padding, extensions and trailers that one chunked body may carry: enough for any honest use,
/// and it keeps the bytes read for a body within a small multiple of the body's limit.
const OVERHEAD_LIMIT: u16 = 8 * 1024;

/// Decodes the body of one request.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// How many bytes the chunks to come may add to the body.
    room: usize,
    /// How many bytes of padding, extensions and trailers are still bearable.
    overhead: u16,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before this many bytes, the last of a body whose length was declared. Never none.
    Content(usize),
    /// Before this many bytes, the rest of a chunk. Never none.
    Data(usize),
    /// Between the data of chunks.
    Between(Syntax),
    Complete,
}

// Every connection that waits for a body holds one.
const _: () = assert!(size_of::<BodyDecoder>() <= 40);

/// What one call of [`BodyDecoder::decode`] achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes at the buffer's start that are decoded body, those of earlier calls included.
    pub length: usize,
    /// New raw bytes that were used; all of them unless the body is complete.
    pub consumed: usize,
    /// Whether the body has ended.
    pub complete: bool,
}

impl BodyDecoder {
    /// A decoder for a body of at most `limit` decoded bytes.
    ///
    /// # Errors
    ///
    /// A declared length beyond `limit` is refused at once.
    pub fn new(framing: Framing, limit: usize) -> Result<Self, HttpError> {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Complete,
            Framing::Length(length) => State::Content(within(length, limit)?),
            Framing::Chunked => State::Between(Syntax::START),
        };
        Ok(BodyDecoder { state, room: limit, overhead: OVERHEAD_LIMIT })
    }

    /// Decodes in place what can be decoded.
    ///
    /// `body[..decoded]` is the body as earlier calls left it, `body[decoded..]` are new raw bytes.
    /// Afterwards `body[..length]` is decoded, and the unused raw bytes (there are some only behind a
    /// complete body) start at `decoded + consumed`. A complete decoder may be asked again and uses nothing.
    ///
    /// # Errors
    ///
    /// A malformed or oversized body; the buffer's content is then of no use, nor is the decoder.
    pub fn decode(&mut self, body: &mut [u8], decoded: usize) -> Result<Progress, HttpError> {
        let mut length = decoded;
        let mut read = decoded;
        // The rest is never empty in the loop, so each round uses a byte at least.
        while let Some(rest @ [byte, ..]) = body.get(read..) {
            match self.state {
                State::Content(remaining) | State::Data(remaining) => {
                    let count = remaining.min(rest.len());
                    if read != length {
                        // In range: read + count is within the buffer, and length never overtakes read.
                        body.copy_within(read..read + count, length);
                    }
                    read += count;
                    length += count;
                    self.state = self.state.after_data(remaining - count);
                }
                State::Between(syntax) => {
                    if syntax.is_overhead(*byte) {
                        self.overhead = self.overhead.checked_sub(1).ok_or(HttpError::ChunkOverhead)?;
                    }
                    read += 1;
                    self.state = match syntax.step(*byte)? {
                        Step::Syntax(syntax) => State::Between(syntax),
                        Step::Data(size) => {
                            let size = within(size, self.room)?;
                            self.room -= size;
                            State::Data(size)
                        }
                        Step::End => State::Complete,
                    };
                }
                State::Complete => break,
            }
        }
        let complete = matches!(self.state, State::Complete);
        Ok(Progress { length, consumed: read - decoded, complete })
    }
}

impl State {
    /// The state once only `remaining` bytes of the data are to come.
    fn after_data(self, remaining: usize) -> Self {
        match self {
            State::Content(_) if remaining > 0 => State::Content(remaining),
            State::Data(_) if remaining > 0 => State::Data(remaining),
            State::Data(_) => State::Between(Syntax::DataCr),
            _ => State::Complete,
        }
    }
}

/// `length` as a length in memory, if it is at most `limit`.
fn within(length: u64, limit: usize) -> Result<usize, HttpError> {
    usize::try_from(length).ok().filter(|&length| length <= limit).ok_or(HttpError::BodyTooLarge)
}

#[cfg(test)]
mod tests;
