//! Clients of every transport that behave, stall, vanish, flood and lie, all at once, against a real server. Those that
//! behave are served as if they were alone; and when all is over nothing is left: no connection, no session, no timer.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sockjs_server::{EndpointOptions, Handler, Request, SendError, ServerOptions, Session, Transport};
use support::client::{Answer, Client};
use support::{TestServer, endpoints};

/// Each thread runs its clients one after the other.
const THREADS: u64 = 4;
const CLIENTS: u64 = 45;

/// No client begins after this: slow machines run fewer of them.
const LONGEST: Duration = Duration::from_secs(6);

#[test]
fn chaos_leaves_nothing_behind() {
    let server = start();
    let address = server.address;
    let begin = Instant::now();
    let threads = (1..=THREADS).map(|thread| {
        std::thread::spawn(move || {
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ thread << 32);
            // Their sockets stay open to the very end: it is for the server to get rid of them.
            let mut silent = Vec::new();
            for number in 0..CLIENTS {
                if begin.elapsed() < LONGEST {
                    let id = format!("{thread}-{number}");
                    silent.extend(misbehave(address, &mut random, &id));
                }
            }
            silent
        })
    });
    let threads: Vec<_> = threads.collect();
    let silent: Vec<_> =
        threads.into_iter().flat_map(|thread| thread.join().expect("no client fails")).collect();
    assert!(!silent.is_empty());
    let counters = server.wait_for("everything to end", |counters| {
        (counters.connections, counters.sessions, counters.timers, counters.buffered) == (0, 0, 0, 0)
    });
    assert_eq!(counters.opened, counters.closed);
    assert!(counters.opened > 0, "there was some chaos: {counters:?}");
    drop(silent);
    for transport in Transport::ALL {
        converse(address, transport, &format!("after-{}", transport.name()), 3);
    }
}

/// Waits are short here, so that what must end ends soon.
fn start() -> TestServer {
    let mut options = ServerOptions::default();
    options.head_timeout = Duration::from_secs(3);
    options.body_timeout = Duration::from_secs(2);
    options.keep_alive = Duration::from_secs(3);
    options.write_stall = Duration::from_secs(2);
    options.slowest_client = 1 << 20;
    options.close_timeout = Duration::from_secs(1);
    TestServer::start(options, |server| {
        let mut options = EndpointOptions::default();
        options.heartbeat_delay = Duration::from_millis(300);
        options.pong_timeout = Duration::from_secs(2);
        // Behaving clients must be back in time, however busy the machine is.
        options.disconnect_delay = Duration::from_secs(3);
        endpoints::mount(server, &options).expect("mount");
        options.response_limit = 1 << 30;
        server.mount_with("/flood", options, Flood).expect("mount");
    })
}

/// Sends as much as is taken, and more as soon as it can.
struct Flood;

impl Flood {
    fn pour(session: &mut Session<'_>) {
        let text = "flood".repeat(1 << 14);
        while session.send(&text) != Err(SendError::Full) {}
    }
}

