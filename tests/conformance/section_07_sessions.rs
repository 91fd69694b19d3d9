//! Section 7: how a session is found, kept, given its messages and ended.

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::section_07_application as application;
use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::receiver::Receiver;
use crate::support::target::{Target, eventually};
use crate::support::wire::{HTTP, POLLING, STREAMING, Transport, Wire, json, messages};

pub const RULES: &[Rule] = &[
    rule(
        "7.1",
        "a receiver request with an unknown session id creates the session and gets `o`",
        created_by_receivers,
    ),
    rule("7.1", "a send request never creates a session", not_created_by_senders),
    rule("7.2", "a second receiver gets c[2010,\"Another connection still open\"] and ends", second_receiver),
    rule("7.2", "a second receiver leaves the first undisturbed", first_receiver_undisturbed),
    rule("7.3", "polling receivers end after one frame, and the connection goes on", polling_ends),
    rule(
        "7.3",
        "streaming receivers end once response_limit bytes were sent: framing counted, the prelude not",
        response_limit,
    ),
    rule("7.3", "nothing is lost or reordered between one streaming receiver and the next", roll_over),
    rule("7.4", "while no receiver is attached, messages wait in the session", messages_wait),
    rule("7.4", "after disconnect_delay (5 s) without a receiver the session is gone", disconnect_delay),
    rule("7.4", "a session with a receiver attached outlives disconnect_delay", attached_sessions_live),
    rule("7.5", "the server's close: every later receiver gets the same `c` frame", close_repeated),
    rule(
        "7.5",
        "a closed session is forgotten after disconnect_delay: its id opens a new one",
        closed_is_forgotten,
    ),
    here(
        "7.5",
        "waiting messages go out before the close frame, on every transport",
        application::messages_before_close,
    ),
    here("7.5", "a close in mid stream ends the receiver that carries it", application::close_ends_receiver),
    rule(
        "7.6",
        "a receiver reset in mid response closes the session: later ones get c[1002,\"Connection interrupted\"]",
        reset_interrupts,
    ),
    rule(
        "7.6",
        "a receiver that sends FIN before its response ended closes the session likewise",
        fin_interrupts,
    ),
    rule("7.6", "an interrupted session is forgotten after disconnect_delay", interrupted_is_forgotten),
    here(
        "7.7",
        "the application sees open once, messages in order, close once, in every way of ending",
        application::told_once,
    ),
    rule("7.8", "two WebSockets may have the same session id at the same time", websockets_share_an_id),
    rule(
        "7.8",
        "a WebSocket session is not found by its id: HTTP transports do not know it",
        websocket_not_looked_up,
    ),
    rule("7.8", "a session id used by an HTTP transport may be a WebSocket's too", websocket_beside_http),
    here(
        "7.8",
        "a WebSocket session lives exactly as long as its connection",
        websocket_lives_with_connection,
    ),
    here("7.9", "the application never sees the session id", application::id_is_secret),
    here("7.10", "a session whose receiver never got its answer out expires like any other", never_answered),
    rule(
        "7.11",
        "endpoints share nothing: an id opened under /echo is unknown under /close",
        endpoints_isolated,
    ),
    rule("7.11", "one id may be open under two endpoints at once", same_id_twice),
    rule("7.12", "a receiver that broke off is noticed before a later request is answered", noticed_in_time),
    here(
        "7.15",
        "a session that is refused with a close closes behind its open frame, on every transport",
        application::refused_with_a_close,
    ),
];

fn created_by_receivers(target: &Target) {
    for transport in HTTP {
        let session = target.session("/echo");
        target.post(&format!("{session}/xhr_send"), "[]").expect(404);
        assert_eq!(Receiver::open(target, transport, &session).frame(), "o", "{transport:?}");
        if !transport.is_streaming() {
            target.send(&session, "[]");
        }
    }
}

