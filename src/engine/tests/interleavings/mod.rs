//! Every interleaving of a few events on one session: all sequences of up to six of what clients, sockets, time and the
//! application can do, from a fresh endpoint. (`random` goes further, along a few of them.)
//!
//! - `search`: the sequences, each state looked at once.
//! - `http`, `websocket`: the events, and what each client and the application must see; `client` and `life` hold what
//!   they have seen so far.
//! - `fingerprint`: which states are one.
//!
//! In every state: a session is opened once, and closed once at most, for a cause that its client or the application
//! has given; messages come in order, without a gap, and once, in both directions; what is booked is what is held. From
//! every state, in three ways to the end: nothing is lost that was accepted and whose client reads and stays; each
//! session is closed once; no connection, session, timer or booked byte is left.

mod client;
mod fingerprint;
mod http;
mod life;
mod search;
mod websocket;

use http::{Http, Turns};
use life::{closes_at_open, handler, panics_at_open};
use search::{check_fingerprints, search};
use websocket::WebSocket;

/// A length of sequences. Without optimization the search takes twenty times as long, so
/// that sequences are shorter there.
const fn depth(optimized: usize, unoptimized: usize) -> usize {
    if cfg!(debug_assertions) { unoptimized } else { optimized }
}

/// A receiver, a second one, and a sender. The last event of six is left to the optimized build.
#[test]
fn every_interleaving_by_http() {
    let extent = search(|| Http::new(3, Turns::Apart, handler), depth(6, 5));
    assert!(extent.states > 3_000, "{extent:?}");
}

/// The same where several events may arrive in one turn: up to five of them, or three where the build is not optimized.
#[test]
fn every_interleaving_by_http_within_turns() {
    let extent = search(|| Http::new(3, Turns::Shared, handler), depth(5, 3));
    assert!(extent.states > 800, "{extent:?}");
}

/// Sessions that are over when they open.
#[test]
fn every_interleaving_by_http_of_a_handler_that_ends_its_sessions() {
    for handler in [closes_at_open, panics_at_open] {
        let extent = search(|| Http::new(2, Turns::Shared, handler), depth(5, 3));
        assert!(extent.states > 200, "{extent:?}");
    }
}

/// Up to eight events, or six where the build is not optimized.
#[test]
fn every_interleaving_by_websocket() {
    for path in ["websocket", "0/s/websocket"] {
        let extent = search(|| WebSocket::new(path), depth(8, 6));
        assert!(extent.states > 350, "{path}: {extent:?}");
    }
}

/// The searches stand on it.
#[test]
fn states_that_count_as_one_have_one_future() {
    check_fingerprints(|| Http::new(3, Turns::Apart, handler), depth(3, 2));
    check_fingerprints(|| Http::new(3, Turns::Shared, handler), depth(2, 1));
    for path in ["websocket", "0/s/websocket"] {
        check_fingerprints(|| WebSocket::new(path), depth(4, 3));
    }
}
