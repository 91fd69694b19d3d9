//! Input that causes much: it is dealt with in parts, a share of each turn, and nothing of it is lost or out of order.

use super::world::{FIRST, Moment, World};
use crate::collections::Key;
use crate::engine::writing::Writing;
use crate::engine::{Arrival, Connection, EndpointOptions, Engine, ServerOptions, Session};

/// A payload of so many messages: their numbers.
pub(super) fn payload(count: usize) -> String {
    let numbers: Vec<_> = (0..count).map(|number| format!("\"{number}\"")).collect();
    format!("[{}]", numbers.join(","))
}

/// An `xhr_send` to the session `s`.
pub(super) fn upload(body: &str) -> Vec<u8> {
    format!("POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into()
}

/// A client's text message in frames of so many bytes.
fn text(payload: &str, size: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    for (number, part) in payload.as_bytes().chunks(size).enumerate() {
        let mut frame = World::frame(u8::from(number == 0), part);
        if (number + 1) * size < payload.len() {
            frame[0] &= 0x7f;
        }
        frames.extend_from_slice(&frame);
    }
    frames
}

/// A session `s`, opened by polling on a connection that is ready for the next request.
pub(super) fn open(world: &mut World) -> Key<Connection> {
    let client = world.connect();
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "o\n");
    world.heard();
    client
}

/// Bytes from a client, however many, and nothing else yet: the tests look at the engine before its driver
/// carries out what follows from them.
pub(super) fn receive(world: &mut World, key: Key<Connection>, bytes: impl AsRef<[u8]>) {
    let mut bytes = bytes.as_ref().to_vec();
    world.engine.receive(key, Arrival::Bytes(&mut bytes), &mut world.handlers);
}

/// The session 0 hears its messages from this one on, all of them, in order.
pub(super) fn expect_numbers(heard: &[String], numbers: std::ops::Range<usize>) {
    assert_eq!(heard.len(), numbers.len(), "{:?}", heard.last());
    for (heard, number) in heard.iter().zip(numbers) {
        assert_eq!(*heard, format!("0 message {number}"));
    }
}

/// What was heard of 5,000 messages when a neighbour's came in, one turn after them.
fn interrupted(mut world: World, client: Key<Connection>, bytes: &[u8]) -> World {
    let neighbour = world.websocket("websocket");
    world.heard();
    receive(&mut world, client, bytes);
    assert!(!world.engine.is_reading(client), "what comes behind it stays where it is");
    world.end_turn();
    world.send_once(neighbour, World::frame(1, b"served"));
    let before = world.heard();
    assert_eq!(before.last().unwrap(), "1 message served");
    expect_numbers(&before[..before.len() - 1], 0..before.len() - 1);
    assert!((2..=513).contains(&before.len()), "{} messages came before the neighbour's", before.len());
    assert!(world.engine.is_pending(), "the next turn does not sleep");
    world.flush();
    expect_numbers(&world.heard(), before.len() - 1..5000);
    assert!(world.engine.is_reading(client));
    world
}

#[test]
fn a_request_with_many_messages_is_told_in_parts_and_answered_at_the_end() {
    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    receive(&mut world, client, upload(&payload(1000)));
    world.end_turn();
    assert_eq!(world.take(client), "", "there is more of it");
    world.flush();
    expect_numbers(&world.heard(), 0..1000);
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));

    let mut world = interrupted(world, client, &upload(&payload(5000)));
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.finish();
}

#[test]
fn a_frame_with_many_messages_is_told_in_parts_whole_or_in_fragments() {
    for size in [100_000, 3000] {
        let mut world = World::new(|_, _, _| {});
        let client = world.websocket("000/s/websocket");
        world.heard();
        interrupted(world, client, &text(&payload(5000), size)).finish();
    }
}

#[test]
fn many_frames_or_requests_in_one_packet_are_dealt_with_in_parts() {
    let mut world = World::new(|_, _, _| {});
    let client = world.websocket("websocket");
    world.heard();
    let frames: Vec<_> =
        (0..5000).flat_map(|number| World::frame(1, number.to_string().as_bytes())).collect();
    interrupted(world, client, &frames).finish();

    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    let requests: Vec<_> = (0..5000).flat_map(|number| upload(&format!("[\"{number}\"]"))).collect();
    let mut world = interrupted(world, client, &requests);
    assert_eq!(world.take(client).matches("HTTP/1.1 204 ").count(), 5000);
    world.finish();
}

