//! Frames to the client, and the form each transport puts them in (protocol, sections 5 and 8).
//!
//! In go frames, possibly in parts; out come the bytes of a response body or a WebSocket message. Chunked
//! coding and WebSocket headers are not added here.

use std::io::Write;

use super::json::{self, Forbidden};
use super::scan::{self, Set, Written};
use super::transport::Transport;

/// The session is open: the first frame of every session.
pub const OPEN_FRAME: &[u8] = b"o";

/// Nothing was sent for a while.
pub const HEARTBEAT_FRAME: &[u8] = b"h";

/// What a frame of messages begins with; JSON strings follow, with commas between them.
pub const MESSAGES_START: &[u8] = b"a[";

/// What a frame of messages ends with.
pub const MESSAGES_END: &[u8] = b"]";

/// Appends the frame that says why a session is closed, as in `c[3000,"Go away!"]`.
pub fn write_close_frame(out: &mut Vec<u8>, code: u16, reason: &str) {
    // Writing to a `Vec` does not fail.
    let _ = write!(out, "c[{code},");
    json::write_string(out, reason);
    out.push(b']');
}

/// What stands before and after a frame on transports that leave the frame itself as it is.
///
/// `None` for the others, whose frames only [`wrap`] can write.
pub const fn simple_wrapping(transport: Transport) -> Option<(&'static [u8], &'static [u8])> {
    match transport {
        Transport::WebSocket | Transport::RawWebSocket => Some((b"", b"")),
        Transport::XhrPolling | Transport::XhrStreaming => Some((b"", b"\n")),
        Transport::EventSource | Transport::HtmlFile | Transport::JsonpPolling => None,
    }
}

/// Appends the frame that `frame`'s parts make together, in the form of `transport`.
///
/// A part ends where a character ends. `callback` is jsonp-polling's, and must be a
/// [`Callback`](super::Callback)'s text.
pub fn wrap<'f>(
    transport: Transport,
    callback: &str,
    frame: impl IntoIterator<Item = &'f [u8]>,
    out: &mut Vec<u8>,
) {
    match transport {
        Transport::WebSocket | Transport::RawWebSocket => copy(out, frame),
        Transport::XhrPolling | Transport::XhrStreaming => {
            copy(out, frame);
            out.push(b'\n');
        }
        Transport::EventSource => {
            out.extend_from_slice(b"data: ");
            for part in frame {
                scan::copy_replacing::<InEvent>(out, part, percent_encode);
            }
            out.extend_from_slice(b"\r\n\r\n");
        }
        Transport::HtmlFile => {
            out.extend_from_slice(b"<script>\np(");
            // A message that holds `</script>` must not end the script.
            quote::<InScript>(out, frame, json::escape_in_html);
            out.extend_from_slice(b");\n</script>\r\n");
        }
        Transport::JsonpPolling => {
            // The comment keeps the response from beginning with bytes of the client's choice, which Flash
            // took for a program.
            out.extend_from_slice(b"/**/");
            out.extend_from_slice(callback.as_bytes());
            out.push(b'(');
            quote::<Forbidden>(out, frame, json::escape);
            out.extend_from_slice(b");\r\n");
        }
    }
}

fn copy<'f>(out: &mut Vec<u8>, frame: impl IntoIterator<Item = &'f [u8]>) {
    for part in frame {
        out.extend_from_slice(part);
    }
}

/// Appends a frame as a JSON string. Its messages are JSON already, so nothing fragile is left in them.
fn quote<'f, S: Set>(
    out: &mut Vec<u8>,
    frame: impl IntoIterator<Item = &'f [u8]>,
    escape: impl Fn(&[u8]) -> (Written, &[u8]) + Copy,
) {
    out.push(b'"');
    for part in frame {
        scan::copy_replacing::<S>(out, part, escape);
    }
    out.push(b'"');
}

/// The bytes that [`percent_encode`] must look at: of the control characters it means three, and frames hold no others.
struct InEvent;

impl Set for InEvent {
    const OTHERS: [u8; 4] = *b"%%%%";
}

/// The bytes that a JSON string within HTML cannot hold as they are.
struct InScript;

impl Set for InScript {
    const OTHERS: [u8; 4] = *b"\"\\<<";
}

