//! More sessions than there may be (contract, rule 7.1): those that only come cost each other their
//! places, and clients that poll go on.

use super::world::{FIRST, Moment, World, echo, quick};
use crate::engine::{EndpointOptions, Refusal, ServerOptions};

/// An endpoint that has room for so many sessions, which wait for their receivers for a minute.
fn small(sessions: usize) -> EndpointOptions {
    let disconnect_delay = std::time::Duration::from_secs(60);
    EndpointOptions { sessions, disconnect_delay, ..EndpointOptions::default() }
}

/// Opens a session, and says how its client was answered: with the body, or the status line.
fn open(world: &mut World, id: &str) -> String {
    let key = world.connect();
    world.post(key, &format!("{id}/xhr"), "");
    let answer = world.take(key);
    world.hang_up(key);
    match answer.strip_prefix("HTTP/1.1 200 OK\r\n").and_then(|rest| rest.split_once("\r\n\r\n")) {
        Some((_, body)) => body.to_owned(),
        None => answer.lines().next().unwrap_or_default().to_owned(),
    }
}

#[test]
fn rule_7_1_a_flood_takes_its_own_places_and_its_neighbour_polls_on() {
    const PLACES: usize = 100;
    let mut world = World::with(small(PLACES), echo);
    let (first, second) = (world.connect(), world.connect());
    world.post(first, "neighbour/xhr", "");
    assert_eq!(world.take_body(first), "o\n");
    for number in 1..PLACES {
        assert_eq!(open(&mut world, &format!("early{number}")), "o\n");
    }
    world.heard();
    for round in 0..50 {
        // Between two polls the neighbour is away for a moment, and comes back before a second has passed.
        world.post(first, "neighbour/xhr", "");
        world.post(second, "neighbour/xhr_send", &format!("[\"{round}\"]"));
        assert_eq!(world.take_body(first), format!("a[\"{round}\"]\n"));
        let places: Vec<_> =
            (0..2 * PLACES).map(|number| open(&mut world, &format!("{round}-{number}"))).collect();
        let opened = places.iter().filter(|answer| *answer == "o\n").count();
        let refused = places.iter().filter(|answer| *answer == "HTTP/1.1 503 Service Unavailable").count();
        // Sessions of this round and of the one before are too young; those before them go.
        let expected = if round == 0 { 0 } else { PLACES - 1 };
        assert_eq!((opened, refused), (expected, 2 * PLACES - expected), "round {round}");
        assert!(world.engine.counters().sessions <= PLACES);
        world.pass(1_000 - 1);
        world.post(first, "neighbour/xhr", "");
        world.pass(1);
        world.post(second, "neighbour/xhr_send", "[\"more\"]");
        assert_eq!(world.take_body(first), "a[\"more\"]\n");
    }
    let heard = world.heard();
    assert_eq!(heard.iter().filter(|what| what.starts_with("0 ")).count(), 100, "its messages, and no close");
    let evicted = heard.iter().filter(|what| what.ends_with(" close 1006 Evicted")).count();
    assert_eq!((evicted, world.engine.counters().evicted), (49 * (PLACES - 1), 49 * (PLACES as u64 - 1)));
    world.finish();
}

#[test]
fn rule_7_1_the_session_that_has_been_away_for_longest_makes_room() {
    let mut world = World::with(small(3), echo);
    for id in ["a", "b", "c"] {
        assert_eq!(open(&mut world, id), "o\n");
        world.pass(100);
    }
    // The first one is seen again, so that the second is the one to go.
    let sender = world.connect();
    let client = world.connect();
    world.post(client, "a/xhr", "");
    world.post(sender, "a/xhr_send", "[\"x\"]");
    assert_eq!(world.take_body(client), "a[\"x\"]\n");
    world.pass(1_000);
    world.heard();
    assert_eq!(open(&mut world, "d"), "o\n");
    assert_eq!(world.heard(), ["3 open", "1 close 1006 Evicted"]);
    // Its client is not known any more, like one whose session has expired.
    world.take(sender);
    world.post(sender, "b/xhr_send", "[\"x\"]");
    assert!(world.take(sender).starts_with("HTTP/1.1 404 "));
    assert_eq!(open(&mut world, "b"), "o\n");
    assert_eq!(world.heard(), ["4 open", "2 close 1006 Evicted"]);
    assert_eq!(open(&mut world, "e"), "o\n");
    assert_eq!(world.heard(), ["5 open", "0 close 1006 Evicted"]);
    assert_eq!(open(&mut world, "f"), "HTTP/1.1 503 Service Unavailable");
    world.finish();
}

