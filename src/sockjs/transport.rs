//! The transports: the ways in which a session's frames reach a client.
//!
//! In goes the name of a transport; out come its properties and the bytes with which its response body
//! begins. (protocol, section 8).

use std::fmt;

/// A way in which frames reach a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Each frame is a WebSocket message.
    WebSocket,
    /// Each message is a WebSocket message; there are no frames.
    RawWebSocket,
    /// Each response carries one frame.
    XhrPolling,
    /// One response carries many frames, a line each.
    XhrStreaming,
    /// One response carries many frames, each an event.
    EventSource,
    /// One response is a page that grows by a script for each frame.
    HtmlFile,
    /// Each response is a script that calls a function with one frame.
    JsonpPolling,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Transport; 7] = [
        Transport::WebSocket,
        Transport::RawWebSocket,
        Transport::XhrPolling,
        Transport::XhrStreaming,
        Transport::EventSource,
        Transport::HtmlFile,
        Transport::JsonpPolling,
    ];

    /// The name by which clients and other servers know it.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::WebSocket => "websocket",
            Transport::RawWebSocket => "websocket-raw",
            Transport::XhrPolling => "xhr-polling",
            Transport::XhrStreaming => "xhr-streaming",
            Transport::EventSource => "eventsource",
            Transport::HtmlFile => "htmlfile",
            Transport::JsonpPolling => "jsonp-polling",
        }
    }

    /// Whether one HTTP response carries many frames.
    pub const fn is_streaming(self) -> bool {
        matches!(self, Transport::XhrStreaming | Transport::EventSource | Transport::HtmlFile)
    }

    /// Whether an HTTP response ends after one frame.
    pub const fn is_polling(self) -> bool {
        matches!(self, Transport::XhrPolling | Transport::JsonpPolling)
    }

    /// The `Content-Type` of the response that carries frames; empty for the WebSockets, which have none.
    pub const fn content_type(self) -> &'static str {
        match self {
            Transport::WebSocket | Transport::RawWebSocket => "",
            Transport::XhrPolling | Transport::XhrStreaming | Transport::JsonpPolling => {
                "application/javascript; charset=UTF-8"
            }
            Transport::EventSource => "text/event-stream",
            Transport::HtmlFile => "text/html; charset=UTF-8",
        }
    }

    /// A header field that goes with the response, if one does: what a browser must not guess, and what a proxy must
    /// not hold back. (nginx keeps a stream until its buffer is full, unless told.)
    pub const fn precaution(self) -> Option<(&'static str, &'static str)> {
        match self {
            Transport::JsonpPolling => Some(("X-Content-Type-Options", "nosniff")),
            Transport::XhrStreaming | Transport::EventSource | Transport::HtmlFile => {
                Some(("X-Accel-Buffering", "no"))
            }
            Transport::WebSocket | Transport::RawWebSocket | Transport::XhrPolling => None,
        }
    }

    /// Appends what the response body holds before its first frame. `callback` is htmlfile's, and must be a
    /// `Callback`'s text; with `is_open_to_host` scripts of other pages of its host can reach it.
    pub fn prelude(self, callback: &str, is_open_to_host: bool, out: &mut Vec<u8>) {
        match self {
            Transport::XhrStreaming => {
                out.resize(out.len() + XHR_PADDING, b'h');
                out.push(b'\n');
            }
            Transport::EventSource => out.extend_from_slice(b"\r\n"),
            Transport::HtmlFile => {
                let padded = out.len() + HTMLFILE_PADDED;
                let set_domain = if is_open_to_host { SET_DOMAIN } else { "" };
                for part in [HTMLFILE_START, set_domain, HTMLFILE_CALLBACK, callback, HTMLFILE_END] {
                    out.extend_from_slice(part.as_bytes());
                }
                out.resize(out.len().max(padded), b' ');
                out.extend_from_slice(b"\r\n\r\n");
            }
            Transport::WebSocket
            | Transport::RawWebSocket
            | Transport::XhrPolling
            | Transport::JsonpPolling => {}
        }
    }
}

/// Internet Explorer hands over nothing of a response before 2 KiB of it arrived.
const XHR_PADDING: usize = 2048;

/// Safari does not interpret a page before more than 1024 bytes arrived.
const HTMLFILE_PADDED: usize = 1025;

/// Opens a page to scripts of all pages of its host that say the same, whatever their port (HTML §7.3.2). The first
/// release of the client needed it for its frames. Where origins are listed the line is left out: a hostile page on
/// another port could read the frames of a listed page, in browsers that still hold to it.
pub(super) const SET_DOMAIN: &str = "    document.domain = document.domain;\n";

