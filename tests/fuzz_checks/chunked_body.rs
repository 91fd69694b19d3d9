//! Request bodies (RFC 9112 §6, §7.1): cut anywhere they decode to the same bytes and end at the same place, or fail
//! with the same error; nothing grows; and what our own chunk writer wrote is read back.

use sockjs_server::http::{BodyDecoder, Framing, HttpError, LAST_CHUNK, write_chunk};

use super::{Input, cuttings};

#[derive(Debug, PartialEq)]
struct Outcome {
    body: Vec<u8>,
    consumed: usize,
    complete: bool,
}

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, seed) = (input.byte(), input.byte());
    let limit = if kind & 8 == 0 { 64 } else { 1 << 16 };
    match kind & 3 {
        0 | 1 => {
            // Most are malformed; that they are so in the same way however they are cut is the check.
            let _ = same_for_any_cut(Framing::Chunked, limit, input.rest(), seed);
        }
        2 => {
            let length = u64::from(input.byte());
            let bytes = input.rest();
            match same_for_any_cut(Framing::Length(length), limit, bytes, seed) {
                Ok(outcome) => {
                    let whole = bytes.len() as u64 >= length;
                    assert_eq!(outcome.complete, whole);
                    assert_eq!(outcome.body, bytes[..bytes.len().min(length as usize)]);
                    assert_eq!(outcome.consumed, outcome.body.len());
                }
                Err(error) => assert!(error == HttpError::BodyTooLarge && length > limit as u64),
            }
        }
        _ => round_trip(input, seed),
    }
}

/// What our writer writes, our reader reads.
fn round_trip(mut input: Input<'_>, seed: u8) {
    let (mut wire, mut body) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let part = input.short();
        // A chunk without data would be the last one.
        if !part.is_empty() {
            write_chunk(&mut wire, &[part]);
            body.extend_from_slice(part);
        }
    }
    wire.extend_from_slice(LAST_CHUNK);
    let consumed = wire.len();
    wire.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let limit = body.len();
    let outcome = same_for_any_cut(Framing::Chunked, limit, &wire, seed);
    assert_eq!(outcome, Ok(Outcome { body, consumed, complete: true }));
}

fn same_for_any_cut(framing: Framing, limit: usize, bytes: &[u8], seed: u8) -> Result<Outcome, HttpError> {
    let [whole, cut @ ..] = cuttings(bytes.len(), seed).map(|ends| decode(framing, limit, bytes, &ends));
    for outcome in cut {
        assert_eq!(outcome, whole, "the same body, cut elsewhere");
    }
    whole
}

/// Decodes as the engine does: one buffer, the decoded bytes at its front, the new ones behind them.
fn decode(framing: Framing, limit: usize, bytes: &[u8], ends: &[usize]) -> Result<Outcome, HttpError> {
    let mut decoder = BodyDecoder::new(framing, limit)?;
    let mut buffer = Vec::new();
    let (mut decoded, mut consumed, mut start) = (0, 0, 0);
    for &end in ends {
        buffer.extend_from_slice(&bytes[start..end]);
        start = end;
        let progress = decoder.decode(&mut buffer, decoded)?;
        assert!(progress.length >= decoded && progress.length <= decoded + progress.consumed);
        assert!(progress.length <= limit, "never more than the limit");
        consumed += progress.consumed;
        decoded = progress.length;
        if progress.complete {
            assert_eq!(
                &buffer[buffer.len() - (end - consumed)..],
                &bytes[consumed..end],
                "left as they were"
            );
            buffer.truncate(decoded);
            return Ok(Outcome { body: buffer, consumed, complete: true });
        }
        assert_eq!(consumed, end, "all of it is used before the end");
        buffer.truncate(decoded);
    }
    let complete = decoder.decode(&mut buffer, decoded)?.complete;
    Ok(Outcome { body: buffer, consumed, complete })
}