#[test]
fn rule_7_1_a_session_with_a_receiver_keeps_its_place() {
    let mut world = World::with(small(4), echo);
    let (poll, stream) = (world.connect(), world.connect());
    world.post(poll, "a/xhr", "");
    world.post(poll, "a/xhr", "");
    world.post(stream, "b/xhr_streaming", "");
    let (socket, raw) = (world.websocket("000/s/websocket"), world.websocket("websocket"));
    world.pass(20_000);
    world.heard();
    for path in ["websocket", "000/s/websocket"] {
        let late = world.connect();
        world.send(late, World::handshake(path));
        assert!(world.take(late).starts_with("HTTP/1.1 503 "), "{path}");
    }
    assert_eq!(open(&mut world, "late"), "HTTP/1.1 503 Service Unavailable");
    // A WebSocket takes the place of a poll that is away.
    let sender = world.connect();
    world.post(sender, "a/xhr_send", "[\"x\"]");
    world.pass(1_000);
    world.websocket("websocket");
    assert_eq!(world.heard(), ["0 message x", "4 open", "0 close 1006 Evicted"]);
    assert!([stream, socket, raw].iter().all(|key| !world.is_dropped(*key)));
    world.finish();
}

/// It is closed already: its handler does not hear of it again.
#[test]
fn rule_7_1_a_closed_session_that_lingers_makes_room_too() {
    let mut world = World::with(small(1), |engine, key, moment| {
        if let Moment::Open = moment {
            engine.close(key, 3000, "Go away!");
        }
    });
    assert_eq!(open(&mut world, "a"), "o\n");
    assert_eq!(open(&mut world, "a"), "c[3000,\"Go away!\"]\n");
    world.pass(999);
    assert_eq!(open(&mut world, "b"), "HTTP/1.1 503 Service Unavailable");
    world.pass(1);
    assert_eq!(open(&mut world, "b"), "o\n");
    assert_eq!(world.heard(), ["0 open", "0 close 3000 Application", "1 open", "1 close 3000 Application"]);
    assert_eq!((world.engine.counters().evicted, world.engine.counters().sessions), (1, 1));
    world.finish();
}

/// A full endpoint of two sessions: the first is of a client that has ten seconds for what was written to it, the
/// second came later, and is away.
fn beside_slow_client() -> World {
    let mut world = World::build(ServerOptions::default(), small(2), echo);
    let slow = world.connect();
    world.post(slow, "slow/xhr", "");
    let session = world.session(0);
    world.engine.send(session, "x".repeat(160 << 10)).expect("room");
    world.post(slow, "slow/xhr", "");
    world.pass(1);
    assert_eq!(open(&mut world, "a"), "o\n");
    world.heard();
    world
}

/// Rule 7.14: what was written to a client may be on its way for long.
#[test]
fn rule_7_1_a_client_that_reads_slowly_is_not_away() {
    let mut world = beside_slow_client();
    let sender = world.connect();
    // It may take ten seconds for the bytes; the other session came later, and is away.
    world.pass(2_000);
    assert_eq!(open(&mut world, "b"), "o\n");
    assert_eq!(world.heard(), ["2 open", "1 close 1006 Evicted"]);
    world.pass(8_000);
    assert_eq!(open(&mut world, "c"), "o\n");
    assert_eq!(world.heard(), ["3 open", "2 close 1006 Evicted"]);
    world.pass(2_000);
    assert_eq!(open(&mut world, "d"), "o\n");
    assert_eq!(world.heard(), ["4 open", "0 close 1006 Evicted"]);
    world.hang_up(sender);
    world.finish();
}

