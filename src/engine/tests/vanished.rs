//! Clients that are gone without a word, and clients that read slowly (contract, rules 7.13 and 7.14): the former are
//! missed in time, the latter are not given up.

use super::world::{Moment, World, echo};
use crate::engine::{EndpointOptions, ServerOptions};

/// What the default rate allows a client for so many bytes, in milliseconds.
fn allowed(bytes: usize) -> u64 {
    (bytes as u64) * 1000 / (16 << 10)
}

/// Clients that read at the default rate are waited for.
fn patient() -> World {
    World::build(ServerOptions::default(), EndpointOptions::default(), echo)
}

#[test]
fn rule_7_13_a_stream_without_a_request_ends_after_two_heartbeats() {
    for path in ["s/xhr_streaming", "s/eventsource", "s/htmlfile?c=cb"] {
        let mut world = World::new(echo);
        let stream = world.connect();
        let method = if path == "s/xhr_streaming" { "POST" } else { "GET" };
        world.send(stream, format!("{method} /e/000/{path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        world.take(stream);
        // A message from the client shows that it is there.
        world.pass(20_000);
        world.post_anew("s/xhr_send", "[]");
        world.pass(49_999);
        assert!(!world.take(stream).ends_with("0\r\n\r\n"), "{path}");
        world.pass(1);
        assert!(world.take(stream).ends_with("0\r\n\r\n"), "{path}: it ends as at the response limit");
        world.pass(4_999);
        assert_eq!(world.heard(), ["0 open"], "{path}");
        world.pass(1);
        assert_eq!(world.heard(), ["0 close 1006 Expired"], "{path}");
        world.finish();
    }
}

#[test]
fn rule_7_13_a_client_that_is_there_opens_the_next_stream_and_misses_nothing() {
    let mut world = World::new(echo);
    let stream = world.connect();
    world.post(stream, "s/xhr_streaming", "");
    world.take(stream);
    for _ in 0..3 {
        world.pass(50_000);
        assert_eq!(world.take_chunks(stream), ["h\n", "h\n", ""], "both heartbeats, and the end");
        let session = world.session(0);
        world.engine.send(session, "meanwhile").expect("it is open");
        world.flush();
        world.post(stream, "s/xhr_streaming", "");
        assert_eq!(world.take_chunks(stream).last().unwrap(), "a[\"meanwhile\"]\n");
    }
    assert_eq!(world.heard(), ["0 open"]);
    world.finish();
}

/// The end of its stream does not fit into the socket.
#[test]
fn rule_7_13_a_stalled_stream_of_a_vanished_client_is_missed_in_time() {
    let mut world = World::new(echo);
    let stream = world.connect();
    world.post(stream, "s/xhr_streaming", "");
    world.pass(40_000);
    world.block(stream);
    let session = world.session(0);
    world.engine.send(session, "unread").expect("it is open");
    world.flush();
    world.pass(14_999);
    assert_eq!(world.heard(), ["0 open"]);
    world.pass(1);
    assert_eq!(world.heard(), ["0 close 1002 Unresponsive"], "two heartbeats and the disconnect delay");
    assert!(world.is_dropped(stream));
    world.finish();
}

#[test]
fn rule_7_14_a_session_waits_until_a_slow_client_has_read_its_poll() {
    let mut world = patient();
    let client = world.connect();
    world.post(client, "s/xhr", "");
    world.take(client);
    let session = world.session(0);
    world.engine.send(session, "x".repeat(900_000)).expect("it fits");
    world.post(client, "s/xhr", "");
    let length = world.take(client).len();
    world.engine.send(session, "meanwhile").expect("it is open");
    world.flush();
    world.pass(5_000 + allowed(length) - 2);
    assert_eq!(world.heard(), ["0 open"]);
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "a[\"meanwhile\"]\n");
    world.pass(5_100);
    assert_eq!(world.heard(), ["0 close 1006 Expired"], "a short answer takes no time");
    world.finish();
}

#[test]
fn rule_7_14_a_pong_may_be_behind_what_a_slow_client_must_read_first() {
    let mut world = patient();
    let socket = world.websocket("websocket");
    let session = world.session(0);
    world.pass(24_000);
    world.send(socket, World::frame(1, b"heard"));
    world.pass(24_000);
    world.engine.send(session, "x".repeat(1_000_000)).expect("it fits");
    world.flush();
    let length = world.take(socket).len();
    world.pass(1_000 + 10_000 + allowed(length) - 1_002);
    assert_eq!(world.heard(), ["0 open", "0 message heard"]);
    world.pass(10);
    assert_eq!(world.heard(), ["0 close 1006 Unresponsive"]);
    world.finish();
}

#[test]
fn rule_7_14_a_stall_lasts_until_a_slow_client_has_read_what_was_written() {
    let mut world = patient();
    let socket = world.websocket("websocket");
    let session = world.session(0);
    world.set_room(socket, Some(500_000));
    world.engine.send(session, "x".repeat(1_000_000)).expect("it fits");
    world.flush();
    world.pass(30_000 + allowed(500_000) - 1);
    assert!(!world.is_dropped(socket));
    world.pass(20);
    assert!(world.is_dropped(socket));
    world.finish();
}

/// Not more can be on its way than the systems between buffer, so that a client that was quick
/// is not waited for without end.
#[test]
fn rule_7_14_what_was_read_long_ago_is_not_waited_for() {
    let mut world = patient();
    let socket = world.websocket("websocket");
    let session = world.session(0);
    for _ in 0..50 {
        world.engine.send(session, "x".repeat(1_000_000)).expect("it fits");
        world.flush();
        world.take(socket);
    }
    world.pass(25_000 + 10_000 + allowed(10 << 20));
    assert_eq!(world.heard(), ["0 open", "0 close 1006 Unresponsive"]);
    world.finish();
}

#[test]
fn rule_7_14_what_was_in_front_of_an_answered_ping_is_not_waited_for() {
    let mut world = patient();
    let socket = world.websocket("websocket");
    let session = world.session(0);
    world.engine.send(session, "x".repeat(1_000_000)).expect("it fits");
    world.flush();
    world.pass(25_000);
    world.send(socket, World::frame(10, b""));
    world.pass(25_000 + 10_100);
    assert_eq!(world.heard(), ["0 open", "0 close 1006 Unresponsive"]);
    world.finish();
}

#[test]
fn rule_7_14_an_answer_in_front_of_the_next_request_is_not_waited_for() {
    let mut world = patient();
    let client = world.connect();
    world.post(client, "s/xhr", "");
    let session = world.session(0);
    for _ in 0..20 {
        world.engine.send(session, "x".repeat(900_000)).expect("it fits");
        world.post(client, "s/xhr", "");
    }
    world.engine.send(session, "short").expect("it fits");
    world.post(client, "s/xhr", "");
    world.pass(5_100);
    assert_eq!(world.heard(), ["0 open", "0 close 1006 Expired"]);
    world.finish();
}

/// However much a client was to read first: a server that stops does not wait for that, in a
/// closing handshake, or behind one.
#[test]
fn rule_12_10_a_stop_does_not_wait_until_slow_clients_have_read() {
    for closing in [World::frame(1, b"x"), World::frame(8, &1000_u16.to_be_bytes())] {
        let mut world =
            World::build(ServerOptions::default(), EndpointOptions::default(), |engine, key, moment| {
                if let Moment::Message(_) = moment {
                    engine.close(key, 3000, "Go away!");
                }
            });
        let socket = world.websocket("websocket");
        let session = world.session(0);
        world.engine.send(session, "x".repeat(1_000_000)).expect("it fits");
        world.flush();
        world.send(socket, closing);
        world.pass(10_000);
        assert!(!world.is_dropped(socket), "it is waited for while the server runs");
        world.engine.stop(1001, "", &mut world.handlers);
        world.flush();
        world.pass(500);
        assert!(world.engine.is_empty());
        world.finish();
    }
}

/// It speaks all the time, so that it is not asked whether it is there; then it is gone.
#[test]
fn rule_7_13_a_busy_client_is_missed_in_time() {
    let mut world = patient();
    let socket = world.websocket("websocket");
    let message = "x".repeat(64 << 10);
    for _ in 0..600 {
        world.send(socket, World::frame(1, message.as_bytes()));
        world.pass(1_000);
        if world.take(socket).ends_with("\u{fffd}\0") {
            world.send(socket, World::frame(10, b""));
        }
    }
    world.heard();
    // What it was sent since its last pong is not known to be read.
    world.pass(25_000 + 10_000 + allowed(26 * (64 << 10)));
    assert_eq!(world.heard(), ["0 close 1006 Unresponsive"]);
    world.finish();
}
