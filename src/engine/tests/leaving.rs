//! Clients whose end of the stream comes with what they asked for, in one turn or in the next: where the packets were
//! cut must not matter (src/protocol.md, section 12, rules 2 and 3).

use super::world::{Moment, World, echo};
use crate::collections::Key;
use crate::engine::{Connection, Engine};

const GREETING: &str = "GET /e HTTP/1.1\r\nHost: h\r\n\r\n";
const POLL: &str = "POST /e/000/s/xhr HTTP/1.1\r\nHost: h\r\n\r\n";
const STREAM: &str = "POST /e/000/s/xhr_streaming HTTP/1.1\r\nHost: h\r\n\r\n";

/// A client that writes and hangs up, noticed at once or in the next turn.
fn write_and_leave(world: &mut World, at_once: bool, bytes: impl AsRef<[u8]>) -> Key<Connection> {
    let client = world.connect();
    world.receive(client, bytes.as_ref());
    if !at_once {
        world.flush();
    }
    world.hang_up(client);
    assert!(world.is_dropped(client));
    client
}

#[test]
fn a_response_that_ends_before_the_client_is_missed_has_ended() {
    for at_once in [true, false] {
        let mut world = World::new(echo);
        let client = write_and_leave(&mut world, at_once, [GREETING, POLL, GREETING].concat());
        let answers = world.take(client);
        let ends: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|it| it.trim_end()).collect();
        assert_eq!(ends.len(), 3, "{answers}");
        for (answer, end) in ends.iter().zip(["Welcome to SockJS!", "\r\n\r\no", "Welcome to SockJS!"]) {
            assert!(answer.ends_with(end), "at once: {at_once}, {answer}");
        }
        // It lives on, for the client may come back.
        world.post_anew("s/xhr_send", r#"["x"]"#);
        assert_eq!(world.heard(), ["0 open", "0 message x"]);
        world.finish();
    }
}

#[test]
fn what_was_answered_before_a_receiver_that_breaks_off_stays_answered() {
    for at_once in [true, false] {
        for (receiver, begun) in [(POLL.repeat(2), "\r\n\r\no\n"), (STREAM.to_owned(), "\r\no\n\r\n")] {
            let mut world = World::new(echo);
            let client = write_and_leave(&mut world, at_once, [GREETING, &receiver, GREETING].concat());
            let answers = world.take(client);
            assert!(answers.contains("Welcome to SockJS!") && answers.ends_with(begun), "{answers}");
            assert_eq!(world.heard(), ["0 open", "0 close 1002 Interrupted"]);
            world.finish();
        }
    }
}

