//! What is announced and never comes, and what is small and comes a hundred thousand times: memory follows what has
//! arrived, and not beyond the buffers that are documented (rule 12.4).

use std::io::Write;
use std::net::SocketAddr;

use crate::process::{expect_alive, memory};
use crate::support::client::Client;
use crate::support::echo_process::EchoProcess;
use crate::support::frames::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, frame, header, text};
use crate::{NEVER, Neighbour, start};

const MANY: usize = 100_000;

/// One 64 KiB read and 64 KiB of unread answers, either in a buffer that may be half empty as it grows.
const BUFFERS: usize = 4 * (64 << 10);

/// What an attack is called, what it may hold, and what it does until the server has dealt with it.
type Attack = (&'static str, usize, fn(SocketAddr));

const ATTACKS: [Attack; 12] = [
    ("a frame of 2^63 bytes", 1 << 10, |address| announce_frame(address, 1 << 63, 1002)),
    ("a frame of 2^63 - 1 bytes", 1 << 10, |address| announce_frame(address, (1 << 63) - 1, 1009)),
    ("a frame of 4 GiB", 1 << 10, |address| announce_frame(address, 1 << 32, 1009)),
    ("a chunk of 4 GiB", 1 << 10, |address| {
        announce_body(address, "Transfer-Encoding: chunked\r\n\r\n100000000\r\n[", 413);
    }),
    ("a chunk of 2^64 - 1 bytes", 1 << 10, |address| {
        announce_body(address, "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n[", 413);
    }),
    ("a body of 2^63 bytes", 1 << 10, |address| {
        announce_body(address, "Content-Length: 9223372036854775808\r\n\r\n[", 413);
    }),
    ("fragments of a byte", BUFFERS + 2 * 2 * MANY, |address| fragments(address, b"7")),
    ("fragments of nothing", BUFFERS, |address| fragments(address, b"")),
    // The payload has to be whole before it is known for what it is.
    ("nested brackets on a WebSocket", BUFFERS + 2 * MANY, |address| {
        let mut socket = Client::connect(address);
        socket.upgrade("/echo/000/s/websocket").expect_text("o");
        socket.send(text("[".repeat(MANY))).expect_close(1002);
    }),
    ("nested brackets in a body", BUFFERS + 2 * 2 * MANY, |address| {
        let mut client = Client::connect(address);
        client.ask("POST", "/echo/000/nested/xhr", "", b"");
        for body in ["[".repeat(MANY), "[".repeat(MANY / 2) + &"]".repeat(MANY / 2)] {
            assert_eq!(client.ask("POST", "/echo/000/nested/xhr_send", "", body.as_bytes()).status, 500);
        }
    }),
    ("pings", BUFFERS, |address| pings(address, b"are you there?")),
    ("empty pings", BUFFERS, |address| pings(address, b"")),
];

fn announce_frame(address: SocketAddr, length: u64, code: u16) {
    for opcode in [TEXT, BINARY] {
        let mut socket = Client::connect(address);
        let announced = header(FIN | opcode, &[&[0xff][..], &length.to_be_bytes()].concat());
        socket.upgrade("/echo/websocket").send(announced).expect_close(code);
    }
}

fn announce_body(address: SocketAddr, rest: &str, status: u16) {
    for path in ["/other", "/echo/000/s/xhr_send"] {
        let mut client = Client::connect(address);
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{rest}"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("Connection")), (status, Some("close")));
        client.expect_end();
    }
}

fn fragments(address: SocketAddr, each: &[u8]) {
    let mut socket = Client::connect(address);
    socket.upgrade("/echo/websocket").send(frame(BINARY, each));
    socket.send(frame(CONTINUATION, each).repeat(MANY - 2)).send(frame(FIN | CONTINUATION, each));
    socket.expect_frame(FIN | BINARY, each.repeat(MANY));
}

fn pings(address: SocketAddr, payload: &[u8]) {
    let mut socket = Client::connect(address);
    socket.upgrade("/echo/websocket");
    let mut writer = socket.stream.try_clone().expect("clone");
    let bytes = frame(FIN | PING, payload).repeat(MANY);
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&bytes).expect("the server reads"));
        let pong = [&[FIN | PONG, payload.len() as u8], payload].concat();
        for _ in 0..MANY {
            assert_eq!(socket.take(pong.len()), pong);
        }
    });
}

#[test]
fn an_attack_holds_no_more_than_is_documented() {
    let server = start(|_, endpoint| endpoint.disconnect_delay = NEVER);
    let mut neighbour = Neighbour::of(server.address);
    for (what, bound, attack) in ATTACKS {
        let most = crate::buffered_bytes::peak(&server, || attack(server.address));
        assert!(most <= bound, "{what}: {most} bytes were held, and {bound} are documented");
        neighbour.expect_service(what);
        server.wait_for("what it held to be free", |counters| counters.buffered == 0);
    }
}

/// The same as the operating system sees it: what the server does not count is seen too.
#[test]
#[cfg(target_os = "linux")]
fn an_attack_costs_no_memory() {
    /// 4 MiB of spare buffers are kept, and the allocator has its own.
    const KEPT: u64 = 8 << 20;

    let mut server = EchoProcess::start();
    let address = server.address();
    assert_eq!(Client::connect(address).ask("GET", "/echo", "", b"").status, 200);
    // Threads reserve addresses for an allocator of their own with the first thing that they allocate.
    fragments(address, b"7");
    let (size, resident) = memory(&server);
    for (what, _, attack) in ATTACKS {
        attack(address);
        let (size_now, resident_now) = memory(&server);
        assert!(size_now <= size + 2 * KEPT, "{what}: from {size} to {size_now} bytes asked for");
        assert!(resident_now <= resident + KEPT, "{what}: from {resident} to {resident_now} bytes in use");
    }
    expect_alive(&mut server);
}

/// Announcements within the limits cost nothing either, however many there are.
#[test]
fn an_announcement_allocates_nothing() {
    const EACH: usize = 256;

    let server = start(|_, _| ());
    let mut neighbour = Neighbour::of(server.address);
    let mebibyte = header(FIN | BINARY, &[0xff, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    let head = "POST /other HTTP/1.1\r\nHost: a\r\n";
    let mut clients = Vec::new();
    for (target, bytes) in [
        ("/echo/websocket", [&mebibyte[..], b"7"].concat()),
        ("", format!("{head}Content-Length: 1048576\r\n\r\n7").into_bytes()),
        ("", format!("{head}Transfer-Encoding: chunked\r\n\r\n100000\r\n7").into_bytes()),
    ] {
        for _ in 0..50 {
            let read = server.counters().bytes_in;
            let mut client = Client::connect(server.address);
            if !target.is_empty() {
                client.upgrade(target);
            }
            client.send(&bytes);
            server.wait_for("the announcement", |it| it.bytes_in >= read + bytes.len() as u64);
            clients.push(client);
        }
    }
    let buffered = server.counters().buffered;
    assert!(buffered <= clients.len() * EACH, "{buffered} bytes for {} clients", clients.len());
    neighbour.expect_service("announcements");
}
