//! Sessions that were admitted, or refused, on a connection that could not be answered.

use super::world::{World, echo};
use crate::engine::budget::Budget;
use crate::engine::{EndpointOptions, Refusal, Response, ServerOptions};

/// No byte of an answer has room.
fn without_memory(refuse: fn() -> Option<Refusal>) -> World {
    let mut world = World::with(EndpointOptions::default(), echo);
    world.handlers.refuse = refuse;
    world.engine.memory.budget = Budget::new(1);
    world
}

/// It was refused once, whatever it is told.
#[test]
fn a_refusal_without_room_for_its_body_counts_once() {
    for path in ["xhr", "xhr_streaming", "websocket"] {
        let mut world = World::build(
            ServerOptions { buffered_bytes: 1 << 20, ..ServerOptions::default() },
            EndpointOptions::default(),
            echo,
        );
        world.handlers.refuse = || Some(Refusal::response(Response::new(429).body(vec![b'x'; 600_000])));
        let connection = world.connect();
        match path {
            "websocket" => world.send(connection, World::handshake("000/s/websocket")),
            _ => world.post(connection, &format!("s/{path}"), ""),
        }
        assert!(world.take(connection).starts_with("HTTP/1.1 503 "), "{path}");
        let refused = world.engine.counters().refused;
        assert_eq!((refused.not_admitted, refused.total()), (1, 1), "{path}");
        assert_eq!(world.handlers.refusals, [429], "{path}");
        world.finish();
    }
}

/// Rule 7.10, for a later receiver: one that is gone must not stay a session's receiver,
/// which would wait for it for ever.
#[test]
fn a_session_whose_next_receiver_has_no_room_expires() {
    for transport in ["xhr", "xhr_streaming"] {
        let mut world = World::with(EndpointOptions::default(), echo);
        let first = world.connect();
        world.post(first, "s/xhr", "");
        assert_eq!((world.take_body(first), world.heard()), ("o\n".to_owned(), vec!["0 open".to_owned()]));
        world.engine.memory.budget = Budget::new(1);
        let second = world.connect();
        world.post(second, &format!("s/{transport}"), "");
        assert!(world.is_dropped(second), "{transport}");
        world.pass(5_001);
        assert_eq!(world.heard(), ["0 close 1006 Expired"], "{transport}");
        world.finish();
    }
}

/// The application makes no state for a session that cannot open.
#[test]
fn a_session_without_room_for_its_first_answer_is_not_put_to_the_application() {
    let mut world = without_memory(|| panic!("it is not asked"));
    for path in ["websocket", "000/s/websocket"] {
        let connection = world.connect();
        world.send(connection, World::handshake(path));
        assert!(world.is_dropped(connection), "{path}");
    }
    for path in ["s/xhr", "s/xhr_streaming"] {
        let connection = world.connect();
        world.post(connection, path, "");
        assert!(world.is_dropped(connection), "{path}");
    }
    assert_eq!(world.engine.counters().sessions, 0);
    world.finish();
}

/// A stalled client of a refused session is given up as any other.
#[test]
fn a_refused_session_ends_with_a_client_that_takes_nothing() {
    for path in ["websocket", "000/s/websocket"] {
        let mut world = World::with(EndpointOptions::default(), echo);
        world.handlers.refuse = || Some(Refusal::close(4001, "no token"));
        let connection = world.connect();
        world.block(connection);
        world.send(connection, World::handshake(path));
        world.pass(40_000);
        assert!(world.is_dropped(connection), "{path}");
        assert_eq!((world.engine.counters().sessions, world.heard()), (0, Vec::new()), "{path}");
        world.finish();
    }
}
