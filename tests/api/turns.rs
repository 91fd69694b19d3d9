//! The order in which one turn reads: a short message is not behind the floods of others. The sockets are pairs of Unix
//! sockets, since what is written to one of them can be read at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sockjs_server::{Server, ServerOptions, Session};

use crate::support::frames::{handshake, text};
use crate::support::turn_until;

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

/// A WebSocket that is open.
fn open(server: &mut Server) -> UnixStream {
    let (accepted, mut client) = UnixStream::pair().expect("a pair of sockets");
    server.add_connection(accepted, handshake("/say/websocket", "").into_bytes()).expect("there is room");
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
    let mut floods: Vec<_> = (0..3).map(|_| open(&mut server)).collect();
    let mut quiet: Vec<_> = (0..200).map(|_| open(&mut server)).collect();
    flood(&mut floods);
    turn_until(&mut server, |server| server.counters().messages_in == 3 * FLOOD as u64);
    texts.try_iter().for_each(drop);
    flood(&mut floods);
    for _ in 0..3 {
        for client in &mut quiet {
            client.write_all(&text("short")).expect("it fits");
        }
        server.turn(Some(Duration::ZERO)).expect("turn");
        let heard: Vec<_> = texts.try_iter().collect();
        let floods = heard.iter().filter(|text| *text == "flood").count();
        assert_eq!((floods, heard.len()), (FLOOD, FLOOD + 200), "one of them in each turn");
    }
}
