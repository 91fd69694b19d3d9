//! The ends of a connection, good and bad: each comes in time, and nothing is left behind.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustls::version::TLS13;
use sockjs_server::{EndpointOptions, Event, ServerOptions, Session};
use tungstenite::Message;

use crate::support::frames::{HANDSHAKE, close_payload, frame, whole};
use crate::support::{PATIENCE, endpoints};
use crate::tls::{Stream, TlsServer};
use crate::{LATE, SHORT, ask, read_to_end, start, wait_until_empty};

/// Reads whatever comes to the end of TCP, which a reset may be too; and how long that took.
fn read_out(mut stream: impl Read) -> (Vec<u8>, Duration) {
    let (start, mut bytes) = (Instant::now(), Vec::new());
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("no end: {error}"),
        _ => (bytes, start.elapsed()),
    }
}

/// An open WebSocket session.
fn open_websocket(server: &TlsServer) -> Stream {
    let mut stream = server.connect();
    let head = format!("GET /echo/websocket HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}\r\n");
    stream.write_all(head.as_bytes()).expect("send");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    server.server.wait_for("a session", |counters| counters.sessions == 1);
    stream
}

#[test]
fn a_handshake_that_stalls_ends_with_the_time_for_a_head() {
    let server = start(ServerOptions::default().head_timeout(SHORT));
    let mut hello = Vec::new();
    server.certificate.client(&[&TLS13]).write_tls(&mut hello).expect("memory");
    // Before its first byte, within it, and behind the client's hello.
    for count in [0, 1, 5, hello.len() / 2, hello.len()] {
        let mut stream = server.tcp();
        stream.write_all(&hello[..count]).expect("send");
        let (_, time) = read_out(&stream);
        assert!((SHORT / 2..SHORT + LATE).contains(&time), "{time:?} with {count} bytes");
    }
    // And behind the whole handshake, without a request.
    let mut stream = server.connect();
    let (bytes, time) = read_to_end(&mut stream, true);
    assert!(bytes.is_empty() && time < SHORT + LATE, "{time:?}");
    wait_until_empty(&server, "handshakes that stalled");
}

#[test]
fn garbage_is_refused_at_once_and_told_of() {
    let (sender, told) = mpsc::channel();
    let server = TlsServer::start(ServerOptions::default(), |server| {
        endpoints::mount(server, &EndpointOptions::default()).expect("mount");
        server.observe(move |event| {
            if let Event::LayerFailed { peer, error } = event {
                sender.send((*peer, error.to_string())).expect("the test listens");
            }
        });
    });
    for garbage in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0; 100], &[0x16, 3, 1, 0xff, 0xff, 0, 0]] {
        let mut stream = server.tcp();
        let own = stream.local_addr().expect("connected");
        stream.write_all(garbage).expect("send");
        let (answer, time) = read_out(&stream);
        assert!(time < LATE, "{time:?}");
        assert!(answer.is_empty() || answer[0] == 21, "an alert: {answer:?}");
        let (peer, error) = told.recv_timeout(PATIENCE).expect("the observer is told");
        assert!(peer == Some(own) && !error.is_empty(), "{peer:?}: {error}");
    }
    assert_eq!(server.server.counters().refused.malformed, 3);
    wait_until_empty(&server, "garbage");
}

#[test]
fn a_byte_that_was_changed_on_the_way_ends_the_session() {
    let server = start(ServerOptions::default());
    let mut stream = open_websocket(&server);
    let mut wire = Vec::new();
    stream.conn.writer().write_all(&frame(whole::TEXT, b"forged")).expect("memory");
    stream.conn.write_tls(&mut wire).expect("memory");
    *wire.last_mut().expect("a record") ^= 1;
    stream.sock.write_all(&wire).expect("send");
    let (_, time) = read_out(&stream.sock);
    assert!(time < LATE, "{time:?}");
    let counters = server.server.counters();
    assert_eq!((counters.messages_in, counters.refused.malformed), (0, 1));
    wait_until_empty(&server, "a forged record");
}

