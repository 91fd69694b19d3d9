//! What every transport must show: ten thousand messages, all of Unicode, and a hundred thousand sessions that
//! nobody comes back to. Requests are pipelined and messages batched, so that it takes seconds.

mod support;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use sockjs_server::{Close, EndpointOptions, Handler, Refusal, Request, ServerOptions, Session};
use support::TestServer;
use support::client::Client;
use support::frames::text;
use support::receiver::Receiver;
use support::target::Target;
use support::wire::{Transport, json, messages, sending};

/// A test of its own for each transport, so that they run side by side.
macro_rules! each_transport {
    ($check:ident: $($name:ident $transport:ident)*) => {$(
        #[test]
        fn $name() {
            $check(Transport::$transport);
        }
    )*};
}

/// How many numbered messages go each way.
const COUNT: usize = 10_000;

/// How many of them one send request carries.
const BATCH: usize = 50;

/// How many send requests may be on their way. Their answers are what slows the sender down, as in a browser.
const IN_FLIGHT: usize = 4;

/// Pieces of any length, as a network would make them; the same ones in each run.
struct Cuts(u64);

impl Cuts {
    fn next(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize + 1
    }

    /// Sends bytes in pieces, each in a packet of its own.
    fn send(&mut self, connection: &mut Client, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.next(2000).min(bytes.len()));
            connection.send(piece);
            bytes = rest;
        }
    }
}

/// Receives until told to stop, with one receiver after the other on one connection; says how many there were.
fn receive(
    target: &Target,
    transport: Transport,
    session: &str,
    mut take: impl FnMut(Vec<String>) -> ControlFlow<()>,
) -> usize {
    let mut connection = target.connect();
    for responses in 1.. {
        let mut receiver = Receiver::open_on(connection, transport, session);
        while let Some(frame) = receiver.next() {
            if frame != "h" && take(messages(&frame)).is_break() {
                return responses;
            }
        }
        connection = receiver.client;
    }
    unreachable!("receivers are opened for ever")
}

/// A session that is open, with its `o` taken.
fn open(target: &Target, transport: Transport) -> String {
    let session = target.session("/echo");
    let opener = if transport == Transport::JsonpPolling { transport } else { Transport::XhrPolling };
    assert_eq!(Receiver::open(target, opener, &session).frame(), "o");
    session
}

/// Sends bodies as a transport's client does, pipelined and cut at arbitrary bytes.
fn send_all(target: &Target, transport: Transport, session: &str, bodies: impl Iterator<Item = String>) {
    let mut connection = target.connect();
    let mut cuts = Cuts(0x9e37_79b9_7f4a_7c15);
    let mut in_flight = 0;
    for body in bodies {
        let (path, headers, body, status) = sending(transport, session, &body);
        let bytes = connection.bytes_of("POST", &path, headers, &body);
        cuts.send(&mut connection, &bytes);
        in_flight += 1;
        if in_flight == IN_FLIGHT {
            connection.answer().expect(status);
            in_flight -= 1;
        }
    }
    for _ in 0..in_flight {
        let answer = connection.answer();
        assert!(answer.status == 204 || answer.status == 200, "{}", answer.head);
    }
}

fn numbered(number: usize) -> String {
    format!("message {number}")
}

