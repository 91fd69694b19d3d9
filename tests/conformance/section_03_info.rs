//! Section 3: what an endpoint says about itself.

use serde_json::{Value, json};
use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::target::Target;

pub const RULES: &[Rule] = &[
    rule(
        "3",
        "200, application/json, and the four members websocket, origins, cookie_needed, entropy",
        capabilities,
    ),
    rule("3", "`websocket` is false where WebSocket is disabled", without_websocket),
    rule("3", "`cookie_needed` is true where JSESSIONID is on", with_cookie),
    rule("3", "`entropy` is an integer in 0..2^32 and new each time", entropy),
    here("3", "the option base_url adds `base_url`", base_url),
];

fn info(target: &Target, endpoint: &str) -> Value {
    let answer = target.get(&format!("{endpoint}/info")).expect(200);
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {:?}", answer.text()))
}

/// The capabilities but for the entropy, which is checked and taken out.
fn settled(mut info: Value) -> Value {
    let entropy = info.as_object_mut().and_then(|members| members.remove("entropy"));
    let entropy = entropy.and_then(|entropy| entropy.as_u64()).expect("entropy is an integer");
    assert!(entropy < 1 << 32, "{entropy} is not in 0..2^32");
    info
}

fn capabilities(target: &Target) {
    target.get("/echo/info").expect(200).expect_header("Content-Type", "application/json; charset=UTF-8");
    let expected = json!({ "websocket": true, "origins": ["*:*"], "cookie_needed": false });
    assert_eq!(settled(info(target, "/echo")), expected);
}

fn without_websocket(target: &Target) {
    assert_eq!(info(target, "/disabled_websocket_echo")["websocket"], false);
}

fn with_cookie(target: &Target) {
    assert_eq!(info(target, "/cookie_needed_echo")["cookie_needed"], true);
}

fn entropy(target: &Target) {
    let mut drawn: Vec<u64> =
        (0..64).map(|_| info(target, "/echo")["entropy"].as_u64().expect("entropy is an integer")).collect();
    assert!(drawn.iter().all(|entropy| *entropy < 1 << 32), "{drawn:?}");
    let is_wide = |entropy: &&u64| **entropy >= 1 << 16;
    assert!(drawn.iter().filter(is_wide).count() > 60, "all 32 bits should be drawn: {drawn:?}");
    drawn.sort_unstable();
    drawn.dedup();
    // Two of 64 draws from 2^32 are equal once in two million runs; three pairs never.
    assert!(drawn.len() >= 62, "{} different values in 64", drawn.len());
}

fn base_url() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.base_url = Some("https://node-1.example/\"echo\"".into());
        server.mount_with("/echo", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let expected = json!({
        "websocket": true, "origins": ["*:*"], "cookie_needed": false, "base_url": "https://node-1.example/\"echo\"",
    });
    assert_eq!(settled(info(&Target::at(server.address), "/echo")), expected);
}
