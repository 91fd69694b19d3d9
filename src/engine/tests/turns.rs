//! The budget of work of a turn, over all clients together (rule 12.14): many that each cause much do not hold up one that does not.

use super::shares::{expect_numbers, open, payload, receive, upload};
use super::world::{FIRST, Moment, World, echo, quick};
use crate::collections::Key;
use crate::engine::{Arrival, Connection, EndpointOptions, Engine, Message, ServerOptions, Session};

/// Many clients that each cause much: one turn does about as much as its budget, and nothing is lost.
#[test]
fn rule_12_14_the_work_of_all_clients_is_that_of_one_turn() {
    const SESSIONS: usize = 1000;
    let mut world = World::new(|engine, _, moment| {
        if let Moment::Message(_) = moment {
            engine.broadcast(FIRST, "", None);
        }
    });
    world.post_anew("s/xhr", "");
    (1..SESSIONS).for_each(|number| world.post_anew(&format!("s{number}/xhr"), ""));
    let clients: Vec<_> = (0..40).map(|_| world.connect()).collect();
    world.engine.begin_turn(&mut world.handlers);
    let before = world.engine.counters().messages_out;
    for client in &clients {
        receive(&mut world, *client, upload(&payload(100)));
    }
    let caused = world.engine.counters().messages_out - before;
    assert!((150_000..=200_000 + SESSIONS as u64).contains(&caused), "{caused} messages in one turn");
    world.flush();
    let caused = world.engine.counters().messages_out - before;
    assert_eq!(caused, (40 * 100 * SESSIONS) as u64);
}

/// Sessions that end at once, each of which is told to all others.
#[test]
fn rule_12_14_ends_are_told_in_as_many_turns_as_they_need() {
    const SESSIONS: usize = 2000;
    let mut world = World::new(|engine, _, moment| {
        if let Moment::Close = moment {
            engine.broadcast(FIRST, "left", None);
        }
    });
    let sockets: Vec<_> = (0..SESSIONS).map(|_| world.websocket("websocket")).collect();
    world.heard();
    let before = world.engine.counters().messages_out;
    world.engine.begin_turn(&mut world.handlers);
    for socket in &sockets[..1000] {
        world.engine.receive(*socket, Arrival::End, &mut world.handlers);
    }
    let caused = world.engine.counters().messages_out - before;
    assert!(caused <= 200_000 + SESSIONS as u64, "{caused} messages in one turn");
    assert!(world.engine.is_pending(), "the next turn does not sleep");
    for _ in 0..80 {
        world.engine.begin_turn(&mut world.handlers);
        world.flush();
    }
    assert_eq!(world.heard().len(), 1000);
    let for_each = |socket: &Key<Connection>| world.received(*socket).matches("left").count();
    assert!(sockets[1000..].iter().all(|socket| for_each(socket) == 1000));
}

/// Ends that are told in many turns do not hold up the message of another client until the last of them.
#[test]
fn rule_12_14_ends_that_are_left_over_leave_room_for_a_neighbour() {
    const SESSIONS: usize = 2000;
    let mut world = World::new(|engine, _, moment| {
        if let Moment::Close = moment {
            engine.broadcast(FIRST, "left", None);
        }
    });
    let sockets: Vec<_> = (0..SESSIONS).map(|_| world.websocket("websocket")).collect();
    let neighbours: Vec<_> = (0..3).map(|_| world.websocket("websocket")).collect();
    world.heard();
    world.engine.begin_turn(&mut world.handlers);
    for socket in &sockets[..1000] {
        world.engine.receive(*socket, Arrival::End, &mut world.handlers);
    }
    for neighbour in &neighbours {
        world.receive(*neighbour, World::frame(1, b"here"));
    }
    let mut turns = 0;
    let mut before = 0;
    let mut answered = 0;
    while answered < neighbours.len() {
        turns += 1;
        world.engine.advance(0, &mut world.handlers);
        world.carry_out();
        world.begin_turn();
        let heard = world.heard();
        answered += heard.iter().filter(|heard| heard.ends_with("message here")).count();
        before += heard.len();
    }
    assert!(turns <= 4, "the neighbours are heard in turn {turns}, behind {before} ends");
}

