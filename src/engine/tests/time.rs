//! A wait begins when what begins it happens (contract, rule 12.11): the time that the application
//! worked before belongs to no wait.

use super::world::{Moment, World, echo};

/// Every callback takes so long.
fn slow(behaviour: super::world::Behaviour, milliseconds: u64) -> World {
    let mut world = World::new(behaviour);
    world.handlers.work = milliseconds;
    world
}

#[test]
fn rule_12_11_a_client_has_its_time_for_the_next_poll_behind_a_slow_handler() {
    let mut world = World::new(echo);
    let (client, sender) = (world.connect(), world.connect());
    world.post(client, "s/xhr", "");
    world.post(client, "s/xhr", "");
    world.handlers.work = 6_000;
    world.post(sender, "s/xhr_send", r#"["x"]"#);
    world.handlers.work = 0;
    assert!(world.take(client).ends_with("a[\"x\"]\n"));
    assert_eq!(world.engine.now(), 6_000);
    world.pass(4_999);
    assert_eq!(world.heard(), ["0 open", "0 message x"]);
    world.pass(1);
    assert_eq!(world.heard(), ["0 close 1006 Expired"]);
    world.finish();
}

#[test]
fn rule_12_11_a_closing_handshake_has_its_time_behind_a_slow_handler() {
    for work in [0, 2_000, 6_000] {
        let mut world = World::new(|engine, key, moment| {
            if let Moment::Message(_) = moment {
                engine.close(key, 3000, "Go away!");
            }
        });
        let socket = world.websocket("000/w/websocket");
        world.handlers.work = work;
        world.send(socket, World::frame(1, br#"["x"]"#));
        world.handlers.work = 0;
        world.pass(4_999);
        assert!(!world.is_dropped(socket), "after a handler of {work} ms");
        world.pass(1);
        assert!(world.is_dropped(socket), "after a handler of {work} ms");
    }
}

#[test]
fn rule_12_11_the_time_for_a_pong_begins_when_the_ping_has_left() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Open = moment {
            engine.set_session_timer(key, 0, Some(25_000));
        }
    });
    let socket = world.websocket("websocket");
    world.handlers.work = 20_000;
    world.pass(25_000);
    world.handlers.work = 0;
    assert_eq!(world.engine.now(), 45_000, "the timer's callback worked in the turn of the ping");
    assert_eq!(world.take(socket).as_bytes(), "\u{fffd}\0".as_bytes());
    world.pass(9_999);
    assert_eq!(world.heard(), ["0 open", "0 timer 0"]);
    world.pass(1);
    assert_eq!(world.heard(), ["0 close 1006 Unresponsive"]);
    world.finish();
}

#[test]
fn rule_12_11_an_app_timer_counts_from_when_it_is_set() {
    let mut world = slow(
        |engine, key, moment| {
            if let Moment::Message(_) = moment {
                engine.set_session_timer(key, 0, Some(200));
            }
        },
        300,
    );
    let socket = world.websocket("websocket");
    world.send(socket, World::frame(1, b"x"));
    assert_eq!(world.engine.now(), 600);
    world.handlers.work = 0;
    world.pass(199);
    assert_eq!(world.heard(), ["0 open", "0 message x"]);
    world.pass(1);
    assert_eq!(world.heard(), ["0 timer 0"]);
    world.finish();
}

/// An application timer that takes longer than it waits is called once in a turn, so that it holds up nothing else.
#[test]
fn an_app_timer_that_sets_itself_anew_does_not_hold_its_turn() {
    let mut world = slow(|engine, key, _| engine.set_session_timer(key, 0, Some(1)), 5);
    world.websocket("websocket");
    world.engine.run_due_timers(world.engine.now() + 1, &mut world.handlers);
    let heard = world.heard();
    assert!(heard.len() <= 2, "{heard:?}");
}

#[test]
fn rule_12_11_a_request_behind_a_slow_one_has_its_whole_time() {
    let mut world = World::new(echo);
    let (client, poll) = (world.connect(), world.connect());
    world.post(poll, "s/xhr", "");
    world.handlers.work = 12_000;
    let body = r#"["x"]"#;
    let slow = format!("POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n{body}");
    world.receive(client, format!("{slow}GET /e HT"));
    world.handlers.work = 0;
    world.flush();
    world.take(client);
    world.pass(9_999);
    assert_eq!(world.take(client), "");
    world.send(client, "TP/1.1\r\nHost: h\r\n\r\n");
    assert!(world.take(client).starts_with("HTTP/1.1 200"));
}

#[test]
fn rule_12_11_a_heartbeat_counts_from_when_a_slow_opening_is_over() {
    let mut world = slow(echo, 20_000);
    let stream = world.connect();
    world.post(stream, "s/xhr_streaming", "");
    let socket = world.websocket("000/w/websocket");
    assert_eq!(world.engine.now(), 40_000);
    world.handlers.work = 0;
    world.take(socket);
    world.take(stream);
    world.pass(4_999);
    assert_eq!(world.take(stream), "");
    world.pass(1);
    assert_eq!(world.take_chunks(stream), ["h\n"]);
    world.pass(19_999);
    assert_eq!(world.take(socket), "");
    world.pass(1);
    assert_eq!(world.take(socket).as_bytes(), "\u{fffd}\0\u{fffd}\u{1}h".as_bytes());
    world.finish();
}
