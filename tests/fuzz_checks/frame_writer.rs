//! What goes out (protocol.md, sections 2, 5 and 8): whatever a message holds, each transport's client reads back the
//! same message, and no text breaks out of the line, event, script or header it was put into.

use sockjs_server::Transport;
use sockjs_server::http::{Date, ResponseHead};
use sockjs_server::sockjs::json::write_string;
use sockjs_server::sockjs::{MESSAGES_END, MESSAGES_START, simple_wrapping, wrap, write_close_frame};
use sockjs_server::websocket::close::{CloseFrame, truncate_reason, write_close};

use super::{Input, Random};

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let seed = input.byte();
    let first = String::from_utf8_lossy(input.short()).into_owned();
    let bytes = input.rest();
    let second = String::from_utf8_lossy(bytes).into_owned();
    let messages = [first, second];
    let mut frame = MESSAGES_START.to_vec();
    write_string(&mut frame, &messages[0]);
    frame.push(b',');
    write_string(&mut frame, &messages[1]);
    frame.extend_from_slice(MESSAGES_END);
    for transport in Transport::ALL.into_iter().filter(|it| *it != Transport::RawWebSocket) {
        let wire = wrapped(transport, &frame, seed);
        let read = unwrap(transport, &wire);
        assert_eq!(serde_json::from_str::<[String; 2]>(&read[1..]).expect(&read), messages, "{transport:?}");
        assert!(!read.chars().any(is_fragile), "section 5 has them escaped");
    }
    check_close(&messages[1]);
    check_header(bytes);
}

/// Section 5: what some client loses or misreads.
fn is_fragile(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{ffff}')
}

/// The frame in the form of a transport, the same in one part or cut between characters.
fn wrapped(transport: Transport, frame: &[u8], seed: u8) -> String {
    let mut whole = Vec::new();
    wrap(transport, "call.back", [frame], &mut whole);
    let text = std::str::from_utf8(frame).expect("frames are text");
    let mut cut = Random::new(seed).below(frame.len() + 1);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut in_parts = Vec::new();
    wrap(transport, "call.back", [&frame[..cut], &frame[cut..]], &mut in_parts);
    assert_eq!(in_parts, whole, "{transport:?}");
    if let Some((before, after)) = simple_wrapping(transport) {
        assert_eq!([before, frame, after].concat(), whole);
    }
    String::from_utf8(whole).expect("only UTF-8 goes out")
}

/// What the client's side makes of it.
fn unwrap(transport: Transport, wire: &str) -> String {
    let inside = |before: &str, after: &str| {
        let inside = wire.strip_prefix(before).and_then(|wire| wire.strip_suffix(after));
        inside.unwrap_or_else(|| panic!("{transport:?}: {wire:?}")).to_owned()
    };
    let json = |text: String| serde_json::from_str::<String>(&text).unwrap_or_else(|_| panic!("{text:?}"));
    match transport {
        Transport::WebSocket | Transport::RawWebSocket => wire.to_owned(),
        Transport::XhrPolling | Transport::XhrStreaming => {
            let frame = inside("", "\n");
            assert!(!frame.contains('\n'), "the client splits at line feeds");
            frame
        }
        Transport::EventSource => {
            let data = inside("data: ", "\r\n\r\n");
            assert!(!data.contains(['\r', '\n', '\0']), "they end or void the event");
            percent_decode(&data)
        }
        Transport::HtmlFile => {
            let literal = inside("<script>\np(", ");\n</script>\r\n");
            assert!(!literal.contains('<'), "nothing in there ends the script, or begins a comment");
            json(literal)
        }
        Transport::JsonpPolling => json(inside("/**/call.back(", ");\r\n")),
        other => panic!("{other:?} is not unwrapped here"),
    }
}

fn percent_decode(data: &str) -> String {
    let mut parts = data.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(digits, 16).expect("an escape")));
        text.push_str(rest);
    }
    text
}

fn check_close(reason: &str) {
    let mut frame = Vec::new();
    write_close_frame(&mut frame, 3000, reason);
    let read: (u16, String) = serde_json::from_slice(&frame[1..]).expect("a close frame");
    assert_eq!(read, (3000, reason.to_owned()));

    let kept = truncate_reason(reason);
    assert!(reason.starts_with(kept) && kept.len() <= 123);
    assert!(kept.len() == reason.len() || kept.len() > 119, "no more is cut than must be");
    let mut wire = Vec::new();
    write_close(&mut wire, Some(1000), reason);
    assert_eq!(wire[..2], [0x88, wire.len() as u8 - 2], "a control frame, whole and short");
    assert_eq!(CloseFrame::parse(&wire[2..]), Ok(Some(CloseFrame { code: 1000, reason: kept })));
}

/// Section 2: nothing that a client sent is ever echoed with a control byte in it.
fn check_header(value: &[u8]) {
    let mut out = Vec::new();
    ResponseHead::new(&mut out, 200, &Date::new(0)).header_bytes("X-Echo", value).body(b"");
    let head = out.strip_suffix(b"\r\n\r\n").expect("an empty line ends the head");
    let lines: Vec<_> = head.split(|byte| *byte == b'\n').collect();
    let (last, others) = lines.split_last().expect("a status line");
    assert_eq!(*last, b"Content-Length: 0");
    assert_eq!(others.len(), 3, "status, date, and one line for the echo");
    for line in others {
        let line = line.strip_suffix(b"\r").expect("lines end with CRLF");
        assert!(!line.iter().any(u8::is_ascii_control));
    }
}
