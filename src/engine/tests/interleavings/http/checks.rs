//! What must hold of all that the application is told, and that the clients read.

use super::Http;
use crate::engine::Cause;
use crate::engine::tests::interleavings::client::{Asked, Client, Part};
use crate::engine::tests::interleavings::fingerprint;
use crate::engine::tests::interleavings::life::note;

/// Milliseconds after which a session without a receiver is closed.
const DISCONNECT_DELAY: u64 = 5000;

impl Http {
    /// What the application was told since.
    pub(super) fn hear(&mut self) {
        for line in self.world.heard() {
            let now = self.world.engine.now();
            if let Some((number, cause)) = note(&line, &mut self.lives, &mut self.untold, now) {
                self.check_cause(number, cause);
            }
        }
    }

    /// Whether a session may end like this, for what its client has done.
    fn check_cause(&mut self, number: usize, cause: Cause) {
        let now = self.world.engine.now();
        let life = &mut self.lives[number];
        let mut receivers = self.clients.iter().filter(|client| client.receives(number));
        match cause {
            Cause::Application | Cause::Panic => {}
            Cause::Interrupted => {
                assert!(life.is_broken, "interrupted, though no receiver broke off");
                drop(receivers);
                self.give_up_finished(number);
            }
            Cause::Unresponsive => {
                assert!(receivers.any(|client| client.socket.is_stalled), "unresponsive, though it reads");
                life.is_broken = true;
            }
            Cause::Expired => {
                assert!(receivers.next().is_none(), "expired beside a receiver");
                assert!(now >= life.received_until + DISCONNECT_DELAY, "expired too early");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Clients that have ended their side while they received frames of a session: when it ends for that, or a client
    /// comes for more of them, what they read yet counts for nothing.
    pub(super) fn give_up_finished(&mut self, number: usize) {
        let is_over = |client: &&mut Client| client.receives(number) && client.socket.is_finished;
        for client in self.clients.iter_mut().filter(is_over) {
            client.asked = Some(Asked::InVain);
        }
    }

    /// Where several asked in one turn, in which the receiver may have left, the engine says
    /// which of them is the receiver now.
    pub(super) fn settle_askers(&mut self) {
        let askers = std::mem::take(&mut self.askers);
        for client in &askers {
            let client = &mut self.clients[*client];
            let Client { key: Some(key), asked: Some(Asked::ToReceive { is_second, .. }), .. } = client
            else {
                continue;
            };
            if *is_second || askers.len() > 1 {
                *is_second = !fingerprint::is_receiver(&self.world.engine, *key);
            }
        }
    }

    /// What the clients have read since.
    pub(super) fn read(&mut self) {
        for (key, bytes) in self.world.take_writes() {
            let position = self.clients.iter().position(|client| client.key == Some(key));
            let Some(client) = position else { continue };
            self.clients[client].reader.push(&bytes);
            while let Some(part) = self.clients[client].reader.next() {
                self.read_part(client, part);
            }
        }
    }

    fn read_part(&mut self, client: usize, part: Part) {
        let asked = self.clients[client].asked.expect("a response has a request");
        match (asked, part) {
            (_, Part::End) => {
                self.clients[client].asked = None;
                if let Asked::ToReceive { session, is_second: false } = asked {
                    self.lives[session].received_until = self.world.engine.now();
                }
            }
            (Asked::ToSend { is_known }, Part::Status(status)) => {
                let is_taken = is_known.unwrap_or(status == 204);
                assert_eq!(status, if is_taken { 204 } else { 404 });
            }
            (Asked::ToSend { .. }, Part::Frame(_)) | (Asked::InVain, _) => {}
            (Asked::ToReceive { .. }, Part::Status(status)) => assert_eq!(status, 200),
            (Asked::ToReceive { session, is_second }, Part::Frame(frame)) => {
                let frame = frame.strip_suffix('\n').expect("a line");
                if frame == r#"c[2010,"Another connection still open"]"# {
                    // Of several that ask in one turn, another may have become the receiver.
                    assert!(is_second || self.askers.len() > 1, "the one receiver was turned away");
                } else if !frame.starts_with("hh") {
                    // A second one, too, if the first had ended by then.
                    self.clients[client].asked = None;
                    self.give_up_finished(session);
                    self.clients[client].asked = Some(Asked::ToReceive { session, is_second: false });
                    self.lives[session].read(frame);
                }
            }
        }
    }

    /// The server has ended connections.
    pub(super) fn notice_ends(&mut self) {
        for client in &mut self.clients {
            let Some(key) = client.key else { continue };
            client.socket.is_shut |= self.world.was_shut(key);
            if self.world.is_dropped(key) {
                let may_end = client.asked.is_none() || client.socket.is_finished || client.socket.is_stalled;
                assert!(may_end, "{:?} was never answered", client.asked);
                if let Some(Asked::ToReceive { session, is_second: false }) = client.asked {
                    self.lives[session].is_broken = true;
                }
                *client = Client::default();
            }
        }
    }

    /// What holds between two turns.
    pub(super) fn check(&mut self) {
        let counters = self.world.engine.counters();
        let connected = self.clients.iter().filter(|client| client.key.is_some()).count();
        assert_eq!(counters.connections, connected);
        if self.is_open() {
            assert_eq!(self.untold, Vec::<String>::new(), "the application was not told");
        }
        self.untold.clear();
        let now = self.world.engine.now();
        for (number, life) in self.lives.iter().enumerate().filter(|(_, life)| life.close.is_none()) {
            let mut receivers = self.clients.iter().filter(|client| client.receives(number));
            let has_left = |client: &Client| client.socket.is_finished && !client.socket.is_stalled;
            assert!(!receivers.clone().any(has_left), "open, though its receiver broke off");
            let is_waited_for = receivers.next().is_some() || now < life.received_until + DISCONNECT_DELAY;
            assert!(is_waited_for, "open, though no receiver came");
        }
    }
}
