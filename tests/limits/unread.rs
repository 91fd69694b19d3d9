//! Clients that send and never read: what is held for one of them is bounded, and its neighbour goes on (section 12,
//! rule 5).

use std::io::{ErrorKind, Write};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, PING, frame, text};
use crate::{Neighbour, start};

/// 64 KiB of answers, one read of the same size, and the last message; each buffer may be half empty as it grows.
const BOUND: usize = 2 * ((64 << 10) + (64 << 10) + (16 << 10));

/// Sends the same unit, without reading, until the server takes no more. The most that it held at any time.
pub fn flood(server: &TestServer, client: &mut Client, unit: &[u8]) -> usize {
    let bytes = unit.repeat((256 << 10) / unit.len() + 1);
    let (mut rest, mut most, mut idle) = (&bytes[..], 0, 0);
    client.stream.set_nonblocking(true).expect("nonblocking");
    // Full for good: the server has read nothing over many of its turns.
    while idle < 50 {
        let before = server.counters();
        most = most.max(before.buffered);
        match client.stream.write(rest) {
            Ok(count) => rest = rest.get(count..).filter(|rest| !rest.is_empty()).unwrap_or(&bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // It was cut for it.
            Err(_) => break,
        }
        idle = if server.counters().bytes_in == before.bytes_in { idle + 1 } else { 0 };
    }
    client.stream.set_nonblocking(false).expect("blocking");
    most
}

#[test]
fn what_is_held_for_a_client_that_never_reads_is_bounded() {
    let request: &[u8] = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
    let poll: &[u8] = b"POST /echo/000/p/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let stream: &[u8] = b"POST /echo/000/x/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let floods: [(&str, &str, &[u8], Vec<u8>); 6] = [
        ("pipelined requests", "", b"", request.into()),
        ("requests behind a poll", "", &poll.repeat(2), request.into()),
        ("requests behind a stream", "", stream, request.into()),
        ("pings", "/echo/websocket", b"", frame(FIN | PING, &[7; 125])),
        ("binary echoes", "/echo/websocket", b"", frame(FIN | BINARY, &[7; 10_000])),
        ("echoes in frames", "/echo/000/f/websocket", b"", text(format!("[\"{}\",\"\"]", "x".repeat(1000)))),
    ];
    for (what, target, start_with, unit) in floods {
        let server = start(|_, _| ());
        let mut neighbour = Neighbour::of(server.address);
        let mut client = Client::connect(server.address);
        if !target.is_empty() {
            client.upgrade(target);
        }
        let most = flood(&server, client.send(start_with), &unit);
        assert!(most <= BOUND, "{what}: {most} bytes were held");
        neighbour.expect_service(what);
        // Unread answers make it a reset.
        drop(client);
        server.wait_for("the end of the flood", |counters| counters.buffered == 0);
    }
}
