//! What all tests share: a server in a thread of its own, and a client that sees every byte.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod bad_frames;
pub mod bad_requests;
pub mod client;
pub mod echo_process;
pub mod frames;
pub mod programs;
pub mod receiver;
pub mod recorder;
pub mod sockjs;
pub mod target;
pub mod websocket;
pub mod wire;

#[path = "../../src/bin/sockjs-echo/endpoints.rs"]
pub mod endpoints;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use client::Client;
use sockjs_server::{Counters, EndpointOptions, Handle, Report, Server, ServerOptions};

/// How long anything may take before a test gives up. Nothing ever waits this long in a run that passes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How many descriptors this process may have; few where it is not known.
pub fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    match soft {
        Some("unlimited") => usize::MAX,
        soft => soft.and_then(|soft| soft.parse().ok()).unwrap_or(256),
    }
}

/// Turns a server that the test owns until it is so.
pub fn turn_until(server: &mut Server, mut is_so: impl FnMut(&Server) -> bool) {
    let start = Instant::now();
    while !is_so(server) {
        assert!(start.elapsed() < 2 * PATIENCE, "this did not come about: {server:?}");
        server.turn(Some(PATIENCE)).expect("turn");
    }
}

/// A server that runs until it is dropped.
pub struct TestServer {
    pub address: SocketAddr,
    pub handle: Handle,
    thread: Option<JoinHandle<Report>>,
}

impl TestServer {
    /// With the endpoints of section 11 of the wire contract, and default options.
    pub fn echo() -> Self {
        Self::start(ServerOptions::default(), |server| {
            endpoints::mount(server, &EndpointOptions::default()).expect("mount");
        })
    }

    /// With whatever `mount` puts there.
    pub fn start(options: ServerOptions, mount: impl FnOnce(&mut Server)) -> Self {
        let mut server = Server::new(options).expect("server");
        let address = server.listen("127.0.0.1:0").expect("listen");
        mount(&mut server);
        let handle = server.handle();
        let thread = std::thread::spawn(move || server.run_until_stopped().expect("run"));
        Self { address, handle, thread: Some(thread) }
    }

    /// The counters as they stand in the server's thread.
    pub fn counters(&self) -> Counters {
        let (sender, receiver) = mpsc::channel();
        let posted =
            self.handle.run(move |context| sender.send(context.counters()).expect("test is waiting"));
        posted.expect("the server runs, and is not behind");
        receiver.recv_timeout(PATIENCE).expect("the server answers")
    }

    /// Asks until the counters are as wanted.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Counters) -> bool) -> Counters {
        let start = Instant::now();
        loop {
            let counters = self.counters();
            if wanted(&counters) {
                return counters;
            }
            assert!(start.elapsed() < PATIENCE, "waited for {what}: {counters:?}");
            std::thread::yield_now();
        }
    }

    /// Sends bytes in pieces that end at these positions, each when the server has read the one before: no packet ever
    /// holds bytes of two. For servers with one client, and while nothing makes them pause reading.
    pub fn feed(&self, client: &mut Client, bytes: &[u8], cuts: impl IntoIterator<Item = usize>) {
        let mut from = 0;
        let mut read = self.counters().bytes_in;
        for cut in cuts {
            client.send(&bytes[from..cut]);
            read += (cut - from) as u64;
            from = cut;
            self.wait_for("a piece to be read", |counters| counters.bytes_in >= read);
        }
        client.send(&bytes[from..]);
    }

    /// Waits until nothing is left of any client: no connection, session or timer.
    pub fn wait_until_empty(&self, after: &str) {
        self.wait_for(&format!("nothing to be left after {after}"), |counters| {
            (counters.connections, counters.sessions, counters.timers) == (0, 0, 0)
        });
    }

    /// Shuts it down and says what was left.
    pub fn stop(mut self) -> Report {
        self.handle.shutdown();
        self.thread.take().expect("not stopped yet").join().expect("the server did not panic")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            let outcome = thread.join();
            if !std::thread::panicking() {
                outcome.expect("the server did not panic");
            }
        }
    }
}
