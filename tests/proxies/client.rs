//! A SockJS client over any transport, on plain sockets: as much of `sockjs-client` as it takes to find out what a proxy
//! does to a session.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::support::client::{Answer, Client};
use crate::support::frames::{self, CLOSE, FIN, TEXT};

/// The transports (section 8 of the wire contract).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Xhr,
    XhrStreaming,
    EventSource,
    HtmlFile,
    Jsonp,
    WebSocket,
    RawWebSocket,
}

impl Way {
    pub const ALL: [Way; 7] = [
        Way::Xhr,
        Way::XhrStreaming,
        Way::EventSource,
        Way::HtmlFile,
        Way::Jsonp,
        Way::WebSocket,
        Way::RawWebSocket,
    ];

    fn is_websocket(self) -> bool {
        matches!(self, Way::WebSocket | Way::RawWebSocket)
    }

    fn receiver(self) -> (&'static str, &'static str) {
        match self {
            Way::Xhr => ("POST", "/xhr"),
            Way::XhrStreaming => ("POST", "/xhr_streaming"),
            Way::EventSource => ("GET", "/eventsource"),
            Way::HtmlFile => ("GET", "/htmlfile?c=cb"),
            Way::Jsonp => ("GET", "/jsonp?c=cb"),
            Way::WebSocket | Way::RawWebSocket => ("GET", "/websocket"),
        }
    }

    /// The end of what comes before the first frame, and what stands before and behind each.
    fn framing(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Way::XhrStreaming => ("\n", "", "\n"),
            Way::EventSource => ("\r\n", "data: ", "\r\n\r\n"),
            Way::HtmlFile => ("\r\n\r\n", "<script>\np(", ");\n</script>\r\n"),
            Way::Jsonp => ("", "/**/cb(", ");\r\n"),
            Way::Xhr | Way::WebSocket | Way::RawWebSocket => ("", "", "\n"),
        }
    }

    /// The SockJS frame in what stands between.
    fn decode(self, text: &str) -> String {
        match self {
            Way::EventSource => ["%0D", "%0A", "%00", "%25"]
                .iter()
                .zip(["\r", "\n", "\0", "%"])
                .fold(text.to_owned(), |text, (code, character)| text.replace(code, character)),
            Way::HtmlFile | Way::Jsonp => serde_json::from_str(text).expect("a JSON string"),
            _ => text.to_owned(),
        }
    }
}

/// What a session brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Message(String),
    Closed(u16, String),
}

/// How far the receiver's response was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Response {
    /// None is asked for.
    Idle,
    /// Its head has not come yet.
    Asked,
    /// What comes before the first frame is not over yet.
    Prelude,
    /// Frames come.
    Frames,
}

/// One session.
pub struct Sock {
    pub way: Way,
    proxy: SocketAddr,
    base: String,
    cookie: String,
    sender: Option<Client>,
    receiver: Client,
    response: Response,
    /// What came of a response and is not a whole frame yet.
    bytes: Vec<u8>,
    events: VecDeque<Event>,
}

impl Sock {
    /// Opens a session: `endpoint` is a prefix, `server` and `session` the parts of the path behind it.
    pub fn open(proxy: SocketAddr, way: Way, endpoint: &str, server: &str, session: &str) -> Self {
        let base = match way {
            Way::RawWebSocket => endpoint.to_owned(),
            _ => format!("{endpoint}/{server}/{session}"),
        };
        let mut sock = Self {
            way,
            proxy,
            base,
            cookie: String::new(),
            sender: None,
            receiver: Client::connect(proxy),
            response: Response::Idle,
            bytes: Vec::new(),
            events: VecDeque::new(),
        };
        if way.is_websocket() {
            sock.receiver.upgrade(&format!("{}/websocket", sock.base));
        }
        if way != Way::RawWebSocket {
            assert_eq!(sock.frame(), "o", "{way:?}");
        }
        sock
    }

    /// Sends messages, together where the transport can.
    pub fn send(&mut self, messages: &[String]) {
        let json = serde_json::to_string(messages).expect("strings are JSON");
        let (path, body, status) = match self.way {
            Way::WebSocket => {
                self.receiver.send(frames::text(json));
                return;
            }
            Way::RawWebSocket => {
                for message in messages {
                    self.receiver.send(frames::text(message));
                }
                return;
            }
            Way::Jsonp => ("/jsonp_send", json, 200),
            _ => ("/xhr_send", json, 204),
        };
        let sender = self.sender.get_or_insert_with(|| Client::connect(self.proxy));
        let headers = format!("Content-Type: text/plain\r\n{}", self.cookie);
        let answer = sender.ask("POST", &format!("{}{path}", self.base), &headers, body.as_bytes());
        assert_eq!(answer.status, status, "{:?}: {}", self.way, answer.head);
        assert!(!closes(&answer), "a proxy keeps the connection: {}", answer.head);
    }

