//! The whole server without a socket: a script of connections, bytes, hang-ups and time against an application that
//! misbehaves.
//!
//! - [`script`]: fuzz input → steps. Requests and frames are mostly well-formed there, raw bytes are
//!   possible too. Three bytes make a message of up to 2 MiB, and one byte a hundred connections: what is
//!   large costs the fuzzer little.
//! - [`world`]: plays them as the reactor would, with clients that read as much as the script lets them.
//! - [`program`]: the application; it does in each callback what the script says next, and watches what it is told.
//! - [`pages`]: its pages, of which some are read piece by piece, and some are answered later.
//! - [`wire`]: reads what came out with a reader of its own.
//!
//! Each script is played with its bytes whole, and cut at other places within the turn, and cut with a turn for each
//! piece. After every step what is booked is what is held. Then everything hangs up, or goes silent, and time passes:
//! nothing may be left.

pub mod pages;
pub mod program;
pub mod script;
pub mod wire;
pub mod world;

use std::collections::{BTreeMap, HashMap};

use super::Input;
use program::Told;
use script::Script;
use wire::Wire;
use world::{Cut, Record, World};

/// RFC 6455 §11.8.
const PONG: u8 = 10;

pub fn check(data: &[u8]) {
    let script = Script::read(Input::new(data));
    let whole = World::play(&script, Cut::Whole);
    let wires: Vec<_> = whole.clients.iter().map(wire::read).collect();
    check_deliveries(&whole, &wires);

    let crowded = |record: &Record| record.throttled || record.full || (record.parted && script.is_crowded());
    let cut = World::play(&script, Cut::WithinTurn);
    // Where there is little memory, buffers that have grown make a flush due, and how they grow
    // depends on where bytes are cut.
    if whole.parted || cut.parted || script.is_modest {
        if !crowded(&whole) && !crowded(&cut) && !script.is_entangled() {
            assert_eq!(but_for_losses(&cut), but_for_losses(&whole), "told the same, in however many turns");
        }
    } else if !whole.throttled && !cut.throttled {
        assert_eq!(by_session(&cut), by_session(&whole), "told the same, however bytes are cut");
        for (cut, whole) in cut.clients.iter().zip(&whole.clients) {
            assert!(cut.output() == whole.output(), "{}\n--- whole:\n{}", cut.shown(), whole.shown());
        }
    }

    // What is packed into one frame, and who is full when, depends on turns; what is read and in which order does not.
    let turns = World::play(&script, Cut::TurnForEach);
    let turned: Vec<_> = turns.clients.iter().map(wire::read).collect();
    check_deliveries(&turns, &turned);
    if !crowded(&whole) && !crowded(&turns) && !script.is_entangled() {
        assert_eq!(but_for_losses(&turns), but_for_losses(&whole), "told the same, however turns are cut");
        for (client, (turned, whole)) in turns.clients.iter().zip(turned.iter().zip(&wires)) {
            // RFC 6455 §5.5.2 sets no order between pongs and messages, which wait for the end of their turn.
            for pongs in [false, true] {
                let frames = |wire: &Wire| -> Vec<_> {
                    let frames = wire.websocket.iter().filter(|(opcode, _)| (*opcode == PONG) == pongs);
                    frames.cloned().collect()
                };
                let (turned, whole) = (frames(turned), frames(whole));
                let both = turned.len().min(whole.len());
                let heard = if client.is_cut_short() { both } else { turned.len().max(whole.len()) };
                assert!(
                    turned.iter().take(heard).eq(whole.iter().take(heard)),
                    "a WebSocket carries the same, however turns are cut\n{}",
                    client.shown()
                );
            }
        }
    }
}

/// Sessions whose time comes in the same tick may be told in any order; each of them is told the same.
fn by_session(record: &Record) -> BTreeMap<usize, Vec<&Told>> {
    let mut told: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for event in &record.told {
        told.entry(event.session()).or_default().push(event);
    }
    told
}

/// The same where turns were cut differently. How many frames its messages made decides whether a streaming response
/// had come to its limit when the client left: whether it was broken off, or no other one came; and then the session's
/// timers may run out before it expires.
fn but_for_losses(record: &Record) -> BTreeMap<usize, Vec<Told>> {
    let lost = |told: &Told| match told {
        Told::Closed(session, 1002 | 1006, reason)
            if reason == "Connection interrupted" || reason == "Session expired" =>
        {
            Told::Closed(*session, 1006, "Lost".to_owned())
        }
        told => told.clone(),
    };
    let mut all = BTreeMap::new();
    for (session, told) in by_session(record) {
        let mut told: Vec<Told> = told.into_iter().map(lost).collect();
        if let Some(close) =
            told.pop_if(|last| matches!(last, Told::Closed(_, _, reason) if reason == "Lost"))
        {
            while told.pop_if(|last| matches!(last, Told::Timer(..))).is_some() {}
            told.push(close);
        }
        all.insert(session, told);
    }
    all
}

/// Every question is answered; no message comes twice, or out of order; and a WebSocket whose client reads and stays
/// gets every one that `send` took.
fn check_deliveries(record: &Record, wires: &[Wire]) {
    for (client, wire) in record.clients.iter().zip(wires) {
        if let Some(due) = client.answers_due().filter(|_| !wire.is_closed && !record.stopped) {
            assert_eq!(wire.answers, due, "answers\n{}", client.shown());
        }
        let mut latest: HashMap<usize, usize> = HashMap::new();
        for (session, serial) in wire.messages().filter_map(program::tag) {
            let before = latest.insert(session, serial);
            assert!(
                before.is_none_or(|before| before < serial),
                "{serial} behind {before:?}\n{}",
                client.shown()
            );
        }
    }
    let mut delivered = HashMap::new();
    for tag in wires.iter().flat_map(Wire::messages).filter_map(program::tag) {
        *delivered.entry(tag).or_insert(0) += 1;
    }
    assert!(delivered.values().all(|times| *times == 1), "a message came twice");
    for (session, sent) in record.sent.iter().enumerate() {
        let Some(client) = record.clients.iter().find(|client| client.websocket == Some(session)) else {
            continue;
        };
        for serial in if client.is_faithful() { sent } else { &client.due } {
            assert!(
                delivered.contains_key(&(session, *serial)),
                "lost: {session}.{serial}\n{}",
                client.shown()
            );
        }
    }
    check_lives(&record.told);
}

/// Opened once, then messages, then closed once, for every session (protocol.md, section 7.7).
fn check_lives(told: &[Told]) {
    let mut is_open: HashMap<usize, bool> = HashMap::new();
    for event in told {
        match event {
            Told::Opened(session, _) => assert_eq!(is_open.insert(*session, true), None, "opened twice"),
            Told::Message(session, _) | Told::Timer(session, _) => {
                assert_eq!(is_open.get(session), Some(&true), "{event:?} to a session that is not open");
            }
            Told::Closed(session, ..) => {
                assert_eq!(is_open.insert(*session, false), Some(true), "closed twice, or before its open");
            }
        }
    }
    assert!(is_open.values().all(|is_open| !is_open), "never told of a close");
}
