//! Pairs of events that can meet, in both orders.

use super::world::{FIRST, Moment, World, echo};
use crate::collections::Key;
use crate::engine::{Connection, EndpointOptions};

/// Opens a session by polling; its client knows it.
fn open_by_polling(world: &mut World) -> Key<Connection> {
    let client = world.connect();
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "o\n");
    client
}

#[test]
fn send_then_poll_and_poll_then_send() {
    let mut world = World::new(echo);
    let client = open_by_polling(&mut world);
    world.post(client, "s/xhr_send", r#"["a"]"#);
    world.take(client);
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "a[\"a\"]\n");

    let poll = world.connect();
    world.post(poll, "s/xhr", "");
    assert_eq!(world.take(poll), "");
    world.post(client, "s/xhr_send", r#"["b","c"]"#);
    assert_eq!(world.take_body(poll), "a[\"b\",\"c\"]\n");
    world.finish();
}

#[test]
fn a_receiver_that_breaks_off_before_a_send_and_after_it() {
    let mut world = World::new(echo);
    let client = open_by_polling(&mut world);
    let poll = world.connect();
    world.post(poll, "s/xhr", "");
    world.hang_up(poll);
    world.post(client, "s/xhr_send", r#"["lost"]"#);
    assert!(world.take(client).starts_with("HTTP/1.1 204"));
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(world.heard(), ["0 open", "0 close 1002 Interrupted"]);

    let mut world = World::new(echo);
    let client = open_by_polling(&mut world);
    let poll = world.connect();
    world.post(poll, "s/xhr", "");
    world.post(client, "s/xhr_send", r#"["x"]"#);
    world.take(client);
    // The answer was out: the end of the connection says nothing about the session.
    world.hang_up(poll);
    world.post(client, "s/xhr", "");
    assert_eq!(world.take(client), "");
    assert_eq!(world.heard(), ["0 open", "0 message x"]);
    world.finish();
}

#[test]
fn a_second_receiver_is_turned_away_and_the_first_goes_on() {
    for path in ["s/xhr", "s/xhr_streaming"] {
        let mut world = World::new(echo);
        let client = open_by_polling(&mut world);
        let (first, second) = (world.connect(), world.connect());
        world.post(first, "s/xhr", "");
        world.post(second, path, "");
        let answer = world.take(second);
        assert!(answer.contains("c[2010,\"Another connection still open\"]\n"), "{answer}");
        // Its connection lives on: only the response has ended.
        world.post(second, "s/xhr_send", r#"["m"]"#);
        assert!(world.take(second).starts_with("HTTP/1.1 204"));
        assert_eq!(world.take_body(first), "a[\"m\"]\n");
        world.take(client);
        world.finish();
    }
}

/// A client with a session, its receiver, and a second receiver that was turned away and does not read it.
fn refuse_unread(world: &mut World) -> [Key<Connection>; 3] {
    let client = open_by_polling(world);
    let (first, second) = (world.connect(), world.connect());
    world.post(first, "s/xhr", "");
    world.block(second);
    world.post(second, "s/xhr", "");
    [client, first, second]
}

/// Section 12, rule 8: whatever becomes of the one that was turned away.
#[test]
fn a_second_receiver_that_does_not_read_its_refusal_leaves_the_session_alone() {
    for reset in [false, true] {
        let mut world = World::new(echo);
        let [client, first, second] = refuse_unread(&mut world);
        // The first one ends in peace, and a message waits for the next.
        world.post(client, "s/xhr_send", r#"["m"]"#);
        assert_eq!(world.take_body(first), "a[\"m\"]\n");
        world.post(first, "s/xhr_streaming", "");
        world.take(first);
        if reset {
            world.reset(second);
        } else {
            world.pass(30_000);
        }
        assert!(world.is_dropped(second));
        world.heard();
        world.take(client);
        world.take(first);
        let sender = world.connect();
        world.post(sender, "s/xhr_send", r#"["n"]"#);
        assert_eq!(world.heard(), ["0 message n"]);
        assert_eq!(world.take_chunks(first), ["a[\"n\"]\n"]);
        world.finish();
    }

    // Nor if no receiver is there at that moment.
    let mut world = World::new(echo);
    let [client, _, second] = refuse_unread(&mut world);
    world.post(client, "s/xhr_send", r#"["m"]"#);
    world.take(client);
    world.post(client, "s/xhr_send", r#"["n"]"#);
    world.take(client);
    world.reset(second);
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "a[\"n\"]\n");
    world.finish();
}

#[test]
fn a_first_receiver_that_has_hung_up_is_noticed_before_the_second_is_answered() {
    let mut world = World::new(echo);
    let (first, second) = (world.connect(), world.connect());
    world.post(first, "s/xhr_streaming", "");
    world.hang_up_unnoticed(first);
    world.post(second, "s/xhr", "");
    assert_eq!(world.take_body(second), "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(world.heard(), ["0 open", "0 close 1002 Interrupted"]);
    world.finish();
}

#[test]
fn two_receivers_that_come_at_once_get_one_session_and_one_refusal() {
    let mut world = World::new(echo);
    let client = open_by_polling(&mut world);
    let (first, second) = (world.connect(), world.connect());
    let poll = b"POST /e/000/s/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    world.receive(first, poll);
    world.receive(second, poll);
    world.flush();
    assert_eq!(world.take(first), "");
    assert!(world.take_body(second).starts_with("c[2010,"));
    world.take(client);
    world.finish();
}

#[test]
fn close_meets_a_poll_from_both_sides() {
    let close_on = |engine: &mut _, key, moment: Moment<'_>| {
        let engine: &mut crate::engine::Engine = engine;
        if let Moment::Message("bye") = moment {
            engine.send(key, "last words").expect("open");
            engine.close(key, 3001, "Bye");
        }
    };
    // Close, then poll: first what waits, then the close frame, and that again for every poll.
    let mut world = World::new(close_on);
    let client = open_by_polling(&mut world);
    world.post(client, "s/xhr_send", r#"["bye","never heard"]"#);
    world.take(client);
    for expected in ["a[\"last words\"]\n", "c[3001,\"Bye\"]\n", "c[3001,\"Bye\"]\n"] {
        world.post(client, "s/xhr", "");
        assert_eq!(world.take_body(client), expected);
    }
    assert_eq!(world.heard(), ["0 open", "0 message bye", "0 close 3001 Application"]);
    // Poll, then close.
    let mut world = World::new(close_on);
    let client = open_by_polling(&mut world);
    let poll = world.connect();
    world.post(poll, "s/xhr", "");
    world.post(client, "s/xhr_send", r#"["bye"]"#);
    assert_eq!(world.take_body(poll), "a[\"last words\"]\n");
    world.post(poll, "s/xhr", "");
    assert_eq!(world.take_body(poll), "c[3001,\"Bye\"]\n");
    // Five seconds without a receiver, and the id is unknown.
    world.pass(4999);
    world.post(poll, "s/xhr", "");
    assert_eq!(world.take_body(poll), "c[3001,\"Bye\"]\n");
    world.pass(5000);
    world.post(poll, "s/xhr", "");
    assert_eq!(world.take_body(poll), "o\n");
    world.finish();
}

#[test]
fn close_on_a_stream_ends_it_behind_the_close_frame() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            engine.send(key, "x").expect("open");
            engine.close(key, 3001, "Bye");
        }
    });
    let (stream, client) = (world.connect(), world.connect());
    world.post(stream, "s/xhr_streaming", "");
    assert_eq!(world.take_chunks(stream)[1..], ["o\n"]);
    world.post(client, "s/xhr_send", r#"["m"]"#);
    assert_eq!(world.take_chunks(stream), ["a[\"x\"]\n", "c[3001,\"Bye\"]\n", ""]);
    world.finish();
}

#[test]
fn the_response_limit_meets_a_close() {
    let options = EndpointOptions { response_limit: 10, ..EndpointOptions::default() };
    let mut world = World::with(options, |engine, key, moment| {
        if let Moment::Message(_) = moment {
            engine.send(key, "long enough").expect("open");
            engine.close(key, 3001, "Bye");
        }
    });
    let (stream, client) = (world.connect(), world.connect());
    world.post(stream, "s/xhr_streaming", "");
    world.take(stream);
    world.post(client, "s/xhr_send", r#"["m"]"#);
    assert_eq!(world.take_chunks(stream), ["a[\"long enough\"]\n", ""]);
    world.post(stream, "s/xhr_streaming", "");
    assert_eq!(world.take_chunks(stream)[1..], ["c[3001,\"Bye\"]\n", ""]);
    world.finish();
}

#[test]
fn a_second_receiver_meets_a_close() {
    let closes = |engine: &mut crate::engine::Engine, key, moment: Moment<'_>| {
        if let Moment::Message(_) = moment {
            engine.close(key, 3001, "Bye");
        }
    };
    let poll = b"POST /e/000/s/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    let send = b"POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n[\"m\"]";
    for close_first in [true, false] {
        let mut world = World::new(closes);
        let client = open_by_polling(&mut world);
        let (first, second) = (world.connect(), world.connect());
        world.post(first, "s/xhr", "");
        // Both in one turn: what the first receiver is owed is settled before or after the second one asks.
        let order: [(_, &[u8]); 2] =
            if close_first { [(client, send), (second, poll)] } else { [(second, poll), (client, send)] };
        for (connection, bytes) in order {
            world.receive(connection, bytes);
        }
        world.flush();
        assert_eq!(world.take_body(first), "c[3001,\"Bye\"]\n");
        let answer = world.take_body(second);
        assert!(answer.starts_with("c[2010,") || answer.starts_with("c[3001,"), "{answer}");
        assert_eq!(world.heard(), ["0 open", "0 message m", "0 close 3001 Application"]);
        world.take(client);
        world.finish();
    }
}

#[test]
fn handlers_may_close_at_any_moment() {
    let at_open: super::world::Behaviour = |engine, key, moment| match moment {
        Moment::Open => {
            engine.send(key, "hello").expect("open");
            assert!(engine.close(key, 3000, "Go away!"));
            assert!(!engine.close(key, 3001, "twice"));
        }
        _ => assert!(!engine.close(key, 3002, "late")),
    };
    let mut world = World::new(at_open);
    let stream = world.connect();
    world.post(stream, "s/xhr_streaming", "");
    assert_eq!(world.take_chunks(stream)[1..], ["o\n", "a[\"hello\"]\n", "c[3000,\"Go away!\"]\n", ""]);
    assert_eq!(world.heard(), ["0 open", "0 close 3000 Application"]);
    let socket = world.websocket("000/w/websocket");
    let frames = world.take(socket);
    assert!(frames.starts_with("\u{81}\u{1}o") || frames.contains('o'), "{frames:?}");
    assert_eq!(world.heard(), ["1 open", "1 close 3000 Application"]);
    world.finish();
}

#[test]
fn a_handler_may_close_everybody_and_broadcast_from_anywhere() {
    let mut world = World::new(|engine, key, moment| match moment {
        Moment::Message(_) => {
            let all: Vec<_> = engine.open_sessions(FIRST).collect();
            assert_eq!(all.len(), 3);
            for session in all {
                assert!(engine.close(session, 3001, "All out"));
            }
            assert_eq!(engine.open_sessions(FIRST).count(), 0);
        }
        Moment::Close => {
            engine.broadcast(FIRST, "somebody left", Some(key));
        }
        Moment::Open | Moment::Timer | Moment::Drain | Moment::Group(_) => {}
    });
    for number in 0..3 {
        let client = world.connect();
        world.post(client, &format!("s{number}/xhr"), "");
    }
    let client = world.connect();
    world.post(client, "s1/xhr_send", r#"["x","y"]"#);
    let heard = world.heard();
    assert_eq!(
        heard[3..],
        ["1 message x", "0 close 3001 Application", "1 close 3001 Application", "2 close 3001 Application"]
    );
    world.finish();
}

#[test]
fn websocket_close_from_both_sides() {
    // The client's: answered once with the same code, then the connection ends.
    let mut world = World::new(echo);
    let socket = world.websocket("websocket");
    world.send(socket, World::frame(8, &[0x0b, 0xb8, b'b', b'y', b'e']));
    assert_eq!(world.take(socket).as_bytes(), "\u{fffd}\u{2}\u{b}\u{fffd}".as_bytes());
    assert_eq!(world.heard(), ["0 open", "0 close 3000 Client"]);
    world.hang_up(socket);
    assert!(world.is_dropped(socket));

    // Ours: the client's answer is awaited, but not for ever.
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            engine.close(key, 3000, "Go away!");
        }
    });
    let socket = world.websocket("websocket");
    world.send(socket, [World::frame(1, b"x"), World::frame(1, b"not heard")].concat());
    assert!(world.take(socket).contains("Go away!"));
    assert_eq!(world.heard(), ["0 open", "0 message x", "0 close 3000 Application"]);
    world.pass(4999);
    assert!(!world.is_dropped(socket));
    world.pass(1);
    assert!(world.is_dropped(socket));
    world.finish();
}

#[test]
fn a_reset_in_every_phase_leaves_nothing() {
    for (path, bytes) in [
        ("", ""),
        ("POST /e/0", ""),
        ("POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n[\"", ""),
        (
            "POST /e/000/s/xhr_streaming HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST /e/000/s/xhr HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
    ] {
        let mut world = World::new(echo);
        let client = world.connect();
        world.send(client, path);
        world.send(client, bytes);
        world.reset(client);
        assert!(world.is_dropped(client));
        world.finish();
    }
}

#[test]
fn a_poll_behind_an_answer_that_is_stuck_gets_its_frame_when_the_client_reads() {
    let mut world = World::new(echo);
    let client = open_by_polling(&mut world);
    world.post(client, "s/xhr_send", r#"["waits"]"#);
    world.take(client);
    world.block(client);
    world.send(client, "GET /e HTTP/1.1\r\nHost: h\r\n\r\n");
    world.post(client, "s/xhr", "");
    world.unblock(client);
    assert!(world.take(client).ends_with("a[\"waits\"]\n"));
    world.finish();
}

#[test]
fn a_close_behind_a_stall_does_not_lose_what_was_sent_before() {
    for end in [World::frame(8, &[3, 232]), World::frame(1, b"not JSON")] {
        let mut world = World::new(echo);
        let socket = world.websocket("000/w/websocket");
        world.take(socket);
        world.block(socket);
        world.send(socket, World::frame(1, br#"["first"]"#));
        world.send(socket, World::frame(1, br#"["second"]"#));
        world.send(socket, end);
        world.unblock(socket);
        let received = world.take(socket);
        assert!(received.contains(r#"a["first"]"#) && received.contains(r#"a["second"]"#), "{received:?}");
        world.finish();
    }
}

#[test]
fn a_goodbye_behind_a_stall_is_said_though_the_client_closes_too() {
    let mut world = World::new(|engine, key, moment| match moment {
        Moment::Message("bye") => assert!(engine.close(key, 3000, "Go away!")),
        Moment::Message(text) => engine.send(key, text).expect("room"),
        _ => {}
    });
    let socket = world.websocket("000/w/websocket");
    world.take(socket);
    world.block(socket);
    world.send(socket, World::frame(1, br#"["first"]"#));
    world.send(socket, World::frame(1, br#"["second","bye"]"#));
    world.send(socket, World::frame(8, &[3, 232]));
    world.unblock(socket);
    let received = world.take(socket);
    assert!(
        received.contains(r#"a["second"]"#) && received.contains(r#"c[3000,"Go away!"]"#),
        "{received:?}"
    );
    world.finish();
}