#[test]
fn a_websocket_that_hangs_up_gets_what_its_messages_brought_about() {
    for at_once in [true, false] {
        let mut world = World::new(echo);
        let handshake = World::handshake("000/w/websocket");
        let frame = World::frame(1, br#"["x"]"#);
        let client = write_and_leave(&mut world, at_once, [handshake.as_bytes(), &frame].concat());
        let received = world.take(client);
        assert!(received.starts_with("HTTP/1.1 101 ") && received.ends_with(r#"a["x"]"#), "{received}");
        assert_eq!(world.heard(), ["0 open", "0 message x", "0 close 1006 Interrupted"]);
        world.finish();
    }
}

/// How much the system takes at once must not matter either.
#[test]
fn a_response_that_is_read_slowly_ends_though_its_client_sends_no_more() {
    for reads_on in [true, false] {
        let mut world = World::new(echo);
        let client = world.connect();
        world.receive(client, [GREETING, POLL].concat());
        world.set_room(client, Some(10));
        world.hang_up(client);
        if reads_on {
            world.set_room(client, None);
            world.flush();
            let answers = world.take(client);
            assert!(answers.contains("Welcome to SockJS!") && answers.ends_with("o\n"), "{answers}");
            assert_eq!(world.heard(), ["0 open"]);
        } else {
            world.pass(30_000);
            assert_eq!(world.heard(), ["0 open", "0 close 1002 Unresponsive"]);
        }
        assert!(world.is_dropped(client));
        world.post_anew("s/xhr", "");
        world.finish();
    }
}

/// A session that closes as it opens, messages that wait, a second receiver: all are answered in one turn.
#[test]
fn a_response_that_ends_with_the_turn_has_ended() {
    let close = |engine: &mut Engine, key, moment: Moment<'_>| {
        if let Moment::Open = moment {
            assert!(engine.close(key, 3000, "Go away!"));
        }
    };
    for at_once in [true, false] {
        let mut world = World::new(close);
        let client = write_and_leave(&mut world, at_once, [STREAM, GREETING].concat());
        let answers = world.take(client);
        assert!(
            answers.contains("o\n\r\n13\r\nc[3000,\"Go away!\"]\n\r\n0\r\n\r\nHTTP/1.1 200 OK"),
            "{answers}"
        );
        assert!(answers.ends_with("Welcome to SockJS!\n"));
        world.finish();

        let mut world = World::new(echo);
        world.post_anew("s/xhr", "");
        world.post_anew("s/xhr_send", r#"["x"]"#);
        let client = write_and_leave(&mut world, at_once, POLL);
        assert!(world.take(client).ends_with("a[\"x\"]\n"));
        let first = world.connect();
        world.post(first, "s/xhr", "");
        let second = write_and_leave(&mut world, at_once, POLL);
        assert!(world.take(second).ends_with("c[2010,\"Another connection still open\"]\n"));
        world.post_anew("s/xhr_send", r#"["y"]"#);
        assert_eq!(world.take_body(first), "a[\"y\"]\n");
        assert_eq!(world.heard(), ["0 open", "0 message x", "0 message y"]);
        world.finish();
    }
}

/// Section 7, rule 12: it cannot have been read before the client came back. But what else was asked for was asked for.
#[test]
fn a_response_that_has_not_left_when_its_client_comes_back_without_it_is_broken_off() {
    let mut world = World::new(echo);
    world.post_anew("t/xhr", "");
    let (first, second) = (world.connect(), world.connect());
    let upload = "POST /e/000/t/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n[\"x\"]";
    let all = [GREETING, POLL, upload].concat();
    world.receive(first, all);
    world.receive(second, POLL.as_bytes());
    world.hang_up_unnoticed(first);
    world.flush();
    assert_eq!(world.take_body(second), "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(world.heard(), ["0 open", "1 open", "1 close 1002 Interrupted", "0 message x"]);
    let answers = world.take(first);
    assert!(answers.contains("Welcome to SockJS!") && answers.contains("HTTP/1.1 204 "), "{answers}");
    world.finish();
}

/// What came whole is dealt with, though it has to wait for the client to read.
#[test]
fn what_waits_behind_a_stall_is_dealt_with_behind_the_end_of_the_stream() {
    let large = |engine: &mut Engine, key, moment: Moment<'_>| {
        if let Moment::Message("large") = moment {
            engine.send(key, "x".repeat(100_000)).expect("there is room");
        }
    };
    let both = ["large", "small"].map(|text| World::frame(1, text.as_bytes())).concat();
    let payload = World::frame(1, br#"["large","large","small"]"#);
    let frames =
        [r#"["large"]"#, r#"["large"]"#, r#"["small"]"#].map(|text| World::frame(1, text.as_bytes()));
    for (path, bytes) in
        [("websocket", both), ("000/s/websocket", payload), ("000/f/websocket", frames.concat())]
    {
        let mut world = World::new(large);
        let socket = world.websocket(path);
        world.take(socket);
        world.set_room(socket, Some(50_000));
        world.send(socket, [bytes, World::frame(8, &[3, 232])].concat());
        world.hang_up(socket);
        world.set_room(socket, None);
        world.flush();
        let heard = world.heard();
        assert_eq!(heard[heard.len() - 2..], ["0 message small", "0 close 1000 Client"], "{path}");
        assert!(world.take(socket).as_bytes().ends_with(&[2, 3, 0xef, 0xbf, 0xbd]), "the close is answered");
        assert!(world.is_dropped(socket));
        world.finish();
    }
}

/// Nor does it matter whether an answer before it is stuck.
#[test]
fn a_response_behind_one_that_is_stuck_ends_as_another() {
    for at_once in [true, false] {
        let mut world = World::new(echo);
        world.post_anew("s/xhr", "");
        world.post_anew("s/xhr_send", r#"["x"]"#);
        let client = world.connect();
        world.set_room(client, Some(10));
        if at_once {
            world.send(client, [GREETING, POLL].concat());
        } else {
            world.send(client, GREETING);
            world.send(client, POLL);
        }
        world.hang_up(client);
        world.set_room(client, None);
        world.flush();
        assert!(world.take(client).ends_with("a[\"x\"]\n"));
        assert_eq!(world.heard(), ["0 open", "0 message x"]);
        world.finish();
    }
}

/// A byte of a frame is not worth waiting for.
#[test]
fn a_websocket_that_hangs_up_within_a_frame_has_ended() {
    let mut world = World::new(echo);
    let socket = world.websocket("websocket");
    let session = world.session(0);
    world.set_room(socket, Some(10));
    world.engine.send(session, "x".repeat(200)).expect("there is room");
    world.flush();
    world.send(socket, [0x81]);
    world.hang_up(socket);
    assert_eq!(world.heard(), ["0 open", "0 close 1006 Interrupted"]);
    world.finish();
}
