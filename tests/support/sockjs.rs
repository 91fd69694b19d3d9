//! A SockJS client over any transport: as much of `sockjs-client` as it takes to keep a session alive, to send, and
//! to hear messages and the close.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::client::Client;
use super::frames::{self, whole};
use super::receiver::Receiver;
use super::wire::{Transport, Wire, json, sending};

/// What a session brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Message(String),
    Closed(u16, String),
}

/// One session.
pub struct SockJs {
    pub transport: Transport,
    address: SocketAddr,
    /// The path of the session; of a raw WebSocket, that of its endpoint.
    path: String,
    /// The connection of its receivers, or of its WebSocket.
    pub receiver: Receiver,
    /// The connection on which it sends while a receiver waits.
    sender: Option<Client>,
    /// The header line of the cookie that a load balancer was given.
    cookie: String,
    events: VecDeque<Event>,
}

impl SockJs {
    /// Opens a session: `path` is the endpoint's prefix with the server's and the session's part behind it. A raw
    /// WebSocket has only the prefix, so those parts are dropped.
    pub fn open(address: SocketAddr, transport: Transport, path: &str) -> Self {
        Self::open_through(address, transport, path, false)
    }

    /// Opens a session through a proxy, which keeps connections and may cut responses into other chunks.
    pub fn open_proxied(proxy: SocketAddr, transport: Transport, path: &str) -> Self {
        Self::open_through(proxy, transport, path, true)
    }

    fn open_through(address: SocketAddr, transport: Transport, path: &str, is_proxied: bool) -> Self {
        let path = match transport {
            Transport::RawWebSocket => path.rsplitn(3, '/').last().unwrap_or_default(),
            _ => path,
        };
        let mut receiver = Receiver::new(Client::connect(address), transport);
        receiver.is_proxied = is_proxied;
        let (path, cookie, events) = (path.to_owned(), String::new(), VecDeque::new());
        let mut session = Self { transport, address, path, receiver, sender: None, cookie, events };
        if transport.is_websocket() {
            session.receiver.client.upgrade(&format!("{}{}", session.path, transport.path()));
        }
        if transport != Transport::RawWebSocket {
            assert_eq!(session.frame(), "o", "{transport:?}");
        }
        session
    }

    /// A session over xhr-polling.
    pub fn polling(address: SocketAddr, endpoint: &str, id: &str) -> Self {
        Self::open(address, Transport::XhrPolling, &format!("{endpoint}/000/{id}"))
    }

    /// Sends messages, together where the transport can.
    pub fn send<S: AsRef<str>>(&mut self, messages: &[S]) {
        match self.transport {
            Transport::RawWebSocket => {
                for message in messages {
                    self.receiver.client.send(frames::text(message.as_ref()));
                }
            }
            Transport::WebSocket => _ = self.receiver.client.send(frames::text(json(messages))),
            _ => {
                let (.., expected) = sending(self.transport, "", "");
                assert_eq!(self.send_json(&json(messages)), expected, "{:?}", self.transport);
            }
        }
    }

    /// Sends the JSON of an array in a request, and returns the status of the answer. The connection of the receivers
    /// serves for it if no receiver waits.
    pub fn send_json(&mut self, json: &str) -> u16 {
        let (path, headers, body, _) = sending(self.transport, &self.path, json);
        let client = match self.receiver.has_ended() {
            true => &mut self.receiver.client,
            false => self.sender.get_or_insert_with(|| Client::connect(self.address)),
        };
        let answer = client.ask("POST", &path, &format!("{headers}{}", self.cookie), &body);
        let is_kept = !self.receiver.is_proxied || !answer.closes();
        assert!(is_kept, "a proxy keeps the connection: {}", answer.head);
        answer.status
    }

    /// Has a receiver waiting, as a client always does.
    pub fn listen(&mut self) -> &mut Self {
        if !self.transport.is_websocket() && self.receiver.has_ended() {
            self.receiver.ask(&self.path, &self.cookie);
        }
        self
    }

    /// The next SockJS frame (of a raw WebSocket: the next message), heartbeats included. A new receiver is
    /// opened where the last one has ended.
    pub fn frame(&mut self) -> String {
        if self.transport.is_websocket() {
            return match self.socket_event() {
                Event::Message(text) => text,
                closed => panic!("{:?}: {closed:?}", self.transport),
            };
        }
        loop {
            if let Some(frame) = self.receiver.next() {
                if let Some(cookie) = self.receiver.answer.header("Set-Cookie") {
                    let pair = cookie.split(';').next().expect("a pair");
                    self.cookie = format!("Cookie: {pair}\r\n");
                }
                return frame;
            }
            self.listen();
        }
    }

    /// Waits for the next message, or the close.
    pub fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            if self.transport == Transport::RawWebSocket {
                return self.socket_event();
            }
            let frame = self.frame();
            self.events.extend(events(&frame));
        }
    }

    /// Panics unless this is the next message.
    #[track_caller]
    pub fn expect(&mut self, message: &str) {
        let event = self.next();
        let is_right = matches!(&event, Event::Message(text) if text == message);
        assert!(is_right, "{:?}: wanted {:.200}, got {:.200}", self.transport, message, format!("{event:?}"));
    }

    /// Whether a load balancer can tell the session by a cookie.
    pub fn has_cookie(&self) -> bool {
        self.cookie.starts_with("Cookie: JSESSIONID=")
    }

    /// The next text message of a WebSocket, or its close. Pings are answered.
    fn socket_event(&mut self) -> Event {
        loop {
            let (first, payload) = self.receiver.client.frame();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("only valid UTF-8 goes out");
            match (first, payload.split_first_chunk()) {
                (whole::TEXT, _) => return Event::Message(text(&payload)),
                (whole::PING, _) => _ = self.receiver.client.send(frames::frame(whole::PONG, &payload)),
                (whole::CLOSE, Some((code, reason))) => {
                    return Event::Closed(u16::from_be_bytes(*code), text(reason));
                }
                _ => panic!("an unexpected frame: {first:#04x} {}", payload.escape_ascii()),
            }
        }
    }
}

/// What a frame brings (section 5 of the wire contract).
fn events(frame: &str) -> Vec<Event> {
    match frame.split_at(1) {
        ("h", "") => Vec::new(),
        // The session is new to the server that answered: sockjs-client calls it so, and closes.
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
