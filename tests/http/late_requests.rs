//! Heads and bodies that take too long (rules 10 and 12.6).

use std::time::Duration;

use crate::support::client::Client;
use crate::{GREETING, conversation, statuses, with_options};

/// Rule 2: error answers too can be read by the page that asked, and go the balancer's way.
#[test]
fn a_body_that_takes_too_long_is_answered_as_its_route_answers() {
    let server = with_options(|options| options.body_timeout = Duration::from_millis(60));
    let mut client = Client::connect(server.address);
    client.send("POST /cookie_needed_echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nOrigin: http://o\r\nContent-Length: 5\r\n\r\n[");
    let answer = client.head();
    assert_eq!(answer.status, 408);
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://o"));
    assert_eq!(answer.header("set-cookie"), Some("JSESSIONID=dummy; path=/"));
    assert!(answer.header("cache-control").is_some_and(|value| value.contains("no-store")));
}

/// Rule 10: time 408; rule 12.6: every wait has a timer.
#[test]
fn heads_and_bodies_that_take_too_long_are_answered_408() {
    let server = with_options(|options| {
        options.head_timeout = Duration::from_millis(60);
        options.body_timeout = Duration::from_millis(60);
    });
    for start in [
        "G",
        "GET /echo HTTP/1.1\r\nHost: a\r\n",
        "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234",
        "POST /other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1",
    ] {
        let answers = conversation(&server, start);
        assert_eq!(statuses(&answers), ["408"], "{start:?}");
        let answers = conversation(&server, format!("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n{start}"));
        assert_eq!(statuses(&answers), ["200", "408"], "{start:?}");
    }
    // Drop by drop is no faster: the whole head has its time, not each byte.
    let mut slow = Client::connect(server.address);
    slow.send("GET /echo HTTP/1.1\r\nHost: a\r\n");
    while server.counters().refused.total() < 11 {
        // The last drops may find the connection ended.
        let _ = std::io::Write::write(&mut slow.stream, b"A: b\r\n");
    }
    server.wait_until_empty("408s, and their clients");
}

/// Rule 12.6: a head's time runs from its first byte, not from the answer before it: an idle connection loses nothing.
#[test]
fn idle_time_is_not_the_next_heads() {
    let server = with_options(|options| options.head_timeout = Duration::from_millis(50));
    let mut idle = Client::connect(server.address);
    assert_eq!(idle.ask("GET", "/echo", "", b"").text(), GREETING);
    // The time of a whole head passes.
    assert_eq!(statuses(&conversation(&server, "G")), ["408"]);
    let mut earlier = Client::connect(server.address);
    earlier.send("G");
    server.wait_for("it to be read", |counters| counters.accepted == 3 && counters.connections == 2);
    idle.send("G");
    // Who began later has later until.
    assert_eq!(idle.head().status, 408);
    assert!(!earlier.is_quiet());
    assert_eq!(earlier.head().status, 408);
}