#[test]
fn rule_7_1_a_request_that_opens_no_session_takes_no_place() {
    let mut world = World::with(small(1), echo);
    assert_eq!(open(&mut world, "a"), "o\n");
    world.pass(1_000);
    world.handlers.refuse = || Some(Refusal::status(403));
    assert_eq!(open(&mut world, "b"), "HTTP/1.1 403 Forbidden");
    assert_eq!(world.heard(), ["0 open"]);
    // One that is refused with a close has a place like any other.
    world.handlers.refuse = || Some(Refusal::close(4001, "no token"));
    assert_eq!(open(&mut world, "c"), "o\n");
    assert_eq!(world.heard(), ["0 close 1006 Evicted"]);
    assert_eq!(open(&mut world, "d"), "HTTP/1.1 503 Service Unavailable");
    assert_eq!(open(&mut world, "c"), "c[4001,\"no token\"]\n");
    world.finish();
}

/// What waited for its client is given back with it, and its groups know it no longer.
#[test]
fn rule_7_1_nothing_is_left_of_a_session_that_made_room() {
    let mut world = World::with(small(1), |engine, key, moment| {
        if let Moment::Open = moment {
            engine.join(key, "lobby").expect("few");
            engine.set_session_timer(key, 7, Some(50_000));
        }
    });
    assert_eq!(open(&mut world, "a"), "o\n");
    let session = world.session(0);
    world.engine.send(session, "x".repeat(100_000)).expect("room");
    world.flush();
    assert!(world.engine.counters().buffered > 100_000);
    world.pass(1_000);
    assert_eq!(open(&mut world, "b"), "o\n");
    assert_eq!((world.engine.counters().buffered, world.engine.member_count(FIRST, "lobby")), (0, 1));
    assert!(!world.engine.is_open(session));
    world.finish();
}

#[test]
fn a_client_has_so_many_sessions_on_whatever_connections() {
    let options = ServerOptions { sessions_per_client: Some(2), ..quick() };
    let mut world = World::build(options, small(100), echo);
    let shared = world.connect();
    let ask = |world: &mut World, client: &str, id: &str| {
        // The connection is a Unix socket, of a proxy of many clients.
        let head = format!("POST /e/000/{id}/xhr HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {client}\r\n");
        world.send(shared, format!("{head}Content-Length: 0\r\n\r\n"));
        world.take(shared).lines().next().unwrap_or_default().to_owned()
    };
    let (ok, too_many) = ("HTTP/1.1 200 OK", "HTTP/1.1 429 Too Many Requests");
    assert_eq!(ask(&mut world, "192.0.2.1", "a"), ok);
    assert_eq!(ask(&mut world, "2001:db8::1", "b"), ok);
    assert_eq!(ask(&mut world, "192.0.2.1", "c"), ok);
    assert_eq!(ask(&mut world, "192.0.2.1", "d"), too_many);
    assert_eq!(ask(&mut world, "2001:db8::2", "e"), ok);
    assert_eq!(ask(&mut world, "2001:db8::3", "f"), too_many);
    assert_eq!(
        (world.engine.counters().refused.too_many, world.handlers.refusals.clone()),
        (2, vec![429, 429])
    );
    // No address is known of other ones, and a poll of a session that is there opens none.
    assert_eq!(open(&mut world, "g"), "o\n");
    let session = world.session(0);
    world.engine.send(session, "x").expect("room");
    assert_eq!(ask(&mut world, "192.0.2.1", "a"), ok);
    // A session counts until no request finds it any more.
    world.engine.close(session, 3000, "");
    world.flush();
    assert_eq!(ask(&mut world, "192.0.2.1", "d"), too_many);
    world.pass(60_001);
    assert_eq!(ask(&mut world, "192.0.2.1", "d"), ok);
    world.hang_up(shared);
    world.finish();
}