impl Handler for Flood {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        Self::pour(session);
    }

    fn on_drain(&mut self, session: &mut Session<'_>, _: u64) {
        Self::pour(session);
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// One client, of a transport and a character that chance picks; what it leaves open.
fn misbehave(address: SocketAddr, random: &mut Random, id: &str) -> Option<Client> {
    let transport = random.pick(&Transport::ALL);
    match random.below(8) {
        0 | 1 => converse(address, transport, id, 1 + random.below(8)),
        2 => return Some(stall(address, transport, id)),
        3 => return Some(fall_silent(address, random, id)),
        4 => vanish(address, transport, random, id),
        5 => flood_with_requests(address, id),
        6 => flood_with_frames(address),
        _ => lie(address, random, id),
    }
    None
}

/// Says some messages and hears each of them again, in order.
fn converse(address: SocketAddr, transport: Transport, id: &str, count: usize) {
    let texts =
        (0..count).map(|number| format!("{number} %41</script>\u{2028}\r\n\0{}", "x".repeat(number * 700)));
    let texts: Vec<String> = texts.collect();
    let mut heard = Vec::new();
    let mut link = Link::open(address, "/echo", transport, id);
    for text in &texts {
        link.say(text);
        while heard.len() < texts.len() && heard.last() != Some(text) {
            heard.extend(link.hear());
        }
    }
    assert_eq!(heard, texts, "{transport:?}");
}

/// Asks for more than it ever reads, and stays.
fn stall(address: SocketAddr, transport: Transport, id: &str) -> Client {
    Link::open(address, "/flood", transport, id).receiver
}

/// Begins something, and stays.
fn fall_silent(address: SocketAddr, random: &mut Random, id: &str) -> Client {
    let mut client = Client::connect(address);
    let begun = match random.below(5) {
        0 => "",
        1 => "POST /echo/0/0/xhr HTTP/1.1\r\nHo",
        2 => "POST /echo/0/0/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n[\"",
        3 => "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        // It never answers a ping.
        _ => return Link::open(address, "/echo", Transport::WebSocket, id).receiver,
    };
    client.send(begun);
    client
}

/// Is gone in the middle of something.
fn vanish(address: SocketAddr, transport: Transport, random: &mut Random, id: &str) {
    let endpoint = random.pick(&["/echo", "/flood", "/close", "/broadcast"]);
    let mut link = Link::open(address, endpoint, transport, id);
    match random.below(4) {
        0 => {}
        1 => link.receiver.hang_up(),
        2 => {
            link.receiver.send(b"\x81half of something");
        }
        _ => {
            Client::connect(address).request("POST", &format!("{endpoint}/0/{id}/xhr"), "", b"");
        }
    }
}

/// Many requests at once, with their answers read only then; and receivers that fight for one session.
fn flood_with_requests(address: SocketAddr, id: &str) {
    let mut client = Client::connect(address);
    let poll = format!("/echo/0/{id}/xhr");
    for _ in 0..50 {
        client.request("GET", "/echo/info", "", b"").request(
            "POST",
            &format!("/echo/0/{id}x/xhr_send"),
            "",
            b"[]",
        );
    }
    for _ in 0..50 {
        for status in [200, 404] {
            let mut answer = client.read_head();
            client.read_body(&mut answer);
            assert_eq!(answer.status, status, "answers come in the order of their requests");
        }
    }
    assert_eq!(client.ask("POST", &poll, "", b"").text(), "o\n");
    client.request("POST", &poll, "", b"");
    for _ in 0..10 {
        let answer = Client::connect(address).ask("POST", &poll, "", b"");
        // The two are unordered on the wire, so either may be the second.
        assert!(
            ["h\n", "c[2010,\"Another connection still open\"]\n"].contains(&answer.text()),
            "{answer:?}"
        );
        if answer.text() == "h\n" {
            break;
        }
    }
}

/// Pings and messages without end, none of whose answers is read before the last was sent.
fn flood_with_frames(address: SocketAddr) {
    let mut link = Link::open(address, "/echo", Transport::WebSocket, "");
    let mut wire = Vec::new();
    for _ in 0..200 {
        append_frame(&mut wire, 0x89, b"ping");
        append_frame(&mut wire, 0x81, b"[\"m\"]");
    }
    link.receiver.send(&wire);
    let (mut pongs, mut messages) = (0, 0);
    while pongs < 200 || messages < 200 {
        match link.frame() {
            (0x8a, payload) => pongs += usize::from(payload == b"ping"),
            (0x81, payload) if payload == b"h" => {}
            (0x81, payload) => messages += payload.iter().filter(|byte| **byte == b'm').count(),
            (0x89, _) => {}
            frame => panic!("{frame:?}"),
        }
    }
}

/// Says what nobody may say, and is refused.
fn lie(address: SocketAddr, random: &mut Random, id: &str) {
    let mut client = Client::connect(address);
    let requests: [(&str, u16); 8] = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (
            "POST /echo/0/0/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST /echo/0/0/xhr HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST /echo/0/0/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        ("GET /echo/0/0/jsonp?c=alert(1)// HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 500),
        ("GET /echo/websocket HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0", 400),
    ];
    let frames: [(&[u8], u16); 4] = [
        (b"\x81\x02[]", 1002),
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
        (b"\x81\x83\0\0\0\0[1]", 1002),
        (b"\x82\x80\0\0\0\0", 1003),
    ];
    match random.below(requests.len() + frames.len()) {
        number if number < requests.len() => {
            let (request, status) = requests[number];
            let answer = client.send(request).read_head();
            assert_eq!(answer.status, status, "{request:?}");
            client.rest();
        }
        number => {
            let (frame, code) = frames[number - requests.len()];
            let mut link = Link::open(address, "/echo", Transport::WebSocket, id);
            link.receiver.send(frame);
            let payload = loop {
                // Heartbeats come when they come.
                match link.frame() {
                    (0x88, payload) => break payload,
                    (0x89 | 0x81, _) => {}
                    frame => panic!("{frame:?}"),
                }
            };
            assert_eq!(payload[..2], code.to_be_bytes(), "{frame:?}");
        }
    }
}

/// A session as its client sees it.
struct Link {
    address: SocketAddr,
    transport: Transport,
    base: String,
    receiver: Client,
    /// What a receiver's response brought beyond the messages asked for.
    frames: Vec<String>,
}

impl Link {
    /// Opens a session, as far as its `o`.
    fn open(address: SocketAddr, endpoint: &str, transport: Transport, id: &str) -> Self {
        let base = format!("{endpoint}/0/{id}");
        let mut link =
            Self { address, transport, base, receiver: Client::connect(address), frames: Vec::new() };
        match transport {
            Transport::RawWebSocket => link.upgrade(&format!("{endpoint}/websocket")),
            Transport::WebSocket => {
                link.upgrade(&format!("{endpoint}/0/{id}x/websocket"));
                assert_eq!(link.frame(), (0x81, b"o".to_vec()));
            }
            _ => {
                link.receive();
                assert_eq!(link.next_frame().as_deref(), Some("o"));
            }
        }
        link
    }

    fn upgrade(&mut self, path: &str) {
        let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        assert_eq!(self.receiver.request("GET", path, headers, b"").read_head().status, 101);
    }

    /// Makes the receiver one again.
    fn receive(&mut self) {
        let (method, target) = match self.transport {
            Transport::XhrPolling => ("POST", "xhr"),
            Transport::XhrStreaming => ("POST", "xhr_streaming"),
            Transport::EventSource => ("GET", "eventsource"),
            Transport::HtmlFile => ("GET", "htmlfile?c=call"),
            Transport::JsonpPolling => ("GET", "jsonp?c=call"),
            Transport::WebSocket | Transport::RawWebSocket => return,
        };
        self.receiver.request(method, &format!("{}/{target}", self.base), "", b"");
        let mut answer = self.receiver.read_head();
        assert_eq!(answer.status, 200, "{answer:?}");
        if self.transport.is_polling() {
            self.receiver.read_body(&mut answer);
            self.frames.push(self.unwrap(answer.text()));
        } else {
            self.receiver.chunk().expect("a prelude");
        }
    }

    /// The next frame of an HTTP receiver; `None`: its response has ended.
    fn next_frame(&mut self) -> Option<String> {
        if self.transport.is_polling() {
            return self.frames.pop();
        }
        let chunk = self.receiver.chunk()?;
        Some(self.unwrap(std::str::from_utf8(&chunk).expect("only UTF-8 goes out")))
    }

    fn unwrap(&self, wire: &str) -> String {
        let inside = |before: &str, after: &str| {
            let inside = wire.strip_prefix(before).and_then(|wire| wire.strip_suffix(after));
            inside.unwrap_or_else(|| panic!("{:?}: {wire:?}", self.transport)).to_owned()
        };
        match self.transport {
            Transport::EventSource => inside("data: ", "\r\n\r\n").replace("%25", "%"),
            Transport::HtmlFile => {
                serde_json::from_str(&inside("<script>\np(", ");\n</script>\r\n")).expect("p(…)")
            }
            Transport::JsonpPolling => serde_json::from_str(&inside("/**/call(", ");\r\n")).expect("call(…)"),
            _ => inside("", "\n"),
        }
    }

    fn say(&mut self, text: &str) {
        let json = serde_json::to_string(&[text]).expect("strings are JSON");
        let mut wire = Vec::new();
        match self.transport {
            Transport::RawWebSocket => append_frame(&mut wire, 0x81, text.as_bytes()),
            Transport::WebSocket => append_frame(&mut wire, 0x81, json.as_bytes()),
            transport => {
                let (action, status) = match transport {
                    Transport::JsonpPolling => ("jsonp_send", 200),
                    _ => ("xhr_send", 204),
                };
                let target = format!("{}/{action}", self.base);
                let answer: Answer = Client::connect(self.address).ask("POST", &target, "", json.as_bytes());
                assert_eq!(answer.status, status, "{answer:?}");
                return;
            }
        }
        self.receiver.send(wire);
    }

    /// The next messages; none in a heartbeat.
    fn hear(&mut self) -> Vec<String> {
        let frame = match self.transport {
            Transport::WebSocket | Transport::RawWebSocket => match self.frame() {
                (0x89, _) => {
                    let mut pong = Vec::new();
                    append_frame(&mut pong, 0x8a, b"");
                    self.receiver.send(pong);
                    return Vec::new();
                }
                (0x81, payload) => String::from_utf8(payload).expect("text is UTF-8"),
                frame => panic!("{frame:?}"),
            },
            _ => match self.next_frame() {
                Some(frame) => frame,
                None => {
                    self.receive();
                    return Vec::new();
                }
            },
        };
        match frame.strip_prefix('a') {
            _ if self.transport == Transport::RawWebSocket => vec![frame],
            Some(messages) => serde_json::from_str(messages).expect("an array of strings"),
            None => {
                assert_eq!(frame, "h");
                Vec::new()
            }
        }
    }

    /// A WebSocket frame: its first byte and its payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.receiver.take(2);
        let length = match head[1] {
            126 => self.receiver.take(2).iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            127 => self.receiver.take(8).iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            length => usize::from(length),
        };
        (head[0], self.receiver.take(length))
    }
}

/// A client's frame, masked with zeros.
fn append_frame(wire: &mut Vec<u8>, first: u8, payload: &[u8]) {
    wire.push(first);
    match payload.len() {
        length @ 0..126 => wire.push(0x80 | length as u8),
        length => {
            wire.push(0x80 | 126);
            wire.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(payload);
}
