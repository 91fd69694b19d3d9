//! Input that causes much: it is dealt with in parts, a share of each turn, and nothing of it is lost or out of order.

use super::world::{Moment, World, echo};
use crate::collections::Key;
use crate::engine::{Connection, EndpointOptions, Engine, ServerOptions, Session};

/// A payload of so many messages: their numbers.
fn payload(count: usize) -> String {
    let numbers: Vec<_> = (0..count).map(|number| format!("\"{number}\"")).collect();
    format!("[{}]", numbers.join(","))
}

/// An `xhr_send` to the session `s`.
fn upload(body: &str) -> Vec<u8> {
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
fn open(world: &mut World) -> Key<Connection> {
    let client = world.connect();
    world.post(client, "s/xhr", "");
    assert_eq!(world.take_body(client), "o\n");
    world.heard();
    client
}

/// Bytes from a client, and nothing else yet.
fn receive(world: &mut World, key: Key<Connection>, bytes: impl AsRef<[u8]>) {
    world.engine.receive(key, &mut bytes.as_ref().to_vec(), &mut world.handlers);
}

/// The session 0 hears its messages from this one on, all of them, in order.
fn expect_numbers(heard: &[String], numbers: std::ops::Range<usize>) {
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
    assert!(!world.engine.can_read(client), "what comes behind it stays where it is");
    world.flush_once();
    world.send_once(neighbour, World::frame(1, b"served"));
    let before = world.heard();
    assert_eq!(before.last().unwrap(), "1 message served");
    expect_numbers(&before[..before.len() - 1], 0..before.len() - 1);
    assert!((2..=513).contains(&before.len()), "{} messages came before the neighbour's", before.len());
    assert!(world.engine.is_pending(), "the next turn does not sleep");
    world.flush();
    expect_numbers(&world.heard(), before.len() - 1..5000);
    assert!(world.engine.can_read(client));
    world
}

#[test]
fn a_request_with_many_messages_is_told_in_parts_and_answered_at_the_end() {
    let mut world = World::new(|_, _, _| {});
    let client = open(&mut world);
    receive(&mut world, client, upload(&payload(1000)));
    world.flush_once();
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
            engine.broadcast(0, "", None);
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
        engine.send(key, &format!("{number:x<30000}")).expect("there is room");
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
    assert!(world.engine.is_pressed(), "a flush is due");
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
    world.blocked.insert(socket);
    world.send(socket, [text(&payload(100), 1000), text(r#"["100"]"#, 1000)].concat());
    expect_numbers(&world.heard(), 0..3);
    assert!(!world.engine.can_read(socket) && !world.engine.is_pending());
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
    let (&session, _) = world.handlers.names.iter().next().unwrap();
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
        assert!(world.ended.contains(&client));
        world.post_anew("s/xhr", "");
        assert!(world.heard().is_empty(), "the session lives on");
        world.finish();
    }
}

#[test]
fn where_there_is_no_room_to_wait_nothing_waits() {
    let server = ServerOptions { buffered_bytes: 1 << 20, ..ServerOptions::default() };
    let mut world = World::build(server, EndpointOptions::default(), echo);
    let client = open(&mut world);
    let hoarder = world.connect();
    world.send(hoarder, "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n");
    world.send(hoarder, vec![b'x'; 250 << 10]);
    world.send(hoarder, vec![b'x'; 250 << 10]);
    let long = payload(1000).replace(']', &format!(",\"{}\"]", "x".repeat(20_000)));
    receive(&mut world, client, upload(&long));
    let heard = world.heard();
    expect_numbers(&heard[..1000], 0..1000);
    assert_eq!((heard.len(), world.engine.postponed()), (1001, 0));
    world.flush();
    assert!(world.take(client).starts_with("HTTP/1.1 204 "));
    world.finish();
}
