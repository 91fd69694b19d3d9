//! What handlers cause in one turn is flushed in between: a client that reads is not closed for it,
//! and nothing else waits for ever.

use super::world::{FIRST, Moment, World, quick};
use crate::engine::{EndpointOptions, Engine, ServerOptions};

fn small() -> ServerOptions {
    ServerOptions { buffered_bytes: 1 << 20, ..quick() }
}

#[test]
fn a_client_that_reads_is_not_closed_for_broadcasts_of_app_timers() {
    let mut world = World::build(small(), EndpointOptions::default(), |engine, key, moment| match moment {
        Moment::Open => engine.set_session_timer(key, 0, Some(10)),
        Moment::Timer => assert_eq!(engine.broadcast(FIRST, &"x".repeat(1000), None), 100),
        _ => {}
    });
    let readers: Vec<_> = (0..100).map(|_| world.websocket("websocket")).collect();
    world.heard();
    world.pass(10);
    while world.engine.next_deadline().is_some_and(|next| next <= world.engine.now()) {
        world.pass(0);
    }
    assert_eq!(world.heard().len(), 100, "each timer was told");
    for reader in readers {
        assert_eq!(world.take(reader).matches('x').count(), 100 * 1000);
    }
    world.finish();
}

/// A hundred readers, and fifty sessions that close: each is told to all of them.
#[test]
fn who_reads_is_not_closed_for_what_closings_cause() {
    for close_all in [false, true] {
        let behaviour = |engine: &mut Engine, _, moment: Moment<'_>| match moment {
            Moment::Message(_) => {
                for session in engine.open_sessions(FIRST).skip(100).collect::<Vec<_>>() {
                    engine.close(session, 3000, "Out");
                }
            }
            Moment::Close => assert!(engine.broadcast(FIRST, &"x".repeat(1000), None) >= 100),
            _ => {}
        };
        let mut world = World::build(small(), EndpointOptions::default(), behaviour);
        let readers: Vec<_> = (0..100).map(|_| world.websocket("websocket")).collect();
        let pollers: Vec<_> = (0..50).map(|_| world.connect()).collect();
        for (number, poller) in pollers.iter().enumerate() {
            world.post(*poller, &format!("s{number}/xhr"), "");
        }
        world.heard();
        if close_all {
            world.send(readers[0], World::frame(1, b"all out"));
        } else {
            world.pass(5000);
            world.pass(0);
        }
        assert_eq!(world.engine.open_count(FIRST), 100);
        assert_eq!(world.heard().iter().filter(|heard| heard.contains("close")).count(), 50);
        for reader in readers {
            assert_eq!(world.take(reader).matches('x').count(), 50 * 1000);
        }
    }
}

/// A client that reads as fast as its handler fills its queue.
#[test]
fn app_timers_are_told_beside_a_drain_without_end() {
    let mut world = World::new(|engine, key, moment| match moment {
        Moment::Open => engine.set_session_timer(key, 0, Some(10)),
        Moment::Message(_) | Moment::Drain => while engine.send(key, "x".repeat(16 << 10)).is_ok() {},
        _ => {}
    });
    let socket = world.websocket("000/s/websocket");
    world.send_once(socket, World::frame(1, br#"["fill"]"#));
    world.set_time(20);
    for _ in 0..3 {
        world.engine.run_due_timers(20, &mut world.handlers);
        world.end_turn();
        world.take(socket);
    }
    assert!(world.heard().iter().any(|heard| heard == "0 timer 0"));
}
