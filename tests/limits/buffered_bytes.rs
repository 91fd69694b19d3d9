//! The room that all clients share (`buffered_bytes`): whoever hoards it is turned away, and whoever reads what he gets
//! goes on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, frame};
use crate::{NEVER, Neighbour, start};

/// The least that a server can be given.
const ROOM: usize = 1 << 20;

/// Tells the watch that there is nothing more to see, even if a test fails meanwhile.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The most bytes that the server held at any time meanwhile.
pub fn peak(server: &TestServer, meanwhile: impl FnOnce()) -> usize {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(server.counters().buffered);
            }
            most
        });
        let guard = Over(&over);
        meanwhile();
        // A last look is taken at what is left.
        let last = server.counters().buffered;
        drop(guard);
        watch.join().expect("the watch does not panic").max(last)
    })
}

fn cramped() -> TestServer {
    start(|server, endpoint| {
        server.buffered_bytes = ROOM;
        server.head_timeout = NEVER;
        server.body_timeout = NEVER;
        endpoint.disconnect_delay = NEVER;
    })
}

/// What hoarders of each kind send of something that they never finish, and where.
fn hoards() -> [(&'static str, &'static str, Vec<u8>); 3] {
    let upload = "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n";
    let head = format!("GET /echo HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(15 << 10));
    [
        ("heads", "", head.into_bytes()),
        ("bodies", "", [upload.as_bytes(), &[b' '; 30_000]].concat()),
        ("messages", "/echo/websocket", frame(BINARY, &[7; 30_000])),
    ]
}

/// A hundred hoarders, who are too many; returns when the server has read all that they sent.
fn hoard(server: &TestServer, target: &str, bytes: &[u8]) -> Vec<Client> {
    let before = server.counters().bytes_in;
    let hoarders = (0..100).map(|_| {
        let mut hoarder = Client::connect(server.address);
        if !target.is_empty() {
            hoarder.upgrade(target);
        }
        hoarder.send(bytes);
        hoarder
    });
    let hoarders: Vec<_> = hoarders.collect();
    let sent = (hoarders.len() * bytes.len()) as u64;
    server.wait_for("all to be read", |counters| counters.bytes_in >= before + sent);
    hoarders
}

/// Unfinished requests and messages may have half of the room, and what made it too much is dropped.
#[test]
fn hoarders_of_unfinished_input_are_turned_away() {
    for (what, target, bytes) in hoards() {
        let server = cramped();
        let mut neighbour = Neighbour::of(server.address);
        let mut hoarders = hoard(&server, target, &bytes);
        // The last one came too late for what was left, and is told so.
        let last = hoarders.last_mut().expect("a hundred");
        if target.is_empty() {
            assert_eq!(last.head().status, 503, "{what}");
        } else {
            last.expect_close(1013);
        }
        neighbour.expect_service(what);
        let buffered = server.counters().buffered;
        assert!(buffered <= ROOM / 2, "{what}: {buffered} bytes are held");
        assert!(buffered >= ROOM / 4, "{what}: those who came first may stay, with {buffered} bytes");
        drop(hoarders);
        server.wait_for("the room to be free", |counters| counters.buffered == 0);
        neighbour.expect_service(what);
    }
}

/// Clients that have not read what they got may have three quarters of it; the rest is for those who read.
#[test]
fn hoarders_of_unread_output_leave_room_for_those_who_read() {
    let server = cramped();
    let mut neighbour = Neighbour::of(server.address);
    let message = format!("[\"{}\"]", "m".repeat(50_000));
    let mut client = Client::connect(server.address);
    let most = peak(&server, || {
        for number in 0..40 {
            let session = format!("/broadcast/000/{number}");
            assert_eq!(client.ask("POST", &format!("{session}/xhr"), "", b"").text(), "o\n");
        }
        for number in 0..60 {
            // A broadcast to forty who are all between two polls. Who overflows the room is closed for it.
            let target = format!("/broadcast/000/{}/xhr_send", number % 40);
            let (first, second) = message.as_bytes().split_at(30_000);
            // What comes in two packets has room to wait for the second, whatever waits to leave.
            client.send(format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                message.len()
            ));
            client.send(first);
            server.wait_for("the first half", |counters| counters.buffered >= first.len());
            client.send(second);
            assert_eq!(client.head().status, 204);
            neighbour.expect_service("unread broadcasts");
        }
    });
    // The buffer that reached the bound may have grown by a message, or be a spare one of 64 KiB.
    assert!(most <= ROOM + (64 << 10), "{most} bytes were held");
    // Nobody has a silent gap: what was taken comes first, and then why there is no more.
    let mut closed = 0;
    for number in 0..40 {
        let target = format!("/broadcast/000/{number}/xhr");
        let mut answer = client.ask("POST", &target, "", b"");
        if answer.text().starts_with("a[") {
            // Each has two quotes and a comma; the last comma is missing, and `a[`, `]` and a line end are around them.
            assert_eq!(answer.text().len() % (50_000 + 3), 3, "whole messages");
            answer = client.ask("POST", &target, "", b"");
        }
        assert_eq!(answer.text(), "c[1013,\"Send queue full\"]\n");
        closed += 1;
    }
    assert!(closed > 0, "the room is not for all");
}
