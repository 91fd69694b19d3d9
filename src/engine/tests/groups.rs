//! Groups in the engine: published messages arrive, the handler is told of first and last members, and nothing is left.

use super::world::{FIRST, Moment, World, quick};
use crate::engine::{EndpointNumber, EndpointOptions, Engine, JoinError, Message, SessionId};

/// The message `join NAME`, `leave NAME` or `close`.
fn obey(engine: &mut Engine, key: crate::collections::Key<crate::engine::Session>, moment: Moment<'_>) {
    let Moment::Message(text) = moment else { return };
    match text.split_once(' ').unwrap_or((text, "")) {
        ("join", name) => engine.join(key, name).expect("within limits"),
        ("leave", name) => assert!(engine.leave(key, name)),
        ("close", _) => assert!(engine.close(key, 4000, "Bye")),
        _ => panic!("{text}"),
    }
}

fn say(world: &mut World, socket: crate::collections::Key<crate::engine::Connection>, text: &str) {
    world.send(socket, World::frame(1, text.as_bytes()));
}

#[test]
fn first_and_last_members_are_told_of() {
    let mut world = World::new(obey);
    let (one, two) = (world.websocket("websocket"), world.websocket("websocket"));
    world.heard();
    say(&mut world, one, "join room");
    say(&mut world, two, "join room");
    say(&mut world, one, "join room");
    assert_eq!(
        world.heard(),
        ["0 message join room", "room starts", "1 message join room", "0 message join room"]
    );
    assert_eq!(world.engine.members(FIRST, "room").collect::<Vec<_>>(), [world.session(0), world.session(1)]);
    say(&mut world, one, "leave room");
    say(&mut world, two, "leave room");
    assert_eq!(world.heard(), ["0 message leave room", "1 message leave room", "room ends"]);
    assert!(world.engine.has_no_groups());
    // Both in one unit of input: the handler knows it as it is.
    let (one, two) = (world.session(0), world.session(1));
    for _ in 0..3 {
        world.engine.join(one, "room").expect("within limits");
        world.engine.leave(one, "room");
    }
    world.engine.join(two, "other").expect("within limits");
    world.flush();
    assert_eq!(world.heard(), ["other starts"]);
    world.engine.leave(two, "other");
    world.engine.join(one, "other").expect("within limits");
    world.flush();
    assert_eq!(world.heard(), Vec::<String>::new());
    world.finish();
}

#[test]
fn a_close_is_told_before_the_end_of_the_groups_that_it_brings() {
    let mut world = World::new(|engine, key, moment| match moment {
        Moment::Close => {
            let names: Vec<_> = engine.groups_of(key).map(|name| name.to_string()).collect();
            assert_eq!(names, ["b", "a"], "those in which it was");
            assert!(!engine.is_member(key, "a") && !engine.leave(key, "a"));
            assert_eq!(engine.join(key, "c"), Err(JoinError::Gone));
            assert_eq!((engine.member_count(FIRST, "a"), engine.member_count(FIRST, "b")), (1, 0));
            assert_eq!(engine.publish(FIRST, "a", Message::Text("it left"), None), 1);
        }
        moment => obey(engine, key, moment),
    });
    let (one, two) = (world.websocket("websocket"), world.websocket("websocket"));
    say(&mut world, two, "join a");
    say(&mut world, one, "join b");
    say(&mut world, one, "join a");
    world.heard();
    say(&mut world, one, "close");
    assert_eq!(world.heard(), ["0 message close", "0 close 4000 Application", "b ends"]);
    assert_eq!(world.take(two), "\u{81}\u{7}it left".replace('\u{81}', "\u{fffd}"));
    assert_eq!(world.engine.groups_of(world.session(0)).count(), 0);
}

