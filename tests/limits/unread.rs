//! Clients that send and never read: they are not read either, what is held for one of them is bounded, its neighbour
//! goes on, and the client gets all that was taken, in order, as soon as it reads (rule 12.5).

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{FIN, PING, PONG, frame, text, whole};
use crate::support::wire::{json, messages};
use crate::{Neighbour, REQUEST, start};

/// 64 KiB of answers, one read of the same size, and the last message; each buffer may be half empty as it grows.
const BOUND: usize = 2 * ((64 << 10) + (64 << 10) + (16 << 10));

/// What came of a flood.
pub struct Flooded {
    /// How many units were begun.
    pub begun: usize,
    /// What is left to send of them.
    pub rest: Vec<u8>,
    /// The most that the server held at any time.
    pub most: usize,
}

/// Sends units, numbered from 0, without reading, until the server takes no more.
pub fn flood(server: &TestServer, client: &mut Client, unit: impl Fn(usize) -> Vec<u8>) -> Flooded {
    /// Far beyond what the buffers of two sockets hold.
    const BEYOND: u64 = 256 << 20;
    let start = server.counters().bytes_in;
    let mut flooded = Flooded { begun: 0, rest: Vec::new(), most: 0 };
    let mut idle = 0;
    client.stream.set_nonblocking(true).expect("nonblocking");
    // Full for good: the server has read nothing over many of its turns.
    'cut: while idle < 100 {
        let before = server.counters();
        flooded.most = flooded.most.max(before.buffered);
        assert!(before.bytes_in - start < BEYOND, "the server reads on and on");
        loop {
            while flooded.rest.len() < 64 << 10 {
                flooded.rest.extend(unit(flooded.begun));
                flooded.begun += 1;
            }
            match client.stream.write(&flooded.rest) {
                Ok(count) => drop(flooded.rest.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The server has cut the client for it.
                Err(_) => break 'cut,
            }
        }
        idle = if server.counters().bytes_in == before.bytes_in { idle + 1 } else { 0 };
    }
    client.stream.set_nonblocking(false).expect("blocking");
    flooded
}

/// A message of 10,000 bytes that is no other's.
fn message(number: usize) -> String {
    format!("{number:010}").repeat(1000)
}

/// Text and binary messages take turns.
fn raw_kind(number: usize) -> u8 {
    if number.is_multiple_of(2) { whole::TEXT } else { whole::BINARY }
}

/// Everything that comes back for so many units, in order.
type Read = fn(&mut Client, SocketAddr, usize);

/// The name of a flood, the path of its WebSocket if it is one, what it begins with, its units, and what comes back.
type Flood = (&'static str, &'static str, &'static str, fn(usize) -> Vec<u8>, Read);

const FLOODS: [Flood; 6] = [
    (
        "pipelined requests",
        "",
        "",
        |number| format!("GET /echo?{number} HTTP/1.1\r\nHost: a\r\n\r\n").into(),
        |client, _, begun| read_greetings(client, begun),
    ),
    (
        "requests behind a poll",
        "",
        "POST /echo/000/p/xhr HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo/000/p/xhr HTTP/1.1\r\nHost: a\r\n\r\n",
        |_| REQUEST.into(),
        |client, address, begun| {
            send(address, "/echo/000/p", "x");
            assert_eq!(client.answer().text(), "o\n");
            assert_eq!(client.answer().text(), "a[\"x\"]\n");
            read_greetings(client, begun);
        },
    ),
    (
        "requests behind a stream",
        "",
        "POST /echo/000/x/xhr_streaming HTTP/1.1\r\nHost: a\r\n\r\n",
        |_| REQUEST.into(),
        |client, address, begun| {
            // The response ends at its limit, and the requests behind it are read.
            let last = "x".repeat(4096);
            send(address, "/echo/000/x", &last);
            assert!(client.answer().text().ends_with(&format!("\no\na[\"{last}\"]\n")));
            read_greetings(client, begun);
        },
    ),
    (
        "pings",
        "/echo/websocket",
        "",
        |number| frame(FIN | PING, &[number as u8; 125]),
        |client, _, begun| (0..begun).for_each(|number| client.expect_frame(FIN | PONG, [number as u8; 125])),
    ),
    (
        "raw echoes",
        "/echo/websocket",
        "",
        |number| frame(raw_kind(number), message(number).as_bytes()),
        |client, _, begun| {
            (0..begun).for_each(|number| client.expect_frame(raw_kind(number), message(number)));
        },
    ),
    (
        "echoes in frames",
        "/echo/000/f/websocket",
        "",
        |number| text(json(&[message(number).as_str(), ""])),
        |client, _, begun| {
            client.expect_text("o");
            // Messages that waited together come in one frame.
            let mut texts = std::iter::repeat_with(|| {
                let (first, payload) = client.frame();
                assert_eq!(first, whole::TEXT);
                messages(&String::from_utf8(payload).expect("UTF-8"))
            })
            .flatten();
            for number in 0..begun {
                assert!(texts.next() == Some(message(number)), "message {number}");
                assert_eq!(texts.next().as_deref(), Some(""));
            }
        },
    ),
];

fn send(address: SocketAddr, session: &str, message: &str) {
    let target = format!("{session}/xhr_send");
    Client::connect(address).ask("POST", &target, "", json(&[message]).as_bytes()).expect(204);
}

/// None is lost, and none comes twice: behind them comes the answer to one more request, and the end.
fn read_greetings(client: &mut Client, begun: usize) {
    let answers = String::from_utf8(client.rest()).expect("text");
    for (part, count) in [
        ("HTTP/1.1 ", begun + 1),
        ("HTTP/1.1 200 OK\r\n", begun),
        ("\r\n\r\nWelcome to SockJS!\n", begun),
        ("HTTP/1.1 404 ", 1),
    ] {
        assert_eq!(answers.matches(part).count(), count, "{part:?}");
    }
    assert!(answers.ends_with("\r\n\r\nNot Found\n"));
}

#[test]
fn a_client_that_never_reads_is_not_read_and_loses_nothing() {
    for (what, target, begins, unit, read) in FLOODS {
        let server = start(|_, _| ());
        let mut neighbour = Neighbour::of(server.address);
        let mut client = Client::connect(server.address);
        if !target.is_empty() {
            client.upgrade(target);
        }
        let Flooded { begun, mut rest, most } = flood(&server, client.send(begins), unit);
        assert!(most <= BOUND, "{what}: {most} bytes were held");
        neighbour.expect_service(what);
        if target.is_empty() {
            rest.extend(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        }
        let mut writer = client.stream.try_clone().expect("clone");
        std::thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&rest).expect("the last units"));
            read(&mut client, server.address, begun);
        });
    }
}

/// Answers that were not read make the end of the client a reset, and are given back.
#[test]
fn what_is_held_for_a_client_that_never_reads_goes_with_it() {
    for (what, target, begins, unit, _) in FLOODS {
        let server = start(|_, _| ());
        let mut client = Client::connect(server.address);
        if !target.is_empty() {
            client.upgrade(target);
        }
        flood(&server, client.send(begins), unit);
        drop(client);
        server.wait_for(&format!("the end of {what}"), |counters| counters.buffered == 0);
    }
}
