//! The HTTP transports as a browser's side of them sees it: what surrounds a frame is taken off, and what a browser would
//! decode is decoded. Anything that is not byte for byte as it should be panics.

use super::Target;
use super::http::{Answer, Connection};

/// A transport whose frames travel in HTTP responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    XhrPolling,
    XhrStreaming,
    EventSource,
    HtmlFile,
    JsonpPolling,
}

/// The name of the function that htmlfile and jsonp call.
pub const CALLBACK: &str = "_jp.a-Z9";

impl Transport {
    pub const ALL: [Self; 5] =
        [Self::XhrPolling, Self::XhrStreaming, Self::EventSource, Self::HtmlFile, Self::JsonpPolling];
    pub const STREAMING: [Self; 3] = [Self::XhrStreaming, Self::EventSource, Self::HtmlFile];
    pub const POLLING: [Self; 2] = [Self::XhrPolling, Self::JsonpPolling];

    pub fn is_streaming(self) -> bool {
        Self::STREAMING.contains(&self)
    }

    pub fn method(self) -> &'static str {
        if matches!(self, Self::XhrPolling | Self::XhrStreaming) { "POST" } else { "GET" }
    }

    /// The path of its receiver below a session's, with the callback if it takes one.
    pub fn path(self) -> String {
        match self {
            Self::XhrPolling => "/xhr".to_owned(),
            Self::XhrStreaming => "/xhr_streaming".to_owned(),
            Self::EventSource => "/eventsource".to_owned(),
            Self::HtmlFile => format!("/htmlfile?c={CALLBACK}"),
            Self::JsonpPolling => format!("/jsonp?c={CALLBACK}"),
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::EventSource => "text/event-stream",
            Self::HtmlFile => "text/html; charset=UTF-8",
            _ => "application/javascript; charset=UTF-8",
        }
    }

    /// Panics unless this is what precedes the first frame.
    pub fn check_prelude(self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("a prelude is text");
        match self {
            Self::XhrStreaming => {
                assert_eq!(text.trim_start_matches('h'), "\n", "2048 times `h`, and a line feed");
                assert_eq!(text.len(), 2049, "2048 times `h`, and a line feed");
            }
            Self::EventSource => assert_eq!(text, "\r\n"),
            Self::HtmlFile => {
                let padded = text.strip_suffix("\r\n\r\n").expect("CR LF CR LF behind the page");
                assert!(
                    padded.len() > 1024,
                    "the page is padded to more than 1024 bytes, not {}",
                    padded.len()
                );
                assert_eq!(padded.trim_end(), HTMLFILE.replace("CALLBACK", CALLBACK));
            }
            Self::XhrPolling | Self::JsonpPolling => assert_eq!(text, ""),
        }
    }

    /// The frame in what the transport made of it.
    pub fn unwrap(self, bytes: &[u8]) -> String {
        let text = std::str::from_utf8(bytes).expect("only valid UTF-8 goes out");
        let inside = |before: &str, after: &str| {
            let inner = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            inner.unwrap_or_else(|| panic!("not {before:?} frame {after:?}: {text:?}")).to_owned()
        };
        match self {
            Self::XhrPolling | Self::XhrStreaming => inside("", "\n"),
            Self::EventSource => {
                let data = inside("data: ", "\r\n\r\n");
                assert!(!data.contains(['\r', '\n', '\0']), "these void an event: {data:?}");
                percent_decode(&data)
            }
            Self::HtmlFile => {
                let literal = inside("<script>\np(", ");\n</script>\r\n");
                assert!(!literal.contains('<'), "`<` could end the script: {literal}");
                script_string(&literal)
            }
            Self::JsonpPolling => script_string(&inside(&format!("/**/{CALLBACK}("), ");\r\n")),
        }
    }
}

/// The page of src/protocol.md, section 8.
const HTMLFILE: &str = r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.CALLBACK;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"#;

