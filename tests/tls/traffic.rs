//! What goes through TLS arrives as it was sent, however it was cut, and as much of it as there is.

use std::io::{Read, Write};
use std::process::Command;

use rustls::version::{TLS12, TLS13};
use sockjs_server::{EndpointOptions, Preamble, Response, ServerOptions, Session};
use tungstenite::{Message, WebSocket};

use crate::support::client::Client;
use crate::support::programs::run;
use crate::tls::{Stream, TlsServer, shake_hands};
use crate::{ask, read_answer, start, wait_until_empty};

fn websocket(stream: Stream, path: &str) -> WebSocket<Stream> {
    tungstenite::client(format!("wss://localhost{path}"), stream).expect("a handshake").0
}

fn close(mut socket: WebSocket<Stream>) {
    socket.close(None).expect("close");
    while socket.read().is_ok() {}
}

#[test]
fn a_thousand_messages_come_back_over_either_version() {
    let server = start(ServerOptions::default());
    for version in [&TLS12, &TLS13] {
        let mut socket = websocket(server.connect_with(&[version]), "/echo/000/x/websocket");
        assert_eq!(socket.read().expect("the open frame"), Message::text("o"));
        for number in 0..1000 {
            let text = format!("\"message {number}: \u{65e5}\u{672c} {}\"", "x".repeat(number));
            socket.send(Message::text(text.as_str())).expect("send");
            assert_eq!(socket.read().expect("an echo"), Message::text(format!("a[{text}]")));
        }
        close(socket);
    }
    assert_eq!(server.server.counters().messages_in, 2000);
    wait_until_empty(&server, "two WebSockets");
}

#[test]
fn messages_of_a_mebibyte_go_both_ways() {
    let server = start(ServerOptions::default());
    for version in [&TLS12, &TLS13] {
        let mut socket = websocket(server.connect_with(&[version]), "/echo/websocket");
        for number in 0..10_u8 {
            let bytes: Vec<u8> = (0..1 << 20).map(|place: u32| number ^ (place % 251) as u8).collect();
            socket.send(Message::binary(bytes.clone())).expect("send");
            assert!(socket.read().expect("an echo") == Message::binary(bytes), "message {number}");
        }
        close(socket);
    }
    wait_until_empty(&server, "large messages");
}

/// The client reads nothing while the server sends; then it reads slowly, and has everything in order.
#[test]
fn a_client_that_reads_late_gets_everything() {
    let server = TlsServer::start(ServerOptions::default(), |server| {
        let options = EndpointOptions::default().send_queue(64 << 20);
        let send = |session: &mut Session<'_>, _: &str| {
            for number in 0..1000 {
                session.send(format!("{number:05}").repeat(4000)).expect("room");
            }
        };
        server.mount_with("/many", options, send).expect("mount");
    });
    let mut socket = websocket(server.connect(), "/many/websocket");
    socket.send(Message::text("go")).expect("send");
    let stalled = server.server.wait_for("the socket to be full", |it| it.messages_out == 1000);
    assert!(stalled.buffered > 10 << 20, "{stalled:?}");
    for number in 0..1000 {
        let message = socket.read().expect("a message");
        assert!(message == Message::text(format!("{number:05}").repeat(4000)), "message {number}");
    }
    close(socket);
    wait_until_empty(&server, "a late reader");
}

/// Every byte of the handshake and of a request as a packet of its own, and all of them in one.
#[test]
fn how_the_wire_is_cut_does_not_matter() {
    let server = start(ServerOptions::default());
    for version in [&TLS12, &TLS13] {
        let mut client = server.certificate.client(&[version]);
        let mut stream = server.tcp();
        let mut wire = Vec::new();
        while client.is_handshaking() {
            while client.wants_write() {
                client.write_tls(&mut wire).expect("memory");
            }
            for byte in wire.drain(..) {
                stream.write_all(&[byte]).expect("send");
            }
            if client.is_handshaking() {
                client.read_tls(&mut stream).expect("the server's part");
                client.process_new_packets().expect("sound");
            }
        }
        client
            .writer()
            .write_all(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2).as_slice())
            .expect("memory");
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        for byte in wire {
            stream.write_all(&[byte]).expect("send");
        }
        let mut stream = Stream::new(client, stream);
        for _ in 0..2 {
            assert!(read_answer_of(&mut stream).ends_with("\r\n\r\nWelcome to SockJS!\n"));
        }
    }
}