/// Rules 7.3 and 7.7. Ten thousand messages there and back: once each, in order, across every end of a response.
fn ten_thousand(transport: Transport) {
    let server = TestServer::echo();
    let target = Target::at(server.address);
    let session = open(&target, transport);
    let mut received = 0;
    let responses = std::thread::scope(|scope| {
        scope.spawn(|| {
            let batches = (0..COUNT).step_by(BATCH);
            let bodies = batches.map(|first| json(&(first..first + BATCH).map(numbered).collect::<Vec<_>>()));
            send_all(&target, transport, &session, bodies);
        });
        receive(&target, transport, &session, |messages| {
            for message in messages {
                assert_eq!(message, numbered(received), "once each, and in order");
                received += 1;
            }
            if received == COUNT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    assert!(responses > 1, "the response limit was never reached");
    let counters = server.counters();
    assert_eq!((counters.messages_in, counters.messages_out), (COUNT as u64, COUNT as u64));
}

each_transport! {
    ten_thousand:
    ten_thousand_messages_through_xhr_polling XhrPolling
    ten_thousand_messages_through_xhr_streaming XhrStreaming
    ten_thousand_messages_through_eventsource EventSource
    ten_thousand_messages_through_htmlfile HtmlFile
    ten_thousand_messages_through_jsonp_polling JsonpPolling
}

/// Sends frames in arbitrary pieces on a second handle of the socket, and receives on the first.
fn websocket_both_ways(
    path: &str,
    frame: impl Fn(usize) -> String + Sync,
    mut take: impl FnMut(&str) -> usize,
) {
    let server = TestServer::echo();
    let mut websocket = Target::at(server.address).websocket(path);
    let mut sender = Client::on(websocket.client.stream.try_clone().expect("a second handle"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cuts = Cuts(42);
            for first in (0..COUNT).step_by(BATCH) {
                let mut bytes = Vec::new();
                for number in first..first + BATCH {
                    bytes.extend(text(frame(number)));
                }
                cuts.send(&mut sender, &bytes);
            }
        });
        while take(&websocket.text()) < COUNT {}
    });
}

#[test]
fn ten_thousand_messages_through_websocket() {
    let mut received = 0;
    let path = "/echo/000/session/websocket";
    let array = |number| json(&[numbered(number)]);
    websocket_both_ways(path, array, |frame| {
        for message in if frame == "o" { Vec::new() } else { messages(frame) } {
            assert_eq!(message, numbered(received), "once each, and in order");
            received += 1;
        }
        received
    });
}

#[test]
fn ten_thousand_messages_through_raw_websocket() {
    let mut received = 0;
    websocket_both_ways("/echo/websocket", numbered, |message| {
        assert_eq!(message, numbered(received), "once each, and in order");
        received += 1;
        received
    });
}

/// Every code point, in messages of a few thousand each.
fn all_of_unicode() -> Vec<String> {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    assert_eq!(all.len(), 0x11_0000 - 0x800);
    all.chunks(4096).map(|part| part.iter().collect()).collect()
}

/// Rules 5 and 8. Every code point out and back, as a browser's side of the transport decodes it.
fn unicode(transport: Transport) {
    let server = TestServer::echo();
    let target = Target::at(server.address);
    let session = open(&target, transport);
    let all = all_of_unicode();
    let mut expected = all.iter();
    // An echo drops what its queue does not take, so no more is sent than was received, and a little.
    let (permit, permits) = channel();
    (0..16).for_each(|_| permit.send(()).expect("open"));
    std::thread::scope(|scope| {
        let bodies = all.iter().map(move |message| {
            permits.recv().expect("the other side receives");
            json(&[message])
        });
        let (target, session) = (&target, &session);
        scope.spawn(move || send_all(target, transport, session, bodies));
        receive(target, transport, session, |messages| {
            for message in messages {
                // At the end nobody asks for more.
                let _ = permit.send(());
                let original = expected.next().expect("no more than was sent");
                assert!(message == *original, "the part that begins with {:?}", original.chars().next());
            }
            if expected.len() == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
}

each_transport! {
    unicode:
    every_code_point_through_xhr_polling XhrPolling
    every_code_point_through_xhr_streaming XhrStreaming
    every_code_point_through_eventsource EventSource
    every_code_point_through_htmlfile HtmlFile
    every_code_point_through_jsonp_polling JsonpPolling
}

#[test]
fn every_code_point_through_the_websockets() {
    let server = TestServer::echo();
    let target = Target::at(server.address);
    let mut framed = target.websocket("/echo/000/session/websocket");
    let mut raw = target.websocket("/echo/websocket");
    assert_eq!(framed.text(), "o");
    for part in all_of_unicode() {
        assert!(messages(&framed.send(&json(&[&part])).text()) == [part.as_str()]);
        assert!(raw.send(&part).text() == part);
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Census {
    opened: AtomicU64,
    closed: AtomicU64,
    /// Sessions whose close was told a second time.
    again: AtomicU64,
}

struct Counting(Arc<Census>);

impl Handler<bool> for Counting {
    fn admit(&mut self, _: &Request<'_>) -> Result<bool, Refusal> {
        Ok(false)
    }

    fn on_open(&mut self, _: &mut Session<'_, bool>, _: &Request<'_>) {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn on_message(&mut self, _: &mut Session<'_, bool>, _: &str) {}

    fn on_close(&mut self, session: &mut Session<'_, bool>, _: &Close) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
        if std::mem::replace(session.state_mut(), true) {
            self.0.again.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Rules 7.4, 7.7 and 12.6.
#[test]
fn a_hundred_thousand_abandoned_sessions_are_told_once_and_gone() {
    const SESSIONS: u64 = 100_000;
    const PIPELINED: u64 = 250;
    let census = Arc::new(Census::default());
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        // Most of them are there at once.
        options.disconnect_delay = Duration::from_secs(2);
        options.sessions = SESSIONS as usize;
        server.mount_with("/echo", options, Counting(Arc::clone(&census))).expect("mount");
    });
    let target = Target::at(server.address);
    let mut connection = target.connect();
    for first in (0..SESSIONS).step_by(PIPELINED as usize) {
        let mut requests = Vec::new();
        for id in first..first + PIPELINED {
            requests.extend(connection.bytes_of("POST", &format!("/echo/0/{id}/xhr"), "", b""));
        }
        connection.send(requests);
        for _ in 0..PIPELINED {
            connection.answer().expect(200).expect_body("o\n");
        }
    }
    drop(connection);
    let counters = server.wait_for("all of them to be gone", |counters| {
        (counters.sessions, counters.connections, counters.timers) == (0, 0, 0)
    });
    assert_eq!((counters.opened, counters.closed), (SESSIONS, SESSIONS));
    let told = [&census.opened, &census.closed, &census.again].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(told, [SESSIONS, SESSIONS, 0]);
}
