//! TLS in the process: the layer of `examples/tls` on real sockets. That everything works through it, and that every
//! end of a connection comes in time and leaves nothing behind.

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

mod ends;
mod traffic;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use sockjs_server::{EndpointOptions, ServerOptions};

use support::endpoints;
use tls::{Stream, TlsServer};

/// Waits that a test does not wait for long.
const SHORT: Duration = Duration::from_millis(300);

/// What an end may take beyond its wait, on a machine that is busy.
const LATE: Duration = Duration::from_secs(3);

/// A server with the endpoints of every suite.
fn start(options: ServerOptions) -> TlsServer {
    TlsServer::start(options, |server| {
        endpoints::mount(server, &EndpointOptions::default()).expect("mount");
    })
}

/// Nothing is left of any client, and no memory is booked.
fn wait_until_empty(server: &TlsServer, after: &str) {
    server.server.wait_until_empty(after);
    assert_eq!(server.server.counters().buffered, 0, "bytes after {after}");
}

/// Reads to the end of the stream, and says how long that took. The end of TCP must come with one of TLS if `is_clean`.
fn read_to_end(stream: &mut Stream, is_clean: bool) -> (Vec<u8>, Duration) {
    let (start, mut bytes) = (Instant::now(), Vec::new());
    let outcome = stream.read_to_end(&mut bytes);
    assert_eq!(outcome.is_ok(), is_clean, "{outcome:?}");
    (bytes, start.elapsed())
}

/// Sends a request, and reads its answer, whose length its head tells.
fn ask(stream: &mut Stream, method: &str, path: &str, body: &str) -> String {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).expect("send");
    read_answer(stream)
}

fn read_answer(stream: &mut Stream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length = length.map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length {
                assert_eq!(body.len(), length);
                return text;
            }
        }
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(count > 0, "the answer ends early: {text}");
        bytes.extend_from_slice(&buffer[..count]);
    }
}
