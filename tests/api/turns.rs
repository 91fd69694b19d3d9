//! The order in which one turn reads: a short message is not behind the floods of others. The sockets are pairs of Unix
//! sockets, since what is written to one of them can be read at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sockjs_server::{EndpointOptions, Server, ServerOptions, Session};

use crate::support::frames::{handshake, text};
use crate::support::{PATIENCE, turn_until};

/// Messages that one write of a flooding client holds.
const FLOOD: usize = 64;

/// A server that says which texts it hears, in order.
fn server() -> (Server, Receiver<String>) {
    let (heard, texts) = channel();
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let say = move |_: &mut Session<'_>, text: &str| heard.send(text.to_owned()).expect("the test listens");
    server.mount("/say", say).expect("mount");
    (server, texts)
}

/// A raw WebSocket that is open.
fn open(server: &mut Server) -> UnixStream {
    open_at(server, "/say/websocket")
}

fn open_at(server: &mut Server, path: &str) -> UnixStream {
    let (accepted, mut client) = UnixStream::pair().expect("a pair of sockets");
    server.add_connection(accepted, handshake(path, "").into_bytes()).expect("there is room");
    server.turn(None).expect("turn");
    let mut answer = [0; 1024];
    let length = client.read(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 101 "));
    client
}

fn flood(clients: &mut [UnixStream]) {
    for client in clients {
        client.write_all(&text("flood").repeat(FLOOD)).expect("it fits");
    }
}

#[test]
fn a_short_message_is_read_before_floods_and_not_behind_all_of_them() {
    const FLOODS: usize = 10;
    let (mut server, texts) = server();
    let mut floods: Vec<_> = (0..FLOODS).map(|_| open(&mut server)).collect();
    let mut quiet = open(&mut server);
    // What each of them sent last decides.
    flood(&mut floods);
    turn_until(&mut server, |server| server.counters().messages_in == (FLOODS * FLOOD) as u64);
    assert_eq!(texts.try_iter().count(), FLOODS * FLOOD);

    flood(&mut floods);
    quiet.write_all(&text("first")).expect("it fits");
    server.turn(Some(Duration::ZERO)).expect("turn");
    let heard: Vec<_> = texts.try_iter().collect();
    assert_eq!(heard.first().map(String::as_str), Some("first"));
    let read = heard.len() - 1;
    assert!((FLOOD..FLOODS * FLOOD / 2).contains(&read), "{read} messages of floods in one turn");
    assert_eq!(server.next_timeout(), Some(Duration::ZERO), "the rest is for the next one");

    quiet.write_all(&text("second")).expect("it fits");
    server.turn(Some(Duration::ZERO)).expect("turn");
    assert_eq!(
        texts.try_iter().next().as_deref(),
        Some("second"),
        "the rest is behind what has come meanwhile"
    );
    turn_until(&mut server, |server| server.counters().messages_in == (2 * FLOODS * FLOOD + 2) as u64);
}

/// However many short messages come in every turn.
#[test]
fn floods_are_read_beside_short_messages_without_end() {
    let (mut server, texts) = server();
    let mut floods: Vec<_> = (0..6).map(|_| open(&mut server)).collect();
    let mut quiet: Vec<_> = (0..200).map(|_| open(&mut server)).collect();
    flood(&mut floods);
    turn_until(&mut server, |server| server.counters().messages_in == 6 * FLOOD as u64);
    texts.try_iter().for_each(drop);
    flood(&mut floods);
    for _ in 0..3 {
        for client in &mut quiet {
            client.write_all(&text("short")).expect("it fits");
        }
        server.turn(Some(Duration::ZERO)).expect("turn");
        let heard: Vec<_> = texts.try_iter().collect();
        let floods = heard.iter().filter(|text| *text == "flood").count();
        assert_eq!((floods, heard.len()), (2 * FLOOD, 2 * FLOOD + 200), "two of them in each turn");
    }
}

/// A game that calls `turn` once for each frame, and broadcasts before it.
#[test]
fn what_was_sent_before_a_turn_leaves_in_it() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let game = server.mount("/say", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    let mut clients: Vec<_> = (0..400).map(|_| open(&mut server)).collect();
    for frame in 0..10 {
        let state = format!("state {frame}");
        assert_eq!(server.endpoint(game).broadcast(&state), 400);
        server.turn(Some(Duration::ZERO)).expect("turn");
        for client in &mut clients {
            let mut bytes = [0; 20];
            client.set_nonblocking(true).expect("an option");
            let length = client.read(&mut bytes).expect("its state of this frame");
            assert!(bytes[..length].ends_with(state.as_bytes()));
        }
    }
}

/// Waits are judged when all was read that had arrived by then: clients that send without
/// end put that off for a time only.
#[test]
fn waits_end_beside_floods_without_end() {
    let (mut server, _texts) = server();
    let options = EndpointOptions::default().heartbeat_delay(Duration::from_millis(200));
    server.mount_with("/beats", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    let mut floods: Vec<_> = (0..50).map(|_| open(&mut server)).collect();
    let mut quiet = open_at(&mut server, "/beats/000/session/websocket");
    quiet.set_nonblocking(true).expect("an option");
    let (start, mut heard) = (Instant::now(), Vec::new());
    while heard.iter().filter(|byte| **byte == b'h').count() < 3 {
        assert!(start.elapsed() < PATIENCE, "heartbeats have come: {heard:?}");
        for client in &mut floods {
            // As much as fits; some of a message would be garbage with the next.
            client.write_all(&text("flood").repeat(FLOOD)).expect("the last flood was read");
        }
        server.turn(Some(Duration::ZERO)).expect("turn");
        let mut bytes = [0; 100];
        if let Ok(length) = quiet.read(&mut bytes) {
            heard.extend_from_slice(&bytes[..length]);
        }
    }
}

/// Though a client's message was broadcast between the parts of the last flush, and is to leave before it.
#[test]
fn what_was_sent_leaves_behind_a_flush_that_is_left_over() {
    let (sender, to_poke) = channel::<UnixStream>();
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let say = move |session: &mut Session<'_>, text: &str| {
        if text == "go" {
            let mut client = to_poke.try_recv().expect("a client");
            client.write_all(&text_of("spread")).expect("it fits");
        } else {
            session.broadcast("news");
        }
    };
    let game = server.mount("/say", say).expect("mount");
    let path = |number| format!("/say/000/{number}/websocket");
    let mut clients: Vec<_> = (0..400).map(|number| open_at(&mut server, &path(number))).collect();
    sender.send(clients[5].try_clone().expect("a handle")).expect("the handler listens");
    clients[4].write_all(&text_of("go")).expect("it fits");
    for words in ["first", "state"] {
        assert_eq!(server.endpoint(game).broadcast(words), 400);
        server.turn(Some(Duration::ZERO)).expect("turn");
        for client in &mut clients {
            let mut bytes = [0; 4096];
            client.set_nonblocking(true).expect("an option");
            let length = client.read(&mut bytes).expect("its state");
            assert!(String::from_utf8_lossy(&bytes[..length]).contains(words), "{words}");
        }
    }
}

/// A SockJS client's message.
fn text_of(message: &str) -> Vec<u8> {
    text(format!("[\"{message}\"]"))
}
