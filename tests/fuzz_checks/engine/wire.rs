//! Reads what a client received, strictly, and with none of the server's code: responses one after the other, then
//! perhaps WebSocket frames. The last may be cut off, for connections end anywhere; everything before it is whole.

use super::pages::{self, LENGTH, NUMBER};
use super::world::{Client, RESPONSE_LIMIT};

#[derive(Debug, Default)]
pub struct Wire {
    /// SockJS frames of HTTP receivers, as far as they are told apart here.
    polled: Vec<String>,
    /// What came over WebSocket, packed messages one by one, control frames with their opcode.
    pub websocket: Vec<(u8, Vec<u8>)>,
    /// Responses that came whole.
    pub answers: usize,
    /// One of them said that it was the last.
    pub is_closed: bool,
}

impl Wire {
    /// The messages in it.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let over_websocket = self.websocket.iter().map(|(_, payload)| payload.as_slice());
        self.polled.iter().map(|message| message.as_bytes()).chain(over_websocket)
    }
}

pub fn read(client: &Client) -> Wire {
    let mut wire = Wire::default();
    let mut asked = client.asked.iter();
    let mut rest = client.received.as_slice();
    while let Some((head, behind)) = split_at(rest, b"\r\n\r\n") {
        let head = Head::read(head);
        rest = behind;
        if head.status == 100 {
            continue;
        }
        let number = client.asked.len() - asked.len();
        let asked = asked.next();
        if head.status == 101 {
            let is_raw = asked.expect("an upgrade was asked for").is_raw_websocket;
            read_websocket(rest, is_raw, &mut wire);
            return wire;
        }
        let has_no_body = matches!(head.status, 204 | 304) || asked.is_none_or(|asked| asked.is_head);
        // A refused request is not told of: whether it was a HEAD shows in that nothing follows.
        let has_no_body = has_no_body && (asked.is_some() || rest.is_empty());
        let body = if has_no_body { Some((Vec::new(), true)) } else { read_body(&head, &mut rest) };
        let Some((body, is_whole)) = body else { return wire };
        let field = |name| head.field(name).map(|value| value.parse().expect("a number"));
        if let (Some(claimed), Some(length), false) = (field(NUMBER), field(LENGTH), has_no_body) {
            pages::check(number, claimed, length, &body, is_whole);
        }
        read_frames(&head, &body, &mut wire);
        wire.answers += 1;
        if head.field("connection") == Some("close") {
            wire.is_closed = true;
            assert!(rest.is_empty(), "nothing comes behind the last answer");
        }
    }
    wire
}

struct Head {
    status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    fn read(head: &[u8]) -> Self {
        let text = std::str::from_utf8(head).expect("heads are text");
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status line");
        let (status, reason) = status.split_once(' ').expect("a reason");
        assert!(!reason.is_empty());
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("a field: {line:?}"));
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name:?}");
            assert!(!value.chars().any(|character| character.is_ascii_control()), "{value:?}");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { status: status.parse().expect("a status"), fields: fields.collect() }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

fn split_at<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

/// Every answer says where it ends (protocol.md, section 10). `None`: it was cut
/// off. `false`: it may have been, and this is known from its chunks alone.
fn read_body(head: &Head, rest: &mut &[u8]) -> Option<(Vec<u8>, bool)> {
    if let Some(length) = head.field("content-length") {
        assert_eq!(head.field("transfer-encoding"), None);
        let (body, behind) = rest.split_at_checked(length.parse().expect("a length"))?;
        *rest = behind;
        return Some((body.to_vec(), true));
    }
    if head.field("transfer-encoding").is_none() {
        assert_eq!(head.field("connection"), Some("close"));
        return Some((std::mem::take(rest).to_vec(), false));
    }
    let mut body = Vec::new();
    while let Some((size, behind)) = split_at(rest, b"\r\n") {
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a chunk size");
        let Some((data, behind)) = behind.split_at_checked(size) else { break };
        body.extend_from_slice(data);
        *rest = behind.strip_prefix(b"\r\n").unwrap_or_else(|| {
            assert!(b"\r\n".starts_with(behind), "a chunk ends with CRLF");
            b""
        });
        if size == 0 {
            return Some((body, true));
        }
    }
    // Cut off, but what came of it counts.
    *rest = b"";
    Some((body, false))
}

