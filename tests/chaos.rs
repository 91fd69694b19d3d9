//! Clients of every transport that behave, stall, vanish, flood and lie, all at once, against a real server. Those that
//! behave are served as if they were alone; and when all is over nothing is left: no connection, no session, no timer.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sockjs_server::{EndpointOptions, Handler, Request, SendError, ServerOptions, Session, Transport};
use support::client::Client;
use support::frames::{frame, text, whole};
use support::sockjs::SockJs;
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
    let mut session = SockJs::open(address, transport, &format!("/echo/0/{id}"));
    for text in &texts {
        session.send(&[text]);
        session.expect(text);
    }
}

/// The connection of a session's receivers, as far as its `o`.
fn open(address: SocketAddr, endpoint: &str, transport: Transport, id: &str) -> Client {
    SockJs::open(address, transport, &format!("{endpoint}/0/{id}")).receiver.client
}

/// Asks for more than it ever reads, and stays.
fn stall(address: SocketAddr, transport: Transport, id: &str) -> Client {
    open(address, "/flood", transport, id)
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
        _ => return open(address, "/echo", Transport::WebSocket, id),
    };
    client.send(begun);
    client
}

/// Is gone in the middle of something.
fn vanish(address: SocketAddr, transport: Transport, random: &mut Random, id: &str) {
    let endpoint = random.pick(&["/echo", "/flood", "/close", "/broadcast"]);
    let mut client = open(address, endpoint, transport, id);
    match random.below(4) {
        0 => {}
        1 => client.hang_up(),
        2 => {
            client.send(b"\x81half of something");
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
            assert_eq!(client.answer().status, status, "answers come in the order of their requests");
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
    let mut client = open(address, "/echo", Transport::WebSocket, "flood");
    client.send([frame(whole::PING, b"ping"), text("[\"m\"]")].concat().repeat(200));
    let (mut pongs, mut messages) = (0, 0);
    while pongs < 200 || messages < 200 {
        match client.frame() {
            (whole::PONG, payload) => pongs += usize::from(payload == b"ping"),
            (whole::TEXT, payload) if payload == b"h" => {}
            (whole::TEXT, payload) => messages += payload.iter().filter(|byte| **byte == b'm').count(),
            (whole::PING, _) => {}
            frame => panic!("{frame:?}"),
        }
    }
}

/// Says what no client may say, and is refused.
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
            let answer = client.send(request).head();
            assert_eq!(answer.status, status, "{request:?}");
            client.rest();
        }
        number => {
            let (frame, code) = frames[number - requests.len()];
            let mut client = open(address, "/echo", Transport::WebSocket, id);
            client.send(frame);
            let payload = loop {
                // Heartbeats come when they come.
                match client.frame() {
                    (whole::CLOSE, payload) => break payload,
                    (whole::PING | whole::TEXT, _) => {}
                    frame => panic!("{frame:?}"),
                }
            };
            assert_eq!(payload[..2], code.to_be_bytes(), "{frame:?}");
        }
    }
}
