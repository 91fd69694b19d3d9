//! WebSocket frames and messages (RFC 6455 §5): cut anywhere the same bytes bring the same events and the same error,
//! and the decoder never holds more than it was given, or than the limit.

use sockjs_server::websocket::WebSocketError;
use sockjs_server::websocket::frame::{FrameHeader, Opcode, header_length, write_header};
use sockjs_server::websocket::message::{Decoder, Event};

use super::{Input, cuttings};

/// An event that outlives its bytes.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<(u16, String)>),
    Failed(WebSocketError),
}

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, seed) = (input.byte(), input.byte());
    let limit = [16, 300, 70_000, 1 << 20][usize::from(kind >> 6)];
    let (bytes, is_doomed) = if kind & 1 == 0 { (input.rest().to_vec(), false) } else { frames(input) };
    check_header(&bytes);
    let [whole, cut @ ..] = cuttings(bytes.len(), seed).map(|ends| decode(&bytes, &ends, limit));
    for events in cut {
        assert_eq!(events, whole, "the same bytes, cut elsewhere");
    }
    let has_ended = matches!(whole.last(), Some(Seen::Failed(_) | Seen::Close(_)));
    assert!(has_ended || !is_doomed, "a bad byte fails the connection before its message is complete");
}

/// Structured input: frames whose masks and lengths are right, in any order and with any flags. `true`: a text among
/// them, whole or not, can never become UTF-8.
fn frames(mut input: Input<'_>) -> (Vec<u8>, bool) {
    let mut wire = Vec::new();
    let (mut text, mut is_doomed) = (None, false);
    while !input.is_empty() && wire.len() < 1 << 17 {
        let first = input.byte();
        let (payload, times) = (input.short(), usize::from(input.byte()));
        // Long payloads need not be long in the input.
        let payload = if first & 0x10 == 0 { payload.to_vec() } else { payload.repeat(1 + times) };
        append_frame(&mut wire, first & !0x10, [first, 0xA5, times as u8, 0x5A], &payload);
        match first & 0x0f {
            0 => {}
            1 => text = Some(Vec::new()),
            2 => text = None,
            _ => continue,
        }
        if let Some(text) = &mut text {
            text.extend_from_slice(&payload);
            is_doomed |= std::str::from_utf8(text).is_err_and(|error| error.error_len().is_some());
        }
    }
    (wire, is_doomed)
}

/// A client's frame: this first byte, the shortest length, masked.
pub fn append_frame(wire: &mut Vec<u8>, first: u8, mask: [u8; 4], payload: &[u8]) {
    let start = wire.len();
    write_header(wire, Opcode::Text, payload.len());
    assert_eq!(wire.len() - start, header_length(payload.len()));
    wire[start] = first;
    wire[start + 1] |= 0x80;
    wire.extend_from_slice(&mask);
    wire.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A header is known from as many bytes as it has, or refused with the first byte that is wrong; what follows never
/// changes it.
fn check_header(bytes: &[u8]) {
    let known = (0..=bytes.len().min(14)).map(|end| FrameHeader::parse(&bytes[..end]));
    let known: Vec<_> = known.skip_while(|known| *known == Ok(None)).collect();
    for later in &known {
        assert_eq!(Some(later), known.first());
    }
    if let Some(Ok(Some((header, length)))) = known.first() {
        let mut again = Vec::new();
        write_header(&mut again, header.opcode, header.length as usize);
        assert_eq!(again.len() + 4, *length, "only the shortest length is let through");
        assert!(!header.opcode.is_control() || (header.fin && header.length <= 125));
    }
}

/// Feeds the decoder as the engine does: what it leaves is kept, untouched, and comes again with more behind it.
fn decode(bytes: &[u8], ends: &[usize], limit: usize) -> Vec<Seen> {
    let (mut decoder, mut spare) = (Decoder::new(), None);
    let mut events = Vec::new();
    let mut inbox = Vec::new();
    let mut start = 0;
    for &end in ends {
        inbox.extend_from_slice(&bytes[start..end]);
        start = end;
        loop {
            let (used, seen) = match decoder.decode(&mut inbox, limit, &mut spare) {
                Ok((used, event)) => (used, see(event)),
                Err(error) => {
                    events.push(Seen::Failed(error));
                    let all = inbox.len();
                    assert_eq!(decoder.decode(&mut inbox, limit, &mut spare), Ok((all, Event::NeedMore)));
                    return events;
                }
            };
            inbox.drain(..used);
            assert!(decoder.buffered() <= limit.min(2 * end), "{} of {end}", decoder.buffered());
            match seen {
                Some(Seen::Close(_)) => {
                    events.extend(seen);
                    return events;
                }
                Some(_) => events.extend(seen),
                None if used == 0 => break,
                None => {}
            }
        }
        assert!(inbox.len() <= 130, "{} bytes are no part of a message", inbox.len());
    }
    events
}

fn see(event: Event<'_>) -> Option<Seen> {
    Some(match event {
        Event::NeedMore => return None,
        Event::Text(text) => Seen::Text(text.to_owned()),
        Event::Binary(bytes) => Seen::Binary(bytes.to_owned()),
        Event::Ping(payload) => Seen::Ping(payload.to_owned()),
        Event::Pong => Seen::Pong,
        Event::Close(frame) => Seen::Close(frame.map(|frame| (frame.code, frame.reason.to_owned()))),
    })
}
