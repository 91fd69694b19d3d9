//! Limits and waits (section 10; section 12, rules 4 and 6).

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::recorder::recorder;
use crate::{GREETING, LAST, conversation, statuses, with_options};

#[test]
fn each_limit_has_its_status() {
    let server = with_options(|options| {
        options.request_line = 100;
        options.header_section = 400;
        options.header_count = 10;
        options.body_size = 50;
    });
    let line = |length: usize| {
        let rest = "GET /echo? HTTP/1.1".len();
        format!("GET /echo?{} HTTP/1.1\r\nHost: a\r\n\r\n", "q".repeat(length - rest))
    };
    let section = |length: usize| {
        let rest = "Host: a\r\nX: \r\n".len();
        format!("GET /echo HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - rest))
    };
    let count =
        |count: usize| format!("GET /echo HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    let body = |length: usize| {
        format!("POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "b".repeat(length))
    };
    let chunked = |length: usize| {
        let chunks = "1\r\nb\r\n".repeat(length);
        format!("POST /other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    type Make<'a> = &'a dyn Fn(usize) -> String;
    let makers: [(&str, Make<'_>, usize, &str); 5] = [
        ("request line", &line, 100, "414"),
        ("header section", &section, 400, "431"),
        ("header count", &count, 10, "431"),
        ("body", &body, 50, "413"),
        ("chunked body", &chunked, 50, "413"),
    ];
    for (what, make, limit, status) in makers {
        let answers = conversation(&server, make(limit) + LAST);
        assert_eq!(statuses(&answers).len(), 2, "{what}, at its limit: {answers}");
        assert_ne!(statuses(&answers)[0], status, "{what}, at its limit");
        let answers = conversation(&server, make(limit + 1) + LAST);
        assert_eq!(statuses(&answers), [status], "{what}, beyond its limit");
        assert!(answers.contains("\r\nConnection: close\r\n"), "{what}");
    }
    // What is beyond a limit is refused before it has come whole: nobody buffers it.
    for (bytes, status) in [
        ("GET /".to_owned() + &"x".repeat(200), "414"),
        ("GET /echo HTTP/1.1\r\nA: ".to_owned() + &"x".repeat(500), "431"),
        ("POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 51\r\n\r\n".to_owned(), "413"),
        ("POST /other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n".to_owned(), "413"),
    ] {
        assert_eq!(statuses(&conversation(&server, &bytes)), [status], "{bytes:?}");
    }
}

#[test]
fn messages_of_an_endpoint_have_a_limit_of_their_own() {
    let mut options = EndpointOptions::default();
    options.message_size = 100;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount_with("/small", options, recorder().0).expect("mount");
    });
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/small/000/s/xhr", "", b"").text(), "o\n");
    let send = |client: &mut Client, length: usize| {
        let body = format!("[\"{}\"]", "x".repeat(length));
        client.ask("POST", "/small/000/s/xhr_send", "Origin: http://a\r\n", body.as_bytes())
    };
    assert_eq!(send(&mut client, 100).status, 204);
    let refusal = send(&mut client, 200);
    assert_eq!((refusal.status, refusal.header("Connection")), (413, Some("close")));
    // Section 2: error answers too let the page read them.
    assert_eq!(refusal.header("Access-Control-Allow-Origin"), Some("http://a"));
    client.expect_end();
    assert_eq!(server.counters().messages_in, 1);
}

#[test]
fn chunk_extensions_and_trailers_have_a_limit() {
    let server = TestServer::echo();
    let head = "POST /other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(100_000)),
        "1;extension=of-many-chunks\r\nx\r\n".repeat(10_000) + "0\r\n\r\n",
        format!("0\r\nA: {}\r\n\r\n", "t".repeat(100_000)),
        "0\r\n".to_owned() + &"Trailer: value\r\n".repeat(10_000) + "\r\n",
    ] {
        let answers = conversation(&server, format!("{head}{body}{LAST}"));
        assert_eq!(statuses(&answers), ["400"], "{:?}", &body[..20]);
    }
}

#[test]
fn empty_lines_before_a_request_have_a_limit() {
    let server = TestServer::echo();
    assert_eq!(statuses(&conversation(&server, "\r\n".repeat(10_000))), ["400"]);
}

#[test]
fn normal_use_is_within_the_limits() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    let target = format!("/echo?{}", "q".repeat(8000 - "GET /echo? HTTP/1.1".len()));
    assert_eq!(client.ask("GET", &target, "", b"").text(), GREETING);
    let cookie = format!("Cookie: JSESSIONID={}\r\n", "c".repeat(4096));
    assert_eq!(client.ask("GET", "/echo", &cookie, b"").text(), GREETING);
    let fields: String = (0..50).map(|number| format!("X-Field-{number}: {}\r\n", "v".repeat(100))).collect();
    assert_eq!(client.ask("GET", "/echo", &fields, b"").text(), GREETING);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    let message = format!("[\"{}\"]", "m".repeat(64 << 10));
    assert_eq!(client.ask("POST", "/echo/000/s/xhr_send", "", message.as_bytes()).status, 204);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), format!("a{message}\n"));
}

/// Section 2: error answers too can be read by the page that asked, and go the balancer's way.
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

/// Section 10: time 408; section 12, rule 6: every wait has a timer.
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

#[test]
fn idle_connections_are_closed_without_a_word() {
    let server = with_options(|options| {
        options.head_timeout = Duration::from_millis(40);
        options.keep_alive = Duration::from_millis(40);
    });
    Client::connect(server.address).expect_end();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("GET", "/echo", "", b"").text(), GREETING);
    client.expect_end();
    server.wait_until_empty("idle connections");
}

/// A head's time runs from its first byte, not from the answer before it: an idle connection loses nothing.
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
