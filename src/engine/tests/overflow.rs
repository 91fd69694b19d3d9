//! Messages to sessions whose clients do not read, where the endpoint skips them: one gap,
//! told once, and counted exactly.

use super::world::{FIRST, Moment, World, quick};
use crate::collections::Key;
use crate::engine::{
    Connection, EndpointOptions, Engine, Message, Outgoing, Overflow, SendError, ServerOptions,
};

fn skipping() -> EndpointOptions {
    EndpointOptions { send_queue: 200, overflow: Overflow::Skip, ..EndpointOptions::default() }
}

/// The numbers of the messages that a client got, each of which is `<NUMBER>` with a filler behind.
fn numbers(world: &mut World, socket: Key<Connection>) -> Vec<usize> {
    let received = world.take(socket);
    let parts = received.split('<').skip(1);
    parts.map(|part| part.split('>').next().expect("an end").parse().expect("a number")).collect()
}

fn numbered(number: usize) -> String {
    format!("<{number}>{}", "x".repeat(40))
}

#[test]
fn what_is_skipped_is_one_gap_and_told_at_its_end() {
    for path in ["000/s/websocket", "websocket"] {
        let mut world = World::with(skipping(), |_, _, _| {});
        let (slow, reader) = (world.websocket(path), world.websocket(path));
        world.heard();
        world.block(slow);
        let mut reached = Vec::new();
        for number in 0..20 {
            reached.push(world.engine.broadcast(FIRST, &numbered(number), None));
            world.flush();
        }
        let taken = reached.iter().take_while(|count| **count == 2).count();
        assert!((3..8).contains(&taken), "{reached:?}");
        assert!(reached[taken..].iter().all(|count| *count == 1), "one gap: {reached:?}");
        assert_eq!(world.engine.counters().skipped, 20 - taken as u64);
        let waiting = world.engine.queued(world.session(0));
        assert!((150..300).contains(&waiting), "{waiting}");
        // A part of it leaves: the gap goes on, though there is room.
        world.set_room(slow, Some(100));
        world.flush();
        assert!(world.engine.queued(world.session(0)) < waiting);
        assert_eq!(world.engine.broadcast(FIRST, &numbered(20), None), 1);
        world.set_room(slow, None);
        world.end_turn();
        assert_eq!(world.engine.queued(world.session(0)), 0);
        // It has drained, and its handler is told in the next turn: until then it is behind the gap.
        assert_eq!(world.engine.broadcast(FIRST, &numbered(21), None), 1);
        world.pass(0);
        assert_eq!(world.heard(), ["0 drain"]);
        assert_eq!(world.handlers.skipped, 22 - taken as u64);
        assert_eq!(world.engine.broadcast(FIRST, &numbered(22), None), 2);
        world.flush();
        assert_eq!(numbers(&mut world, slow), (0..taken).chain([22]).collect::<Vec<_>>());
        assert_eq!(numbers(&mut world, reader), (0..23).collect::<Vec<_>>());
        world.pass(1000);
        assert_eq!(world.heard(), [""; 0], "told once");
        world.finish();
    }
}

/// A client that reads gets more than its queue holds, where one callback sends it; but clients have limits for one
/// message of a WebSocket (64 MiB in Node, 1 MiB elsewhere), which a frame with all of it would break.
#[test]
fn a_client_that_reads_gets_more_than_a_queue_in_several_frames() {
    const COUNT: usize = 40;
    let mut world = World::with(skipping(), |engine, _, moment| {
        if let Moment::Message(_) = moment {
            for number in 0..COUNT {
                assert_eq!(engine.broadcast(FIRST, &numbered(number), None), 1);
            }
            let large = format!("<{COUNT}>{}", "x".repeat(1000));
            assert_eq!(engine.broadcast(FIRST, &large, None), 1);
        }
    });
    let socket = world.websocket("000/s/websocket");
    world.take(socket);
    world.send(socket, World::frame(1, b"\"go\""));
    let received = world.take(socket);
    let frames: Vec<_> = received.split("a[").skip(1).collect();
    let (last, others) = frames.split_last().expect("frames");
    assert!(others.iter().all(|frame| (100..=210).contains(&frame.len())), "{others:?}");
    assert!((1000..1010).contains(&last.len()), "the large one alone: {last}");
    let numbers = received.split('<').skip(1).map(|part| part.split('>').next().expect("an end").parse());
    assert!(numbers.eq((0..=COUNT).map(Ok)), "{received}");
    world.finish();
}

