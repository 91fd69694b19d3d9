//! The seven ways in which messages travel to a client, read one frame after the other.

use std::net::SocketAddr;

use crate::support::client::Client;
use crate::support::frames::{FIN, TEXT};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Xhr,
    Jsonp,
    XhrStreaming,
    EventSource,
    HtmlFile,
    WebSocket,
    Raw,
}

impl Wire {
    pub const ALL: [Wire; 7] = [
        Wire::Xhr,
        Wire::Jsonp,
        Wire::XhrStreaming,
        Wire::EventSource,
        Wire::HtmlFile,
        Wire::WebSocket,
        Wire::Raw,
    ];

    pub fn is_polling(self) -> bool {
        matches!(self, Wire::Xhr | Wire::Jsonp)
    }

    pub fn is_websocket(self) -> bool {
        matches!(self, Wire::WebSocket | Wire::Raw)
    }

    /// The method, and the path below a session's.
    pub fn request(self) -> (&'static str, &'static str) {
        match self {
            Wire::Xhr => ("POST", "xhr"),
            Wire::Jsonp => ("GET", "jsonp?c=f"),
            Wire::XhrStreaming => ("POST", "xhr_streaming"),
            Wire::EventSource => ("GET", "eventsource"),
            Wire::HtmlFile => ("GET", "htmlfile?c=f"),
            Wire::WebSocket | Wire::Raw => ("GET", "websocket"),
        }
    }

    /// The SockJS frame in what this transport makes of it. (The messages here hold nothing that it would escape.)
    fn unwrap(self, wrapped: &str) -> String {
        let (start, end) = match self {
            Wire::Xhr | Wire::XhrStreaming => ("", "\n"),
            Wire::EventSource => ("data: ", "\r\n\r\n"),
            Wire::HtmlFile => ("<script>\np(", ");\n</script>\r\n"),
            Wire::Jsonp => ("/**/f(", ");\r\n"),
            Wire::WebSocket | Wire::Raw => ("", ""),
        };
        let frame = wrapped.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let frame = frame.unwrap_or_else(|| panic!("{self:?}: {:?}", wrapped.get(..200).unwrap_or(wrapped)));
        match self {
            Wire::HtmlFile | Wire::Jsonp => serde_json::from_str(frame).expect("a JSON string"),
            _ => frame.to_owned(),
        }
    }
}

/// A session's client, with a receiver open or between two.
pub struct Reader {
    pub wire: Wire,
    pub client: Client,
    /// The session's path.
    session: String,
    is_open: bool,
}

impl Reader {
    /// A session that is open, with all read that came at once: of a polling one, the whole first answer.
    pub fn open(address: SocketAddr, prefix: &str, wire: Wire) -> Self {
        let client = Client::connect(address);
        let session = match wire {
            Wire::Raw => prefix.to_owned(),
            _ => format!("{prefix}/000/{wire:?}"),
        };
        let mut reader = Self { wire, client, session, is_open: false };
        reader.attach();
        if wire != Wire::Raw {
            assert_eq!(reader.frame(), "o");
        }
        reader
    }

    /// The next receiver, as far as its prelude.
    fn attach(&mut self) {
        let (method, below) = self.wire.request();
        let target = format!("{}/{below}", self.session);
        if self.wire.is_websocket() {
            self.client.upgrade(&target);
        } else {
            self.client.request(method, &target, "", b"");
            if !self.wire.is_polling() {
                assert_eq!(self.client.read_head().status, 200);
                self.client.chunk().expect("a prelude");
            }
        }
        self.is_open = true;
    }

    /// The next frame; for it, the next receiver if need be.
    pub fn frame(&mut self) -> String {
        loop {
            if !self.is_open {
                self.attach();
            }
            let bytes = if self.wire.is_websocket() {
                let (first, payload) = self.client.read_frame();
                assert_eq!(first, FIN | TEXT);
                Some(payload)
            } else if self.wire.is_polling() {
                self.is_open = false;
                let mut answer = self.client.read_head();
                self.client.read_body(&mut answer);
                Some(answer.body)
            } else {
                self.client.chunk()
            };
            match bytes {
                Some(bytes) => return self.wire.unwrap(&String::from_utf8(bytes).expect("UTF-8")),
                // The response has reached its limit.
                None => self.is_open = false,
            }
        }
    }

    /// The messages of the next frame.
    pub fn messages(&mut self) -> Vec<String> {
        let frame = self.frame();
        match (self.wire, frame.strip_prefix('a')) {
            (Wire::Raw, _) => vec![frame],
            (_, Some(array)) => serde_json::from_str(array).expect("an array of strings"),
            (wire, None) => panic!("{wire:?}: {frame}"),
        }
    }
}
