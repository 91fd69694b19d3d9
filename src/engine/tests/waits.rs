//! Every wait, at its last millisecond and one later.

use super::world::{FIRST, Moment, World, echo};
use crate::engine::EndpointOptions;

#[test]
fn an_abandoned_polling_session_expires_after_the_disconnect_delay() {
    let mut world = World::new(echo);
    let client = world.connect();
    world.post(client, "s/xhr", "");
    world.pass(4999);
    assert_eq!(world.heard(), ["0 open"]);
    world.pass(1);
    assert_eq!(world.heard(), ["0 close 1006 Expired"]);
    world.post(client, "s/xhr_send", r#"["x"]"#);
    assert!(world.take(client).contains("HTTP/1.1 404"));
    world.finish();
}

/// What is waited for may have come, and lie unread.
#[test]
fn nobody_is_judged_for_a_time_of_which_nothing_was_read_yet() {
    let mut world = World::new(echo);
    let (client, late) = (world.connect(), world.connect());
    for client in [client, late] {
        world.send(client, "GET /e HT");
    }
    world.engine.set_endpoint_timer(FIRST, 0, Some(50_000));
    world.set_time(60_000);
    world.engine.run_due_timers(5000, &mut world.handlers);
    assert_eq!(world.heard(), ["endpoint 0 timer 0"], "the application's own time does not wait");
    world.receive(client, "TP/1.1\r\nHost: h\r\n\r\n");
    world.engine.advance(5000, &mut world.handlers);
    world.carry_out();
    assert!(world.take(client).starts_with("HTTP/1.1 200 "));
    assert_eq!(world.take(late), "");
    world.pass(0);
    assert!(world.take(late).starts_with("HTTP/1.1 408 "));
    world.finish();
}

#[test]
fn every_poll_begins_the_disconnect_delay_anew() {
    let mut world = World::new(echo);
    let client = world.connect();
    world.post(client, "s/xhr", "");
    for _ in 0..3 {
        world.pass(4000);
        world.post(client, "s/xhr", "");
        world.post(client, "s/xhr_send", r#"["x"]"#);
        let sender = world.connect();
        world.post(sender, "s/xhr_send", r#"["x"]"#);
    }
    world.pass(4999);
    assert!(!world.heard().iter().any(|line| line.contains("close")));
    world.pass(1);
    assert!(world.heard().iter().any(|line| line.contains("close 1006 Expired")));
    world.finish();
}

#[test]
fn a_new_receiver_in_the_last_millisecond_saves_the_session() {
    let mut world = World::new(echo);
    let client = world.connect();
    world.post(client, "s/xhr", "");
    world.take(client);
    world.pass(4999);
    world.post(client, "s/xhr_streaming", "");
    world.pass(10_000);
    assert_eq!(world.heard(), ["0 open"]);
    world.finish();
}

#[test]
fn heartbeats_come_after_silence_on_every_receiver() {
    let mut world = World::new(echo);
    let (poll, stream) = (world.connect(), world.connect());
    world.post(poll, "p/xhr", "");
    world.post(stream, "s/xhr_streaming", "");
    let socket = world.websocket("000/w/websocket");
    let raw = world.websocket("websocket");
    world.take(poll);
    world.post(poll, "p/xhr", "");
    for client in [stream, socket, raw] {
        world.take(client);
    }
    world.pass(24_999);
    for client in [poll, stream, socket, raw] {
        assert_eq!(world.take(client), "", "too early");
    }
    world.pass(1);
    assert_eq!(world.take_body(poll), "h\n");
    assert_eq!(world.take_chunks(stream), ["h\n"]);
    assert_eq!(world.take(socket).as_bytes(), "\u{fffd}\0\u{fffd}\u{1}h".as_bytes());
    assert_eq!(world.take(raw).as_bytes(), "\u{fffd}\0".as_bytes());
    // A message puts the next one off.
    world.pass(20_000);
    let sender = world.connect();
    world.post(sender, "s/xhr_send", r#"["x"]"#);
    assert_eq!(world.take_chunks(stream), ["a[\"x\"]\n"]);
    world.pass(24_999);
    assert_eq!(world.take(stream), "");
    world.pass(1);
    assert_eq!(world.take_chunks(stream), ["h\n"]);
    world.finish();
}

#[test]
fn the_pong_timeout_runs_from_when_the_ping_has_left() {
    let mut world = World::new(echo);
    let socket = world.websocket("websocket");
    world.block(socket);
    world.pass(25_000);
    world.pass(15_000);
    assert_eq!(world.heard(), ["0 open"], "the ping is still with us");
    world.unblock(socket);
    world.pass(9_999);
    assert_eq!(world.heard(), [""; 0]);
    world.pass(1);
    assert_eq!(world.heard(), ["0 close 1006 Unresponsive"]);
    assert!(world.is_dropped(socket));
    world.finish();
}

#[test]
fn any_sign_of_life_answers_a_ping() {
    let mut world = World::new(echo);
    let socket = world.websocket("websocket");
    world.pass(25_000);
    world.pass(9_999);
    world.send(socket, World::frame(10, b""));
    world.pass(10_000);
    assert_eq!(world.heard(), ["0 open"]);
    world.finish();
}

#[test]
fn heads_bodies_and_idle_connections_have_their_time() {
    let mut world = World::new(echo);
    let (silent, slow_head, slow_body, idle) =
        (world.connect(), world.connect(), world.connect(), world.connect());
    world.send(slow_head, "GET /e HT");
    world.send(slow_body, "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n[");
    world.send(idle, "GET /e HTTP/1.1\r\nHost: h\r\n\r\n");
    world.take(idle);
    world.pass(9_000);
    // A byte now and then does not help.
    world.send(slow_head, "T");
    world.send(slow_body, "\"");
    world.pass(999);
    assert!(!world.is_dropped(silent));
    world.pass(1);
    assert!(world.is_dropped(silent));
    assert!(world.take(slow_head).starts_with("HTTP/1.1 408"));
    world.pass(19_999);
    assert_eq!(world.take(slow_body), "");
    world.pass(1);
    assert!(world.take(slow_body).starts_with("HTTP/1.1 408"));
    world.pass(44_999);
    assert!(!world.is_dropped(idle));
    world.pass(1);
    assert!(world.is_dropped(idle));
    world.finish();
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let mut world = World::new(echo);
    let (stream, sender) = (world.connect(), world.connect());
    world.post(stream, "s/xhr_streaming", "");
    world.block(stream);
    world.post(sender, "s/xhr_send", r#"["x"]"#);
    world.pass(29_999);
    assert!(!world.is_dropped(stream));
    world.pass(1);
    assert!(world.is_dropped(stream));
    assert_eq!(world.heard(), ["0 open", "0 message x", "0 close 1002 Unresponsive"]);
    world.finish();
}

#[test]
fn a_full_queue_says_so_and_tells_when_it_has_drained() {
    let options = EndpointOptions { send_queue: 100, ..EndpointOptions::default() };
    let mut world = World::with(options, |engine, key, moment| {
        if let Moment::Message(_) = moment {
            let mut taken = 0;
            while engine.send(key, format!("{taken:010}")).is_ok() {
                taken += 1;
            }
            assert_eq!(taken, 7, "13 bytes each, and no more than 100");
        }
    });
    let socket = world.websocket("000/w/websocket");
    world.take(socket);
    world.block(socket);
    world.send(socket, World::frame(1, br#"["go"]"#));
    assert_eq!(world.heard(), ["0 open", "0 message go"]);
    world.unblock(socket);
    assert!(world.take(socket).contains("\"0000000000\",\"0000000001\""));
    world.pass(0);
    assert_eq!(world.heard(), ["0 drain"]);
    world.pass(1000);
    assert_eq!(world.heard(), [""; 0], "told once");
    world.finish();
}

#[test]
fn a_broadcast_closes_who_cannot_take_it() {
    let options = EndpointOptions { send_queue: 100, ..EndpointOptions::default() };
    let mut world = World::with(options, |engine, _, moment| {
        if let Moment::Message(text) = moment {
            engine.broadcast(FIRST, text, None);
        }
    });
    let (slow, quick) = (world.websocket("000/w/websocket"), world.websocket("000/w/websocket"));
    world.block(slow);
    for _ in 0..4 {
        world.send(quick, World::frame(1, format!("[\"{}\"]", "x".repeat(40)).as_bytes()));
    }
    assert!(world.heard().contains(&"0 close 1013 Overflow".to_owned()));
    world.unblock(slow);
    let received = world.take(slow);
    assert!(received.contains("c[1013,\"Send queue full\"]"), "{received:?}");
    world.finish();
}

#[test]
fn stopping_tells_everybody_and_waits_for_nobody_long() {
    let mut world = World::new(echo);
    let (poll, stream) = (world.connect(), world.connect());
    world.post(poll, "p/xhr", "");
    world.take(poll);
    world.post(stream, "s/xhr_streaming", "");
    world.take(stream);
    let raw = world.websocket("websocket");
    world.engine.stop(1001, "Server shutdown", &mut world.handlers);
    world.flush();
    assert_eq!(world.take_chunks(stream), ["c[1001,\"Server shutdown\"]\n", ""]);
    assert!(world.take(raw).contains("Server shutdown"));
    // The client between two polls comes back in time.
    world.post(poll, "p/xhr", "");
    assert_eq!(world.take_body(poll), "c[1001,\"Server shutdown\"]\n");
    world.pass(1100);
    assert!(world.engine.is_empty(), "{:?}", world.engine.counters());
}

/// Nothing was heard of it since, whatever is sent to it.
#[test]
fn a_client_that_is_gone_within_a_frame_is_missed() {
    let mut world = World::new(echo);
    let socket = world.websocket("000/s/websocket");
    world.send(socket, [0x81]);
    let key = world.session(0);
    for _ in 0..35 {
        world.engine.send(key, "news").expect("it is open");
        world.pass(999);
        assert_eq!(world.engine.is_open(key), world.engine.now() < 35_000);
        world.pass(1);
        if !world.engine.is_open(key) {
            break;
        }
    }
    assert_eq!(world.heard(), ["0 open", "0 close 1006 Unresponsive"]);
    world.finish();
}

#[test]
fn a_server_that_stops_does_not_wait_long_for_clients_that_take_nothing() {
    let mut world = World::new(echo);
    let (socket, pages) = (world.websocket("websocket"), world.connect());
    for (client, bytes) in
        [(socket, World::frame(1, b"x")), (pages, b"GET /e HTTP/1.1\r\nHost: h\r\n\r\n".to_vec())]
    {
        world.block(client);
        world.send(client, bytes);
    }
    world.pass(10_000);
    world.engine.stop(1001, "Server shutdown", &mut world.handlers);
    world.flush();
    world.pass(999);
    assert!(!world.engine.is_empty());
    world.pass(1);
    assert!(world.engine.is_empty());
}

/// As a request that has not begun to come.
#[test]
fn a_request_that_is_not_here_whole_has_its_last_chance_when_the_server_stops() {
    let mut world = World::new(echo);
    let (head, body) = (world.connect(), world.connect());
    world.send(head, "GET /e HTTP/1.1\r\n");
    world.send(body, "POST /e/000/s/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1");
    world.pass(3_000);
    world.engine.stop(1001, "", &mut world.handlers);
    world.flush();
    world.pass(499);
    world.send(head, "Host: h\r\n\r\n");
    assert!(world.take(head).starts_with("HTTP/1.1 200 "));
    assert_eq!(world.take(body), "");
    world.pass(1);
    assert!(world.take(body).starts_with("HTTP/1.1 408 "));
    world.finish();
}