#[test]
fn what_is_published_reaches_the_members_alone() {
    let mut world = World::new(|_, _, _| {});
    let raw: Vec<_> = (0..4).map(|_| world.websocket("websocket")).collect();
    let sockjs: Vec<_> = (0..4).map(|_| world.websocket("000/s/websocket")).collect();
    let streams: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for (number, stream) in streams.iter().enumerate() {
        world.post(*stream, &format!("s{number}/xhr_streaming"), "");
        world.take(*stream);
    }
    // The first two of each kind.
    for number in [0, 1, 4, 5, 8, 9] {
        world.engine.join(world.session(number), "group").expect("within limits");
    }
    let all: Vec<_> = raw.iter().chain(&sockjs).chain(&streams).copied().collect();
    let who_got = |world: &mut World, text: &str| {
        world.flush();
        let counts: Vec<_> = all.iter().map(|socket| world.take(*socket).matches(text).count()).collect();
        counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    let once = |numbers: &[usize]| numbers.iter().map(|number| (*number, 1)).collect::<Vec<_>>();

    let text = Message::Text("tell");
    assert_eq!(world.engine.publish(FIRST, "group", text, None), 6);
    assert_eq!(who_got(&mut world, "tell"), once(&[0, 1, 4, 5, 8, 9]));
    let except = Some(world.session(4));
    assert_eq!(world.engine.publish(FIRST, "group", text, except), 5);
    assert_eq!(who_got(&mut world, "tell"), once(&[0, 1, 5, 8, 9]));
    assert_eq!(world.engine.publish(FIRST, "group", Message::Binary(b"bytes"), None), 2);
    assert_eq!(who_got(&mut world, "bytes"), once(&[0, 1]));
    assert_eq!(world.engine.publish(FIRST, "no group", text, None), 0);
    let named = [11, 2, 2, 7].map(|number| SessionId(world.session(number)));
    assert_eq!(world.engine.send_to(Some(FIRST), &named, "tell"), 4);
    assert_eq!(who_got(&mut world, "tell"), [(2, 2), (7, 1), (11, 1)]);
    assert_eq!(world.engine.send_to(Some(EndpointNumber::new(1)), &named, "tell"), 0);
    world.engine.close(world.session(7), 3000, "Bye");
    assert_eq!(world.engine.send_to(None, &named, "tell"), 3);
}

/// Members that a publication closes are in the middle of the list that it walks.
#[test]
fn a_member_that_overflows_does_not_end_the_publication() {
    let options = EndpointOptions { send_queue: 100, ..EndpointOptions::default() };
    let mut world = World::with(options, |_, _, _| {});
    let sockets: Vec<_> = (0..5).map(|_| world.websocket("000/s/websocket")).collect();
    for number in 0..5 {
        world.engine.join(world.session(number), "group").expect("within limits");
    }
    for socket in [sockets[1], sockets[2], sockets[4]] {
        world.block(socket);
    }
    world.heard();
    let text = "x".repeat(60);
    for reached in [5, 2] {
        assert_eq!(world.engine.publish(FIRST, "group", Message::Text(&text), None), reached);
        world.flush();
    }
    assert!(world.engine.members(FIRST, "group").eq([world.session(0), world.session(3)]));
    assert_eq!(world.heard().iter().filter(|heard| heard.ends_with("close 1013 Overflow")).count(), 3);
    world.finish();
}

#[test]
fn a_handler_that_starts_what_it_ends_does_not_hold_the_turn() {
    let mut world = World::new(|engine, key, moment| match moment {
        Moment::Group(name) if engine.member_count(FIRST, name) > 0 => assert!(engine.leave(key, name)),
        Moment::Group(name) => engine.join(key, name).expect("within limits"),
        moment => obey(engine, key, moment),
    });
    let socket = world.websocket("websocket");
    world.send_once(socket, World::frame(1, b"join room"));
    assert_eq!(world.heard(), ["0 open", "0 message join room", "room starts"]);
    for what in ["room ends", "room starts", "room ends"] {
        assert!(world.engine.is_pending());
        world.begin_turn();
        world.end_turn();
        assert_eq!(world.heard(), [what], "one of them in each turn");
    }
    // Others have their turn meanwhile.
    let other = world.connect();
    world.send_once(other, World::handshake("websocket"));
    assert!(world.take(other).starts_with("HTTP/1.1 101 "));
    world.engine.send(world.session(1), "hello").expect("there is room");
    world.end_turn();
    assert!(world.take(other).contains("hello"));
    // The end of the server comes while an end waits for the next turn.
    while world.heard().last().is_none_or(|heard| heard != "room starts") {
        world.begin_turn();
    }
    world.engine.cut(&mut world.handlers);
    assert!(world.heard().contains(&"room ends".to_owned()));
    assert!(world.engine.has_no_groups());
}

#[test]
fn the_end_of_the_server_ends_every_group() {
    let options = EndpointOptions { groups_per_session: 100, ..EndpointOptions::default() };
    let mut world = World::build(quick(), options, |_, _, _| {});
    let sockets: Vec<_> = (0..250).map(|_| world.websocket("websocket")).collect();
    for number in 0..sockets.len() {
        let session = world.session(number);
        for group in 0..100 {
            world.engine.join(session, &format!("{number} {group}")).expect("within limits");
        }
    }
    world.flush();
    for _ in 0..10 {
        // Notices for which a turn has no room are told in those that follow.
        world.begin_turn();
    }
    assert_eq!(world.heard().iter().filter(|heard| heard.ends_with("starts")).count(), 25_000);
    world.engine.cut(&mut world.handlers);
    let heard = world.heard();
    assert_eq!(heard.iter().filter(|heard| heard.contains(" close ")).count(), 250);
    assert_eq!(heard.iter().filter(|heard| heard.ends_with("ends")).count(), 25_000);
    assert!(world.engine.has_no_groups());
}
