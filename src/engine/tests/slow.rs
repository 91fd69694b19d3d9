//! Clients that read slowly, late, or never, and what others must not notice of it. Each of these went wrong once,
//! and is named after what did.

use super::world::{Moment, World, echo};
use crate::engine::{EndpointOptions, ServerOptions};

/// An outbox that is never quite empty: its tail never gives back what has left.
/// The pong comes before the rest of the outbox has left.
#[test]
fn pong_while_queued() {
    let mut world = World::new(echo);
    let s = world.websocket("000/w/websocket");
    world.take(s);
    world.room.insert(s, 2); // the ping alone fits
    world.pass(25_000);
    assert_eq!(world.take(s).as_bytes(), &[0xef, 0xbf, 0xbd, 0][..], "ping");
    world.send(s, World::frame(10, b"")); // its pong
    world.room.remove(&s);
    world.engine.writable(s);
    world.flush();
    world.pass(10_001);
    assert_eq!(world.heard(), ["0 open"]);
}

/// The pong is unread because the server itself does not read.
#[test]
fn pong_unread_by_us() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            let _ = engine.send(key, &"x".repeat(500_000));
        }
    });
    let s = world.websocket("000/w/websocket");
    world.take(s);
    world.room.insert(s, 0);
    world.pass(24_000);
    world.room.remove(&s);
    world.send(s, World::frame(1, b""));
    world.pass(1_000);
    world.take(s);
    world.room.insert(s, 0);
    // ping is out; now the application sends a lot
    let key = *world.handlers.names.keys().next().unwrap();
    world.engine.send(key, &"x".repeat(500_000)).unwrap();
    world.flush();
    for _ in 0..12 {
        world.room.insert(s, 20_000); // the client reads 20 kB/s
        world.engine.writable(s);
        world.flush();
        world.pass(1_000);
    }
    assert_eq!(world.heard(), ["0 open"]);
}

/// A pipelined poll behind a stalled answer.
/// The same with a closed session: nothing ever ends it.
/// Message and close in one packet.
#[test]
fn message_and_close_in_one_packet() {
    let run = |together: bool| {
        let mut world = World::new(echo);
        let s = world.websocket("000/w/websocket");
        world.take(s);
        let (m, c) = (World::frame(1, b"[\"m\"]"), World::frame(8, &[3, 232]));
        if together {
            world.send(s, [m, c].concat());
        } else {
            world.send(s, m);
            world.send(s, c);
        }
        world.take(s)
    };
    assert_eq!(run(true), run(false));
}

/// A handler's close and the client's in one packet with the handshake.
#[test]
fn server_close_and_client_close_in_one_packet() {
    let run = |together: bool| {
        let mut world = World::new(|engine, key, moment| {
            if let Moment::Message(_) = moment {
                engine.close(key, 3000, "Go away!");
            }
        });
        let s = world.websocket("000/w/websocket");
        world.take(s);
        let (m, c) = (World::frame(1, b"[\"m\"]"), World::frame(8, &[3, 232]));
        if together {
            world.send(s, [m, c].concat());
        } else {
            world.send(s, m);
            world.send(s, c);
        }
        world.take(s)
    };
    assert_eq!(run(true), run(false));
}

/// Many broadcasts in one turn, everybody reads.
/// Idle WebSockets hold their last message.
#[test]
fn idle_websocket_holds_its_last_message() {
    let mut world = World::new(|_, _, _| {});
    let s = world.websocket("websocket");
    let frame = World::frame(2, &vec![0; 1_000_000]);
    for part in frame.chunks(65536) {
        world.send(s, part);
    }
    assert_eq!(world.engine.counters().buffered, 0);
}

/// And 256 of them stop the server.
#[test]
fn idle_clients_fill_the_server() {
    let options = ServerOptions { buffered_bytes: 4 << 20, ..ServerOptions::default() };
    let mut world = World::build(options, EndpointOptions::default(), echo);
    let frame = World::frame(2, &vec![0; 1_000_000]);
    for _ in 0..8 {
        let s = world.websocket("websocket");
        for part in frame.chunks(65536) {
            world.send(s, part);
        }
    }
    let s = world.websocket("000/w/websocket");
    world.take(s);
    world.send(s, World::frame(1, b"[\"m\"]"));
    assert!(world.take(s).contains("a[\"m\"]"));
}

/// Waiting polls hold the large buffers of others.
/// A slow but steady reader loses the end behind a close.
#[test]
fn farewell_cuts_a_slow_reader() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            let _ = engine.send(key, &"x".repeat(600_000));
            engine.close(key, 3000, "bye");
        }
    });
    let s = world.websocket("000/w/websocket");
    world.take(s);
    world.room.insert(s, 0);
    world.send(s, World::frame(1, b"[\"m\"]"));
    let mut got = String::new();
    for _ in 0..40 {
        world.room.insert(s, 50_000);
        world.engine.writable(s);
        world.flush();
        got += &world.take(s);
        world.pass(1_000);
    }
    assert!(got.contains("c[3000,\"bye\"]"), "{} bytes, ended {}", got.len(), world.ended.contains(&s));
}