/// Clients that cause much in every turn do not hold up the waits of others, nor the program's commands.
#[test]
fn rule_12_14_waits_end_in_turns_that_are_full() {
    let mut world = World::new(|engine, _, moment| {
        if let Moment::Message(_) = moment {
            engine.broadcast(FIRST, "", None);
        }
    });
    (0..1000).for_each(|number| world.post_anew(&format!("s{number}/xhr"), ""));
    let clients: Vec<_> = (0..40).map(|_| world.connect()).collect();
    world.post_anew("s/xhr", "");
    world.heard();
    world.set_time(6_000);
    world.engine.begin_turn(&mut world.handlers);
    for client in &clients {
        receive(&mut world, *client, upload(&payload(100)));
    }
    assert!(world.engine.turn.work.is_done());
    // Commands have a part of such a turn too, and no more than that.
    world.engine.begin_commands();
    for commands in 0.. {
        if world.engine.is_turn_done() {
            assert!((1000..2000).contains(&commands), "{commands}");
            break;
        }
        world.engine.note_command();
    }
    world.engine.advance(6_000, &mut world.handlers);
    world.carry_out();
    assert!(world.engine.open_count(FIRST) < 10, "{} are still open", world.engine.open_count(FIRST));
}

/// Sessions that a message is not for are passed over, and that is work too: a client of which each message goes to a large
/// group, and to none of its members, has no more than its share of the turn.
#[test]
fn rule_12_14_members_that_are_passed_over_are_work() {
    let mut world = World::new(|engine, key, moment| match moment {
        Moment::Open => engine.join(key, "group").expect("within limits"),
        Moment::Message(_) => assert_eq!(engine.publish(FIRST, "group", Message::Binary(b"x"), None), 0),
        _ => {}
    });
    let client = open(&mut world);
    (0..1000).for_each(|number| world.post_anew(&format!("s{number}/xhr"), ""));
    world.heard();
    receive(&mut world, client, upload(&payload(200)));
    let told = world.heard();
    assert!(told.len() < 20, "{} messages in one turn", told.len());
    world.flush();
    expect_numbers(&world.heard(), told.len()..200);
    world.finish();
}

/// A short answer waits for one buffer full of other clients' bytes, not for all that they send in this turn.
#[test]
fn rule_12_14_an_answer_leaves_before_much_more_is_read() {
    let mut world = World::new(echo);
    let quiet = world.websocket("websocket");
    let loud: Vec<_> = (0..3).map(|_| world.websocket("websocket")).collect();
    receive(&mut world, quiet, World::frame(1, b"short"));
    world.carry_out();
    assert_eq!(world.take(quiet), "", "short messages of one turn are answered together");
    for (number, client) in loud.iter().enumerate() {
        receive(&mut world, *client, World::frame(1, &[b'x'; 10_000]));
        world.carry_out();
        assert_eq!(world.take(quiet).contains("short"), number == 2, "{number}");
    }
    world.flush();
    world.finish();
}

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

/// Where memory is short nothing is put off for clients that read: a message for them needs the room of the one before it.
#[test]
fn a_flush_is_not_interrupted_where_memory_is_short() {
    let server = ServerOptions { buffered_bytes: 1 << 20, ..quick() };
    let options = EndpointOptions { send_queue: 2 << 20, ..EndpointOptions::default() };
    let mut world = World::build(server, options, spread);
    let sockets: Vec<_> = (0..500).map(|_| world.websocket("websocket")).collect();
    let stopped = world.websocket("websocket");
    world.block(stopped);
    let session = *world.engine.open_sessions(FIRST).collect::<Vec<_>>().last().expect("it is open");
    world.engine.send(session, &"x".repeat(600 << 10)).expect("room");
    world.flush();
    world.send_once(sockets[0], World::frame(1, b"news"));
    assert_eq!(reached(&world, &sockets, "news"), 500);
    world.hang_up(stopped);
    world.finish();
}
