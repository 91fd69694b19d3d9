//! Whether there is room for one more connection, and for what a connection sends.

use super::world::{World, echo, quick};
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
    assert!(world.engine.may_read(socket));
    world.blocked.insert(socket);
    world.send(socket, World::frame(1, &[b'x'; 100_000]));
    assert!(!world.engine.may_read(socket));
    world.unblock(socket);
    assert!(world.engine.may_read(socket));
    world.finish();
}