/// How the first byte of `text` is written in an event, and the text after it: CR and LF would end the event, NUL void
/// it, and the client decodes what follows a `%`.
fn percent_encode(text: &[u8]) -> (Written, &[u8]) {
    let Some((&byte, rest)) = text.split_first() else { return (Written::NOTHING, text) };
    let written = match byte {
        b'%' => Written::counted(*b"%25\0\0\0\0\x03"),
        b'\r' => Written::counted(*b"%0D\0\0\0\0\x03"),
        b'\n' => Written::counted(*b"%0A\0\0\0\0\x03"),
        0 => Written::counted(*b"%00\0\0\0\0\x03"),
        _ => Written::one(byte),
    };
    (written, rest)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn wrapped(transport: Transport, frame: &[&str]) -> String {
        let parts = frame.iter().map(|part| part.as_bytes());
        let mut out = b"before".to_vec();
        wrap(transport, "cb", parts, &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn each_transport_has_its_form() {
        use Transport::*;
        let cases: [(Transport, &[&str], &str); 18] = [
            (WebSocket, &["o"], "o"),
            (WebSocket, &["a[", r#""x%","y""#, "]"], r#"a["x%","y"]"#),
            (RawWebSocket, &["any ", "text"], "any text"),
            (XhrPolling, &["o"], "o\n"),
            (XhrPolling, &["a[", r#""x","y""#, "]"], "a[\"x\",\"y\"]\n"),
            (XhrStreaming, &["h"], "h\n"),
            (XhrStreaming, &["c[3000,\"Go away!\"]"], "c[3000,\"Go away!\"]\n"),
            (EventSource, &["o"], "data: o\r\n\r\n"),
            (EventSource, &["a[", r#""x""#, "]"], "data: a[\"x\"]\r\n\r\n"),
            (EventSource, &["a[\"%41 100%\"]"], "data: a[\"%2541 100%25\"]\r\n\r\n"),
            (EventSource, &["\r\n\0\té"], "data: %0D%0A%00\té\r\n\r\n"),
            (HtmlFile, &["o"], "<script>\np(\"o\");\n</script>\r\n"),
            (HtmlFile, &["a[", r#""x""#, "]"], "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n"),
            (HtmlFile, &["</script>"], "<script>\np(\"\\u003c/script>\");\n</script>\r\n"),
            (HtmlFile, &[r#"a["\n\u2028"]"#], "<script>\np(\"a[\\\"\\\\n\\\\u2028\\\"]\");\n</script>\r\n"),
            (JsonpPolling, &["o"], "/**/cb(\"o\");\r\n"),
            (JsonpPolling, &["a[", r#""x""#, "]"], "/**/cb(\"a[\\\"x\\\"]\");\r\n"),
            (JsonpPolling, &["a[\"<\u{7f}é\"]"], "/**/cb(\"a[\\\"<\u{7f}é\\\"]\");\r\n"),
        ];
        for (transport, frame, expected) in cases {
            assert_eq!(wrapped(transport, frame), expected, "{transport:?} {frame:?}");
        }
    }

    #[test]
    fn simple_wrapping_is_what_wrap_does() {
        for transport in Transport::ALL {
            let leaves_frames_alone =
                !matches!(transport, Transport::EventSource | Transport::HtmlFile | Transport::JsonpPolling);
            assert_eq!(simple_wrapping(transport).is_some(), leaves_frames_alone, "{transport:?}");
            if let Some((before, after)) = simple_wrapping(transport) {
                let expected = [before, b"a[\"<%\\n\"]", after].concat();
                assert_eq!(
                    wrapped(transport, &["a[", "\"<%\\n\"", "]"]).as_bytes(),
                    expected,
                    "{transport:?}"
                );
            }
        }
    }

    /// What a client does with each form, in the words of other code.
    fn unwrapped(transport: Transport, text: &str) -> String {
        let inside = |before, after| text.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
        match transport {
            Transport::EventSource => {
                let event = inside("data: ", "\r\n\r\n");
                assert!(!event.contains(['\r', '\n', '\0']));
                event.replace("%0D", "\r").replace("%0A", "\n").replace("%00", "\0").replace("%25", "%")
            }
            Transport::HtmlFile => {
                let string = inside("<script>\np(", ");\n</script>\r\n");
                assert!(!string.contains('<'));
                serde_json::from_str(string).unwrap()
            }
            Transport::JsonpPolling => serde_json::from_str(inside("/**/cb(", ");\r\n")).unwrap(),
            Transport::XhrPolling | Transport::XhrStreaming => inside("", "\n").into(),
            Transport::WebSocket | Transport::RawWebSocket => text.into(),
        }
    }

    #[test]
    fn clients_find_the_frame_that_went_in() {
        for seed in 0..1000 {
            let mut random = Random::new(seed);
            let mut messages = Vec::new();
            json::write_string(&mut messages, &random.text(60));
            let messages = String::from_utf8(messages).unwrap();
            for transport in Transport::ALL {
                let split = wrapped(transport, &["a[", &messages, "]"]);
                assert_eq!(unwrapped(transport, &split), format!("a[{messages}]"), "{transport:?}");
                assert_eq!(wrapped(transport, &[&format!("a[{messages}]")]), split, "{transport:?}");
            }
        }
    }

    #[test]
    fn close_frames_hold_code_and_reason() {
        let cases = [
            (3000, "Go away!", r#"c[3000,"Go away!"]"#),
            (2010, "Another connection still open", r#"c[2010,"Another connection still open"]"#),
            (0, "", r#"c[0,""]"#),
            (65535, "\"\u{2028}", r#"c[65535,"\"\u2028"]"#),
        ];
        for (code, reason, expected) in cases {
            let mut out = Vec::new();
            write_close_frame(&mut out, code, reason);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
