//! Clients that send without pause: one never slows the others (rule 12.5).

use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::thread::JoinHandle;

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, frame, text};
use crate::{Neighbour, REQUEST, start};

/// What a flooding client sends again and again, and whether it gets answers.
fn floods() -> [(&'static str, &'static str, Vec<u8>); 4] {
    [
        ("greetings", "", REQUEST.as_bytes().to_vec()),
        ("large echoes", "/echo/websocket", frame(FIN | BINARY, &[7; 40_000])),
        ("small echoes", "/echo/000/f/websocket", text(format!("{:?}", "x".repeat(60)))),
        ("messages without answer", "/echo/000/f/websocket", text(format!("[{:4000}]", ""))),
    ]
}

/// A client that sends without pause, and reads all that comes back, until it is dropped.
struct Flood {
    stream: TcpStream,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Returns when the flood has risen.
    fn begin(server: &TestServer, target: &str, unit: &[u8]) -> Self {
        let mut client = Client::connect(server.address);
        if !target.is_empty() {
            client.upgrade(target);
        }
        let clone = || client.stream.try_clone().expect("clone");
        let (stream, mut writer) = (clone(), clone());
        let bytes = unit.repeat((256 << 10) / unit.len() + 1);
        let writes = std::thread::spawn(move || while writer.write_all(&bytes).is_ok() {});
        let reads = std::thread::spawn(move || {
            while client.fill() {
                client.take(client.buffered().len());
            }
        });
        let risen = server.counters().bytes_in + (1 << 20);
        server.wait_for("the flood to rise", |counters| counters.bytes_in > risen);
        Self { stream, threads: vec![writes, reads] }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // Ends both threads, unless they have ended.
        let _ = self.stream.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[test]
fn others_are_served_beside_a_flood() {
    for (what, target, unit) in floods() {
        let server = start(|_, _| ());
        let _flood = Flood::begin(&server, target, &unit);
        let mut neighbour = Neighbour::of(server.address);
        for _ in 0..20 {
            neighbour.expect_service(what);
        }
    }
}

/// Work per turn is bounded: a connection gets one read of the shared buffer, however fast it floods. Two looks at the
/// counters are one turn apart, or two where the second came too late for the next; the least of many shows it.
#[test]
fn a_flood_gets_one_buffer_of_each_turn() {
    for (what, target, unit) in floods() {
        let server = TestServer::echo();
        let _flood = Flood::begin(&server, target, &unit);
        let mut shares = Vec::new();
        let mut before = server.counters().bytes_in;
        for _ in 0..200 {
            let now = server.counters().bytes_in;
            shares.push(now - before);
            before = now;
        }
        let late = &shares[100..];
        let least = late.iter().min().expect("a hundred");
        assert!(*least <= 2 * (64 << 10), "{what}: {least} bytes at least in two turns");
    }
}