const HTMLFILE_START: &str = r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
"#;

const HTMLFILE_CALLBACK: &str = "    var c = parent.";

const HTMLFILE_END: &str = ";
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>
";

/// A set of transports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Transports(u8);

impl Transports {
    /// Every transport.
    pub const fn all() -> Self {
        Transports((1 << Transport::ALL.len()) - 1)
    }

    /// No transport.
    pub const fn none() -> Self {
        Transports(0)
    }

    /// This set and `transport`.
    #[must_use]
    pub const fn with(self, transport: Transport) -> Self {
        Transports(self.0 | 1 << transport as u8)
    }

    /// This set but `transport`.
    #[must_use]
    pub const fn without(self, transport: Transport) -> Self {
        Transports(self.0 & !(1 << transport as u8))
    }

    /// Whether `transport` is in this set.
    pub const fn contains(self, transport: Transport) -> bool {
        self.0 & 1 << transport as u8 != 0
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(Transport::ALL.into_iter().filter(|&each| self.contains(each))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prelude(transport: Transport) -> Vec<u8> {
        let mut out = b"head".to_vec();
        transport.prelude("cb", true, &mut out);
        out.split_off(4)
    }

    #[test]
    fn only_streams_have_a_prelude() {
        for transport in Transport::ALL {
            assert_eq!(transport.is_streaming(), !prelude(transport).is_empty(), "{transport:?}");
            assert_eq!(transport.is_polling(), transport.name().ends_with("-polling"), "{transport:?}");
            assert!(!(transport.is_streaming() && transport.is_polling()), "{transport:?}");
        }
        assert_eq!(prelude(Transport::EventSource), b"\r\n");
        assert_eq!(prelude(Transport::XhrStreaming), ["h".repeat(2048).as_bytes(), b"\n"].concat());
    }

    #[test]
    fn htmlfile_begins_with_its_page() {
        let prelude = String::from_utf8(prelude(Transport::HtmlFile)).unwrap();
        let page = r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.cb;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"#;
        assert_eq!(prelude.trim_end(), page);
        let padded = prelude.strip_suffix("\r\n\r\n").unwrap();
        assert_eq!(padded.trim_end_matches(' ').trim_end_matches('\n'), page);
        assert_eq!(padded.len(), 1025);
        let mut out = Vec::new();
        Transport::HtmlFile.prelude("cb", false, &mut out);
        let closed = String::from_utf8(out).unwrap();
        assert_eq!(closed.trim_end(), page.replace("    document.domain = document.domain;\n", ""));
    }

    #[test]
    fn names_and_content_types_are_the_protocols() {
        const SCRIPT: &str = "application/javascript; charset=UTF-8";
        let expected = [
            ("websocket", ""),
            ("websocket-raw", ""),
            ("xhr-polling", SCRIPT),
            ("xhr-streaming", SCRIPT),
            ("eventsource", "text/event-stream"),
            ("htmlfile", "text/html; charset=UTF-8"),
            ("jsonp-polling", SCRIPT),
        ];
        assert_eq!(Transport::ALL.map(|each| (each.name(), each.content_type())), expected);
    }

    #[test]
    fn streams_are_not_held_back_and_scripts_are_not_guessed() {
        const UNBUFFERED: Option<(&str, &str)> = Some(("X-Accel-Buffering", "no"));
        for transport in Transport::ALL {
            let expected = match transport.name() {
                "xhr-streaming" | "eventsource" | "htmlfile" => UNBUFFERED,
                "jsonp-polling" => Some(("X-Content-Type-Options", "nosniff")),
                _ => None,
            };
            assert_eq!(transport.precaution(), expected, "{transport:?}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        for one in Transport::ALL {
            for other in Transport::ALL {
                assert_eq!(Transports::none().with(one).contains(other), one == other);
                assert_eq!(Transports::all().without(one).contains(other), one != other);
                assert!(Transports::all().with(one).contains(other));
                assert!(!Transports::none().without(one).contains(other));
            }
        }
        let all = Transport::ALL.into_iter().fold(Transports::none(), Transports::with);
        assert_eq!(all, Transports::all());
        let two = Transports::none().with(Transport::HtmlFile).with(Transport::WebSocket);
        assert_eq!(format!("{two:?}"), "{WebSocket, HtmlFile}");
    }
}
