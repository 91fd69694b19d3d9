//! Somebody who does nothing wrong: whatever happens beside it, its two sessions go on.

use std::net::SocketAddr;

use sockjs_server::{EndpointOptions, Server, Session};

use crate::NEVER;
use crate::support::client::Client;
use crate::support::frames::text;

/// One session on a WebSocket, one that polls.
pub struct Neighbour {
    address: SocketAddr,
    socket: Client,
    rounds: u32,
}

/// An echo whose sessions wait for as long as a test needs.
pub fn mount(server: &mut Server) {
    let mut options = EndpointOptions::default();
    options.disconnect_delay = NEVER;
    let echo = |session: &mut Session<'_>, text: &str| session.send(text).expect("it reads");
    server.mount_with("/neighbour", options, echo).expect("mount");
}

impl Neighbour {
    pub fn of(address: SocketAddr) -> Self {
        let mut socket = Client::connect(address);
        socket.upgrade("/neighbour/000/socket/websocket").expect_text("o");
        let target = "/neighbour/000/polling/xhr";
        assert_eq!(Client::connect(address).ask("POST", target, "", b"").text(), "o\n");
        let mut neighbour = Self { address, socket, rounds: 0 };
        neighbour.expect_service("at first");
        neighbour
    }

    /// Both sessions, which are as old as the neighbour, carry a message there and back.
    pub fn expect_service(&mut self, beside: &str) {
        let message = self.expect_echo(beside);
        let mut polling = Client::connect(self.address);
        let sent = polling.ask("POST", "/neighbour/000/polling/xhr_send", "", message.as_bytes());
        assert_eq!(sent.status, 204, "beside {beside}");
        let polled = polling.ask("POST", "/neighbour/000/polling/xhr", "", b"");
        assert_eq!(polled.text(), format!("a{message}\n"));
    }

    /// The session on the WebSocket does, where nobody can connect. The message is no other's.
    pub fn expect_echo(&mut self, beside: &str) -> String {
        self.rounds += 1;
        let message = format!("[\"{} beside {beside}\"]", self.rounds);
        self.socket.send(text(&message)).expect_text(format!("a{message}"));
        message
    }
}