#[test]
fn the_sender_of_one_message_is_told_and_one_from_afar_is_not() {
    for policy in [Overflow::Skip, Overflow::Close] {
        let options = EndpointOptions { overflow: policy, ..skipping() };
        let mut world = World::with(options, |_, _, _| {});
        let socket = world.websocket("000/s/websocket");
        let session = world.session(0);
        world.block(socket);
        let mut sent = 0;
        loop {
            let outcome = world.engine.send(session, numbered(sent));
            world.flush();
            if outcome == Err(SendError::Full) {
                break;
            }
            sent += 1;
        }
        assert_eq!(world.engine.counters().skipped, 0, "the program knows of it");
        world.engine.send_or_overflow(session, Outgoing::Text(numbered(sent).into()));
        let is_skipped = policy == Overflow::Skip;
        assert_eq!(world.engine.counters().skipped, u64::from(is_skipped));
        assert_eq!(world.engine.is_open(session), is_skipped);
        world.unblock(socket);
        world.pass(0);
        let told = if is_skipped { "0 drain" } else { "0 close 1013 Overflow" };
        assert_eq!(world.heard(), ["0 open", told]);
        assert_eq!(world.handlers.skipped, u64::from(is_skipped));
        assert_eq!(numbers(&mut world, socket), (0..sent).collect::<Vec<_>>());
        world.finish();
    }
}

/// Its drain is to be told in the next turn, and is not true any more by then.
#[test]
fn a_session_that_fills_again_is_told_of_the_second_drain_alone() {
    let mut world = World::with(skipping(), |_, _, _| {});
    let socket = world.websocket("000/s/websocket");
    let fill = |world: &mut World, go_on: fn(&mut World)| {
        world.block(socket);
        while world.engine.send(world.session(0), numbered(0)).is_ok() {
            go_on(world);
        }
        world.engine.send_or_overflow(world.session(0), Outgoing::Text(numbered(0).into()));
    };
    fill(&mut world, World::flush);
    world.set_room(socket, None);
    world.end_turn();
    fill(&mut world, |_| {});
    world.pass(0);
    assert_eq!((world.heard(), world.handlers.skipped), (vec!["0 open".to_owned()], 0));
    world.unblock(socket);
    world.pass(0);
    assert_eq!((world.heard(), world.handlers.skipped), (vec!["0 drain".to_owned()], 2));
    world.pass(1000);
    assert_eq!(world.heard(), [""; 0], "told once");
    world.finish();
}

#[test]
fn a_session_that_closes_in_its_gap_says_how_long_that_was() {
    let mut world = World::with(skipping(), |_, _, _| {});
    let socket = world.websocket("000/s/websocket");
    world.block(socket);
    let reached: usize = (0..20)
        .map(|number| {
            let reached = world.engine.broadcast(FIRST, &numbered(number), None);
            world.flush();
            reached
        })
        .sum();
    world.engine.close(world.session(0), 4000, "Bye");
    world.flush();
    assert_eq!(world.heard(), ["0 open", "0 close 4000 Application"]);
    assert_eq!(world.handlers.skipped, 20 - reached as u64);
    world.unblock(socket);
    assert_eq!(numbers(&mut world, socket).len(), reached);
    world.finish();
}

/// The queue has room, and the server has none.
#[test]
fn a_message_for_which_the_server_has_no_memory_is_skipped_too() {
    let server = ServerOptions { buffered_bytes: 1 << 20, ..quick() };
    let options = EndpointOptions { overflow: Overflow::Skip, ..EndpointOptions::default() };
    let mut world = World::build(server, options, |_, _, _| {});
    let hogs: Vec<_> = (0..4).map(|_| world.websocket("websocket")).collect();
    for (number, hog) in hogs.iter().enumerate() {
        world.block(*hog);
        world.engine.send(world.session(number), "y".repeat(180_000)).expect("there is room");
        world.flush();
    }
    let text = "x".repeat(120_000);
    assert_eq!(world.engine.broadcast(FIRST, &text, None), 0);
    assert_eq!(world.engine.counters().skipped, 4);
    for hog in hogs {
        world.unblock(hog);
    }
    world.pass(0);
    assert_eq!(world.heard().iter().filter(|heard| heard.ends_with("drain")).count(), 4);
    assert_eq!(world.handlers.skipped, 4);
    assert_eq!(world.engine.broadcast(FIRST, &text, None), 4);
    world.flush();
    world.finish();
}

