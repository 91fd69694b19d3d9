//! A session that nobody reads: sending says `Full` in the end, all that was taken arrives, in order, and its drain is
//! told once; on each transport (rule 12.5).

use std::sync::mpsc::{self, Receiver, Sender};

use sockjs_server::{Close, SessionId};
use sockjs_server::{
    EndpointId, EndpointOptions, Handler, Request, SendError, Server, ServerOptions, Session,
};

use crate::support::client::Client;
use crate::support::sockjs::SockJs;
use crate::support::wire::{STREAMING, Transport};
use crate::support::{PATIENCE, TestServer};
use crate::{NEVER, Neighbour, neighbour};

const QUEUE: usize = 256 << 10;

/// What a handler was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Open(SessionId),
    Drained,
    Closed(u16),
}

struct Talker(Sender<Told>);

impl Handler for Talker {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        self.0.send(Told::Open(session.id())).expect("the test listens");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_drain(&mut self, session: &mut Session<'_>, _: u64) {
        session.send("drained").expect("nothing waits any more");
        self.0.send(Told::Drained).expect("the test listens");
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        // A test that has ended does not listen.
        let _ = self.0.send(Told::Closed(close.code));
    }
}

fn talker(response_limit: usize) -> (TestServer, EndpointId, Receiver<Told>) {
    let (sender, told) = mpsc::channel();
    let mut endpoint = None;
    let server = TestServer::start(ServerOptions::default(), |server: &mut Server| {
        let mut options = EndpointOptions::default();
        options.send_queue = QUEUE;
        options.response_limit = response_limit;
        options.disconnect_delay = NEVER;
        endpoint = Some(server.mount_with("/talker", options, Talker(sender)).expect("mount"));
        neighbour::mount(server);
    });
    (server, endpoint.expect("mounted"), told)
}

fn message(number: usize) -> String {
    format!("{number:06}").repeat(1000)
}

/// One message, in a turn of the server's own.
fn send(
    server: &TestServer,
    endpoint: EndpointId,
    session: SessionId,
    text: String,
) -> Result<(), SendError> {
    let (sender, outcome) = mpsc::channel();
    let posted = server.handle.run(move |context| {
        let outcome = context.endpoint(endpoint).send(session, &text);
        sender.send(outcome).expect("the test waits");
    });
    assert_eq!(posted, Ok(()));
    outcome.recv_timeout(PATIENCE).expect("the server answers")
}

fn fill_and_read(transport: Transport, response_limit: usize) {
    let (server, endpoint, told) = talker(response_limit);
    let mut neighbour = Neighbour::of(server.address);
    let mut reader = SockJs::open(server.address, transport, "/talker/000/s");
    let Told::Open(session) = told.recv_timeout(PATIENCE).expect("it opens") else {
        panic!("open comes first")
    };

    // The buffers of two sockets fill before the queue does; they are no larger than this.
    let most = (64 << 20) / message(0).len();
    let taken = (0..most).find(|number| match send(&server, endpoint, session, message(*number)) {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error, SendError::Full);
            true
        }
    });
    let taken = taken.expect("a queue has a limit");
    assert!(taken * message(0).len() + message(0).len() + 3 * (taken + 1) >= QUEUE, "{transport:?}: {taken}");
    // It stays so, and costs what the queue may hold: as much again where a buffer that grows is half empty.
    assert_eq!(send(&server, endpoint, session, message(taken)), Err(SendError::Full));
    let buffered = server.counters().buffered;
    assert!(buffered <= 2 * QUEUE + (64 << 10), "{transport:?}: {buffered} bytes are held");
    neighbour.expect_service("a session that nobody reads");

    for number in 0..taken {
        reader.expect(&message(number));
    }
    reader.expect("drained");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Told::Drained));
    // There is room again, and nothing more to tell.
    assert_eq!(send(&server, endpoint, session, "more".into()), Ok(()));
    reader.expect("more");
    server.counters();
    assert_eq!(told.try_recv().ok(), None, "{transport:?}: told once");
    neighbour.expect_service("a session that has caught up");
}

/// Without an end of the response, so that a stream too is stuck in its socket.
#[test]
fn a_session_that_nobody_reads_fills_and_drains() {
    for transport in Transport::ALL {
        fill_and_read(transport, 1 << 30);
    }
}

/// What was taken is spread over many responses, and the queue between them.
#[test]
fn a_stream_that_nobody_reopens_fills_and_drains() {
    for transport in STREAMING {
        fill_and_read(transport, 20_000);
    }
}

/// The test endpoints never leave a gap: whoever does not read is closed behind what was taken.
#[test]
fn an_echo_that_nobody_reads_is_closed_behind_what_it_took() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    let mut poll = || client.ask("POST", "/echo/000/unread/xhr", "", b"").text().to_owned();
    assert_eq!(poll(), "o\n");
    let mut sender = Client::connect(server.address);
    for number in 0..4 {
        let body = format!("[\"{number}{}\"]", "x".repeat(400 << 10));
        let status = sender.ask("POST", "/echo/000/unread/xhr_send", "", body.as_bytes()).status;
        assert_eq!(status, 204);
    }
    let messages = poll();
    let starts: Vec<_> =
        messages.split('"').filter_map(|text| text.split_once('x')).map(|(start, _)| start).collect();
    assert_eq!(starts, ["0", "1"]);
    assert_eq!(poll(), "c[1013,\"Send queue full\"]\n");
}
