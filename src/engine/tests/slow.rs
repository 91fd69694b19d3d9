//! Clients that read slowly, late, or never: they get what is theirs, and others do not notice.

use super::world::{FIRST, Moment, World, echo};
use crate::collections::Key;
use crate::engine::{Connection, EndpointOptions, ServerOptions};

/// A large frame, in as many pieces as reads take.
fn send_in_pieces(world: &mut World, client: Key<Connection>, bytes: &[u8]) {
    for piece in bytes.chunks(60_000) {
        world.send(client, piece);
    }
}

/// An `xhr_send` to a session below `/e/000/`.
fn upload(session: &str, length: usize) -> String {
    let body = format!("[\"{}\"]", "x".repeat(length));
    let head = format!("POST /e/000/{session}/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length");
    format!("{head}: {}\r\n\r\n{body}", body.len())
}

/// The client reads so many bytes in each of so many seconds. Returns what it got.
fn read_slowly(world: &mut World, client: Key<Connection>, each: usize, seconds: usize) -> String {
    let mut got = String::new();
    for _ in 0..seconds {
        world.set_room(client, Some(each));
        world.flush();
        got += &world.take(client);
        world.pass(1_000);
    }
    got
}

/// Every message is answered with so many bytes.
macro_rules! amplify {
    ($length:expr) => {
        |engine, key, moment| {
            if let Moment::Message(_) = moment {
                let _ = engine.send(key, &"x".repeat($length));
            }
        }
    };
}

// Liveness.

#[test]
fn a_pong_may_come_before_the_rest_of_the_ping_has_left() {
    let mut world = World::new(echo);
    let socket = world.websocket("000/w/websocket");
    world.take(socket);
    // The ping fits, the heartbeat behind it does not.
    world.set_room(socket, Some(2));
    world.pass(25_000);
    assert_eq!(world.take(socket).as_bytes(), "\u{fffd}\0".as_bytes());
    world.send(socket, World::frame(10, b""));
    world.set_room(socket, None);
    world.flush();
    world.pass(10_001);
    assert_eq!(world.heard(), ["0 open"]);
}

#[test]
fn a_pong_is_not_missed_while_we_do_not_read() {
    let mut world = World::new(amplify!(500_000));
    let socket = world.websocket("000/w/websocket");
    let session = world.session(0);
    world.take(socket);
    world.set_room(socket, Some(0));
    world.pass(24_000);
    world.set_room(socket, None);
    world.send(socket, World::frame(1, b""));
    world.pass(1_000);
    world.take(socket);
    // The ping is out when the application sends a lot.
    world.set_room(socket, Some(0));
    world.engine.send(session, "x".repeat(500_000)).expect("there is room");
    world.flush();
    read_slowly(&mut world, socket, 20_000, 12);
    assert_eq!(world.heard(), ["0 open"]);
}

