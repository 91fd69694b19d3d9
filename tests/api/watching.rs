//! Looking inside: counters, and an observer for log lines.

use std::sync::mpsc;

use sockjs_server::{Event, Handler, Refusal, Request, ServerOptions, Session, Transport};

use crate::support::client::Client;
use crate::support::sockjs::SockJs;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, TestServer};

/// An echo behind a door.
struct Echo;

impl Handler for Echo {
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        match request.query() {
            Some("no") => Err(Refusal::status(402)),
            _ => Ok(()),
        }
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.broadcast(text);
    }
}

#[test]
fn counters_count() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/echo", Echo).expect("mount");
    });
    let mut polling = SockJs::polling(server.address, "/echo", "a");
    let mut raw = WebSocket::raw(server.address, "/echo");
    let mut sockjs = WebSocket::sockjs(server.address, "/echo");
    sockjs.send(r#"["a","b"]"#);
    raw.text();
    raw.text();
    while !sockjs.text().contains('b') {}
    let counters = server.counters();
    assert_eq!((counters.connections, counters.sessions), (3, 3));
    assert_eq!((counters.accepted, counters.requests, counters.refused.total()), (3, 3, 0));
    assert_eq!((counters.opened, counters.closed), (3, 0));
    assert_eq!((counters.messages_in, counters.messages_out), (2, 6));
    assert!(counters.timers >= 4, "each session, and the idle connection, waits for something: {counters:?}");
    for transport in [Transport::XhrPolling, Transport::RawWebSocket, Transport::WebSocket] {
        assert_eq!(counters.sessions_by(transport), 1, "{transport:?}");
    }
    assert_eq!(counters.sessions_by(Transport::EventSource), 0);

    raw.leave();
    let counters = server.wait_for("one to leave", |counters| counters.connections == 2);
    assert_eq!((counters.sessions, counters.closed), (2, 1));
    assert_eq!(counters.sessions_by(Transport::RawWebSocket), 0);
    let before = counters;
    let answer = Client::connect(server.address).ask("POST", "/echo/0/b/xhr?no", "", b"");
    assert_eq!(answer.status, 402);
    assert_eq!(polling.send_json("[]"), 204);
    let counters = server.wait_for("the refused to go", |counters| counters.connections == 2);
    assert_eq!(counters.refused.total() - before.refused.total(), 1);
    assert_eq!(counters.refused.not_admitted - before.refused.not_admitted, 1);
    assert_eq!(counters.requests - before.requests, 2);
}

#[test]
fn bytes_are_counted_as_they_pass() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/echo", Echo).expect("mount");
    });
    let mut client = Client::connect(server.address);
    let request = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = client.send(request).rest();
    drop(client);
    let counters = server.wait_for("the end", |counters| counters.connections == 0);
    assert_eq!(counters.bytes_in, request.len() as u64);
    assert_eq!(counters.bytes_out, answer.len() as u64);
}

/// A line for a log.
fn line(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Accepted { peer } => format!("accepted, with an address: {}", peer.is_some()),
        Event::Request(request) => format!("{} {}", request.method(), request.path()),
        Event::Refused { status, .. } => format!("refused {status}"),
        Event::Opened { endpoint, request, .. } => {
            format!("{endpoint} opened by {}", request.transport()?.name())
        }
        Event::Closed { endpoint, close, .. } => format!("{endpoint} closed: {close}"),
        _ => return None,
    })
}

#[test]
fn the_observer_hears_everything_in_order() {
    let (told, heard) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.observe(move |event| {
            if let Some(line) = line(event) {
                // The test is over when no receiver is left.
                let _ = told.send(line);
            }
        });
        server.mount("/echo", Echo).expect("mount");
    });
    let expect = |lines: &[&str]| {
        for line in lines {
            let event: String = heard.recv_timeout(PATIENCE).expect(line);
            assert_eq!(event, *line);
        }
    };
    WebSocket::raw(server.address, "/echo").leave();
    expect(&[
        "accepted, with an address: true",
        "GET /echo/websocket",
        "/echo opened by websocket-raw",
        "/echo closed: 1000 \"\" (Client)",
    ]);
    let mut client = Client::connect(server.address);
    client.ask("GET", "/elsewhere", "", b"");
    client.ask("POST", "/echo/0/s/xhr?no", "", b"");
    client.send("broken\r\n\r\n");
    assert_eq!(client.head().status, 400);
    expect(&[
        "accepted, with an address: true",
        "GET /elsewhere",
        "POST /echo",
        "refused 402",
        "refused 400",
    ]);
    let mut socket = WebSocket::sockjs(server.address, "/echo");
    socket.send("not JSON");
    assert!(matches!(socket.next(), Frame::Close(..)));
    expect(&["accepted, with an address: true", "GET /echo", "/echo opened by websocket"]);
    let rest: Vec<_> = heard.iter().take(2).collect();
    assert!(rest[0].starts_with("refused 1"), "{rest:?}");
    assert!(rest[1].starts_with("/echo closed: 1002") && rest[1].ends_with("(Protocol)"), "{rest:?}");
}