#[test]
fn messages_that_each_cause_many_have_a_smaller_share() {
    let mut world = World::new(|engine, _, moment| {
        if let Moment::Message(_) = moment {
            engine.broadcast(FIRST, "", None);
        }
    });
    let client = open(&mut world);
    for _ in 0..4000 {
        world.websocket("websocket");
    }
    world.heard();
    receive(&mut world, client, upload(&payload(1000)));
    let first = world.heard().len();
    assert!((1..100).contains(&first), "{first} broadcasts to 4,000 in one turn");
    world.flush();
    expect_numbers(&world.heard(), first..1000);
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.finish();
}

fn amplify(engine: &mut Engine, key: Key<Session>, moment: Moment<'_>) {
    if let Moment::Message(number) = moment {
        engine.send(key, format!("{number:x<30000}")).expect("there is room");
    }
}

#[test]
fn a_queue_that_grows_is_flushed_between_two_messages() {
    let options = EndpointOptions { response_limit: 100 << 20, ..EndpointOptions::default() };
    let mut world = World::with(options, amplify);
    let client = open(&mut world);
    let stream = world.connect();
    world.post(stream, "s/xhr_streaming", "");
    world.take(stream);
    receive(&mut world, client, upload(&payload(100)));
    assert!(world.engine.is_flush_due(), "a flush is due");
    expect_numbers(&world.heard(), 0..4);
    world.flush();
    expect_numbers(&world.heard(), 4..100);
    assert_eq!(world.take(client).matches("HTTP/1.1 204 ").count(), 1);

    let requests: Vec<_> = (0..100).flat_map(|number| upload(&format!("[\"{number}\"]"))).collect();
    receive(&mut world, client, requests);
    expect_numbers(&world.heard(), 0..4);
    world.flush();
    expect_numbers(&world.heard(), 4..100);
    assert_eq!(world.take(client).matches("HTTP/1.1 204 ").count(), 100);
}