#[test]
fn a_write_stall_is_told_as_a_client_that_does_not_respond() {
    let mut world = World::new(echo);
    let (stream, client) = (world.connect(), world.connect());
    world.post(stream, "s/xhr_streaming", "");
    world.block(stream);
    world.post(client, "s/xhr_send", r#"["m"]"#);
    world.pass(30_000);
    assert!(world.heard().iter().any(|heard| heard.contains("Unresponsive")));
}

// What is theirs.

#[test]
fn a_message_and_the_clients_close_in_one_packet_are_as_in_two() {
    let talk = |together: bool| {
        let mut world = World::new(echo);
        let socket = world.websocket("000/w/websocket");
        world.take(socket);
        send_both(&mut world, socket, together)
    };
    assert_eq!(talk(true), talk(false));
}

#[test]
fn our_close_and_the_clients_in_one_packet_are_as_in_two() {
    let talk = |together: bool| {
        let mut world = World::new(|engine, key, moment| {
            if let Moment::Message(_) = moment {
                engine.close(key, 3000, "Go away!");
            }
        });
        let socket = world.websocket("000/w/websocket");
        world.take(socket);
        send_both(&mut world, socket, together)
    };
    assert_eq!(talk(true), talk(false));
}

/// A message and a close, in one packet or in two.
fn send_both(world: &mut World, socket: Key<Connection>, together: bool) -> String {
    let (message, close) = (World::frame(1, br#"["m"]"#), World::frame(8, &[3, 232]));
    if together {
        world.send(socket, [message, close].concat());
    } else {
        world.send(socket, message);
        world.send(socket, close);
    }
    world.take(socket)
}

#[test]
fn a_slow_reader_gets_what_was_sent_before_a_close() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            let _ = engine.send(key, "x".repeat(600_000));
            engine.close(key, 3000, "bye");
        }
    });
    let socket = world.websocket("000/w/websocket");
    world.take(socket);
    world.set_room(socket, Some(0));
    world.send(socket, World::frame(1, br#"["m"]"#));
    let got = read_slowly(&mut world, socket, 50_000, 40);
    assert!(got.contains(r#"c[3000,"bye"]"#), "{} bytes", got.len());
}

/// A poll whose answer to the message `m` is on its way, and not read so far.
fn poll_unread(world: &mut World) -> Key<Connection> {
    let (poll, client) = (world.connect(), world.connect());
    world.post(poll, "s/xhr", "");
    world.post(client, "s/xhr_send", r#"["m"]"#);
    world.take(poll);
    world.set_room(poll, Some(0));
    world.post(poll, "s/xhr", "");
    poll
}

#[test]
fn a_session_does_not_expire_while_its_answer_is_read() {
    let mut world = World::new(amplify!(600_000));
    let poll = poll_unread(&mut world);
    assert!(read_slowly(&mut world, poll, 50_000, 14).ends_with("x\"]\n"));
    assert_eq!(world.heard(), ["0 open", "0 message m"]);
}

#[test]
fn a_connection_is_not_idle_while_its_answer_is_read() {
    let mut world = World::new(amplify!(900_000));
    let poll = poll_unread(&mut world);
    let got = read_slowly(&mut world, poll, 10_000, 100);
    assert!(!world.is_dropped(poll), "cut after {} bytes", got.len());
    assert!(got.ends_with("x\"]\n"));
}

#[test]
fn a_poll_that_is_reset_while_its_answer_is_read_ends_its_session() {
    let mut world = World::new(amplify!(600_000));
    let (first, second, client) = (world.connect(), world.connect(), world.connect());
    world.post(first, "s/xhr", "");
    world.post(client, "s/xhr_send", r#"["m"]"#);
    world.take(first);
    world.take(client);
    world.set_room(first, Some(1000));
    world.post(first, "s/xhr", "");
    // It cannot have had all of its answer.
    world.post(second, "s/xhr", "");
    assert_eq!(world.take_body(second), "c[2010,\"Another connection still open\"]\n");
    world.reset(first);
    world.post(client, "s/xhr_send", r#"["n"]"#);
    world.post(second, "s/xhr", "");
    assert_eq!(world.take_body(second), "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(world.heard(), ["0 open", "0 message m", "0 close 1002 Interrupted"]);
    world.finish();
}

#[test]
fn requests_that_wait_are_answered_behind_the_end_of_the_stream() {
    let mut world = World::new(echo);
    let (poll, client) = (world.connect(), world.connect());
    world.post(poll, "s/xhr", "");
    world.set_room(client, Some(0));
    world.send(client, upload("s", 1).repeat(500));
    world.set_room(client, Some(40_000));
    world.flush();
    assert!(!world.engine.is_reading(client), "what is here comes first");
    world.hang_up(client);
    world.set_room(client, None);
    world.flush();
    assert_eq!(world.take(client).matches("HTTP/1.1 204").count(), 500);
}

// What they hold.

#[test]
fn an_idle_websocket_holds_nothing_of_its_last_message() {
    let mut world = World::new(|_, _, _| {});
    let socket = world.websocket("websocket");
    send_in_pieces(&mut world, socket, &World::frame(2, &vec![0; 1_000_000]));
    assert_eq!(world.engine.counters().buffered, 0);
}

#[test]
fn websockets_that_had_large_messages_leave_room_for_others() {
    let options = ServerOptions { buffered_bytes: 4 << 20, ..ServerOptions::default() };
    let mut world = World::build(options, EndpointOptions::default(), echo);
    for _ in 0..8 {
        let socket = world.websocket("websocket");
        send_in_pieces(&mut world, socket, &World::frame(2, &vec![0; 1_000_000]));
    }
    let socket = world.websocket("000/w/websocket");
    world.take(socket);
    world.send(socket, World::frame(1, br#"["m"]"#));
    assert!(world.take(socket).contains(r#"a["m"]"#));
}

#[test]
fn a_byte_of_a_frame_does_not_hold_a_large_buffer() {
    let mut world = World::new(|_, _, _| {});
    let (client, poll) = (world.connect(), world.connect());
    world.post(poll, "s/xhr", "");
    for _ in 0..60 {
        let sockets = [(); 2].map(|()| world.websocket("websocket"));
        send_in_pieces(&mut world, client, upload("s", 900_000).as_bytes());
        for socket in sockets {
            world.send(socket, [0x81]);
        }
    }
    assert!(world.engine.counters().buffered < 4 << 20);
}

#[test]
fn a_waiting_poll_does_not_hold_a_large_buffer() {
    let mut world = World::new(|_, _, _| {});
    let client = world.connect();
    let polls: Vec<_> = (0..100).map(|_| world.connect()).collect();
    for (number, poll) in polls.iter().enumerate() {
        world.post(*poll, &format!("s{number}/xhr"), "");
    }
    for (number, poll) in polls.iter().enumerate() {
        if number % 2 == 0 {
            send_in_pieces(&mut world, client, upload("s0", 900_000).as_bytes());
        }
        world.post(*poll, &format!("s{number}/xhr"), "");
    }
    assert!(world.engine.counters().buffered < 4 << 20);
}

/// Requests, and messages, that wait for their answers to be read, of a client that reads a little now and then.
#[test]
fn what_waits_to_be_dealt_with_does_not_grow_while_a_little_is_read() {
    let info = "GET /e/info HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2000).into_bytes();
    let messages = World::frame(1, format!("[\"{}\"]", "x".repeat(50)).as_bytes()).repeat(2000);
    for bytes in [info, messages] {
        let mut world = World::new(amplify!(1000));
        let is_http = bytes.starts_with(b"GET");
        let client = if is_http { world.connect() } else { world.websocket("000/s/websocket") };
        world.set_room(client, Some(0));
        world.send(client, &bytes);
        for _ in 0..100 {
            world.set_room(client, Some(20_000));
            world.flush();
            if world.engine.is_reading(client) {
                world.send(client, &bytes);
            }
            let buffered = world.engine.counters().buffered;
            assert!(buffered < 2 * (bytes.len() + (64 << 10)), "{buffered} bytes");
        }
    }
}

// What others do not notice.

#[test]
fn a_client_that_reads_gets_its_message_though_another_that_takes_nothing_holds_the_memory() {
    let options = ServerOptions { buffered_bytes: 64 << 10, ..ServerOptions::default() };
    let mut world = World::build(options, EndpointOptions::default(), echo);
    let (hog, socket) = (world.websocket("websocket"), world.websocket("000/w/websocket"));
    world.take(socket);
    world.set_room(hog, Some(0));
    world.send(hog, World::frame(1, &[b'y'; 57_200]));
    world.heard();
    let message = "z".repeat(1000);
    world.send(socket, World::frame(1, format!("[\"{message}\"]").as_bytes()));
    assert!(world.take(socket).contains(&message));
    assert!(world.is_dropped(hog));
    assert!(world.heard().contains(&"0 close 1013 Unresponsive".to_owned()));
    world.finish();
}

#[test]
fn a_broadcast_does_not_close_a_reader_when_another_client_holds_the_memory() {
    let options = ServerOptions { buffered_bytes: 1 << 20, ..ServerOptions::default() };
    let mut world = World::build(options, EndpointOptions::default(), |_, _, _| {});
    let hog = world.connect();
    for number in 0..10 {
        world.websocket(&format!("000/w{number}/websocket"));
    }
    world.send(hog, "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    world.send(hog, vec![b'x'; 600_000]);
    assert_eq!(world.engine.broadcast(FIRST, &"x".repeat(200), None), 10);
    world.flush();
    assert_eq!(world.engine.open_count(FIRST), 10);
}

/// Published from elsewhere, without a flush between.
#[test]
fn a_backlog_of_broadcasts_does_not_close_who_reads() {
    let mut world = World::new(|_, _, _| {});
    for number in 0..10 {
        world.websocket(&format!("000/w{number}/websocket"));
    }
    for _ in 0..11_000 {
        world.engine.broadcast(FIRST, &"x".repeat(100), None);
    }
    world.flush();
    assert_eq!(world.engine.open_count(FIRST), 10);
}

/// Answers that were pipelined in front of it are stuck: the client of this stream, or WebSocket, is given up when no
/// byte was taken for `write_stall`. Where its session has another receiver nothing else would end it.
#[test]
fn a_receiver_behind_answers_that_are_stuck_has_their_time() {
    for (method, path) in [("POST", "000/s/xhr_streaming"), ("GET", "000/t/eventsource")] {
        let mut world = World::new(echo);
        let first = world.connect();
        world.send(first, format!("{method} /e/{path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let stuck = world.connect();
        world.block(stuck);
        world.send(stuck, "GET /e HTTP/1.1\r\nHost: h\r\n\r\n");
        world.pass(1000);
        world.send(stuck, format!("{method} /e/{path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        world.pass(28_999);
        assert!(!world.is_dropped(stuck), "{path}");
        world.pass(1);
        assert!(world.is_dropped(stuck), "{path}");
        world.finish();
    }
    let mut world = World::new(echo);
    let stuck = world.connect();
    world.block(stuck);
    world.send(stuck, "GET /e HTTP/1.1\r\nHost: h\r\n\r\n");
    world.send(stuck, World::handshake("websocket"));
    world.pass(30_000);
    // Nothing could be said on its connection, and no other will come.
    assert_eq!(world.heard(), ["0 open", "0 close 1006 Unresponsive"]);
    world.finish();
}