#[test]
fn a_cut_in_the_middle_ends_the_session() {
    let server = start(ServerOptions::default());
    // In the middle of a record.
    let mut stream = open_websocket(&server);
    let mut wire = Vec::new();
    stream.conn.writer().write_all(&frame(whole::TEXT, &[b'x'; 5000])).expect("memory");
    stream.conn.write_tls(&mut wire).expect("memory");
    stream.sock.write_all(&wire[..wire.len() / 2]).expect("send");
    drop(stream);
    wait_until_empty(&server, "a cut within a record");
    // In the middle of a handshake.
    let mut stream = server.tcp();
    wire.clear();
    server.certificate.client(&[&TLS13]).write_tls(&mut wire).expect("memory");
    stream.write_all(&wire[..wire.len() / 2]).expect("send");
    drop(stream);
    wait_until_empty(&server, "a cut within a handshake");
    // While much is on its way to the client: the system resets the connection.
    let mut socket =
        tungstenite::client("wss://localhost/amplify/websocket", server.connect()).expect("open").0;
    for _ in 0..20 {
        socket.send(Message::text("18")).expect("send");
    }
    assert!(socket.read().is_ok());
    drop(socket);
    wait_until_empty(&server, "a cut within the server's messages");
    assert_eq!(server.server.counters().refused.total(), 0, "no protocol was broken");
}

/// Browsers and programs that end are seldom so polite: the end of TCP is the end.
#[test]
fn an_end_of_tcp_without_one_of_tls_is_an_end() {
    let server = start(ServerOptions::default());
    // What was asked whole is answered.
    let mut stream = server.connect();
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n").expect("send");
    stream.flush().expect("send");
    stream.sock.shutdown(Shutdown::Write).expect("shutdown");
    let (answer, time) = read_to_end(&mut stream, true);
    assert!(answer.ends_with(b"Welcome to SockJS!\n") && time < LATE, "{time:?}");
    // What was not is not.
    let mut stream = server.connect();
    stream.write_all(b"GET /echo HTTP/1.1\r\nHo").expect("send");
    stream.flush().expect("send");
    stream.sock.shutdown(Shutdown::Write).expect("shutdown");
    let (answer, time) = read_to_end(&mut stream, true);
    assert!(answer.is_empty() && time < LATE, "{time:?}");
    let stream = open_websocket(&server);
    stream.sock.shutdown(Shutdown::Write).expect("shutdown");
    let (_, time) = read_out(&stream.sock);
    assert!(time < LATE, "{time:?}");
    wait_until_empty(&server, "ends without a word");
}

/// The client says that it sends no more, and leaves TCP open: the server ends both.
#[test]
fn an_end_of_tls_without_one_of_tcp_is_an_end() {
    let server = start(ServerOptions::default());
    let mut stream = server.connect();
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n").expect("send");
    stream.conn.send_close_notify();
    stream.flush().expect("send");
    // Ignored, whatever it is (RFC 8446 §6.1).
    stream.sock.write_all(b"behind the end").expect("send");
    let (answer, time) = read_out(&stream.sock);
    assert!(!answer.is_empty() && time < LATE, "{time:?}");
    let mut stream = open_websocket(&server);
    stream.conn.send_close_notify();
    stream.flush().expect("send");
    let (_, time) = read_out(&stream.sock);
    assert!(time < LATE, "{time:?}");
    wait_until_empty(&server, "ends of TLS");
}