/// The frames of a receiver's response, none behind a close.
fn read_frames(head: &Head, body: &[u8], wire: &mut Wire) {
    if head.status != 200 {
        return;
    }
    let Some(content_type) = head.field("content-type") else { return };
    let text = std::str::from_utf8(body).expect("only UTF-8 goes out");
    let frames: Vec<String> = match content_type {
        "application/javascript; charset=UTF-8" => match text.strip_prefix("/**/") {
            Some(call) => {
                let literal = call.split_once('(').and_then(|(_, call)| call.strip_suffix(");\r\n"));
                vec![serde_json::from_str(literal.expect("a call")).expect("a string")]
            }
            None => text
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .map(str::to_owned)
                .collect(),
        },
        "text/event-stream" => {
            let events = text.split_inclusive("\r\n\r\n").filter_map(|event| event.strip_suffix("\r\n\r\n"));
            let decoded = |event: &str| {
                let data = event.trim_start_matches("\r\n").strip_prefix("data: ").expect("an event");
                data.replace("%0D", "\r").replace("%0A", "\n").replace("%00", "\0").replace("%25", "%")
            };
            events.map(decoded).collect()
        }
        _ => return,
    };
    check_limit(text, &frames);
    let mut closed = false;
    for frame in frames.iter().filter(|frame| !frame.starts_with("hhh")) {
        assert!(!closed, "{frame:?} behind a close");
        closed = read_frame(frame, |message| wire.polled.push(message));
    }
}

/// A streaming response ends with the frame that reaches the limit (protocol.md, section 7.3).
fn check_limit(text: &str, frames: &[String]) {
    let Some((last, _)) = frames.split_last() else { return };
    // The preludes and the last frame do not count, nor does a second close; escapes make it larger than it is here. A
    // frame that was cut off is the last one.
    let cut_off = text.len().saturating_sub(frames.iter().map(String::len).sum());
    let allowance = 2100 + 4 * last.len().max(cut_off);
    assert!(text.len() < RESPONSE_LIMIT + allowance, "{} bytes in one response", text.len());
}

/// A SockJS frame (protocol.md, section 5). `true`: a close.
fn read_frame(frame: &str, mut message: impl FnMut(String)) -> bool {
    match frame.split_at_checked(1) {
        Some(("o" | "h", "")) => {}
        Some(("a", json)) => {
            let messages: Vec<String> = serde_json::from_str(json).unwrap_or_else(|_| panic!("{frame:?}"));
            assert!(!messages.is_empty());
            messages.into_iter().for_each(&mut message);
        }
        Some(("c", json)) => {
            let _: (u16, String) = serde_json::from_str(json).unwrap_or_else(|_| panic!("{frame:?}"));
            return true;
        }
        _ => panic!("no frame: {frame:?}"),
    }
    false
}

/// A server's frames: whole, unmasked, of the shortest length; nothing behind the close (RFC 6455 §5).
fn read_websocket(mut rest: &[u8], is_raw: bool, wire: &mut Wire) {
    while let [first, second, behind @ ..] = rest {
        let opcode = first & 0x0f;
        assert_eq!(first & 0xf0, 0x80, "FIN and no reserved bits");
        assert!(matches!(opcode, 1 | 2 | 8 | 9 | 10) && second & 0x80 == 0);
        let (length, behind) = match (second, behind) {
            (126, [a, b, behind @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), behind),
            (127, [0, 0, 0, 0, 0, a, b, c, behind @ ..]) => {
                (u32::from_be_bytes([0, *a, *b, *c]) as usize, behind)
            }
            (126 | 127, _) => return,
            (length, behind) => (usize::from(*length), behind),
        };
        assert!(opcode < 8 || length <= 125);
        let Some((payload, behind)) = behind.split_at_checked(length) else { return };
        rest = behind;
        let text = || std::str::from_utf8(payload).expect("text is UTF-8");
        match opcode {
            1 if is_raw => wire.websocket.push((1, text().as_bytes().to_vec())),
            1 => {
                let closed = read_frame(text(), |message| wire.websocket.push((1, message.into_bytes())));
                assert!(!closed || rest.is_empty() || rest[0] == 0x88, "only a close frame follows a close");
            }
            8 => {
                wire.websocket.push((8, payload.to_vec()));
                assert!(rest.is_empty(), "nothing comes behind a close frame");
            }
            2 => {
                assert!(is_raw, "SockJS messages are text");
                wire.websocket.push((2, payload.to_vec()));
            }
            // A ping depends on time alone, a pong on the ping.
            _ => wire.websocket.push((opcode, payload.to_vec())),
        }
    }
}