/// A slow but steady reader of a poll: the session expires meanwhile.
#[test]
fn session_expires_while_its_answer_is_read() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            let _ = engine.send(key, &"x".repeat(600_000));
        }
    });
    let (p, c) = (world.connect(), world.connect());
    world.post(p, "s/xhr", "");
    world.post(c, "s/xhr_send", "[\"m\"]");
    world.take(p);
    world.room.insert(p, 0);
    world.post(p, "s/xhr", "");
    for _ in 0..14 {
        world.room.insert(p, 50_000);
        world.engine.writable(p);
        world.flush();
        world.pass(1_000);
    }
    world.take(p);
    world.room.remove(&p);
    assert_eq!(world.heard(), ["0 open", "0 message m"]);
}

/// Keep-alive counts while the answer is under way.
#[test]
fn keep_alive_cuts_an_answer() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            let _ = engine.send(key, &"x".repeat(900_000));
        }
    });
    let (p, c) = (world.connect(), world.connect());
    world.post(p, "s/xhr", "");
    world.post(c, "s/xhr_send", "[\"m\"]");
    world.take(p);
    world.room.insert(p, 0);
    world.post(p, "s/xhr", "");
    let mut got = 0;
    for _ in 0..100 {
        world.room.insert(p, 10_000);
        world.engine.writable(p);
        world.flush();
        got += world.take(p).len();
        world.pass(1_000);
    }
    assert!(!world.ended.contains(&p), "cut after {got} bytes");
}

/// Full because of the whole server's limit, with nothing of one's own waiting: is the drain ever told?
#[test]
fn full_by_the_servers_limit_is_drained() {
    let options = ServerOptions { buffered_bytes: 64 << 10, ..ServerOptions::default() };
    let mut world = World::build(options, EndpointOptions::default(), |engine, key, moment| {
        if let Moment::Message(t) = moment {
            let _ = engine.send(key, t);
        }
    });
    let (hog, s) = (world.websocket("websocket"), world.websocket("000/w/websocket"));
    world.take(s);
    let frame = World::frame(1, &[b'y'; 57_200]);
    world.room.insert(hog, 0);
    world.send(hog, &frame);
    world.send(s, World::frame(1, format!("[\"{}\"]", "z".repeat(1000)).as_bytes()));
    world.room.remove(&hog);
    world.engine.writable(hog);
    world.flush();
    world.pass(1_000);
    assert!(world.heard().contains(&"1 drain".to_owned()));
}

