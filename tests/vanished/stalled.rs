//! Clients that the server cannot write to for the moment: who reads steadily is not aborted, and who has stopped
//! reading is given up (rule 7.14).

use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{Cause, EndpointOptions, ServerOptions};

use crate::SECOND;
use crate::pace::SlowReader;
use crate::slow_readers::{FILLING, filler};
use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::text;

const WRITE_STALL: Duration = Duration::from_millis(500);

/// The slowest client reads 1 MB/s, and the client of the test a little more.
const SLOWEST: usize = 1_000_000;
const RATE: usize = 1_250_000;

/// Messages that the server sends at once. Two sockets on loopback buffer less than half of the messages, so that the
/// server's write blocks for longer than `write_stall` while the client reads.
const MESSAGES: usize = 9_000;

fn options() -> (ServerOptions, EndpointOptions) {
    let mut server = ServerOptions::default();
    server.write_stall = WRITE_STALL;
    server.slowest_client = SLOWEST;
    let mut endpoint = EndpointOptions::default();
    endpoint.send_queue = 64 << 20;
    (server, endpoint)
}

/// A WebSocket to which everything was sent.
fn filled_socket(server: &TestServer) -> Client {
    let mut client = Client::connect(server.address);
    client.upgrade("/filler/websocket");
    client.send(text(format!("fill {MESSAGES}")));
    client
}

/// A poll to which everything was sent.
fn filled_poll(server: &TestServer) -> Client {
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/filler/000/a/xhr", "", b"").text(), "o\n");
    let payload = format!("[\"fill {MESSAGES}\"]");
    let mut sender = Client::connect(server.address);
    assert_eq!(sender.ask("POST", "/filler/000/a/xhr_send", "", payload.as_bytes()).status, 204);
    client.request("POST", "/filler/000/a/xhr", "", b"");
    client
}

#[test]
fn a_client_that_reads_steadily_is_not_aborted() {
    let read = thread::scope(|scope| {
        [("websocket", read_socket as fn(&TestServer)), ("poll", read_poll)]
            .map(|(name, read)| {
                scope.spawn(move || {
                    let (server, endpoint) = options();
                    let (server, _, closed) = filler(server, endpoint);
                    let start = Instant::now();
                    let outcome = thread::scope(|scope| scope.spawn(|| read(&server)).join());
                    let closed: Vec<_> = closed.try_iter().collect();
                    println!("steady {name}: ended after {:.1?}, closed: {closed:?}", start.elapsed());
                    outcome.is_ok()
                })
            })
            .map(|reader| reader.join().expect("a reader's panic is caught"))
    });
    assert_eq!(read, [true, true], "whether each read everything");
}

/// Reads all messages steadily. The WebSocket is served behind the last message too.
fn read_socket(server: &TestServer) {
    let mut reader = SlowReader::new(filled_socket(server), RATE);
    for number in 0..MESSAGES {
        let (_, message) = reader.frame();
        assert_eq!(message.len(), FILLING, "message {number}");
    }
    reader.client.send(text("the last")).expect_text("the last");
}

/// Reads the answer steadily.
fn read_poll(server: &TestServer) {
    let mut reader = SlowReader::new(filled_poll(server), RATE);
    let answer = reader.read_answer(|| ());
    // Each message has two quotes and, but for the first, a comma; `a[` stands before the messages, `]` and a line end
    // behind them.
    assert_eq!(answer.body.len(), MESSAGES * (FILLING + 3) - 1 + 4);
}

#[test]
fn a_client_that_stops_reading_is_given_up() {
    thread::scope(|scope| {
        for (name, fill) in [("websocket", filled_socket as fn(&TestServer) -> Client), ("poll", filled_poll)]
        {
            scope.spawn(move || {
                let (server, endpoint) = options();
                let (server, _, closed) = filler(server, endpoint);
                let mut reader = SlowReader::new(fill(&server), RATE);
                reader.fill_to(500_000);
                let stopped = Instant::now();
                let close = closed.recv_timeout(15 * SECOND).expect("it is given up");
                let took = stopped.elapsed();
                let written = server.counters().bytes_out;
                let bound = WRITE_STALL + Duration::from_secs_f64(written as f64 / SLOWEST as f64) + SECOND;
                println!("stopped {name}: given up after {took:.2?} with {written} bytes written: {close}");
                assert_eq!(close.cause, Cause::Unresponsive);
                assert!(took <= bound, "{name}: given up after {took:?}, allowed are {bound:?}");
                // The connection ends too.
                server.wait_for("the end of the connection", |counters| counters.connections <= 1);
            });
        }
    });
}