fn not_created_by_senders(target: &Target) {
    let session = target.session("/echo");
    for kind in ["xhr_send", "jsonp_send"] {
        for _ in 0..2 {
            target.post(&format!("{session}/{kind}"), r#"["x"]"#).expect(404);
        }
    }
}

const ANOTHER: &str = r#"c[2010,"Another connection still open"]"#;
const INTERRUPTED: &str = r#"c[1002,"Connection interrupted"]"#;

/// A receiver that is attached for certain: a stream has carried a message, beside a poll a second one was refused.
fn attached(target: &Target, transport: Transport) -> (String, Receiver) {
    let session = target.session("/echo");
    let mut receiver = Receiver::open(target, transport, &session);
    assert_eq!(receiver.frame(), "o");
    if transport.is_polling() {
        receiver = Receiver::open(target, transport, &session);
        eventually("the poll is attached", || target.poll(&session) == ANOTHER);
        return (session, receiver);
    }
    target.send(&session, r#"["hello"]"#);
    assert_eq!(receiver.frame(), r#"a["hello"]"#);
    (session, receiver)
}

fn second_receiver(target: &Target) {
    for first in HTTP {
        let (session, _first) = attached(target, first);
        for transport in HTTP {
            let mut second = Receiver::open(target, transport, &session);
            assert_eq!(second.frame(), ANOTHER, "{transport:?} beside {first:?}");
            second.expect_end();
        }
    }
}

fn first_receiver_undisturbed(target: &Target) {
    for transport in HTTP {
        let (session, mut first) = attached(target, transport);
        assert_eq!(target.poll(&session), ANOTHER);
        target.send(&session, r#"["still"]"#);
        assert_eq!(first.frame(), r#"a["still"]"#, "{transport:?}");
        if transport.is_streaming() {
            assert_eq!(target.poll(&session), ANOTHER);
        }
    }
}

fn polling_ends(target: &Target) {
    for transport in POLLING {
        let session = target.session("/echo");
        let mut connection = target.connect();
        for frame in ["o", r#"a["1"]"#, r#"a["2"]"#] {
            if let Some(message) = frame.strip_prefix('a') {
                target.send(&session, message);
            }
            let mut receiver = Receiver::open_on(connection, transport, &session);
            assert_eq!(receiver.frame(), frame);
            connection = receiver.client;
        }
    }
}

fn response_limit(target: &Target) {
    for transport in STREAMING {
        let session = target.session("/echo");
        let mut receiver = Receiver::open(target, transport, &session);
        let mut sent = 0;
        let message = "x".repeat(128);
        // The bytes themselves are counted, so the frame is taken off its transport here.
        while let Some(chunk) = receiver.client.chunk() {
            assert!(sent < 4096, "{transport:?}: went on after {sent} bytes");
            sent += chunk.len();
            transport.unwrap(&chunk);
            if sent < 4096 {
                target.send(&session, &json(&[&message]));
            }
        }
        assert!(sent >= 4096, "{transport:?}: ended after {sent} bytes");
    }
}

fn roll_over(target: &Target) {
    for transport in STREAMING {
        let session = target.session("/echo");
        let mut connection = target.connect();
        let mut sender = target.connect();
        let (mut received, mut sent, mut responses) = (Vec::new(), 0, 0);
        while received.len() < 200 {
            // Some messages come while no receiver is there, some while one is.
            let mut send_some = || {
                let batch: Vec<String> = (sent..sent + 7).map(|number| format!("{number:0100}")).collect();
                sent += 7;
                sender.ask("POST", &format!("{session}/xhr_send"), "", json(&batch).as_bytes()).expect(204);
            };
            if responses > 0 {
                send_some();
            }
            let mut receiver = Receiver::open_on(connection, transport, &session);
            responses += 1;
            while let Some(frame) = receiver.next() {
                if frame.starts_with('a') {
                    received.extend(messages(&frame));
                }
                // What is sent now may go out here, or wait for the next receiver.
                send_some();
            }
            connection = receiver.client;
        }
        assert!(responses > 1, "{transport:?}: {responses} responses");
        for (number, message) in received.iter().enumerate() {
            assert_eq!(*message, format!("{number:0100}"), "{transport:?}");
        }
    }
}

fn messages_wait(target: &Target) {
    let session = target.opened("/echo");
    for number in 0..50 {
        target.send(&session, &format!("[\"{number}\"]"));
    }
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(messages(&target.poll(&session)), expected);
}

/// Whether a session can still be sent to.
fn is_known(connection: &mut Client, session: &str) -> bool {
    let answer = connection.ask("POST", &format!("{session}/xhr_send"), "", b"[]");
    assert!(answer.status == 204 || answer.status == 404, "{}", answer.head);
    answer.status == 204
}

/// Waits until a session is forgotten, and says for how long.
fn forgotten(target: &Target, session: &str) -> Duration {
    let mut connection = target.connect();
    eventually("the session is forgotten", || !is_known(&mut connection, session))
}

fn disconnect_delay(target: &Target) {
    let session = target.opened("/echo");
    let lived = forgotten(target, &session);
    assert!(lived > Duration::from_secs(3), "it lived for {lived:?}");
    assert_eq!(target.poll(&session), "o", "its id opens a new one");
}

fn attached_sessions_live(target: &Target) {
    let (session, mut receiver) = attached(target, Transport::XhrStreaming);
    // A second session without a receiver is the clock.
    forgotten(target, &target.opened("/echo"));
    target.send(&session, r#"["alive"]"#);
    assert_eq!(receiver.frame(), r#"a["alive"]"#);
}

const GO_AWAY: &str = r#"c[3000,"Go away!"]"#;

fn close_repeated(target: &Target) {
    let session = target.session("/close");
    assert_eq!(target.poll(&session), "o");
    for _ in 0..3 {
        for transport in HTTP {
            let mut receiver = Receiver::open(target, transport, &session);
            assert_eq!(receiver.frame(), GO_AWAY, "{transport:?}");
            receiver.expect_end();
        }
    }
}

fn closed_is_forgotten(target: &Target) {
    let session = target.session("/close");
    assert_eq!((target.poll(&session), target.poll(&session)), ("o".into(), GO_AWAY.into()));
    // Senders find nothing to send to, at the latest when it is forgotten; a receiver would keep it.
    let clock = target.opened("/echo");
    forgotten(target, &clock);
    eventually("the session is forgotten", || {
        target.post(&format!("{session}/xhr_send"), "[]").status == 404
    });
    assert_eq!(target.poll(&session), "o");
}

fn reset_interrupts(target: &Target) {
    for transport in STREAMING {
        let (session, mut receiver) = attached(target, transport);
        // A socket that is closed with bytes unread resets its connection.
        target.send(&session, r#"["unread"]"#);
        receiver.client.stream.peek(&mut [0]).expect("the message is there");
        drop(receiver);
        assert_eq!(target.poll(&session), INTERRUPTED, "{transport:?}");
        receiver = Receiver::open(target, transport, &session);
        assert_eq!(receiver.frame(), INTERRUPTED, "{transport:?}");
        receiver.expect_end();
    }
}

fn fin_interrupts(target: &Target) {
    for transport in HTTP {
        let (session, mut receiver) = attached(target, transport);
        receiver.client.hang_up();
        assert_eq!(target.poll(&session), INTERRUPTED, "{transport:?}");
        assert_eq!(target.poll(&session), INTERRUPTED, "{transport:?}");
        drop(receiver.client.rest());
    }
}

fn interrupted_is_forgotten(target: &Target) {
    let (session, receiver) = attached(target, Transport::XhrStreaming);
    drop(receiver);
    assert_eq!(target.poll(&session), INTERRUPTED);
    forgotten(target, &target.opened("/echo"));
    eventually("the session is forgotten", || {
        target.post(&format!("{session}/xhr_send"), "[]").status == 404
    });
    assert_eq!(target.poll(&session), "o");
}

fn websockets_share_an_id(target: &Target) {
    let path = format!("{}/websocket", target.session("/echo"));
    let (mut first, mut second) = (target.websocket(&path), target.websocket(&path));
    assert_eq!((first.text(), second.text()), ("o".into(), "o".into()));
    first.send(r#"["a"]"#);
    second.send(r#"["b"]"#);
    assert_eq!((second.text(), first.text()), (r#"a["b"]"#.into(), r#"a["a"]"#.into()));
    first.close_with(1000, "");
    assert_eq!(second.send(r#"["c"]"#).text(), r#"a["c"]"#);
    assert_eq!(target.websocket(&path).text(), "o", "and again after one has ended");
}

fn websocket_not_looked_up(target: &Target) {
    let session = target.session("/echo");
    let mut websocket = target.websocket(&format!("{session}/websocket"));
    assert_eq!(websocket.text(), "o");
    target.post(&format!("{session}/xhr_send"), r#"["x"]"#).expect(404);
    assert_eq!(target.poll(&session), "o");
    target.send(&session, r#"["poll"]"#);
    assert_eq!(websocket.send(r#"["socket"]"#).text(), r#"a["socket"]"#);
    assert_eq!(target.poll(&session), r#"a["poll"]"#);
}

fn websocket_beside_http(target: &Target) {
    let (session, mut receiver) = attached(target, Transport::EventSource);
    let mut websocket = target.websocket(&format!("{session}/websocket"));
    assert_eq!(websocket.text(), "o");
    target.send(&session, r#"["x"]"#);
    assert_eq!(receiver.frame(), r#"a["x"]"#);
}

fn websocket_lives_with_connection() {
    let server = TestServer::echo();
    let target = Target::at(server.address);
    let websockets: Vec<_> = (0..8).map(|_| target.websocket("/echo/0/same/websocket")).collect();
    server.wait_for("the sessions to open", |counters| counters.sessions == 8);
    drop(websockets);
    server.wait_for("the sessions to end at once", |counters| counters.sessions == 0 && counters.closed == 8);
}

fn never_answered() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.disconnect_delay = Duration::from_millis(100);
        server.mount_with("/echo", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let target = Target::at(server.address);
    for transport in HTTP {
        let mut connection = target.connect();
        connection.request(
            transport.method(),
            &format!("{}{}", target.session("/echo"), transport.path()),
            "",
            b"",
        );
    }
    let gone = |counters: &sockjs_server::Counters| counters.opened == 5 && counters.closed == 5;
    server.wait_for("the sessions to be closed", gone);
    server.wait_for("nothing to be left", |counters| {
        (counters.sessions, counters.connections, counters.timers) == (0, 0, 0)
    });
}

fn endpoints_isolated(target: &Target) {
    let session = target.opened("/echo");
    let elsewhere = session.replacen("/echo", "/close", 1);
    target.post(&format!("{elsewhere}/xhr_send"), r#"["x"]"#).expect(404);
    target.post(&format!("{}/xhr_send", session.replacen("/echo", "/ticker", 1)), "[]").expect(404);
    target.send(&session, r#"["x"]"#);
    assert_eq!(target.poll(&session), r#"a["x"]"#);
}

fn same_id_twice(target: &Target) {
    let session = target.opened("/echo");
    let elsewhere = session.replacen("/echo", "/disabled_websocket_echo", 1);
    assert_eq!(target.poll(&elsewhere), "o");
    target.send(&session, r#"["here"]"#);
    target.send(&elsewhere, r#"["there"]"#);
    assert_eq!(
        (target.poll(&session), target.poll(&elsewhere)),
        (r#"a["here"]"#.into(), r#"a["there"]"#.into())
    );
}

fn noticed_in_time(target: &Target) {
    for _ in 0..20 {
        for transport in HTTP {
            let (session, receiver) = attached(target, transport);
            let mut next = target.connect();
            // The request is on its way in the moment in which the receiver breaks off.
            drop(receiver);
            let frame = next.ask("POST", &format!("{session}/xhr"), "", b"").expect(200);
            assert_eq!(frame.text().trim_end(), INTERRUPTED, "{transport:?}");
        }
    }
}