/// Memory is short because of others: a broadcast closes everybody.
#[test]
fn broadcast_when_the_server_is_full_closes_the_healthy() {
    let options = ServerOptions { buffered_bytes: 1 << 20, ..ServerOptions::default() };
    let mut world = World::build(options, EndpointOptions::default(), |_, _, _| {});
    let hog = world.connect();
    let healthy: Vec<_> = (0..10).map(|n| world.websocket(&format!("000/w{n}/websocket"))).collect();
    let _ = healthy;
    world.send(hog, "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    world.send(hog, vec![b'x'; 600_000]);
    world.engine.broadcast(0, &"x".repeat(200), None);
    world.flush();
    let closed = world.heard().iter().filter(|line| line.contains("close 1013")).count();
    assert_eq!(closed, 0);
}

/// Requests deferred behind a stalled answer, then FIN.
#[test]
fn deferred_requests_and_fin() {
    let mut world = World::new(echo);
    let (p, c) = (world.connect(), world.connect());
    world.post(p, "s/xhr", "");
    let one = "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n[\"m\"]";
    world.room.insert(c, 0);
    world.send(c, one.repeat(500));
    world.room.insert(c, 40_000);
    world.engine.writable(c);
    world.flush();
    assert!(!world.engine.can_read(c), "what is here comes first");
    world.room.remove(&c);
    world.hang_up(c);
    world.engine.writable(c);
    world.flush();
    let answers = world.take(c).matches("HTTP/1.1 204").count();
    assert_eq!(answers, 500);
}

/// HEAD of a stream.
#[test]
fn head_of_a_stream() {
    let mut world = World::new(echo);
    let c = world.connect();
    world.send(c, "HEAD /e/000/s/eventsource HTTP/1.1\r\nHost: h\r\n\r\n");
    let got = world.take(c);
    assert!(!got.contains("Content-Length: 0"), "{got}");
}

/// Write stall's cause.
#[test]
fn cause_of_a_write_stall() {
    let mut world = World::new(echo);
    let (p, c) = (world.connect(), world.connect());
    world.post(p, "s/xhr_streaming", "");
    world.blocked.insert(p);
    world.post(c, "s/xhr_send", "[\"m\"]");
    world.pass(30_000);
    assert!(world.heard().iter().any(|l| l.contains("Unresponsive")));
}

/// On_drain that always fills up again, and a client that reads at once.
/// A backlog published through a handle: commands run in one turn, nothing is flushed between.
#[test]
fn backlog_of_broadcasts() {
    let mut world = World::new(|_, _, _| {});
    for n in 0..10 {
        world.websocket(&format!("000/w{n}/websocket"));
    }
    for _ in 0..11_000 {
        world.engine.broadcast(0, &"x".repeat(100), None);
    }
    world.flush();
    let closed = world.heard().iter().filter(|line| line.contains("close 1013")).count();
    assert_eq!(closed, 0, "of 10 healthy sessions");
}

/// Tiny unfinished units hold large pooled buffers.
#[test]
fn tiny_units_pin_large_buffers() {
    let mut world = World::new(|_, _, _| {});
    let c = world.connect();
    let p = world.connect();
    world.post(p, "s/xhr", "");
    let mut held = Vec::new();
    for n in 0..60 {
        let body = format!("[\"{}\"]", "x".repeat(900_000));
        let whole = format!(
            "POST /e/000/s/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let sockets: Vec<_> = (0..2).map(|_| world.websocket("websocket")).collect();
        for part in whole.as_bytes().chunks(60_000) {
            world.send(c, part);
        }
        world.take(c);
        for s in sockets {
            world.send(s, [0x81]);
            held.push(s);
        }
        let _ = n;
    }
    let pinned: usize = world.engine.counters().buffered;
    assert!(pinned < 4 << 20);
}

/// Waiting polls, two at a time.
#[test]
fn polls_pin_large_buffers() {
    let mut world = World::new(|_, _, _| {});
    let c = world.connect();
    let mut polls = Vec::new();
    for n in 0..100 {
        let p = world.connect();
        world.post(p, &format!("s{n}/xhr"), "");
        polls.push(p);
    }
    for pair in 0..50 {
        let body = format!("[\"{}\"]", "x".repeat(900_000));
        let whole = format!(
            "POST /e/000/s0/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        for part in whole.as_bytes().chunks(60_000) {
            world.send(c, part);
        }
        for n in [2 * pair, 2 * pair + 1] {
            world.post(polls[n], &format!("s{n}/xhr"), "");
        }
    }
    let pinned: usize = world.engine.counters().buffered;
    assert!(pinned < 4 << 20);
}

/// A stop while nothing turned for a while.
/// A payload of many empty messages: what does one cost?
/// HTTP sender does not feel the slow receivers; poll + FIN at once.
/// A session that says goodbye to a client whose last answer is still under way, and is asked on another connection.
#[test]
fn ownership_of_owes_after_reset() {
    let mut world = World::new(|engine, key, moment| {
        if let Moment::Message(_) = moment {
            let _ = engine.send(key, &"x".repeat(600_000));
        }
    });
    let (p, q, c) = (world.connect(), world.connect(), world.connect());
    world.post(p, "s/xhr", "");
    world.post(c, "s/xhr_send", "[\"m\"]");
    world.take(p);
    world.room.insert(p, 1000);
    world.post(p, "s/xhr", "");
    world.post(q, "s/xhr", ""); // next poll waits on q, first answer is torn
    world.reset(p);
    world.post(c, "s/xhr_send", "[\"n\"]");
}

/// Requests that wait for their answers to be read, of a client that reads a little now and then.
#[test]
fn what_waits_to_be_dealt_with_does_not_grow_while_a_little_is_read() {
    let info = "GET /e/info HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2000);
    let echoes = World::frame(1, format!("[\"{}\"]", "x".repeat(50)).as_bytes()).repeat(2000);
    for is_websocket in [false, true] {
        let mut world = World::new(|engine, key, moment| {
            if let Moment::Message(_) = moment {
                let _ = engine.send(key, &"x".repeat(1000));
            }
        });
        let client = if is_websocket { world.websocket("000/s/websocket") } else { world.connect() };
        let bytes = if is_websocket { echoes.as_slice() } else { info.as_bytes() };
        world.room.insert(client, 0);
        world.send(client, bytes);
        for _ in 0..100 {
            world.room.insert(client, 20_000);
            world.engine.writable(client);
            world.flush();
            if world.engine.can_read(client) {
                world.send(client, bytes);
            }
            let buffered = world.engine.counters().buffered;
            assert!(buffered < 2 * (bytes.len() + (64 << 10)), "{buffered} bytes");
        }
    }
}