/// What a script's engine makes of a string literal. U+2028 and U+2029 end a line there, so they cannot stand as they are.
fn script_string(literal: &str) -> String {
    assert!(!literal.contains(['\u{2028}', '\u{2029}']), "a line separator ends the literal: {literal:?}");
    serde_json::from_str(literal).unwrap_or_else(|error| panic!("a string literal ({error}): {literal:?}"))
}

/// What JavaScript's `unescape` makes of an event's data.
fn percent_decode(data: &str) -> String {
    let mut decoded = Vec::with_capacity(data.len());
    let mut rest = data.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octet =
            after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        rest = match octet {
            Some(octet) if byte == b'%' => {
                decoded.push(octet);
                &after[2..]
            }
            _ => {
                decoded.push(byte);
                after
            }
        };
    }
    String::from_utf8(decoded).expect("what is percent-encoded is ASCII")
}

/// The messages of an `a` frame, as `JSON.parse` gives them.
pub fn messages(frame: &str) -> Vec<String> {
    let array = frame.strip_prefix('a').unwrap_or_else(|| panic!("an `a` frame, not {frame:?}"));
    serde_json::from_str(array).unwrap_or_else(|error| panic!("an array of strings ({error}): {frame:?}"))
}

/// The JSON of an array of messages.
pub fn json<S: AsRef<str>>(messages: &[S]) -> String {
    let messages: Vec<&str> = messages.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&messages).expect("strings are JSON")
}

/// A response that carries a session's frames.
pub struct Receiver {
    pub transport: Transport,
    pub connection: Connection,
    /// The response's head.
    pub answer: Answer,
    ended: bool,
}

impl Receiver {
    /// Opens a receiver, and of a streaming one reads head and prelude.
    pub fn open(target: &Target, transport: Transport, session: &str) -> Self {
        Self::open_on(target.connect(), transport, session)
    }

    /// Opens a receiver on a connection that is there.
    pub fn open_on(mut connection: Connection, transport: Transport, session: &str) -> Self {
        connection.request(transport.method(), &format!("{session}{}", transport.path()), "", b"");
        if transport.is_streaming() {
            let answer = connection.head().expect(200);
            let mut receiver = Self { transport, connection, answer, ended: false };
            let prelude = receiver.connection.chunk().expect("a prelude");
            transport.check_prelude(&prelude);
            return receiver;
        }
        let answer = Answer { status: 0, head: String::new(), headers: Vec::new(), body: Vec::new() };
        Self { transport, connection, answer, ended: false }
    }

    /// The next frame; `None` when the response has ended.
    pub fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        let bytes = if self.transport.is_streaming() {
            let chunk = self.connection.chunk();
            self.ended = chunk.is_none();
            chunk?
        } else {
            self.ended = true;
            self.answer = self.connection.answer().expect(200);
            std::mem::take(&mut self.answer.body)
        };
        Some(self.transport.unwrap(&bytes))
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> String {
        self.next().expect("a frame, not the end of the response")
    }

    /// Panics unless the response ends here.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.next(), None, "the response should end");
    }
}

/// Sends messages as a transport's client does.
pub fn send(connection: &mut Connection, transport: Transport, session: &str, json: &str) {
    let (path, headers, body, status) = sending(transport, session, json);
    connection.ask("POST", &path, headers, &body).expect(status);
}

/// How a transport's client sends: path, headers, body, and the status of success.
pub fn sending(transport: Transport, session: &str, json: &str) -> (String, &'static str, Vec<u8>, u16) {
    if transport != Transport::JsonpPolling {
        return (
            format!("{session}/xhr_send"),
            "Content-Type: text/plain\r\n",
            json.as_bytes().to_vec(),
            204,
        );
    }
    let mut form = b"d=".to_vec();
    for &byte in json.as_bytes() {
        if byte.is_ascii_alphanumeric() {
            form.push(byte);
        } else {
            form.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    (format!("{session}/jsonp_send"), "Content-Type: application/x-www-form-urlencoded\r\n", form, 200)
}
