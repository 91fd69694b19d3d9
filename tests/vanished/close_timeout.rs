//! The closing handshake waits for its client from the close on, however long the handler worked before (rule 12.11).

use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{Handler, ServerOptions, Session};

use crate::SECOND;
use crate::support::client::Client;
use crate::support::frames::{CLOSE, FIN, text};
use crate::support::{PATIENCE, TestServer};

const CLOSE_TIMEOUT: Duration = SECOND;

/// The delay that a machine with other work may add.
const ALLOWANCE: Duration = Duration::from_millis(500);

/// A handler that works for so many milliseconds, tells the test the time, and closes the session.
struct Closer(Sender<Instant>);

impl Handler for Closer {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        thread::sleep(Duration::from_millis(text.parse().expect("a number")));
        self.0.send(Instant::now()).expect("the test listens");
        session.close(4000, "done");
    }
}

#[test]
fn a_client_has_the_whole_close_timeout_to_answer() {
    let took: Vec<Duration> = thread::scope(|scope| {
        // Each client has a server of its own, because the handler blocks the loop.
        let waits = [0, 1000, 2000].map(|work| scope.spawn(move || time_until_the_end(work)));
        waits.into_iter().map(|wait| wait.join().expect("no panic")).collect()
    });
    println!("closing behind 0, 1 and 2 s of work: TCP ended after {took:.3?}");
    for took in took {
        assert!(took >= CLOSE_TIMEOUT, "sooner than it may: {took:?}");
        assert!(took <= CLOSE_TIMEOUT + ALLOWANCE, "later than it may: {took:?}");
    }
}

/// How long after the close the server ends TCP, when the client does not answer.
fn time_until_the_end(work: u64) -> Duration {
    let (closes, closed) = mpsc::channel();
    let mut options = ServerOptions::default();
    options.close_timeout = CLOSE_TIMEOUT;
    let server = TestServer::start(options, |server| {
        server.mount("/closer", Closer(closes)).expect("mount");
    });
    let mut client = Client::connect(server.address);
    client.upgrade("/closer/websocket").send(text(work.to_string()));
    let closed = closed.recv_timeout(PATIENCE).expect("the handler closes");
    assert_eq!(client.frame().0, FIN | CLOSE);
    client.expect_end();
    closed.elapsed()
}
