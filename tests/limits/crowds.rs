//! Crowds of connections that only hold on to what they have: nobody waits behind them, and their time runs out.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::{TestServer, descriptors};
use crate::{NEVER, Neighbour, start};

/// Long enough for a crowd to gather, with much room for a slow machine.
const WAIT: Duration = Duration::from_secs(4);

/// How large a crowd may be, with both its ends in this process and other tests beside it.
pub fn crowd(wanted: usize) -> usize {
    wanted.min(descriptors() / 8)
}

/// They come as fast as the server takes them: nobody is turned away by the operating system, to try again later.
fn gather(server: &TestServer, count: usize, bytes: &[u8]) -> Vec<Client> {
    let before = server.counters().accepted;
    let members = (1..=count).map(|number| {
        let mut member = Client::connect(server.address);
        member.send(bytes);
        if number % 50 == 0 || number == count {
            let taken = before + number as u64;
            server.wait_for("all to be accepted", |counters| counters.accepted >= taken);
        }
        member
    });
    members.collect()
}

/// 500 slow heads, 500 slow bodies and 2,000 silent connections, all at once.
#[test]
fn nobody_waits_behind_a_crowd_and_its_time_runs_out() {
    let server = start(|server, _| {
        server.head_timeout = WAIT;
        server.body_timeout = WAIT;
        server.close_timeout = Duration::from_millis(20);
        server.keep_alive = NEVER;
    });
    let mut neighbour = Neighbour::of(server.address);
    let body: &[u8] = b"POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[";
    let heads = gather(&server, crowd(500), b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    let bodies = gather(&server, crowd(500), body);
    let silent = gather(&server, crowd(2000), b"");
    let members = heads.len() + bodies.len() + silent.len();

    let mut fresh = Client::connect(server.address);
    assert_eq!(fresh.ask("GET", "/echo", "", b"").text(), "Welcome to SockJS!\n");
    fresh.upgrade("/echo/000/s/websocket").expect_text("o");
    neighbour.expect_service("a crowd");
    // It was served while all of them were still there.
    let counters = server.counters();
    assert!(counters.connections >= members + 2, "{members} came: {counters:?}");
    let each = counters.buffered / (heads.len() + bodies.len());
    assert!(each <= 256, "{each} bytes are held for each");

    for mut slow in heads.into_iter().chain(bodies) {
        assert_eq!(slow.answer().status, 408);
        slow.expect_end();
    }
    for mut member in silent {
        member.expect_end();
    }
    // Only the neighbour and the fresh client are left.
    let counters = server.wait_for("the crowd to be gone", |counters| counters.connections == 2);
    assert_eq!((counters.sessions, counters.buffered), (3, 0));
    neighbour.expect_service("what was a crowd");
}
