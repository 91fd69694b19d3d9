//! A handler that blocks for a second holds everybody up, for this server has one thread; but nobody is lost by it, and
//! nobody is blamed for the time that was not his (rule 12.6).

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use sockjs_server::{EndpointOptions, Handler, Server, ServerOptions, Session};

use crate::crowds::crowd;
use crate::support::client::Client;
use crate::support::frames::{FIN, PING, PONG, frame, text};
use crate::support::{PATIENCE, TestServer, turn_until};
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
        match client.frame() {
            (first, _) if first == FIN | PING => {}
            (_, payload) => return String::from_utf8(payload).expect("text"),
        }
    };
    assert_eq!(skip_pings(&mut blocker), "block");
    assert_eq!(skip_pings(&mut pinged), "alive");
    assert_eq!(head.head().status, 200);
    assert_eq!(body.head().status, 204);
    assert_eq!(polling.answer().text(), "a[\"x\"]\n");
    assert_eq!(fresh.head().status, 200);
    neighbour.expect_service("a handler that blocked");
    assert_eq!(server.counters().refused.total(), 0);
}

/// More clients than the operating system tells of at once. All of them are in time, and the program that turns the
/// server is not.
#[test]
fn a_crowd_is_heard_before_its_time_is_said_to_be_up() {
    const WAIT: Duration = Duration::from_secs(3);
    const FRONT: &str = "GET /echo HT";
    let mut options = ServerOptions::default();
    options.head_timeout = WAIT;
    let mut server = Server::new(options).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    let mut members = Vec::new();
    for number in 1..=crowd(1500) {
        let mut member = Client::connect(address);
        member.send(FRONT);
        members.push(member);
        turn_until(&mut server, |server| server.counters().accepted as usize == number);
    }
    let fronts = (members.len() * FRONT.len()) as u64;
    turn_until(&mut server, |server| server.counters().bytes_in == fronts);

    for member in &mut members {
        member.send("TP/1.1\r\nHost: a\r\n\r\n");
    }
    thread::sleep(WAIT);
    let outcomes = |server: &Server| {
        let counters = server.counters();
        counters.requests as usize + counters.refused.total() as usize
    };
    turn_until(&mut server, |server| outcomes(server) == members.len());
    assert_eq!(server.counters().refused.total(), 0);
}