/// Reads one answer where another may follow at once: byte by byte.
fn read_answer_of(stream: &mut Stream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"SockJS!\n") {
        stream.read_exact(&mut byte).expect("an answer");
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).expect("text")
}

#[test]
fn many_requests_share_a_connection_and_a_poll_waits_on_another() {
    let server = start(ServerOptions::default());
    let (mut poll, mut send) = (server.connect(), server.connect());
    assert!(ask(&mut poll, "POST", "/echo/000/s/xhr", "").ends_with("o\n"));
    for number in 0..100 {
        let head = "POST /echo/000/s/xhr HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
        poll.write_all(head.as_bytes()).expect("send");
        let body = format!("[\"{number}\"]");
        assert!(ask(&mut send, "POST", "/echo/000/s/xhr_send", &body).starts_with("HTTP/1.1 204"));
        assert!(read_answer(&mut poll).ends_with(&format!("a{body}\n")));
    }
}

/// Both listeners serve the same sessions, and a request knows by which one it came.
#[test]
fn a_request_knows_that_it_came_by_https() {
    let server = TlsServer::start(ServerOptions::default(), |server| {
        server.fallback(|_, request, _| Response::new(200).body(request.is_https().to_string()));
    });
    assert!(ask(&mut server.connect(), "GET", "/", "").ends_with("\r\n\r\ntrue"));
    let mut plain = Client::connect(server.server.address);
    assert_eq!(plain.ask("GET", "/", "", b"").text(), "false");
    // A proxy that is not trusted changes nothing.
    let mut client = server.connect();
    let lie = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: http\r\n\r\n";
    client.write_all(lie.as_bytes()).expect("send");
    assert!(read_answer(&mut client).ends_with("true"));
}

#[test]
fn a_trusted_proxy_that_comes_by_tls_says_how_its_client_came() {
    let options = ServerOptions::default().trusted_proxies(["127.0.0.1".parse().expect("a network")]);
    let server = TlsServer::start(options, |server| {
        server.fallback(|_, request, _| Response::new(200).body(request.is_https().to_string()));
    });
    for (field, expected) in
        [("X-Forwarded-Proto: http\r\n", "false"), ("X-Forwarded-Proto: https\r\n", "true"), ("", "true")]
    {
        let mut client = server.connect();
        client
            .write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n").as_bytes())
            .expect("send");
        assert!(read_answer(&mut client).ends_with(expected), "{field:?}");
    }
}

/// A load balancer that hands TLS through names the client in front of it, in plain bytes, in one packet with
/// the handshake or cut anywhere.
#[test]
fn a_proxy_header_stands_in_front_of_tls() {
    let server = TlsServer::start_with(ServerOptions::default(), Preamble::Proxy, |server| {
        server.fallback(|_, request, _| Response::new(200).body(format!("{:?}", request.client())));
    });
    let version_2 = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[203, 0, 113, 9, 10, 0, 0, 1],
        &[0x12, 0x67, 0x01, 0xbb],
    ];
    for header in [b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n".to_vec(), version_2.concat()] {
        for cut in 0..=header.len() {
            let mut stream = server.tcp();
            let mut client = server.certificate.client(&[&TLS13]);
            let mut first = header.clone();
            client.write_tls(&mut first).expect("memory");
            let read = server.server.counters().bytes_in + cut as u64;
            stream.write_all(&first[..cut]).expect("send");
            server.server.wait_for("the first part to be read", |counters| counters.bytes_in == read);
            stream.write_all(&first[cut..]).expect("send");
            let mut stream = shake_hands(client, stream).expect("a handshake");
            assert!(ask(&mut stream, "GET", "/", "").ends_with("Some(203.0.113.9)"), "{cut}");
        }
    }
    // Without it there is no handshake.
    assert!(shake_hands(server.certificate.client(&[&TLS13]), server.tcp()).is_err());
    assert_eq!(server.server.counters().refused.malformed, 1);
}

/// `curl` checks the certificate, and is told of the end.
#[test]
fn curl_is_served() {
    let server = start(ServerOptions::default());
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("curl.pem");
    std::fs::write(&file, server.certificate.pem()).expect("a file");
    let url = format!("https://localhost:{}/echo", server.secure.port());
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--ipv4", "--cacert"]).arg(&file).arg(url);
    match Command::new("curl").arg("--version").output() {
        Ok(_) => assert_eq!(run(&mut curl, crate::support::PATIENCE), "Welcome to SockJS!\n"),
        Err(error) => println!("not tested, since there is no curl here: {error}"),
    }
}
