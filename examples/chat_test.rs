//! Shows a test of handlers, those of the example `chat`, without sockets and without sleeping: clients of two
//! transports, and one that vanishes.
//!
//! To see it: `cargo run --example chat_test`, which says that the chat works. In a program
//! of your own it is a `#[test]`.

#[path = "chat/handler.rs"]
mod handler;

use std::time::Duration;

use handler::Chat;
use sockjs_server::simulation::Simulation;
use sockjs_server::{ServerOptions, Transport};

fn guests_hear_each_other() -> Result<(), Box<dyn std::error::Error>> {
    let mut chat = Simulation::new(ServerOptions::default())?;
    chat.mount("/chat", Chat::default())?;
    let first = chat.connect(Transport::WebSocket, "/chat");
    let second = chat.connect(Transport::XhrPolling, "/chat");
    chat.client(second).send("hello");
    let heard = ["you are guest 1, 1 here", "guest 2 joined", "guest 2: hello"];
    assert_eq!(chat.client(first).messages(), heard);
    chat.client(second).freeze(0);
    chat.advance(Duration::from_secs(60));
    assert_eq!(chat.client(first).messages(), ["guest 2 left"]);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    guests_hear_each_other()?;
    println!("The chat works.");
    Ok(())
}
