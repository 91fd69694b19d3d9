//! A long life at random, against a model: nothing lost, nothing twice, nothing out of order, one close, nothing left.

use super::world::{FIRST, Moment, World};
use crate::collections::Key;
use crate::engine::{Connection, EndpointOptions, Message};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// One client with one session over HTTP, as `sockjs-client` would behave, on transports that change at random.
struct Client {
    id: String,
    receiver: Option<Key<Connection>>,
    sender: Key<Connection>,
    /// Numbers sent, and numbers received back.
    sent: usize,
    received: usize,
    /// The session is new, and no message of it came yet.
    fresh: bool,
    over: bool,
}

impl Client {
    fn new(world: &mut World, number: usize) -> Self {
        let sender = world.connect();
        Self {
            id: format!("s{number}"),
            receiver: None,
            sender,
            sent: 0,
            received: 0,
            fresh: true,
            over: false,
        }
    }

    fn receive(&mut self, world: &mut World, random: &mut Random) {
        self.receiver = self.receiver.filter(|receiver| !world.is_dropped(*receiver));
        let connection = *self.receiver.get_or_insert_with(|| world.connect());
        let path = ["xhr", "xhr_streaming"][random.below(2)];
        world.post(connection, &format!("{}/{path}", self.id), "");
    }

    fn send(&mut self, world: &mut World, random: &mut Random) {
        let count = 1 + random.below(3);
        if world.is_dropped(self.sender) {
            self.sender = world.connect();
        }
        let messages: Vec<String> =
            (self.sent..self.sent + count).map(|number| format!("\"{number}\"")).collect();
        world.post(self.sender, &format!("{}/xhr_send", self.id), &format!("[{}]", messages.join(",")));
        let answer = world.take(self.sender);
        if answer.starts_with("HTTP/1.1 204") {
            self.sent += count;
        } else {
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
    }

    /// Looks at what the receiver brought; `true` while its response goes on.
    fn look(&mut self, world: &mut World) {
        let Some(connection) = self.receiver else { return };
        let received = world.take(connection);
        for line in received.split(['\n', '\r']) {
            if let Some(messages) = line.strip_prefix("a[").and_then(|rest| rest.strip_suffix(']')) {
                for message in messages.split(',').filter(|message| *message != PUBLISHED) {
                    let number: usize = message.trim_matches('"').parse().expect("a number");
                    if std::mem::take(&mut self.fresh) {
                        assert!(number >= self.received, "nothing twice");
                        self.received = number;
                    }
                    assert_eq!(number, self.received, "in order, once");
                    self.received += 1;
                }
            }
            if line == "o" {
                // A new session with the old name: what the old one was sent went down with it.
                (self.fresh, self.over) = (true, false);
            }
            self.over |= line.starts_with("c[") && !line.starts_with("c[2010");
        }
    }
}

/// The text that is published to groups, beside the numbers that are echoed.
const PUBLISHED: &str = "\"p\"";

/// A session joins a group or leaves one, or a group is published to.
fn change_groups(world: &mut World, random: &mut Random) {
    let name = ["g0", "g1", "g2"][random.below(3)];
    let session = world.engine.open_sessions(FIRST).nth(random.below(4));
    let before = world.engine.member_count(FIRST, name);
    let is_member = session.is_some_and(|session| world.engine.is_member(session, name));
    match (random.below(3), session) {
        (0, Some(session)) => {
            assert_eq!(world.engine.join(session, name), Ok(()));
            assert_eq!(world.engine.member_count(FIRST, name), before + usize::from(!is_member));
        }
        (1, Some(session)) => {
            assert_eq!(world.engine.leave(session, name), is_member);
            assert_eq!(world.engine.member_count(FIRST, name), before - usize::from(is_member));
        }
        _ => assert_eq!(world.engine.publish(FIRST, name, Message::Text("p"), None), before),
    }
    if random.below(2) == 0 {
        world.flush();
    }
}

#[test]
fn many_clients_at_random() {
    for seed in 1..=60 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let options = EndpointOptions { response_limit: 64, ..EndpointOptions::default() };
        let mut world = World::with(options, |engine, key, moment| {
            if let Moment::Message(text) = moment {
                engine.send(key, text).expect("there is room");
            }
        });
        let mut clients: Vec<Client> = (0..4).map(|number| Client::new(&mut world, number)).collect();
        for _ in 0..400 {
            let client = &mut clients[random.below(4)];
            if random.below(4) == 0 {
                change_groups(&mut world, &mut random);
            }
            match random.below(12) {
                0..4 => client.receive(&mut world, &mut random),
                4..9 => client.send(&mut world, &mut random),
                9 => world.pass([1, 50, 1000, 4000][random.below(4)]),
                10 => {
                    if let Some(receiver) = client.receiver {
                        if world.room(receiver).is_some() {
                            world.unblock(receiver);
                        } else {
                            world.block(receiver);
                        }
                    }
                }
                _ if random.below(10) == 0 => {
                    if let Some(receiver) = client.receiver.take() {
                        world.reset(receiver);
                    }
                }
                _ => {}
            }
            for client in &mut clients {
                client.look(&mut world);
            }
        }
        // Every client that was not cut off has everything in the end.
        let heard = world.heard();
        for (number, client) in clients.iter_mut().enumerate() {
            let Some(receiver) = client.receiver else { continue };
            world.unblock(receiver);
            for _ in 0..50 {
                client.receive(&mut world, &mut random);
                client.look(&mut world);
            }
            if !client.over && !client.fresh {
                assert_eq!(client.received, client.sent, "seed {seed}, client {number}");
            }
        }
        check(&heard);
        world.finish();
    }
}

/// Open first, close last and once, and no message outside of that.
fn check(heard: &[String]) {
    let mut states = std::collections::HashMap::new();
    for line in heard {
        if let Some((name, what @ ("starts" | "ends"))) = line.split_once(' ') {
            let before = states.insert(name.to_owned(), what).unwrap_or("ends");
            assert_ne!(before, what, "told twice of {name}");
            continue;
        }
        let (name, what) = line.split_once(' ').expect("a name and what happened");
        let state = states.entry(name.to_owned()).or_insert("new");
        *state = match (*state, what.split(' ').next()) {
            ("new", Some("open")) => "open",
            ("open", Some("message")) => "open",
            ("open", Some("close")) => "closed",
            other => panic!("{other:?} at {line}"),
        };
    }
}