/// From the drain itself messages are sent again, to many of which there is no room.
fn refill(engine: &mut Engine, _: Key<crate::engine::Session>, moment: Moment<'_>) {
    if let Moment::Drain = moment {
        for _ in 0..3 {
            engine.broadcast(FIRST, &numbered(0), None);
        }
    }
}

/// Clients that read now and then: each message to each of them was delivered or skipped.
#[test]
fn delivered_and_skipped_are_what_was_sent() {
    for seed in 1..=40_u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
        let mut random = move |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % limit as u64) as usize
        };
        let mut world = World::with(skipping(), if seed % 2 == 0 { refill } else { |_, _, _| {} });
        let sockets: Vec<_> = (0..4)
            .map(|number| world.websocket(if number % 2 == 0 { "websocket" } else { "000/s/websocket" }))
            .collect();
        for number in 0..4 {
            world.engine.join(world.session(number), "all").expect("within limits");
        }
        world.flush();
        world.heard();
        for step in 0..300 {
            let text = numbered(step);
            let socket = sockets[random(4)];
            let skipped = world.engine.counters().skipped;
            let all_are_counted = |world: &mut World, reached: usize| {
                let skipped = world.engine.counters().skipped - skipped;
                assert_eq!(reached as u64 + skipped, 4, "taken or skipped, seed {seed}");
            };
            match random(8) {
                0..3 => {
                    let reached = world.engine.broadcast(FIRST, &text, None);
                    all_are_counted(&mut world, reached);
                }
                3 => {
                    let reached = world.engine.publish(FIRST, "all", Message::Text(&text), None);
                    all_are_counted(&mut world, reached);
                }
                4 => {
                    let session = world.session(random(4));
                    world.engine.send_or_overflow(session, Outgoing::Text(text.as_str().into()));
                }
                5 => world.block(socket),
                6 => world.unblock(socket),
                _ => world.pass(1),
            }
            if random(3) > 0 {
                world.flush();
            }
        }
        for socket in &sockets {
            world.unblock(*socket);
        }
        for _ in 0..10 {
            world.pass(1);
        }
        let counters = world.engine.counters();
        let delivered: usize = sockets.iter().map(|socket| numbers(&mut world, *socket).len()).sum();
        assert_eq!(counters.messages_out, delivered as u64, "all that was taken arrived, seed {seed}");
        assert_eq!(counters.skipped, world.handlers.skipped, "all that was skipped was told, seed {seed}");
        assert!(counters.skipped > 0, "seed {seed}");
        world.finish();
    }
}

/// Handlers whose sessions have drained may send much: each of them is told, but a flush goes between two of them.
#[test]
fn a_flush_goes_between_two_drains_that_cause_much() {
    let options = EndpointOptions { send_queue: 150_000, ..skipping() };
    let mut world = World::with(options, |engine, key, moment| {
        if let Moment::Drain = moment {
            for _ in 0..2 {
                engine.send(key, "x".repeat(70_000)).expect("its client reads");
            }
        }
    });
    let sockets: Vec<_> = (0..3).map(|_| world.websocket("websocket")).collect();
    world.heard();
    sockets.iter().for_each(|socket| world.block(*socket));
    for _ in 0..20 {
        world.engine.broadcast(FIRST, &"x".repeat(20_000), None);
        world.flush();
    }
    sockets.iter().for_each(|socket| world.set_room(*socket, None));
    world.end_turn();
    for told in 0..3 {
        world.engine.begin_turn(&mut world.handlers);
        world.engine.advance(0, &mut world.handlers);
        assert_eq!(world.heard().len(), 1, "the drain number {told} is the only one of its turn");
        world.carry_out();
    }
    world.pass(1000);
    assert_eq!(world.heard(), [""; 0]);
    world.finish();
}
