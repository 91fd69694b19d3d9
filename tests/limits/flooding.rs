//! Clients that send without pause: one never slows the others (rule 12.5).

use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use sockjs_server::{ServerOptions, Session};

use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, frame, text};
use crate::support::{PATIENCE, TestServer};
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

/// Rule 12.14: commands that are left over are not left over for ever. The crowd fills the work of every turn: each
/// read of it holds nearly as many messages as one connection may have in a turn.
#[test]
fn commands_are_carried_out_beside_a_crowd_that_fills_every_turn() {
    const CROWD: usize = 64;
    /// More than the crowd can send before the first of its turns is full.
    const MESSAGES: u64 = 400_000;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/sink", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let mut crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut client = Client::connect(server.address);
            client.upgrade("/sink/websocket");
            client.stream.set_nonblocking(true).expect("nonblocking");
            client
        })
        .collect();
    let bytes = text("x".repeat(250)).repeat(250);
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            let mut sent = vec![0; CROWD];
            while !is_over.load(Ordering::Relaxed) {
                for (client, sent) in crowd.iter_mut().zip(&mut sent) {
                    if let Ok(count) = client.stream.write(&bytes[*sent..]) {
                        *sent = (*sent + count) % bytes.len();
                    }
                }
            }
        })
    };
    // Each look at the counters is a command. The crowd ends before the outcome is judged:
    // with it the server might not stop.
    let start = Instant::now();
    let mut read = 0;
    while read < MESSAGES && start.elapsed() < PATIENCE {
        let (sender, receiver) = mpsc::channel();
        let posted = server.handle.run(move |context| _ = sender.send(context.counters().messages_in));
        posted.expect("room");
        let Ok(count) = receiver.recv_timeout(PATIENCE) else { break };
        read = count;
    }
    is_over.store(true, Ordering::Relaxed);
    flood.join().expect("the flood");
    assert!(read >= MESSAGES, "{read} messages were read when the last command was carried out");
}
