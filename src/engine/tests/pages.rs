//! Pages that are read piece by piece, and answers that come later: their waits, their
//! memory, and their share of a turn.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::world::{World, echo, quick};
use crate::collections::Key;
use crate::engine::pages::PIECE;
use crate::engine::{
    Body, Connection, EndpointOptions, Engine, ManualClock, Reply, Request, Response, ServerOptions, Session,
    Ticket, TimeSource,
};

/// So many pieces, each of which takes a while.
struct Slow {
    clock: ManualClock,
    takes: u64,
    left: usize,
    reads: Arc<AtomicUsize>,
}

impl Read for Slow {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.clock.set(self.clock.now() + self.takes);
        self.reads.fetch_add(1, Ordering::Relaxed);
        room.fill(b'x');
        let count = if self.left == 0 { 0 } else { room.len() };
        self.left = self.left.saturating_sub(1);
        Ok(count)
    }
}

fn endless(_: &mut Engine, request: &Request<'_>, tickets: &mut Vec<Ticket>) -> Reply {
    match request.path() {
        "/later" => {
            let (reply, ticket) = Reply::later(request);
            tickets.push(ticket);
            reply
        }
        "/read" => Response::new(200).body(Body::reader(io::repeat(b'x').take(4 << 20))).into(),
        path => Response::new(200).body(path.to_owned()).into(),
    }
}

