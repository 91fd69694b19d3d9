//! The example `chat_cluster`: two processes behind HAProxy, and Redis between them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::daemons::{Program, Proxy, folder, free_addresses};
use crate::support::PATIENCE;
use crate::support::sockjs::{Event, SockJs};
use crate::support::wire::Transport;

const LOST: &str = "the room is disconnected from the others";
const BACK: &str = "the room is back with the others";

fn redis(address: SocketAddr) -> Option<Program> {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
        .arg(folder());
    let program = Program::start(&mut command)?;
    program.wait_for_line("Ready to accept connections");
    Some(program)
}

/// Cargo builds examples beside the binaries, but tells no test where.
fn chat(address: SocketAddr, redis: SocketAddr) -> Program {
    let binaries = Path::new(env!("CARGO_BIN_EXE_sockjs-echo")).parent().expect("a folder");
    let chat = binaries.join("examples/chat_cluster");
    assert!(chat.exists(), "cargo build --examples comes first");
    let mut command = Command::new(chat);
    command.args([address.to_string(), format!("redis://{redis}")]);
    let program = Program::start(&mut command).expect("it is there");
    program.wait_for_line("Listening");
    program
}

/// A guest.
struct Guest {
    sock: SockJs,
    name: String,
}

impl Guest {
    /// Comes in, and is told a name.
    fn open(address: SocketAddr, transport: Transport, server: &str) -> Self {
        let mut guest = Self {
            sock: SockJs::open_proxied(address, transport, &format!("/chat/{server}/guest{server}")),
            name: String::new(),
        };
        let welcome = guest.hear();
        guest.name = welcome.strip_prefix("you are ").expect("a welcome").to_owned();
        guest
    }

    fn process(&self) -> &str {
        self.name.rsplit(' ').next().expect("a process")
    }

    fn say(&mut self, text: &str) {
        self.sock.send(&[text]);
    }

    /// The next line.
    fn hear(&mut self) -> String {
        match self.sock.next() {
            Event::Message(line) => line,
            event => panic!("{event:?}"),
        }
    }

    fn wait_for(&mut self, wanted: &str) {
        while self.hear() != wanted {}
    }

    /// Everything up to this line that the other one said, in order.
    fn hear_until(&mut self, other: &str, last: &str) -> Vec<String> {
        let prefix = format!("{other}: ");
        let mut heard = Vec::new();
        while heard.last().is_none_or(|line| line != last) {
            heard.extend(self.hear().strip_prefix(&prefix).map(str::to_owned));
        }
        heard
    }
}

/// Guests of two processes: one over a WebSocket, one over a stream.
fn two_guests(address: SocketAddr) -> [Guest; 2] {
    let mut first = Guest::open(address, Transport::WebSocket, "000");
    let mut second = (1..200)
        .map(|server| Guest::open(address, Transport::XhrStreaming, &server.to_string()))
        .find(|guest| guest.process() != first.process())
        .expect("both processes are used");
    call(&mut first, &mut second);
    call(&mut second, &mut first);
    [first, second]
}

/// Calls until the other one has heard: by then its process hears this one's.
fn call(caller: &mut Guest, listener: &mut Guest) {
    let call = format!("{}: are you there?", caller.name);
    let own = format!("{}: not yet", listener.name);
    loop {
        caller.say("are you there?");
        caller.wait_for(&call);
        listener.say("not yet");
        let lines: Vec<String> =
            std::iter::repeat_with(|| listener.hear()).take_while(|line| *line != own).collect();
        if lines.contains(&call) {
            return;
        }
    }
}

fn talk(speaker: &mut Guest, listener: &mut Guest, topic: &str) {
    let lines: Vec<String> = (0..200).map(|number| format!("{topic} {number}")).collect();
    for line in &lines {
        speaker.say(line);
    }
    let heard = listener.hear_until(&speaker.name, lines.last().expect("some"));
    let of_topic: Vec<String> = heard.into_iter().filter(|line| line.starts_with(topic)).collect();
    assert_eq!(of_topic, lines);
}

/// Waits until the processes hear these rooms in Redis, so many of them each, and no others.
fn expect_heard(redis: &mut redis::Connection, rooms: &[(&str, usize)]) {
    let start = Instant::now();
    loop {
        let mut channels = redis::cmd("PUBSUB");
        let mut channels: Vec<String> =
            channels.arg("CHANNELS").arg("chat_cluster:room:*").query(redis).expect("Redis answers");
        channels.sort();
        let mut counts = redis::cmd("PUBSUB");
        let counts: Vec<(String, usize)> =
            counts.arg("NUMSUB").arg(&channels).query(redis).expect("Redis answers");
        let heard = counts
            .iter()
            .map(|(channel, count)| (channel.strip_prefix("chat_cluster:room:").expect("a room"), *count));
        if heard.eq(rooms.iter().copied()) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{counts:?}, not {rooms:?}");
        std::thread::yield_now();
    }
}

/// Lines of a room are heard there, in both processes, and Redis carries the rooms that have guests.
fn change_rooms(guests: &mut [Guest; 2], redis_address: SocketAddr) {
    let client = redis::Client::open(format!("redis://{redis_address}")).expect("a URL");
    let mut redis = client.get_connection().expect("Redis is there");
    expect_heard(&mut redis, &[("lobby", 2)]);
    let [first, second] = guests;
    for guest in [&mut *first, &mut *second] {
        guest.say("/join kitchen");
        let joined = format!("{} joined", guest.name);
        guest.wait_for(&joined);
    }
    expect_heard(&mut redis, &[("kitchen", 2)]);
    talk(first, second, "soup");
    talk(second, first, "bread");
    second.say("/join attic");
    expect_heard(&mut redis, &[("attic", 1), ("kitchen", 1)]);
    let left = format!("{} left", second.name);
    first.wait_for(&left);
    second.say("/join kitchen");
    expect_heard(&mut redis, &[("kitchen", 2)]);
    talk(first, second, "together again");
}

/// The room is told that it is on its own, and goes on.
fn expect_alone(guests: &mut [Guest; 2]) {
    for guest in guests {
        guest.wait_for(LOST);
        guest.say("alone");
        let own = format!("{}: alone", guest.name);
        guest.wait_for(&own);
    }
}

fn expect_back(guests: &mut [Guest; 2], topic: &str) {
    for guest in &mut *guests {
        guest.wait_for(BACK);
    }
    let [first, second] = guests;
    talk(first, second, topic);
    talk(second, first, topic);
}

#[test]
#[ignore = "needs HAProxy, nginx, Redis; .ci/run runs it"]
fn guests_of_two_processes_share_a_room_for_as_long_as_there_is_redis() {
    let [address, one, two, redis_address] = free_addresses();
    let Some(broker) = redis(redis_address) else { return };
    let _processes = [one, two].map(|address| chat(address, redis_address));
    let Some(_proxy) = Proxy::HaProxy.start(address, [one, two]) else { return };
    let mut guests = two_guests(address);
    let [first, second] = &mut guests;
    talk(first, second, "hello");
    talk(second, first, "hello to you");

    change_rooms(&mut guests, redis_address);

    // It stands still: only the beats tell.
    broker.signal("STOP");
    expect_alone(&mut guests);
    broker.signal("CONT");
    expect_back(&mut guests, "awake again");

    drop(broker);
    expect_alone(&mut guests);
    let _broker = redis(redis_address).expect("it was there before");
    expect_back(&mut guests, "here again");
}
