//! How long a ping takes, by the clock of the test.

use super::world::{World, echo};

fn pong() -> Vec<u8> {
    World::frame(0xa, b"")
}

#[test]
fn a_ping_is_measured_from_when_it_has_left_until_its_pong() {
    for path in ["websocket", "000/s/websocket"] {
        let mut world = World::new(echo);
        let socket = world.websocket(path);
        let session = world.session(0);
        assert_eq!(world.engine.round_trip(session), None, "{path}");
        // One that answers nothing.
        world.send(socket, pong());
        assert_eq!(world.engine.round_trip(session), None, "{path}");
        world.take(socket);
        world.block(socket);
        world.pass(25_000);
        assert_eq!(world.take(socket), "", "{path}: it is queued");
        world.pass(2_000);
        world.unblock(socket);
        assert_ne!(world.take(socket), "", "{path}: it has left");
        world.pass(37);
        assert_eq!(world.engine.round_trip(session), None, "{path}");
        world.send(socket, pong());
        assert_eq!(world.engine.round_trip(session), Some(37), "{path}");
        world.pass(5);
        world.send(socket, pong());
        assert_eq!(world.engine.round_trip(session), Some(37), "{path}");
        // What the client says meanwhile is no answer.
        world.pass(25_000);
        world.pass(3);
        world.send(socket, World::frame(1, br#"["x"]"#));
        assert_eq!(world.engine.round_trip(session), Some(37), "{path}");
        world.pass(4);
        world.send(socket, pong());
        assert_eq!(world.engine.round_trip(session), Some(7), "{path}");
        world.finish();
    }
}

/// A client that speaks all the time is not asked again, and its pong may come at any time:
/// that is no measure of the way.
#[test]
fn a_pong_that_comes_long_after_the_next_ping_was_due_is_not_measured() {
    let mut world = World::new(echo);
    let socket = world.websocket("websocket");
    let session = world.session(0);
    world.pass(25_000);
    for _ in 0..720 {
        world.pass(5_000);
        world.send(socket, World::frame(1, b"still here"));
    }
    world.send(socket, pong());
    assert_eq!(world.engine.round_trip(session), None);
    world.pass(25_000);
    world.pass(7);
    world.send(socket, pong());
    assert_eq!(world.engine.round_trip(session), Some(7), "the next one");
    world.finish();
}

#[test]
fn there_are_no_pings_over_http() {
    let mut world = World::new(echo);
    let stream = world.connect();
    world.post(stream, "s/xhr_streaming", "");
    world.pass(26_000);
    assert_eq!(world.engine.round_trip(world.session(0)), None);
    world.finish();
}
