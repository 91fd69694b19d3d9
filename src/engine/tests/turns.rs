//! The budget of work of a turn, over all clients together (rule 12.14): many that each cause much do
//! not hold up one that does not.

use super::shares::{expect_numbers, open, payload, receive, upload};
use super::world::{FIRST, Moment, World, echo};
use crate::collections::Key;
use crate::engine::{Arrival, Connection, Message};

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

/// Sessions that a message is not for are passed over, and that is work too: a client of which each message goes to a
/// large group, and to none of its members, has no more than its share of the turn.
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
