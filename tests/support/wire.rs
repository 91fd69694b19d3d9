//! The HTTP transports as a browser's side of them sees it: what surrounds a frame is taken off, and what a browser
//! would decode is decoded. All of it is written from the contract (src/protocol.md, section 8), and nothing taken from
//! the server's code. Anything that is not byte for byte as it should be panics.

pub use sockjs_server::Transport;

/// The transports whose frames travel in HTTP responses.
pub const HTTP: [Transport; 5] = [
    Transport::XhrPolling,
    Transport::XhrStreaming,
    Transport::EventSource,
    Transport::HtmlFile,
    Transport::JsonpPolling,
];
pub const STREAMING: [Transport; 3] = [Transport::XhrStreaming, Transport::EventSource, Transport::HtmlFile];
pub const POLLING: [Transport; 2] = [Transport::XhrPolling, Transport::JsonpPolling];

/// The name of the function that htmlfile and jsonp call.
pub const CALLBACK: &str = "_jp.a-Z9";

/// What a transport looks like on the wire.
pub trait Wire: Copy {
    fn is_websocket(self) -> bool;
    /// The method of the request for a receiver.
    fn method(self) -> &'static str;
    /// The path of a receiver below that of its session (of a raw WebSocket: of its endpoint), with the callback if it
    /// takes one.
    fn path(self) -> &'static str;
    /// The bytes before and behind each frame.
    fn around(self) -> [String; 2];
    /// A frame without special characters as the transport writes it.
    fn wrap(self, frame: &str) -> String;
    /// The frame in what the transport made of it.
    fn unwrap(self, bytes: &[u8]) -> String;
    /// The end of what precedes the first frame.
    fn prelude_end(self) -> &'static str;
    /// Panics unless this is what precedes the first frame.
    fn check_prelude(self, bytes: &[u8]);
}

impl Wire for Transport {
    fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::RawWebSocket)
    }

    fn method(self) -> &'static str {
        if matches!(self, Self::XhrPolling | Self::XhrStreaming) { "POST" } else { "GET" }
    }

    fn path(self) -> &'static str {
        match self {
            Self::XhrPolling => "/xhr",
            Self::XhrStreaming => "/xhr_streaming",
            Self::EventSource => "/eventsource",
            Self::HtmlFile => "/htmlfile?c=_jp.a-Z9",
            Self::JsonpPolling => "/jsonp?c=_jp.a-Z9",
            Self::WebSocket | Self::RawWebSocket => "/websocket",
            other => panic!("there is no client of {other:?} here"),
        }
    }

    fn around(self) -> [String; 2] {
        let around = |before: &str, behind: &str| [before.to_owned(), behind.to_owned()];
        match self {
            Self::XhrPolling | Self::XhrStreaming => around("", "\n"),
            Self::EventSource => around("data: ", "\r\n\r\n"),
            Self::HtmlFile => around("<script>\np(", ");\n</script>\r\n"),
            Self::JsonpPolling => around(&format!("/**/{CALLBACK}("), ");\r\n"),
            Self::WebSocket | Self::RawWebSocket => around("", ""),
            other => panic!("there is no client of {other:?} here"),
        }
    }

    fn wrap(self, frame: &str) -> String {
        let [before, behind] = self.around();
        match self {
            Self::HtmlFile | Self::JsonpPolling => format!("{before}{frame:?}{behind}"),
            _ => format!("{before}{frame}{behind}"),
        }
    }

    fn unwrap(self, bytes: &[u8]) -> String {
        let text = std::str::from_utf8(bytes).expect("only valid UTF-8 goes out");
        let [before, behind] = self.around();
        let inside = text.strip_prefix(&*before).and_then(|rest| rest.strip_suffix(&*behind));
        let inside = inside.unwrap_or_else(|| panic!("not {before:?} frame {behind:?}: {text:?}"));
        match self {
            Self::EventSource => {
                assert!(!inside.contains(['\r', '\n', '\0']), "these void an event: {inside:?}");
                percent_decode(inside)
            }
            Self::HtmlFile => {
                assert!(!inside.contains('<'), "`<` could end the script: {inside}");
                script_string(inside)
            }
            Self::JsonpPolling => script_string(inside),
            _ => inside.to_owned(),
        }
    }

    fn prelude_end(self) -> &'static str {
        match self {
            Self::XhrStreaming => "\n",
            Self::EventSource => "\r\n",
            Self::HtmlFile => "\r\n\r\n",
            _ => "",
        }
    }

    fn check_prelude(self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("a prelude is text");
        match self {
            Self::XhrStreaming => {
                assert_eq!(text.trim_start_matches('h'), "\n", "2048 times `h`, and a line feed");
                assert_eq!(text.len(), 2049, "2048 times `h`, and a line feed");
            }
            Self::EventSource => assert_eq!(text, "\r\n"),
            Self::HtmlFile => {
                let padded = text.strip_suffix("\r\n\r\n").expect("CR LF CR LF behind the page");
                let length = padded.len();
                assert!(length > 1024, "the page is padded to more than 1024 bytes, not {length}");
                assert_eq!(padded.trim_end(), HTMLFILE.replace("CALLBACK", CALLBACK));
            }
            _ => assert_eq!(text, ""),
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

/// What a script's engine makes of a string literal. U+2028 and U+2029 end a line there, so
/// they cannot stand as they are.
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

/// How the client of a transport sends: path, headers, body, and the status of success.
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
