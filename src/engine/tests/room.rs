//! Whether there is room for one more connection, and for what a connection sends.

use super::world::{World, echo, quick};
use crate::engine::backpressure::READ_AHEAD;
use crate::engine::{EndpointOptions, ServerOptions};

#[test]
fn connections_have_room_up_to_the_limit_and_until_the_end() {
    let options = ServerOptions { connections: 2, ..quick() };
    let mut world = World::build(options, EndpointOptions::default(), echo);
    assert!(world.engine.can_accept());
    let first = world.connect();
    assert!(world.engine.can_accept());
    world.connect();
    assert!(!world.engine.can_accept());
    world.reset(first);
    assert!(world.engine.can_accept(), "one has left");
    world.engine.stop(1001, "Server shutdown", &mut world.handlers);
    assert!(!world.engine.can_accept());
}

#[test]
fn bytes_are_welcome_but_for_those_of_a_client_that_does_not_read() {
    let mut world = World::new(echo);
    let socket = world.websocket("websocket");
    assert!(world.engine.ask_to_read(socket));
    world.block(socket);
    world.send(socket, World::frame(1, &[b'x'; 100_000]));
    assert!(!world.engine.ask_to_read(socket));
    world.unblock(socket);
    assert!(world.engine.ask_to_read(socket));
    world.finish();
}

#[test]
fn a_client_has_room_up_to_its_limit() {
    let options = ServerOptions { connections_per_client: Some(1), ..quick() };
    let mut world = World::build(options, EndpointOptions::default(), echo);
    let peers = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"].map(|it| it.parse().expect("an address"));
    let keys = peers.map(|peer| world.engine.accept(Some(peer)));
    world.flush();
    assert_eq!(keys.map(|key| world.engine.connections.contains(key)), [true, false, true]);
    assert_eq!(world.engine.counters().refused.too_many, 1);
    assert_eq!(world.handlers.refusals, [429]);
}

/// What comes behind a poll that waits is read, so that the end of the stream is seen; but no more than so much.
#[test]
fn bytes_behind_a_poll_are_welcome_up_to_a_limit() {
    let mut world = World::new(echo);
    let client = world.connect();
    world.post(client, "s/xhr", "");
    world.post(client, "s/xhr", "");
    assert!(world.engine.ask_to_read(client));
    world.send(client, "GET /e HTTP/1.1\r\n");
    assert!(world.engine.ask_to_read(client));
    world.send(client, "a: b\r\n".repeat(READ_AHEAD / 6));
    assert!(!world.engine.ask_to_read(client));
}
