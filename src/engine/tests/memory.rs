//! The bound on what the whole server buffers.

use super::world::{FIRST, Moment, World, echo};
use crate::collections::Key;
use crate::engine::{Cause, Close, Connection, EndpointOptions, Engine, SendError, ServerOptions, Session};

fn small() -> ServerOptions {
    ServerOptions { buffered_bytes: 1 << 20, ..ServerOptions::default() }
}

#[test]
fn an_unfinished_body_beyond_the_bound_is_refused_and_its_neighbour_goes_on() {
    let mut world = World::build(small(), EndpointOptions::default(), echo);
    let (greedy, neighbour) = (world.connect(), world.connect());
    world.post(neighbour, "s/xhr", "");
    world.take(neighbour);
    world.send(greedy, "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    // Its buffer grows to twice its size where the last one does not do.
    world.send(greedy, vec![b'x'; 250 << 10]);
    assert_eq!(world.take(greedy), "");
    world.send(greedy, vec![b'x'; 350 << 10]);
    assert!(world.take(greedy).starts_with("HTTP/1.1 503 "));
    assert_eq!(world.engine.counters().buffered, 0);
    world.post(neighbour, "s/xhr_send", r#"["x"]"#);
    assert!(world.take(neighbour).starts_with("HTTP/1.1 204 "));
    world.finish();
}

/// A closed session keeps its reason until its client has come for it: that is booked, and cut where there is no room.
#[test]
fn a_reason_is_booked_and_cut_only_where_there_is_no_room() {
    fn closing<const LENGTH: usize>(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
        if let Moment::Open = moment {
            engine.close(key, 4000, &"é".repeat(LENGTH));
        }
    }
    for (close, told) in [(closing::<5000> as fn(&mut _, _, Moment<'_>), 5000), (closing::<500_000>, 61)] {
        let mut world = World::build(small(), EndpointOptions::default(), close);
        let (first, second) = (world.connect(), world.connect());
        world.post(first, "s/xhr", "");
        world.take_body(first);
        let beyond_a_sessions_own = if told > 61 { 2 * told } else { 0 };
        assert_eq!(world.engine.counters().buffered, beyond_a_sessions_own, "for later receivers");
        world.post(second, "s/xhr", "");
        assert_eq!(world.take_body(second), format!("c[4000,\"{}\"]\n", "é".repeat(told)));
        world.pass(6_000);
        assert_eq!(world.engine.counters().buffered, 0);
        world.finish();
    }
}

#[test]
fn an_unfinished_message_beyond_the_bound_fails_its_websocket() {
    let mut world = World::build(small(), EndpointOptions::default(), echo);
    let socket = world.websocket("websocket");
    let header = [&[0x81, 0xff], &1_000_000_u64.to_be_bytes()[..], &[0; 4]].concat();
    world.send(socket, header);
    world.send(socket, vec![b'x'; 300 << 10]);
    world.send(socket, vec![b'x'; 300 << 10]);
    assert!(world.take(socket).contains("out of memory"));
    assert_eq!(world.heard(), ["0 open", "0 close 1013 Protocol"]);
    world.finish();
}

#[test]
fn sends_beyond_the_bound_are_full_and_told_later() {
    let fill = |engine: &mut crate::engine::Engine, key, moment: Moment<'_>| {
        if let Moment::Message(_) = moment {
            while engine.send(key, "x".repeat(1000)).is_ok() {}
        }
    };
    let mut world = World::build(small(), EndpointOptions::default(), fill);
    let socket = world.websocket("000/w/websocket");
    world.take(socket);
    world.block(socket);
    world.send(socket, World::frame(1, br#"["go"]"#));
    let buffered = world.engine.counters().buffered;
    assert!((512 << 10..=1100 << 10).contains(&buffered), "{buffered}");
    world.unblock(socket);
    world.pass(0);
    assert_eq!(world.heard(), ["0 open", "0 message go", "0 drain"]);
    world.finish();
}

#[test]
fn the_ceiling_follows_the_options() {
    let ceiling = |server, endpoint| World::build(server, endpoint, echo).engine.memory_ceiling();
    let default = ceiling(ServerOptions::default(), EndpointOptions::default());
    let less = ceiling(small(), EndpointOptions::default());
    let kept = (2 << 20) - (16 << 10);
    assert_eq!(default - less, 2 * ((256 << 20) - (1 << 20)) + kept);
    assert!(ceiling(small(), EndpointOptions { sessions: 1, ..EndpointOptions::default() }) < less);
}

#[test]
fn a_message_that_is_thrown_away_leaves_no_memory_behind() {
    let goodbye = |engine: &mut crate::engine::Engine, key, moment: Moment<'_>| {
        if let Moment::Message("bye") = moment {
            engine.close_session(key, Close::new(1000, "", Cause::Application));
        }
    };
    let mut world = World::build(small(), EndpointOptions::default(), goodbye);
    let socket = world.websocket("websocket");
    let header = [&[0x01, 0xff], &100_000_u64.to_be_bytes()[..], &[0; 4]].concat();
    world.send(socket, [World::frame(1, b"bye"), header].concat());
    world.send(socket, vec![b'x'; 60_000]);
    world.send(socket, vec![b'x'; 40_000]);
    world.send(socket, World::frame(0, b""));
    assert!(world.engine.memory.buffers.assembly.is_none());
    assert_eq!(world.engine.counters().buffered, 0);
    world.finish();
}

#[test]
fn what_is_read_ahead_behind_a_stream_is_within_the_bound_too() {
    let mut world = World::build(small(), EndpointOptions::default(), echo);
    for number in 0..200 {
        let stream = world.connect();
        world.post(stream, &format!("s{number}/xhr_streaming"), "");
        world.send(stream, vec![b'x'; 16_383]);
        world.send(stream, vec![b'x'; 60_000]);
        let held = world.engine.counters().buffered;
        assert!(held <= 1 << 20, "{held} bytes behind {number} streams");
    }
    world.finish();
}

/// A little room, of which the second of two sessions holds 100,000 bytes while its client is between two polls.
struct Crowded {
    world: World,
    socket: Key<Connection>,
    poller: Key<Connection>,
    sessions: [Key<Session>; 2],
}

impl Crowded {
    /// The client comes for what waits.
    fn poll(world: &mut World, poller: Key<Connection>) {
        world.post(poller, "o/xhr", "");
    }
}

fn crowded() -> Crowded {
    let mut world = World::build(small(), EndpointOptions::default(), |_, _, _| {});
    let (socket, poller) = (world.websocket("000/s/websocket"), world.connect());
    Crowded::poll(&mut world, poller);
    let sessions = [0, 1].map(|number| world.session(number));
    world.take(socket);
    world.heard();
    world.engine.send(sessions[1], "y".repeat(100_000)).expect("there is room");
    world.flush();
    Crowded { world, socket, poller, sessions }
}

#[test]
fn nobody_is_told_of_room_that_is_not_there() {
    let Crowded { mut world, socket, poller, sessions: [first, _] } = crowded();
    let long = "x".repeat(950_000);
    assert_eq!(world.engine.send(first, &long), Err(SendError::Full));
    world.flush();
    world.pass(0);
    assert!(world.heard().is_empty() && !world.engine.is_pending(), "there is no room for so much");
    Crowded::poll(&mut world, poller);
    world.pass(0);
    assert_eq!(world.heard(), ["0 drain"]);
    assert_eq!(world.engine.send(first, &long), Ok(()));
    world.flush();
    assert!(world.take(socket).len() > 950_000);
    world.finish();
}

/// What leaves meanwhile, a pong say, does not make room.
#[test]
fn nobody_is_told_of_room_by_the_last_byte_of_something_else() {
    let Crowded { mut world, socket, poller, sessions: [first, _] } = crowded();
    let long = "x".repeat(950_000);
    for _ in 0..3 {
        assert_eq!(world.engine.send(first, &long), Err(SendError::Full));
        world.send(socket, World::frame(9, b""));
        world.pass(0);
        assert!(world.heard().is_empty());
    }
    Crowded::poll(&mut world, poller);
    world.pass(0);
    assert_eq!(world.heard(), ["0 drain"], "and once");
    world.finish();
}

#[test]
fn who_wants_little_is_told_of_room_before_those_who_want_much() {
    let mut world = World::build(small(), EndpointOptions::default(), |_, _, _| {});
    (0..3).for_each(|number| _ = world.websocket(&format!("000/{number}/websocket")));
    let (uploader, poller) = (world.connect(), world.connect());
    world.post(poller, "3/xhr", "");
    let sessions: Vec<_> = (0..4).map(|number| world.session(number)).collect();
    world.heard();
    world.engine.send(sessions[3], "y".repeat(400_000)).expect("there is room");
    world.send(uploader, "POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n");
    // In parts, so that its buffer does not grow beyond that.
    world.send(uploader, vec![b'x'; 60_000]);
    world.send(uploader, vec![b'x'; 420_000]);
    for (session, length) in sessions.iter().zip([600_000, 600_000, 200_000]) {
        assert_eq!(world.engine.send(*session, "x".repeat(length)), Err(SendError::Full));
    }
    world.reset(uploader);
    world.pass(0);
    assert_eq!(world.heard(), ["2 drain"]);
    world.finish();
}

/// To the byte: a session that is told of room gets it.
#[test]
fn who_is_told_of_room_finds_it() {
    let Crowded { mut world, poller, sessions: [first, second], .. } = crowded();
    let length = (1 << 20) / 8 * 7 - world.engine.counters().buffered;
    assert_eq!(world.engine.send(first, "x".repeat(length)), Err(SendError::Full));
    world.flush();
    world.pass(0);
    assert!(world.heard().is_empty() && !world.engine.is_pending());
    // A session that wants less meanwhile is told when there is room for that.
    let output = world.engine.counters().buffered;
    world.engine.send(second, "y".repeat((1 << 20) / 4 * 3 - output - 1000)).expect("there is room");
    world.flush();
    assert_eq!(world.engine.send(first, "x".repeat(200_000)), Err(SendError::Full));
    Crowded::poll(&mut world, poller);
    world.pass(0);
    assert_eq!(world.heard(), ["0 drain"]);
    world.finish();
}

// Contract, rule 12.13.

#[test]
fn rule_12_13_connections_that_take_nothing_make_room_those_that_hold_most_first() {
    let mut world = World::build(small(), EndpointOptions::default(), echo);
    let hogs = [100_000, 300_000, 200_000].map(|length| {
        let hog = world.websocket("websocket");
        world.block(hog);
        let session = world.session(world.handlers.names.len() - 1);
        world.engine.send(session, "y".repeat(length)).expect("there is room");
        world.flush();
        hog
    });
    let reader = world.websocket("websocket");
    let session = world.session(3);
    world.engine.send(session, "x".repeat(450_000)).expect("the others make room");
    world.flush();
    assert_eq!(world.take(reader).matches('x').count(), 450_000);
    assert_eq!(hogs.map(|hog| world.is_dropped(hog)), [false, true, false]);
    world.finish();
}

#[test]
fn rule_12_13_what_is_thrown_away_behind_our_close_is_not_held() {
    let mut world = World::build(small(), EndpointOptions::default(), |engine, key, moment| {
        if let Moment::Message(_) = moment {
            engine.close(key, 3000, "Go away!");
        }
    });
    for _ in 0..50 {
        let socket = world.websocket("000/s/websocket");
        world.send(socket, World::frame(1, br#"["x"]"#));
        let mut frame = vec![0x82, 0xff];
        frame.extend_from_slice(&(1_u64 << 20).to_be_bytes());
        frame.extend_from_slice(&[0; 4 + 60_000]);
        world.send(socket, frame);
        for _ in 0..16 {
            world.send(socket, [0; 60_000]);
        }
    }
    let held = world.engine.counters().buffered;
    assert!(held < 50 * 100, "{held} bytes are held");
    world.finish();
}

#[test]
fn rule_12_13_readers_of_a_large_broadcast_are_not_closed() {
    let mut world = World::build(small(), EndpointOptions::default(), echo);
    for number in 0..1000 {
        world.websocket(if number % 2 == 0 { "websocket" } else { "000/s/websocket" });
    }
    assert_eq!(world.engine.broadcast(FIRST, &"x".repeat(64 << 10), None), 1000);
    let held = world.engine.counters().buffered;
    assert!(held < 500_000, "{held} bytes are held");
    world.flush();
    assert_eq!(world.engine.open_count(FIRST), 1000);
    assert_eq!(world.engine.counters().buffered, 0);
}

#[test]
fn rule_12_13_escapes_are_foreseen() {
    for path in ["000/s/websocket", "000/s/htmlfile?c=c", "000/s/eventsource", "000/s/jsonp?c=c"] {
        let mut world = World::build(small(), EndpointOptions::default(), echo);
        let client = world.connect();
        match path {
            "000/s/websocket" => world.send(client, World::handshake(path)),
            _ => world.send(client, format!("GET /e/{path} HTTP/1.1\r\nHost: h\r\n\r\n")),
        }
        let session = world.session(0);
        assert_eq!(world.engine.send(session, "\u{1}".repeat(500_000)), Err(SendError::Full), "{path}");
        world.engine.broadcast(FIRST, &"\u{1}".repeat(500_000), None);
        assert!(world.engine.counters().buffered < 100_000, "{path}");
    }
}

#[test]
fn rule_12_13_pages_leave_room_for_sessions() {
    let mut world = World::build(small(), EndpointOptions::default(), echo);
    world.handlers.page = 100_000;
    let mut refused = 0;
    for _ in 0..40 {
        let client = world.connect();
        world.block(client);
        world.send(client, "GET /page HTTP/1.1\r\nHost: h\r\n\r\n");
        refused = world.engine.counters().refused.overloaded;
    }
    assert!(refused >= 30, "{refused} pages were refused");
    assert!(world.engine.counters().buffered <= (1 << 20) / 2 + 40 * 4096);
    let socket = world.websocket("websocket");
    world.send(socket, World::frame(1, &[b'x'; 100_000]));
    assert_eq!(world.take(socket).matches('x').count(), 100_000);
}

/// Over SockJS a message is written anew, so that memory that comes with it and is not used does not count.
#[test]
fn a_message_that_is_given_away_costs_no_more_than_one_that_is_lent() {
    for given_away in [false, true] {
        let mut world = World::build(small(), EndpointOptions::default(), echo);
        let socket = world.websocket("000/s/websocket");
        world.take(socket);
        let mut text = String::with_capacity(1_100_000);
        text.push_str(&"x".repeat(900_000));
        let session = world.session(0);
        let sent = match given_away {
            true => world.engine.send(session, text),
            false => world.engine.send(session, text.as_str()),
        };
        assert_eq!(sent, Ok(()), "{given_away}");
        world.flush();
        world.finish();
    }
}
