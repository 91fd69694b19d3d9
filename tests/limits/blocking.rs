//! A handler that blocks for a second holds everybody up, for this server has one thread; but nobody is lost by it, and
//! nobody is blamed for the time that was not his (section 12, rule 6).

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use sockjs_server::{EndpointOptions, Handler, ServerOptions, Session};

use crate::support::client::Client;
use crate::support::frames::{FIN, PING, PONG, frame, text};
use crate::support::{PATIENCE, TestServer};
use crate::{Neighbour, neighbour};

const SECOND: Duration = Duration::from_secs(1);

/// Less than the handler blocks.
const WAIT: Duration = Duration::from_millis(600);

/// Blocks when it is told to, and says that it does. An echo for everything else.
struct Blocker {
    blocks: Sender<()>,
    never: Receiver<()>,
}

impl Handler for Blocker {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        if text == "block" {
            self.blocks.send(()).expect("the test listens");
            assert!(self.never.recv_timeout(SECOND).is_err(), "nobody sends");
        }
        session.send(text).expect("it reads");
    }
}

#[test]
fn others_are_served_after_a_handler_that_blocks() {
    let (blocks, blocked) = mpsc::channel();
    let (_nobody, never) = mpsc::channel();
    let mut options = ServerOptions::default();
    options.head_timeout = WAIT;
    options.body_timeout = WAIT;
    let server = TestServer::start(options, |server| {
        let mut options = EndpointOptions::default();
        options.heartbeat_delay = Duration::from_millis(300);
        options.pong_timeout = WAIT;
        options.disconnect_delay = WAIT;
        server.mount_with("/blocker", options, Blocker { blocks, never }).expect("mount");
        neighbour::mount(server);
    });
    let mut neighbour = Neighbour::of(server.address);
    let connect = || Client::connect(server.address);

    let mut pinged = connect();
    pinged.upgrade("/blocker/websocket").expect_frame(FIN | PING, b"");
    let mut polling = connect();
    assert_eq!(polling.ask("POST", "/blocker/000/s/xhr", "", b"").text(), "o\n");
    let (mut head, mut body) = (connect(), connect());
    head.send("GET /blocker HT");
    body.send("POST /blocker/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"x");
    let mut blocker = connect();
    blocker.upgrade("/blocker/websocket").send(text("block"));
    blocked.recv_timeout(PATIENCE).expect("it blocks");

    // All of these are in time, but for the handler.
    pinged.send(frame(FIN | PONG, b"")).send(text("alive"));
    head.send("TP/1.1\r\nHost: a\r\n\r\n");
    body.send("\"]");
    polling.request("POST", "/blocker/000/s/xhr", "", b"");
    let mut fresh = connect();
    fresh.request("GET", "/blocker", "", b"");

    let skip_pings = |client: &mut Client| loop {
        match client.read_frame() {
            (first, _) if first == FIN | PING => {}
            (_, payload) => return String::from_utf8(payload).expect("text"),
        }
    };
    assert_eq!(skip_pings(&mut blocker), "block");
    assert_eq!(skip_pings(&mut pinged), "alive");
    assert_eq!(head.read_head().status, 200);
    assert_eq!(body.read_head().status, 204);
    let mut answer = polling.read_head();
    polling.read_body(&mut answer);
    assert_eq!(answer.text(), "a[\"x\"]\n");
    assert_eq!(fresh.read_head().status, 200);
    neighbour.expect_service("a handler that blocked");
    assert_eq!(server.counters().refused.total(), 0);
}
