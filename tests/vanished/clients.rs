//! Clients that do all that a live client does, one for each transport: the clients take every frame, answer pings, poll
//! again, and open the next stream when a stream ends.

use std::net::SocketAddr;

use sockjs_server::Transport;

use crate::child::tell;
use crate::support::client::{Answer, Client};
use crate::support::frames::{FIN, PING, PONG, TEXT, frame, text};

/// The life of a process of clients. Each client tells `ready` when its session is open and has exchanged a message, and
/// `lost` when its session does not live on.
pub fn live(address: SocketAddr, endpoint: &str) {
    std::thread::scope(|scope| {
        for transport in Transport::ALL {
            scope.spawn(move || {
                let frame = match transport {
                    Transport::WebSocket => {
                        live_socket(address, &format!("{endpoint}/000/w/websocket"), false)
                    }
                    Transport::RawWebSocket => live_socket(address, &format!("{endpoint}/websocket"), true),
                    _ => live_receiver(Receiver::new(transport, address, endpoint)),
                };
                tell(&format!("lost {}: {frame:?}", transport.name()));
            });
        }
    });
}

/// The life of a WebSocket. The returned frame is one that a session which lives on does not get.
fn live_socket(address: SocketAddr, target: &str, raw: bool) -> String {
    let mut client = Client::connect(address);
    client.upgrade(target);
    let echo = if raw { "hello" } else { "a[\"hello\"]" };
    if !raw {
        client.expect_text("o");
    }
    client.send(text(if raw { "hello" } else { "\"hello\"" }));
    loop {
        let (first, payload) = client.read_frame();
        let payload = String::from_utf8_lossy(&payload).into_owned();
        if first == FIN | PING {
            client.send(frame(FIN | PONG, payload.as_bytes()));
        } else if first == FIN | TEXT && payload == echo {
            tell(if raw { "ready websocket-raw" } else { "ready websocket" });
        } else if first != FIN | TEXT || payload != "h" {
            return payload;
        }
    }
}

/// The life of a session over HTTP. The returned frame is one that a session which lives on does not get.
fn live_receiver(mut receiver: Receiver) -> String {
    assert_eq!(receiver.next_frame(), "o");
    receiver.send("hello");
    loop {
        match &*receiver.next_frame() {
            "a[\"hello\"]" => tell(&format!("ready {}", receiver.transport.name())),
            "h" => {}
            other => return other.to_owned(),
        }
    }
}

/// A session over HTTP, and the connection of its receivers.
struct Receiver {
    transport: Transport,
    address: SocketAddr,
    /// The path of the session.
    base: String,
    client: Client,
    /// Whether a streaming response is under way.
    is_streaming: bool,
}

impl Receiver {
    fn new(transport: Transport, address: SocketAddr, endpoint: &str) -> Self {
        let base = format!("{endpoint}/000/{}", transport.name());
        Self { transport, address, base, client: Client::connect(address), is_streaming: false }
    }

    fn request(&mut self) {
        let (method, action) = match self.transport {
            Transport::XhrPolling => ("POST", "xhr"),
            Transport::XhrStreaming => ("POST", "xhr_streaming"),
            Transport::EventSource => ("GET", "eventsource"),
            Transport::HtmlFile => ("GET", "htmlfile?c=f"),
            _ => ("GET", "jsonp?c=f"),
        };
        self.client.request(method, &format!("{}/{action}", self.base), "", b"");
    }

    fn expect_head(&mut self) -> Answer {
        let answer = self.client.read_head();
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer
    }

    /// The next frame, for which the client makes as many requests as are needed.
    fn next_frame(&mut self) -> String {
        if self.transport.is_polling() {
            self.request();
            let mut answer = self.expect_head();
            self.client.read_body(&mut answer);
            return frame_within(self.transport, answer.text());
        }
        loop {
            if !self.is_streaming {
                self.request();
                self.expect_head();
                self.client.chunk().expect("the prelude");
                self.is_streaming = true;
            }
            match self.client.chunk() {
                Some(chunk) => {
                    let text = String::from_utf8(chunk).expect("only valid UTF-8 goes out");
                    return frame_within(self.transport, &text);
                }
                None => self.is_streaming = false,
            }
        }
    }

    /// Sends a message on a connection of its own.
    fn send(&self, message: &str) {
        let action = if self.transport == Transport::JsonpPolling { "jsonp_send" } else { "xhr_send" };
        let payload = format!("[\"{message}\"]");
        let target = format!("{}/{action}", self.base);
        let status = Client::connect(self.address).ask("POST", &target, "", payload.as_bytes()).status;
        assert!(status == 200 || status == 204, "{status}");
    }
}

/// The frame without what its transport puts around it.
fn frame_within(transport: Transport, text: &str) -> String {
    let (before, behind) = match transport {
        Transport::EventSource => ("data: ", "\r\n\r\n"),
        Transport::HtmlFile => ("<script>\np(\"", "\");\n</script>\r\n"),
        Transport::JsonpPolling => ("/**/f(\"", "\");\r\n"),
        _ => ("", "\n"),
    };
    let frame = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
    frame.unwrap_or_else(|| panic!("a frame of {}: {text:?}", transport.name())).replace("\\\"", "\"")
}