#[test]
fn the_server_says_its_end_before_it_shuts_the_socket() {
    let server = start(ServerOptions::default().keep_alive(SHORT).close_timeout(SHORT));
    // Behind an answer that is the last.
    let mut stream = server.connect();
    stream.write_all(b"GET /echo HTTP/1.0\r\n\r\n").expect("send");
    let (answer, time) = read_to_end(&mut stream, true);
    assert!(answer.ends_with(b"Welcome to SockJS!\n") && time < LATE, "{time:?}");
    // The client leaves its own side open: the time for a close ends it.
    let gone = Instant::now();
    wait_until_empty(&server, "a client that does not close");
    assert!(gone.elapsed() < SHORT + LATE);
    // Behind an idle time.
    let mut stream = server.connect();
    assert!(ask(&mut stream, "GET", "/echo", "").ends_with("Welcome to SockJS!\n"));
    let (rest, time) = read_to_end(&mut stream, true);
    assert!(rest.is_empty() && time < SHORT + LATE, "{time:?}");
    // Behind the closing handshake of a WebSocket.
    let mut stream = open_websocket(&server);
    stream.write_all(&frame(whole::CLOSE, &close_payload(1000, ""))).expect("send");
    let (frames, time) = read_to_end(&mut stream, true);
    assert!(frames.starts_with(&[0x88]) && time < LATE, "{frames:?} {time:?}");
    wait_until_empty(&server, "the server's ends");
}

/// A client that takes no byte is given up when its time is over, and the memory comes back;
/// its neighbour notices nothing.
#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let options = ServerOptions::default().write_stall(SHORT).slowest_client(1 << 30);
    let server = TlsServer::start(options, |server| {
        endpoints::mount(server, &EndpointOptions::default()).expect("mount");
        let options = EndpointOptions::default().send_queue(64 << 20);
        let send = |session: &mut Session<'_>, _: &str| {
            for _ in 0..1000 {
                session.send("x".repeat(20_000)).expect("room");
            }
        };
        server.mount_with("/many", options, send).expect("mount");
    });
    let mut socket = tungstenite::client("wss://localhost/many/websocket", server.connect()).expect("open").0;
    socket.send(Message::text("go")).expect("send");
    server.server.wait_for("the socket to be full", |it| it.messages_out == 1000 && it.buffered > 1 << 20);
    let mut neighbour = server.connect();
    assert!(ask(&mut neighbour, "GET", "/echo", "").ends_with("Welcome to SockJS!\n"));
    server.server.wait_for("the end of the session", |counters| counters.sessions == 0);
    drop(neighbour);
    wait_until_empty(&server, "a client that took nothing");
}

#[test]
fn a_server_that_stops_closes_what_goes_through_tls() {
    let server = start(ServerOptions::default());
    let mut stream = open_websocket(&server);
    let mut idle = server.connect();
    assert!(ask(&mut idle, "GET", "/echo", "").ends_with("Welcome to SockJS!\n"));
    // One that is in its handshake.
    let _half = server.tcp();
    server.server.wait_for("three connections", |counters| counters.connections == 3);
    let stopping = std::thread::spawn(move || {
        let start = Instant::now();
        (server.server.stop(), start.elapsed())
    });
    let mut close = Vec::new();
    let mut buffer = [0; 4096];
    while close.len() < 4 {
        let count = stream.read(&mut buffer).expect("a close frame");
        close.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(&close[2..4], &1001_u16.to_be_bytes());
    stream.write_all(&frame(whole::CLOSE, &close_payload(1001, ""))).expect("send");
    assert!(read_to_end(&mut stream, true).0.is_empty());
    assert!(read_to_end(&mut idle, true).0.is_empty());
    drop((stream, idle));
    let (report, time) = stopping.join().expect("it stops");
    assert_eq!((report.sessions_cut, report.connections_cut), (0, 0));
    assert!(time < LATE, "{time:?}");
}

/// Many handshakes at once are shared out over the turns, and none is lost.
#[test]
fn a_crowd_shakes_hands() {
    let server = start(ServerOptions::default());
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = Stream::new(server.certificate.client(&[&TLS13]), server.tcp());
            stream.conn.write_tls(&mut stream.sock).expect("send");
            stream
        })
        .collect();
    for mut client in clients {
        assert!(ask(&mut client, "GET", "/echo", "").ends_with("Welcome to SockJS!\n"));
    }
    wait_until_empty(&server, "a crowd");
}