    /// Waits for the next message, or the end.
    pub fn next(&mut self) -> Event {
        while self.events.is_empty() {
            if self.way == Way::RawWebSocket {
                let event = self.raw_message();
                self.events.push_back(event);
            } else {
                let frame = self.frame();
                self.events.extend(events(&frame));
            }
        }
        self.events.pop_front().expect("one at least")
    }

    pub fn expect(&mut self, message: &str) {
        assert_eq!(self.next(), Event::Message(message.to_owned()), "{:?}", self.way);
    }

    /// Has a receiver waiting, as a client always does.
    pub fn listen(&mut self) {
        if self.way.is_websocket() || self.response != Response::Idle {
            return;
        }
        let (method, path) = self.way.receiver();
        self.receiver.request(method, &format!("{}{path}", self.base), &self.cookie, b"");
        self.response = Response::Asked;
    }

    /// Whether the session was given a cookie.
    pub fn has_cookie(&self) -> bool {
        self.cookie.starts_with("Cookie: JSESSIONID=")
    }

    fn raw_message(&mut self) -> Event {
        match self.receiver.read_frame() {
            (first, payload) if first == FIN | TEXT => {
                Event::Message(String::from_utf8(payload).expect("UTF-8"))
            }
            (first, payload) if first == FIN | CLOSE => {
                let (code, reason) = payload.split_at(2);
                let code = u16::from_be_bytes(code.try_into().expect("two"));
                Event::Closed(code, String::from_utf8(reason.to_vec()).expect("UTF-8"))
            }
            (first, payload) => panic!("an unexpected frame: {first:02x} {payload:?}"),
        }
    }

    /// The next SockJS frame.
    fn frame(&mut self) -> String {
        if self.way == Way::WebSocket {
            let (first, payload) = self.receiver.read_frame();
            assert_eq!(first, FIN | TEXT);
            return String::from_utf8(payload).expect("UTF-8");
        }
        loop {
            if let Some(frame) = self.buffered_frame() {
                return frame;
            }
            self.read_on();
        }
    }

    fn buffered_frame(&mut self) -> Option<String> {
        let (prelude, before, behind) = self.way.framing();
        if self.response == Response::Prelude {
            let end = position(&self.bytes, prelude)? + prelude.len();
            self.bytes.drain(..end);
            self.response = Response::Frames;
        }
        let end = position(&self.bytes, behind)?;
        let framed = self.bytes.drain(..end + behind.len()).take(end).collect();
        let framed = String::from_utf8(framed).expect("UTF-8");
        Some(self.way.decode(framed.strip_prefix(before).unwrap_or_else(|| panic!("{framed:?}"))))
    }

    /// Reads more of the response, or asks for the next one.
    fn read_on(&mut self) {
        match self.response {
            Response::Idle => self.listen(),
            Response::Asked => {
                let mut answer = self.receiver.read_head();
                assert_eq!(answer.status, 200, "{:?}: {}", self.way, answer.head);
                assert!(!closes(&answer), "a proxy keeps the connection: {}", answer.head);
                if let Some(cookie) = answer.header("Set-Cookie") {
                    let pair = cookie.split(';').next().expect("a pair");
                    self.cookie = format!("Cookie: {pair}\r\n");
                }
                if answer.header("Content-Length").is_some() {
                    self.receiver.read_body(&mut answer);
                    self.bytes.append(&mut answer.body);
                    self.response = Response::Idle;
                } else {
                    self.response = Response::Prelude;
                }
            }
            Response::Prelude | Response::Frames => match self.receiver.chunk() {
                Some(mut chunk) => self.bytes.append(&mut chunk),
                None => {
                    assert!(self.bytes.is_empty(), "{:?}: half a frame", self.way);
                    self.response = Response::Idle;
                }
            },
        }
    }
}

fn position(bytes: &[u8], part: &str) -> Option<usize> {
    bytes.windows(part.len().max(1)).position(|window| window.starts_with(part.as_bytes()))
}

fn closes(answer: &Answer) -> bool {
    answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// What a frame brings (section 5 of the wire contract).
fn events(frame: &str) -> Vec<Event> {
    match frame.split_at(1) {
        ("h", "") => Vec::new(),
        // The session is new to whoever answers: sockjs-client says it so, and closes.
        ("o", "") => vec![Event::Closed(1006, "Server lost session".to_owned())],
        ("a", json) => {
            let messages: Vec<String> = serde_json::from_str(json).expect("an array of strings");
            messages.into_iter().map(Event::Message).collect()
        }
        ("c", json) => {
            let (code, reason) = serde_json::from_str(json).expect("code and reason");
            vec![Event::Closed(code, reason)]
        }
        _ => panic!("an unexpected frame: {frame:?}"),
    }
}