fn get(world: &mut World, client: Key<Connection>, path: &str) {
    world.send(client, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
}

/// A world of little memory, with a client that has taken a little of a download, and a session that can be sent much.
fn narrow() -> (World, Key<Connection>, Key<Session>, Key<Connection>) {
    let server = ServerOptions { buffered_bytes: 1 << 20, ..quick() };
    let never = std::time::Duration::from_secs(100);
    let mut world =
        World::build(server, EndpointOptions { disconnect_delay: never, ..EndpointOptions::default() }, echo);
    world.handlers.reply = endless;
    let poller = world.connect();
    world.post(poller, "s/xhr", "");
    let session = world.session(0);
    let client = world.connect();
    world.set_room(client, Some(1000));
    get(&mut world, client, "/read");
    (world, client, session, poller)
}

/// The client takes all that was read so far.
fn take_all(world: &mut World, client: Key<Connection>, room: usize) -> usize {
    world.set_room(client, Some(room));
    world.flush();
    world.take(client).len()
}

#[test]
fn the_next_piece_is_read_when_the_one_before_has_left() {
    let (mut world, client, ..) = narrow();
    assert_eq!(world.take(client).len(), 1000);
    let held = world.engine.counters().buffered;
    assert!(held <= 17 << 10, "{held} bytes are held");
    let head =
        "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n".len();
    let chunk = "3c00\r\n".len() + PIECE + "\r\n".len();
    // Nothing of the next piece, and then a little of it.
    assert_eq!(take_all(&mut world, client, head + chunk - 1000), head + chunk - 1000);
    assert_eq!(take_all(&mut world, client, 10), 10);
    assert_eq!(take_all(&mut world, client, chunk - 10 + 5), chunk - 10 + 5);
    world.reset(client);
    world.finish();
}

#[test]
fn a_download_without_memory_waits_until_there_is_some() {
    let (mut world, client, session, poller) = narrow();
    world.take(client);
    assert_eq!(world.engine.send(session, "y".repeat(772_000)), Ok(()));
    world.flush();
    let left = world.engine.connections.get(client).map(|it| it.outbox.len()).expect("it is there");
    assert_eq!(take_all(&mut world, client, 1 << 20), left, "no more is read");
    world.pass(5_000);
    assert!(world.take(client).is_empty());
    world.set_room(client, Some(50_000));
    world.post(poller, "s/xhr", "");
    assert_eq!(world.take(client).len(), 50_000, "the memory that it needs is there");
    world.reset(client);
    world.finish();
}

#[test]
fn a_download_that_never_gets_memory_ends() {
    let (mut world, client, session, poller) = narrow();
    world.take(client);
    assert_eq!(world.engine.send(session, "y".repeat(772_000)), Ok(()));
    world.flush();
    take_all(&mut world, client, 1 << 20);
    world.pass(29_999);
    assert!(!world.is_dropped(client));
    world.pass(1);
    assert!(world.is_dropped(client));
    world.post(poller, "s/xhr", "");
    world.finish();
}

/// Others of which no byte is taken hold the room of all pages: they make room for one that is read.
#[test]
fn a_download_that_is_read_does_not_wait_long_for_others_that_are_not() {
    let (mut world, client, ..) = narrow();
    for _ in 0..60 {
        let other = world.connect();
        world.block(other);
        get(&mut world, other, "/read");
    }
    world.pass(1_000);
    let held = world.engine.counters().buffered;
    assert!(((500 << 10)..(800 << 10)).contains(&held), "{held} bytes are held");
    world.take(client);
    take_all(&mut world, client, 10 << 10);
    world.take(client);
    world.set_room(client, Some(1 << 20));
    world.flush();
    world.pass(1_000);
    assert!(world.take(client).len() > 900 << 10, "after the first wait it takes its turn with each piece");
    world.reset(client);
    world.finish();
}

#[test]
fn downloads_take_turns_and_have_half_of_each() {
    let mut world = World::new(echo);
    let reads = Arc::new(AtomicUsize::new(0));
    world.handlers.reply = endless;
    // A reader that takes 5 ms has done the work of 81,920 messages, and half of a turn is 98,304.
    let clients: Vec<_> = (0..20).map(|_| world.connect()).collect();
    for client in &clients {
        let reader = Slow { clock: world.clock.clone(), takes: 5, left: 5, reads: Arc::clone(&reads) };
        world.receive(*client, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
        let ticket = world.handlers.tickets.pop().expect("it waits");
        let response = Response::new(200).body(Body::reader(reader));
        assert_eq!(world.engine.answer_later(ticket, response), Ok(()));
    }
    assert_eq!(reads.load(Ordering::Relaxed), 0, "a call from a callback reads nothing");
    world.end_turn();
    for turn in 1..=20 {
        world.begin_turn();
        world.end_turn();
        assert_eq!(reads.load(Ordering::Relaxed), 2 * turn);
    }
    // Each of them had its turn before one had another.
    assert!(clients.iter().all(|client| world.received(*client).len() > PIECE));
    assert!(clients.iter().all(|client| world.received(*client).len() < 3 * PIECE));
    for client in clients {
        world.reset(client);
    }
    world.finish();
}

#[test]
fn an_answer_that_comes_later_has_a_wait_of_its_own() {
    let mut world = World::new(echo);
    world.handlers.reply = endless;
    let client = world.connect();
    get(&mut world, client, "/later");
    let ticket = world.handlers.tickets[0];
    world.pass(59_999);
    assert!(world.engine.is_waiting(ticket));
    assert_eq!(world.take(client), "");
    world.pass(1);
    assert!(!world.engine.is_waiting(ticket));
    assert!(world.take(client).starts_with("HTTP/1.1 503 "));
    // Behind it the client has the time between two requests, and a ticket of its own for the next.
    world.pass(74_000);
    get(&mut world, client, "/later");
    let next = world.handlers.tickets[1];
    assert!(world.engine.is_waiting(next) && ticket != next);
    assert!(world.engine.answer_later(ticket, Response::new(200)).is_err());
    assert_eq!(world.engine.answer_later(next, Response::new(200).body("x")), Ok(()));
    world.flush();
    assert_eq!(world.take_body(client), "x");
    world.finish();
}

/// Rule 12.5: what is pipelined behind it is read to a bound, and answered in order.
#[test]
fn requests_behind_an_answer_that_comes_later_wait() {
    let mut world = World::new(echo);
    world.handlers.reply = endless;
    let client = world.connect();
    let wire = ["/later", "/a", "/later", "/b"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    world.send(client, wire.concat());
    for body in ["/a", "/b"] {
        let ticket = world.handlers.tickets.pop().expect("one waits");
        assert!(world.handlers.tickets.is_empty(), "and one alone");
        assert_eq!(world.take(client), "");
        assert_eq!(world.engine.answer_later(ticket, Response::new(204)), Ok(()));
        world.turn();
        let answers = world.take(client);
        assert!(
            answers.starts_with("HTTP/1.1 204 ") && answers.ends_with(&format!("\r\n\r\n{body}")),
            "{answers}"
        );
    }
    get(&mut world, client, "/later");
    world.send(client, vec![b'x'; 16 << 10]);
    assert!(!world.engine.is_reading(client));
    world.finish();
}

/// Room for an answer is made by dropping connections that take nothing, but not the one that is to be answered, though
/// its client has not taken the answer before: it would be written to, and go on, while it is dropped.
#[test]
fn rule_12_13_no_room_is_made_of_the_connection_that_is_answered() {
    let server = ServerOptions { buffered_bytes: 64 << 10, ..quick() };
    let mut world = World::build(server, EndpointOptions::default(), echo);
    let client = world.connect();
    world.block(client);
    world.handlers.page = 12_000;
    get(&mut world, client, "/small");
    world.handlers.page = 40_000;
    get(&mut world, client, "/large");
    assert!(!world.is_dropped(client));
    world.unblock(client);
    world.flush();
    let answers = world.take(client);
    assert!(answers.contains(&"p".repeat(12_000)) && answers.contains("HTTP/1.1 503 "), "{answers}");
    world.finish();
}
