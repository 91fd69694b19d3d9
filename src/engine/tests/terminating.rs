//! A session that is terminated is over at once, and its client is not told.

use super::world::{Moment, World};
use crate::engine::{EndpointOptions, SendError};

/// Sends a message for each one that comes, and terminates the session behind it.
fn terminating() -> World {
    World::new(|engine, key, moment| {
        if let Moment::Message(text) = moment {
            engine.send(key, "never seen").expect("room");
            assert!(engine.terminate(key), "it was open");
            assert!(!engine.terminate(key), "it is over");
            assert_eq!(engine.send(key, text), Err(SendError::Gone));
        }
    })
}

#[test]
fn a_websocket_is_cut_without_a_close_frame() {
    for path in ["websocket", "000/w/websocket"] {
        let mut world = terminating();
        let socket = world.websocket(path);
        world.take(socket);
        // The second message is not told any more.
        let frame = World::frame(1, if path == "websocket" { b"go" } else { br#"["go"]"# });
        world.send(socket, [frame.clone(), frame].concat());
        assert_eq!(world.take(socket), "");
        assert!(world.is_dropped(socket));
        assert_eq!(world.heard(), ["0 open", "0 message go", "0 close 1006 Terminated"]);
        let counters = world.engine.counters();
        assert_eq!((counters.connections, counters.sessions, counters.buffered), (0, 0, 0));
        world.finish();
    }
}

#[test]
fn a_receiver_over_http_is_cut_and_its_client_is_told_when_it_comes_back() {
    for path in ["s/xhr", "s/xhr_streaming"] {
        let mut world = terminating();
        let (receiver, sender) = (world.connect(), world.connect());
        world.post(receiver, path, "");
        if path == "s/xhr" {
            world.take(receiver);
            world.post(receiver, path, "");
        }
        world.take(receiver);
        world.post(sender, "s/xhr_send", r#"["go","too late"]"#);
        assert!(world.take(sender).starts_with("HTTP/1.1 204 "), "the request itself was in order");
        assert_eq!(world.take(receiver), "");
        assert!(world.is_dropped(receiver) && !world.is_dropped(sender));
        assert_eq!(world.heard(), ["0 open", "0 message go", "0 close 1002 Terminated"]);
        world.post(sender, "s/xhr", "");
        assert_eq!(world.take_body(sender), "c[1002,\"Session terminated\"]\n");
        assert_eq!(world.heard(), [""; 0], "no session opened anew");
        world.pass(5_000);
        assert_eq!(world.engine.counters().sessions, 0);
        world.finish();
    }
}

#[test]
fn a_session_may_be_terminated_as_it_opens() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Open = moment {
            engine.send(key, "never seen").expect("room");
            assert!(engine.terminate(key));
        }
    });
    let polling = world.connect();
    world.post(polling, "a/xhr", "");
    let streaming = world.connect();
    world.post(streaming, "b/xhr_streaming", "");
    let (raw, socket) = (world.connect(), world.connect());
    world.send(raw, World::handshake("websocket"));
    world.send(socket, World::handshake("000/w/websocket"));
    for (number, key) in [polling, streaming, raw, socket].into_iter().enumerate() {
        assert_eq!(world.take(key), "");
        assert!(world.is_dropped(key));
        let code = if number < 2 { 1002 } else { 1006 };
        assert!(world.handlers.log.contains(&format!("{number} close {code} Terminated")));
    }
    world.finish();
}

#[test]
fn a_session_without_a_receiver_or_with_a_full_one_is_terminated_too() {
    let mut world = World::with(EndpointOptions::default(), |_, _, _| {});
    let (client, socket) = (world.connect(), world.websocket("websocket"));
    world.post(client, "s/xhr", "");
    world.block(socket);
    world.engine.send(world.session(0), "x".repeat(100_000)).expect("room");
    world.flush();
    for number in [0, 1] {
        assert!(world.engine.terminate(world.session(number)));
    }
    world.flush();
    assert!(world.is_dropped(socket) && !world.is_dropped(client), "its answer had left");
    assert_eq!(world.engine.counters().buffered, 0);
    world.take(client);
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "c[1002,\"Session terminated\"]\n");
    world.finish();
}

#[test]
fn a_session_that_was_closed_in_the_same_turn_is_cut() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            engine.close(key, 3000, "Go away!");
            assert!(!engine.terminate(key), "it was closed already");
        }
    });
    let socket = world.websocket("websocket");
    world.send(socket, World::frame(1, b"go"));
    assert_eq!(world.take(socket), "");
    assert!(world.is_dropped(socket));
    assert_eq!(world.heard(), ["0 open", "0 message go", "0 close 3000 Application"]);
    world.finish();
}

#[test]
fn a_session_may_be_terminated_while_its_close_is_told() {
    for path in ["websocket", "000/w/websocket"] {
        let mut world = World::new(|engine, key, moment| match moment {
            Moment::Message("join") => engine.join(key, "room").expect("within limits"),
            Moment::Message(_) => assert!(engine.close(key, 3000, "Go away!")),
            Moment::Close => {
                assert!(!engine.terminate(key), "it was closed already");
                assert!(engine.endpoint_of(key).is_some(), "its handler has yet to let go of its state");
                assert_eq!(engine.groups_of(key).count(), 1);
            }
            _ => {}
        });
        let say = |world: &mut World, socket, text: &str| {
            let text = if path == "websocket" { text.to_owned() } else { format!("[{text:?}]") };
            world.send(socket, World::frame(1, text.as_bytes()));
        };
        let socket = world.websocket(path);
        say(&mut world, socket, "join");
        say(&mut world, socket, "go");
        assert!(world.is_dropped(socket));
        assert_eq!(world.engine.counters().sessions, 0);
        assert!(world.engine.has_no_groups(), "nothing is left for the next session in its slot");
        // The next session is in the same slot, and joins the same group.
        let socket = world.websocket(path);
        say(&mut world, socket, "join");
        assert_eq!(world.engine.member_count(crate::engine::EndpointNumber::new(0), "room"), 1);
        say(&mut world, socket, "go");
        world.finish();
    }
}

/// A program that turns the server itself may do it between two turns.
#[test]
fn the_connection_of_a_session_that_was_closed_before_is_dropped_in_the_next_turn() {
    let mut world = World::new(|_, _, _| {});
    let socket = world.websocket("websocket");
    let session = world.session(0);
    world.block(socket);
    world.engine.send(session, "x".repeat(100_000)).expect("room");
    world.flush();
    assert!(world.engine.close(session, 3000, "Go away!"));
    world.flush();
    assert!(!world.engine.is_pending(), "the close waits for the client to read");
    assert!(!world.engine.terminate(session), "it was closed already");
    assert!(world.engine.is_pending(), "the next turn does not sleep");
    world.turn();
    assert!(world.is_dropped(socket) && !world.engine.is_pending());
    world.finish();
}
