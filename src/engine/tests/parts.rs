//! A flush of many writes leaves in parts (rule 12.14): what arrives between them is answered,
//! and nothing else waits for it.

use super::world::{FIRST, Moment, World, quick};
use crate::collections::Key;
use crate::engine::{Connection, EndpointOptions, Engine, ServerOptions, Session};

/// Each message of a raw WebSocket goes to all, but for an "echo", which goes back alone.
fn spread(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
    match moment {
        Moment::Message("echo") => engine.send(key, "echo").expect("room"),
        Moment::Message(text) => {
            engine.broadcast(FIRST, text, None);
        }
        _ => {}
    }
}

fn crowd(count: usize) -> (World, Vec<Key<Connection>>) {
    let mut world =
        World::with(EndpointOptions { sessions: 2 * count, ..EndpointOptions::default() }, spread);
    let sockets = (0..count).map(|_| world.websocket("websocket")).collect();
    world.heard();
    (world, sockets)
}

/// So many of these have received a text of these words.
fn reached(world: &World, sockets: &[Key<Connection>], words: &str) -> usize {
    sockets.iter().filter(|socket| world.received(**socket).contains(words)).count()
}

/// A broadcast leaves in parts, and the answers to what arrives between them do not wait for the rest of it.
#[test]
fn rule_12_14_an_answer_goes_ahead_of_a_broadcast_that_is_on_its_way() {
    let (mut world, sockets) = crowd(1000);
    let neighbour = world.websocket("websocket");
    let greeting = world.connect();
    world.send_once(sockets[0], World::frame(1, b"news"));
    let first = reached(&world, &sockets, "news");
    assert!((1..200).contains(&first), "{first} writes in one turn");
    assert!(world.engine.is_pending(), "the next turn does not sleep");
    for answers in 1..4 {
        world.write(neighbour, World::frame(1, b"echo").repeat(3));
        world.write(greeting, "GET /e HTTP/1.1\r\nHost: h\r\n\r\n");
        world.turn_once();
        assert_eq!(world.received(neighbour).matches("echo").count(), 3 * answers);
        assert_eq!(world.received(greeting).matches("Welcome to SockJS!").count(), answers);
        let reached = reached(&world, &sockets, "news");
        assert!((first..800).contains(&reached), "{reached} have the broadcast");
    }
    world.flush();
    assert!(sockets.iter().all(|socket| world.received(*socket).matches("news").count() == 1));
    world.finish();
}

/// It is in front of the answer for a client that gets both.
#[test]
fn a_message_that_goes_ahead_stays_behind_those_before_it() {
    let (mut world, sockets) = crowd(500);
    world.send_once(sockets[0], World::frame(1, b"one"));
    let last = sockets[499];
    world.write(sockets[1], World::frame(1, b"two"));
    world.write(last, World::frame(1, b"echo"));
    world.turn_once();
    let received = world.received(last);
    let places = ["one", "two", "echo"].map(|words| received.find(words).expect("it has come"));
    assert!(places.is_sorted(), "{received:?}");
    assert!(reached(&world, &sockets, "two") < 10, "the second broadcast waits for the first");
    world.flush();
    for words in ["one", "two"] {
        assert!(sockets.iter().all(|socket| world.received(*socket).matches(words).count() == 1));
    }
    world.finish();
}

/// Clients that cause more in each turn than leaves in it hold up neither the end of a flush nor what must follow it.
#[test]
fn a_flush_ends_however_much_is_added_meanwhile() {
    let (mut world, sockets) = crowd(2000);
    world.send_once(sockets[0], World::frame(1, b"news"));
    let leaver = world.connect();
    world.write(leaver, "GET /e HTTP/1.0\r\n\r\n");
    let mut turns = 0;
    while !world.is_dropped(leaver) && !world.was_shut(leaver) {
        turns += 1;
        assert!(turns < 400, "it waits for turn {turns}");
        for socket in &sockets {
            world.write(*socket, World::frame(1, b"echo"));
        }
        world.turn_once();
    }
    world.flush();
    assert!(sockets.iter().all(|socket| world.received(*socket).matches("echo").count() == turns));
    world.finish();
}

/// Where memory is short nothing is put off for clients that read: a message for them needs
/// the room of the one before it.
#[test]
fn a_flush_is_not_interrupted_where_memory_is_short() {
    let server = ServerOptions { buffered_bytes: 1 << 20, ..quick() };
    let options = EndpointOptions { send_queue: 2 << 20, ..EndpointOptions::default() };
    let mut world = World::build(server, options, spread);
    let sockets: Vec<_> = (0..500).map(|_| world.websocket("websocket")).collect();
    let stopped = world.websocket("websocket");
    world.block(stopped);
    let session = *world.engine.open_sessions(FIRST).collect::<Vec<_>>().last().expect("it is open");
    world.engine.send(session, "x".repeat(600 << 10)).expect("room");
    world.flush();
    world.send_once(sockets[0], World::frame(1, b"news"));
    assert_eq!(reached(&world, &sockets, "news"), 500);
    world.hang_up(stopped);
    world.finish();
}

/// What a client sends to the program's handler while a broadcast is on its way is heard, and its connection read on.
#[test]
fn a_connection_that_was_paused_is_read_on_before_the_flush_ends() {
    let (mut world, sockets) = crowd(5000);
    let neighbour = world.websocket("websocket");
    world.send_once(sockets[0], World::frame(1, b"news"));
    // More than one turn's share, so that the connection is not read meanwhile.
    world.write(neighbour, World::frame(9, b"").repeat(300));
    world.turn_once();
    world.write(neighbour, World::frame(1, b"echo"));
    for _ in 0..3 {
        world.turn_once();
    }
    assert!(world.received(neighbour).contains("echo"));
    assert!(reached(&world, &sockets, "news") < 1000);
    world.finish();
}

