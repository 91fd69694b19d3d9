//! More sessions than there may be: a flood of them takes its own places, and clients that poll go on (rule 7.1).

use std::time::{Duration, Instant};

use crate::start;
use crate::support::PATIENCE;
use crate::support::client::Client;

/// Sessions of the endpoint.
const PLACES: usize = 200;

/// The flood opens several times as many as there may be, and leaves all of them, for longer than a
/// session is safe without a receiver; the neighbour, on the same endpoint, is away between two polls for
/// as long as it takes to come back.
#[test]
fn a_flood_of_sessions_does_not_reach_a_client_that_polls() {
    let server = start(|_, endpoint| {
        endpoint.sessions = PLACES;
        endpoint.disconnect_delay = Duration::from_secs(60);
    });
    let mut poll = Client::connect(server.address);
    let mut sender = Client::connect(server.address);
    assert_eq!(poll.ask("POST", "/echo/000/neighbour/xhr", "", b"").text(), "o\n");
    let mut flood = Client::connect(server.address);
    let (mut opened, mut refused, mut rounds) = (0, 0, 0);
    let start = Instant::now();
    // Twice all places were taken from sessions that were there before.
    while opened < 3 * PLACES {
        assert!(start.elapsed() < PATIENCE, "{opened} sessions opened, {refused} were refused");
        rounds += 1;
        poll.request("POST", "/echo/000/neighbour/xhr", "", b"");
        for number in 0..10 {
            match flood.ask("POST", &format!("/echo/000/{rounds}-{number}/xhr"), "", b"").status {
                200 => opened += 1,
                503 => refused += 1,
                other => panic!("{other}"),
            }
        }
        let message = format!("[\"{rounds}\"]");
        assert_eq!(sender.ask("POST", "/echo/000/neighbour/xhr_send", "", message.as_bytes()).status, 204);
        assert_eq!(poll.answer().text(), format!("a{message}\n"));
    }
    let counters = server.counters();
    assert!(refused > 0, "it was faster than sessions lose their places");
    assert_eq!(counters.refused.overloaded, refused);
    // The neighbour has one of the places.
    assert_eq!(counters.evicted, (opened + 1 - PLACES) as u64);
    assert!(counters.sessions <= PLACES);
}
