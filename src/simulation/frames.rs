//! What transports make of frames, read from the client's side (contract, section 8), and WebSocket frames both ways.
//!
//! In go bytes as far as they have come; out come frames. Bytes that are no frame are an error: the server must not
//! write them.

use crate::sockjs::Transport;
use crate::websocket::frame::{MASKED, Opcode, write_header};
use crate::websocket::mask::unmask;

/// Bytes that are no frame of the transport.
#[derive(Debug)]
pub(super) struct Malformed;

/// Takes the next frame off the body of a receiver. `None`: it has not come whole.
pub(super) fn take_frame(transport: Transport, body: &mut Vec<u8>) -> Result<Option<String>, Malformed> {
    let (before, behind) = match transport {
        Transport::XhrPolling | Transport::XhrStreaming => ("", "\n"),
        Transport::EventSource => ("data: ", "\r\n\r\n"),
        Transport::HtmlFile => ("<script>\np(", ");\n</script>\r\n"),
        Transport::JsonpPolling => ("/**/c(", ");\r\n"),
        Transport::WebSocket | Transport::RawWebSocket => return Err(Malformed),
    };
    let Some(text) = take_through(body, behind)? else { return Ok(None) };
    let inside = text.strip_prefix(before).and_then(|text| text.strip_suffix(behind)).ok_or(Malformed)?;
    match transport {
        Transport::EventSource => Ok(Some(unescape(inside))),
        Transport::HtmlFile | Transport::JsonpPolling => {
            serde_json::from_str(inside).map(Some).map_err(|_| Malformed)
        }
        _ => Ok(Some(inside.to_owned())),
    }
}

/// Takes off what a stream begins with. `false`: it has not come whole.
pub(super) fn take_prelude(transport: Transport, body: &mut Vec<u8>) -> Result<bool, Malformed> {
    let end = match transport {
        Transport::XhrStreaming => "\n",
        Transport::EventSource => "\r\n",
        Transport::HtmlFile => "\r\n\r\n",
        _ => return Ok(true),
    };
    Ok(take_through(body, end)?.is_some())
}

fn take_through(bytes: &mut Vec<u8>, end: &str) -> Result<Option<String>, Malformed> {
    let Some(at) = bytes.windows(end.len()).position(|window| window == end.as_bytes()) else {
        return Ok(None);
    };
    String::from_utf8(bytes.drain(..at + end.len()).collect()).map(Some).map_err(|_| Malformed)
}

/// As JavaScript's `unescape`, of the four characters that are escaped.
fn unescape(data: &str) -> String {
    data.replace("%0D", "\r").replace("%0A", "\n").replace("%00", "\0").replace("%25", "%")
}

/// A whole frame as a client sends it (RFC 6455 §5.2).
pub(super) fn client_frame(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_header(&mut frame, opcode, payload.len());
    if let Some(length) = frame.get_mut(1) {
        *length |= MASKED;
    }
    frame.extend_from_slice(&mask);
    let mut masked = payload.to_vec();
    // The operation is its own inverse.
    unmask(&mut masked, mask);
    frame.append(&mut masked);
    frame
}

/// Takes the next frame of a server off: its opcode and its payload. A server of ours neither masks frames nor
/// fragments messages. `None`: it has not come whole.
pub(super) fn take_server_frame(bytes: &mut Vec<u8>) -> Result<Option<(Opcode, Vec<u8>)>, Malformed> {
    let [first, second, rest @ ..] = bytes.as_slice() else { return Ok(None) };
    let opcode = Opcode::parse(first & 0x0f).map_err(|_| Malformed)?;
    if first & 0xf0 != 0x80 || second & MASKED != 0 {
        return Err(Malformed);
    }
    let (length, header) = match (second, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
        (126 | 127, _) => return Ok(None),
        (length, _) => (u64::from(*length), 2),
    };
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(header)).ok_or(Malformed)?;
    if bytes.len() < end {
        return Ok(None);
    }
    let frame: Vec<u8> = bytes.drain(..end).collect();
    Ok(Some((opcode, frame.get(header..).unwrap_or_default().to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockjs::wrap;
    use crate::websocket::frame::FrameHeader;

    #[test]
    fn frames_are_read_as_they_were_written_however_they_are_cut() {
        let frame = "a[\"50% <b>\\\"\\n\\u2028 %0A é\"]";
        for transport in Transport::ALL.into_iter().filter(|it| it.is_streaming() || it.is_polling()) {
            let mut bytes = Vec::new();
            transport.prelude("c", true, &mut bytes);
            wrap(transport, "c", [frame.as_bytes()], &mut bytes);
            let (mut body, mut has_begun) = (Vec::new(), false);
            for (index, byte) in bytes.iter().enumerate() {
                body.push(*byte);
                has_begun = has_begun || take_prelude(transport, &mut body).unwrap();
                let is_whole = index + 1 == bytes.len();
                let taken = if has_begun { take_frame(transport, &mut body).unwrap() } else { None };
                assert_eq!(taken.as_deref(), is_whole.then_some(frame), "{transport:?} at {index}");
            }
        }
    }

    #[test]
    fn a_servers_frames_are_read_in_every_form_of_the_length() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = Vec::new();
            crate::websocket::frame::write_header(&mut bytes, crate::websocket::frame::Opcode::Text, length);
            bytes.extend_from_slice(&payload);
            let last = bytes.pop().unwrap();
            assert!(take_server_frame(&mut bytes).unwrap().is_none(), "{length}");
            bytes.push(last);
            assert_eq!(take_server_frame(&mut bytes).unwrap(), Some((Opcode::Text, payload.clone())));
            assert!(bytes.is_empty());
            let sent = client_frame(Opcode::Binary, &payload, [1, 2, 3, 4]);
            let (_, header) = FrameHeader::parse(&sent).unwrap().unwrap();
            assert_eq!(sent.len(), header + length);
        }
        assert!(take_server_frame(&mut vec![0x01, 0x00]).is_err(), "fragmented");
        assert!(take_server_frame(&mut vec![0x81, 0x80]).is_err(), "masked");
    }
}
