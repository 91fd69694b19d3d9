//! Section 11: the endpoints that all the other rules lean on.

use std::time::Instant;

use crate::rule::{Rule, rule};
use crate::support::receiver::Receiver;
use crate::support::target::{Target, fresh_id};
use crate::support::wire::Transport;

pub const RULES: &[Rule] = &[
    rule("11", "/echo sends back what it gets", echo),
    rule("11", "/ticker sends `tick!` every second", ticker),
    rule("11", "/amplify answers n in 1..18 with a string of 2^n `x`, anything else with two", amplify),
    rule(
        "11",
        "/broadcast sends each message to all sessions of the endpoint, whatever their transports",
        broadcast,
    ),
];

fn echo(target: &Target) {
    let session = target.opened("/echo");
    target.send(&session, r#"["a","b"]"#);
    assert_eq!(target.poll(&session), r#"a["a","b"]"#);
}

fn ticker(target: &Target) {
    let mut receiver = Receiver::open(target, Transport::XhrStreaming, &target.session("/ticker"));
    assert_eq!(receiver.frame(), "o");
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(receiver.frame(), r#"a["tick!"]"#);
    }
    // A machine that is busy makes ticks late, never early.
    assert!(start.elapsed().as_millis() > 1500, "two ticks in {:?}", start.elapsed());
}

fn amplify(target: &Target) {
    let mut websocket = target.websocket(&format!("/amplify/000/{}/websocket", fresh_id()));
    assert_eq!(websocket.text(), "o");
    for (asked, exponent) in [("1", 1), ("5", 5), ("18", 18), ("19", 1), ("0", 1), ("-1", 1), ("x", 1)] {
        let frame = websocket.send(&format!("[\"{asked}\"]")).text();
        assert!(frame == format!("a[\"{}\"]", "x".repeat(1 << exponent)), "{asked}: {} bytes", frame.len());
    }
}

fn broadcast(target: &Target) {
    let message = fresh_id();
    let frame = format!("a[\"{message}\"]");
    let mut stream = Receiver::open(target, Transport::EventSource, &target.session("/broadcast"));
    let mut websocket = target.websocket(&format!("/broadcast/000/{}/websocket", fresh_id()));
    let polling = target.opened("/broadcast");
    assert_eq!((stream.frame(), websocket.text()), ("o".into(), "o".into()));
    target.send(&polling, &format!("[\"{message}\"]"));
    assert_eq!(
        (stream.frame(), websocket.text(), target.poll(&polling)),
        (frame.clone(), frame.clone(), frame)
    );
}