#[test]
fn the_messages_of_a_websocket_wait_for_its_client_to_read() {
    let options = EndpointOptions { send_queue: 100_000, ..EndpointOptions::default() };
    let mut world = World::with(options, amplify);
    let socket = world.websocket("000/s/websocket");
    world.take(socket);
    world.heard();
    world.block(socket);
    world.send(socket, [text(&payload(100), 1000), text(r#"["100"]"#, 1000)].concat());
    expect_numbers(&world.heard(), 0..3);
    assert!(!world.engine.is_reading(socket) && !world.engine.is_pending());
    world.unblock(socket);
    expect_numbers(&world.heard(), 3..101);
    let received = world.take(socket);
    for number in 0..101 {
        assert!(received.contains(&format!("\"{number}xx")), "{number}");
    }
    world.finish();
}

#[test]
fn a_session_that_is_closed_on_the_way_hears_no_more() {
    let close = |engine: &mut Engine, key, moment: Moment<'_>| {
        if let Moment::Message("300") = moment {
            engine.close(key, 3000, "Enough");
        }
    };
    let mut world = World::new(close);
    let client = open(&mut world);
    world.send(client, upload(&payload(1000)));
    let heard = world.heard();
    assert_eq!((heard.len(), heard.last().unwrap().as_str()), (302, "0 close 3000 Application"));
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.finish();

    let mut world = World::new(close);
    let socket = world.websocket("000/s/websocket");
    world.heard();
    world.send(socket, text(&payload(1000), 10_000));
    assert_eq!(world.heard().len(), 302);
    assert!(world.take(socket).contains("c[3000,\"Enough\"]"));
    world.finish();

    // From elsewhere, between two parts of it.
    let mut world = World::new(|_, _, _| {});
    let socket = world.websocket("000/s/websocket");
    world.heard();
    receive(&mut world, socket, text(&payload(1000), 10_000));
    let session = world.session(0);
    world.engine.close(session, 3000, "Enough");
    world.flush();
    assert_eq!(world.heard().len(), 256 + 1);
    assert!(world.take(socket).contains("c[3000,\"Enough\"]"));
    assert_eq!(world.engine.counters().buffered, 0);
    world.finish();
}

#[test]
fn a_request_whose_client_leaves_meanwhile_is_told_to_its_end() {
    for reset in [false, true] {
        let mut world = World::new(|_, _, _| {});
        let client = open(&mut world);
        receive(&mut world, client, [upload(&payload(1000)), upload(r#"["1000"]"#)].concat());
        if reset {
            world.reset(client);
            let heard = world.heard();
            expect_numbers(&heard, 0..heard.len());
            assert!(heard.len() >= 1000, "{} messages of a request that had come whole", heard.len());
        } else {
            world.hang_up(client);
            expect_numbers(&world.heard(), 0..1001);
            assert_eq!(world.take(client).matches("HTTP/1.1 204 ").count(), 2);
        }
        assert!(world.is_dropped(client));
        world.post_anew("s/xhr", "");
        assert!(world.heard().is_empty(), "the session lives on");
        world.finish();
    }
}

fn small() -> ServerOptions {
    ServerOptions { buffered_bytes: 1 << 20, ..ServerOptions::default() }
}

/// A server in which unfinished input has all the room that it may have.
fn full_of_input() -> World {
    let mut world = World::build(small(), EndpointOptions::default(), |_, _, _| {});
    let hoarder = world.connect();
    world.send(hoarder, "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n");
    // In parts, so that its buffer does not grow beyond that.
    world.send(hoarder, vec![b'x'; 64_500]);
    world.send(hoarder, vec![b'x'; 455_500]);
    world
}

#[test]
fn what_came_whole_has_its_turns_where_there_is_too_much_that_did_not() {
    let mut world = full_of_input();
    let client = open(&mut world);
    receive(&mut world, client, upload(&payload(6000)));
    assert!(world.heard().len() <= 256);
    world.flush();
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.heard();
    world.send(client, upload(r#"["a"]"#).repeat(400));
    assert_eq!(world.heard().len(), 400);
    assert_eq!(world.take(client).matches("HTTP/1.1 204 ").count(), 400);
    let socket = world.websocket("000/w/websocket");
    world.heard();
    world.send(socket, World::frame(1, br#"["a"]"#).repeat(1000));
    assert_eq!(world.heard(), vec!["1 message a"; 1000]);
}

#[test]
fn what_is_unfinished_behind_a_share_is_too_much_as_it_is_elsewhere() {
    let mut world = full_of_input();
    open(&mut world);
    let unfinished = "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n";
    let unfinished = [unfinished.as_bytes(), &[b'x'; 30_000]].concat();
    // As many as one turn takes, and more: they count as a request and a message each.
    for count in [128, 200] {
        let client = world.connect();
        world.send(client, [upload(r#"["a"]"#).repeat(count), unfinished.clone()].concat());
        assert_eq!(world.heard().len(), count);
        let answers = world.take(client);
        assert_eq!(answers.matches("HTTP/1.1 204 ").count(), count);
        assert_eq!(answers.matches("HTTP/1.1 503 ").count(), 1);
    }
}

#[test]
fn where_there_is_no_room_to_wait_nothing_waits() {
    let mut world = full_of_input();
    let client = open(&mut world);
    let others: Vec<_> = (0..8).map(|_| world.connect()).collect();
    for other in others {
        receive(&mut world, other, upload(&payload(2000)));
    }
    assert!(world.engine.counters().buffered < 700_000);
    world.heard();
    let long = payload(1000).replace(']', &format!(",\"{}\"]", "x".repeat(100_000)));
    receive(&mut world, client, upload(&long));
    let heard = world.heard();
    expect_numbers(&heard[..1000], 0..1000);
    assert_eq!(heard.len(), 1001);
    world.flush();
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.finish();
}

/// A turn at this time, in which nothing arrives.
fn turn(world: &mut World, now: u64) {
    world.set_time(now);
    if world.engine.is_flush_due() {
        world.end_turn();
    }
    world.begin_turn();
    world.engine.run_due_timers(now, &mut world.handlers);
    world.end_turn();
}

#[test]
fn a_client_whose_messages_are_told_is_not_missed() {
    let mut world = World::new(|_, _, _| {});
    let socket = world.websocket("000/s/websocket");
    world.heard();
    receive(&mut world, socket, World::frame(1, payload(50_000).as_bytes()));
    let mut now = 0;
    while world.engine.postponed() > 0 {
        now += 500;
        turn(&mut world, now);
    }
    assert!(now > 60_000, "longer than a pong may take");
    expect_numbers(&world.heard(), 0..50_000);
    world.finish();

    // Nor is the next poll of a client that has nothing but the connection on which it sent them.
    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    receive(&mut world, client, upload(&payload(10_000)));
    let mut now = 0;
    while world.engine.postponed() > 0 {
        now += 500;
        turn(&mut world, now);
    }
    assert!(now > 10_000, "longer than a receiver may take");
    expect_numbers(&world.heard(), 0..10_000);
    world.take(client);
    world.post(client, "s/xhr", "");
    assert_eq!(world.take(client), "", "it waits for messages");
    world.finish();
}

#[test]
fn a_connection_that_was_dropped_meanwhile_is_not_answered() {
    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    world.post_anew("s/xhr_streaming", "");
    world.set_room(client, Some(40));
    world.send(client, "GET /e/info HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(world.take(client).len(), 40);
    world.pass(29_999);
    receive(&mut world, client, [upload(&payload(1000)), upload(r#"["behind"]"#)].concat());
    // Its client took nothing for too long.
    turn(&mut world, 30_000);
    world.set_room(client, None);
    world.flush();
    expect_numbers(&world.heard(), 0..1000);
    assert!(world.is_dropped(client));
    assert_eq!(world.take(client), "");
    world.finish();
}

#[test]
fn nothing_is_left_of_a_server_that_is_cut_meanwhile() {
    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    receive(&mut world, client, upload(&payload(1000)));
    world.engine.cut(&mut world.handlers);
    world.end_turn();
    assert!(world.engine.is_empty());
    assert_eq!(world.engine.counters().buffered, 0);
}

#[test]
fn what_comes_behind_the_last_request_is_not_kept() {
    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    let last =
        String::from_utf8(upload(&payload(1000))).unwrap().replace("Host:", "Connection: close\r\nHost:");
    world.send(client, [last.as_bytes(), &[b'x'; 50_000]].concat());
    assert_eq!(world.engine.counters().buffered, 0);
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.finish();
}

#[test]
fn a_clients_close_frame_that_waited_is_read_behind_ours() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            engine.send(key, "x".repeat(70_000)).expect("there is room");
            engine.close(key, 3000, "Enough");
        }
    });
    let socket = world.websocket("000/s/websocket");
    world.send(socket, [World::frame(1, br#"["a"]"#), World::frame(8, b"\x03\xe8")].concat());
    assert!(world.take(socket).contains("c[3000,\"Enough\"]"));
    let writing = world.engine.connections.get(socket).map(|connection| connection.writing());
    assert!(matches!(writing, Some(Writing::Shut)), "both close frames were sent");
    world.finish();
}

/// What the program sends between two turns of its own loop.
#[test]
fn a_turn_that_begins_with_full_queues_gets_on_all_the_same() {
    let mut world = World::new(|_, _, _| {});
    let reader = world.websocket("000/s/websocket");
    let (client, session) = (world.connect(), world.session(0));
    receive(&mut world, client, "GET /e HTTP/1.1\r\nHost: h\r\n");
    for now in 1..100 {
        for _ in 0..2 {
            world.engine.send(session, "x".repeat(70_000)).expect("its client reads");
        }
        assert!(world.engine.is_flush_due());
        if now == 1 {
            receive(&mut world, client, "\r\n");
        }
        turn(&mut world, now);
        world.take(reader);
    }
    assert!(world.take(client).starts_with("HTTP/1.1 200 "));
    world.finish();
}

#[test]
fn requests_that_wait_for_their_turn_are_answered_though_the_server_stops() {
    let mut world = World::new(|_, _, _| {});
    let client = world.connect();
    receive(&mut world, client, "GET /e HTTP/1.1\r\nHost: h\r\n\r\n".repeat(300));
    world.engine.stop(1001, "Server shutdown", &mut world.handlers);
    world.flush();
    let answers = world.take(client);
    // The first one behind the stop says that the connection closes.
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 257);
    assert_eq!(answers.matches("Connection: close").count(), 1);
    world.finish();
}

#[test]
fn who_reads_is_not_closed_for_what_one_packet_causes() {
    for (server, readers, messages) in [(small(), 100, 100), (ServerOptions::default(), 20_000, 50)] {
        let mut world = World::build(server, EndpointOptions::default(), |engine, key, moment| {
            if let Moment::Message(_) = moment {
                engine.broadcast(FIRST, &"x".repeat(1000), Some(key));
            }
        });
        for _ in 0..readers {
            world.websocket("websocket");
        }
        let client = world.websocket("000/s/websocket");
        receive(&mut world, client, World::frame(1, payload(messages).as_bytes()));
        world.end_turn();
        assert_eq!(world.engine.open_count(FIRST), readers + 1);
    }
}

/// One client's messages are for others too, which read what they get.
#[test]
fn others_are_read_while_a_client_fills_their_queues() {
    let mut world = World::new(|engine, _, moment| {
        if let Moment::Message(_) = moment {
            engine.broadcast(FIRST, &"x".repeat(3000), None);
        }
    });
    let (client, other) = (world.websocket("000/a/websocket"), world.websocket("000/b/websocket"));
    receive(&mut world, client, text(&payload(5000), 100_000));
    world.end_turn();
    for _ in 0..10 {
        world.engine.begin_turn(&mut world.handlers);
        while world.engine.go_on(&mut world.handlers) {}
        assert!(world.engine.is_flush_due());
        world.end_turn();
        assert!(world.engine.is_reading(other));
    }
}

// Contract, rule 12.14: the work of a turn has a budget over all clients together.
