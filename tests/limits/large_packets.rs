//! One packet may cause much: thousands of messages, and each of them may be for thousands. The others do not
//! wait for all of it (rule 12.5).

use std::sync::mpsc;

use sockjs_server::{Server, ServerOptions, Session};

use crate::support::client::Client;
use crate::support::frames::{handshake, text};
use crate::support::{PATIENCE, turn_until};

/// Messages that come at once.
const MESSAGES: usize = 5000;

/// Each of them is for so many.
const AUDIENCE: usize = 50;

/// Ways to send them.
fn floods() -> [(&'static str, Vec<u8>); 3] {
    let empty = vec!["\"\""; MESSAGES].join(",");
    let payload = format!("[{empty}]");
    let head = "POST /broadcast/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length";
    [
        ("one request", format!("{head}: {}\r\n\r\n{payload}", payload.len()).into_bytes()),
        ("one frame", text(&payload)),
        ("many frames", text("[\"\"]").repeat(MESSAGES)),
    ]
}

#[test]
fn a_neighbour_is_heard_while_a_flood_is_dealt_with() {
    for (what, flood) in floods() {
        let mut server = Server::new(ServerOptions::default()).expect("server");
        let address = server.listen("127.0.0.1:0").expect("listen");
        let (hears, heard) = mpsc::channel();
        let broadcast = |session: &mut Session<'_>, text: &str| {
            session.broadcast(text);
        };
        server.mount("/broadcast", broadcast).expect("mount");
        let neighbour = move |_: &mut Session<'_>, text: &str| hears.send(text.to_owned()).expect("a test");
        server.mount("/neighbour", neighbour).expect("mount");
        let open = |server: &mut Server, target: &str| {
            let before = server.counters().opened;
            let mut client = Client::connect(address);
            client.send(handshake(target, ""));
            turn_until(server, |server| server.counters().opened > before);
            client
        };
        let mut neighbour = open(&mut server, "/neighbour/websocket");
        let audience: Vec<_> = (0..AUDIENCE).map(|_| open(&mut server, "/broadcast/websocket")).collect();
        let mut client = match what {
            "one request" => {
                let mut opener = Client::connect(address);
                opener.request("POST", "/broadcast/000/s/xhr", "", b"");
                turn_until(&mut server, |server| server.counters().opened as usize == AUDIENCE + 2);
                opener
            }
            _ => open(&mut server, "/broadcast/000/s/websocket"),
        };

        client.send(&flood);
        turn_until(&mut server, |server| server.counters().messages_in > 0);
        neighbour.send(text("here"));
        while heard.try_recv().is_err() {
            server.turn(Some(PATIENCE)).expect("turn");
        }
        let before = server.counters().messages_in as usize;
        assert!(before < MESSAGES / 2, "{what}: {before} messages came before the neighbour's");
        turn_until(&mut server, |server| server.counters().messages_in as usize == MESSAGES + 1);
        drop(audience);
    }
}