#[test]
fn a_second_receiver_ends_the_parts_of_a_flush() {
    let (mut world, sockets) = crowd(2000);
    let (first, second) = (world.connect(), world.connect());
    world.send_once(sockets[0], World::frame(1, b"news"));
    for key in [first, first, second] {
        world.write(key, World::request("s/xhr", ""));
        world.turn_once();
    }
    world.turn_once();
    assert!(world.take_body(second).starts_with("c[2010,"));
    assert_eq!(world.take_body(first), "o\n");
    world.finish();
}

/// Queues of the program's sessions become bytes for their sockets in a flush: that adds nothing for which another one
/// is due, and for which the program's commands, closes and waits would wait.
#[test]
fn commands_and_closes_do_not_wait_for_a_flush_in_which_much_is_framed() {
    let server = ServerOptions { buffered_bytes: 4 << 20, ..quick() };
    let mut world = World::build(server, EndpointOptions::default(), |engine, _, moment| {
        if let Moment::Message("run_due_timers") = moment {
            for session in engine.open_sessions(FIRST).collect::<Vec<_>>() {
                engine.send(session, "x".repeat(400)).expect("its client reads");
            }
        }
    });
    let sockets: Vec<_> = (0..1000).map(|_| world.websocket("000/s/websocket")).collect();
    world.heard();
    let mut told = None;
    for turn in 0..100 {
        if turn % 10 == 0 {
            world.write(sockets[0], World::frame(1, b"[\"run_due_timers\"]"));
        }
        if turn == 25 {
            world.finish_socket(sockets[999]);
        }
        world.begin_turn();
        world.engine.begin_commands();
        assert!(!world.engine.is_turn_done(), "there is time for commands in turn {turn}");
        world.end_turn();
        if told.is_none() && world.heard().iter().any(|heard| heard == "999 close 1006 Interrupted") {
            told = Some(turn);
        }
    }
    assert!(told.is_some_and(|turn| turn < 60), "the close is told in turn {told:?}");
    world.flush();
    world.finish();
}

/// A client that reads has room for the next message, however small the queue that it may have.
#[test]
fn a_client_that_reads_has_room_in_each_turn() {
    for (queue, lengths) in [(8 << 10, [5_000; 3]), (64 << 10, [20 << 10, 45 << 10, 60 << 10])] {
        let options = EndpointOptions { send_queue: queue, ..EndpointOptions::default() };
        let mut world = World::with(options, |engine, _, moment| match moment {
            Moment::Message("all") => assert_eq!(engine.broadcast(FIRST, "all", None), 1000),
            Moment::Message(length) => {
                let last = engine.open_sessions(FIRST).last().expect("it is open");
                let text = "x".repeat(length.parse().expect("a length"));
                assert_eq!(engine.send(last, &text), Ok(()), "{length} bytes");
            }
            _ => {}
        });
        let sockets: Vec<_> = (0..1000).map(|_| world.websocket("websocket")).collect();
        world.send_once(sockets[0], World::frame(1, b"all"));
        for length in lengths {
            world.send_once(sockets[1], World::frame(1, length.to_string().as_bytes()));
        }
        world.flush();
        assert_eq!(world.received(sockets[999]).matches('x').count(), lengths.iter().sum::<usize>());
        world.finish();
    }
}

/// A burst of one client, each message of which goes to all, costs each of them few writes.
#[test]
fn messages_of_a_burst_leave_together() {
    for count in [60, 200, 300] {
        let (mut world, sockets) = crowd(count);
        let before = world.writes();
        let frames: Vec<_> =
            (0..2000).flat_map(|number| World::frame(1, format!("{number};").as_bytes())).collect();
        world.send(sockets[0], frames);
        let received = world.received(sockets[count - 1]);
        assert!(received.contains("1999;") && received.matches(';').count() == 2000);
        let writes = world.writes() - before;
        assert!(writes < 2000 * count / 30, "{writes} writes for {count}");
        world.finish();
    }
}

/// Its clients are told of the end, though it waits for none of them.
#[test]
fn a_flush_of_a_server_that_stops_leaves_at_once() {
    let (mut world, sockets) = crowd(500);
    world.engine.stop(3000, "Go away!", &mut world.handlers);
    world.end_turn();
    assert_eq!(reached(&world, &sockets, "Go away!"), 500);
    world.flush();
    world.finish();
}

/// Whether a session keeps its first receiver or takes the second is decided behind the rest of a flush. By then the
/// client of the second one may have gone, though its end is not read: it stands behind requests that must wait.
#[test]
fn a_second_receiver_whose_client_has_gone_meanwhile_ends_its_session() {
    let (mut world, sockets) = crowd(500);
    let (first, second) = (world.connect(), world.connect());
    world.post(first, "s/xhr", "");
    world.take(first);
    world.post(first, "s/xhr", "");
    world.heard();
    world.send_once(sockets[0], World::frame(1, b"news"));
    assert_eq!(reached(&world, &[first], "news"), 0, "the poll is in a later part");
    world.network.cut_reads(|most| most.min(4096));
    world.write(second, World::request("s/xhr", "") + &World::request("s/xhr_send", "[]").repeat(400));
    world.hang_up_unnoticed(second);
    world.flush();
    assert_eq!(reached(&world, &[first], "news"), 1);
    assert_eq!(world.heard(), ["0 message news", "500 close 1002 Interrupted"]);
    world.finish();
}