/// Rule 12.12: polls that came in time lie unread in the sockets while a server is held up.
#[test]
fn rule_7_1_a_server_that_was_held_up_takes_no_client_for_away() {
    let mut world = World::with(small(2), echo);
    let (one, other, new) = (world.connect(), world.connect(), world.connect());
    for (key, id) in [(one, "one/xhr"), (other, "other/xhr")] {
        world.post(key, id, "");
        assert_eq!(world.take_body(key), "o\n");
    }
    world.heard();
    world.write(new, World::request("new/xhr", ""));
    world.write(one, World::request("one/xhr", ""));
    world.write(other, World::request("other/xhr", ""));
    world.set_time(1_500);
    world.turn();
    assert!(world.take(new).starts_with("HTTP/1.1 503 "));
    assert_eq!((world.take(one), world.take(other), world.heard().len()), (String::new(), String::new(), 0));
    world.pass(20_000);
    assert_eq!(open(&mut world, "late"), "HTTP/1.1 503 Service Unavailable", "both wait for a message");
    world.finish();
}

/// Nothing happens between: the server wakes by itself when it can say that clients are away.
#[test]
fn rule_7_1_clients_of_a_quiet_server_are_known_to_be_away() {
    let mut world = World::with(small(40), echo);
    for number in 0..40 {
        assert_eq!(open(&mut world, &format!("early{number}")), "o\n");
        world.pass(number % 7);
    }
    world.pass(1_300);
    let clients: Vec<_> = (0..40).map(|_| world.connect()).collect();
    for (number, key) in clients.iter().enumerate() {
        world.write(*key, World::request(&format!("late{number}/xhr"), ""));
    }
    world.turn();
    for key in clients {
        assert_eq!(world.take_body(key), "o\n");
    }
    assert_eq!(world.engine.counters().evicted, 40);
    // It does not go on waking.
    world.pass(2_000);
    assert!(world.engine.next_deadline().is_some_and(|next| next > world.engine.now() + 1_000));
    world.finish();
}

#[test]
fn rule_7_1_a_session_that_is_young_hides_none_that_is_away() {
    let mut world = beside_slow_client();
    // Its ten seconds for the bytes are over since less than a second: it is first in the list, and young.
    world.pass(10_400);
    assert_eq!(open(&mut world, "b"), "o\n");
    assert_eq!(world.heard(), ["2 open", "1 close 1006 Evicted"]);
    world.finish();
}

/// Its client is not away, and its messages are not lost.
#[test]
fn rule_7_1_a_session_whose_messages_are_told_makes_no_room() {
    let mut world = World::with(small(1), |_, _, _| {});
    let (one, new) = (world.connect(), world.connect());
    world.post(one, "one/xhr", "");
    assert_eq!(world.take_body(one), "o\n");
    world.pass(1_200);
    world.heard();
    let numbers: Vec<_> = (0..5_000).map(|number| format!("\"{number}\"")).collect();
    world.write(one, World::request("one/xhr_send", &format!("[{}]", numbers.join(","))));
    world.write(new, World::request("new/xhr", ""));
    world.turn();
    assert!(world.take(new).starts_with("HTTP/1.1 503 "));
    assert!(world.take(one).starts_with("HTTP/1.1 204 "));
    assert_eq!(world.heard().len(), 5_000);
    world.finish();
}

#[test]
fn rule_7_1_no_session_makes_room_for_one_that_cannot_be_answered() {
    let options = ServerOptions { buffered_bytes: 1 << 20, ..quick() };
    let mut world = World::build(options, EndpointOptions { send_queue: 2 << 20, ..small(2) }, echo);
    assert_eq!(open(&mut world, "one"), "o\n");
    assert_eq!(open(&mut world, "two"), "o\n");
    let second = world.session(1);
    world.engine.send(second, "x".repeat((1 << 20) - 6_000)).expect("room");
    world.flush();
    world.pass(1_200);
    world.heard();
    for id in ["a", "b"] {
        assert_eq!(open(&mut world, id), "", "the connection ends");
    }
    assert!(world.heard().is_empty());
    world.finish();
}
