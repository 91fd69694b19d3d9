//! HTTP/1.1 through a plain socket: every rule of section 10 of the wire contract, and those of section 12 that
//! concern HTTP. Whatever two parsers could read differently must be refused, and nothing behind it be read.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bodies;
mod connections;
mod late_requests;
mod refusals;

use sockjs_server::{EndpointOptions, ServerOptions};
use support::client::Client;
use support::{TestServer, endpoints};

const GREETING: &str = "Welcome to SockJS!\n";

/// The last request of a connection.
const LAST: &str = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn with_options(change: impl FnOnce(&mut ServerOptions)) -> TestServer {
    let mut options = ServerOptions::default();
    change(&mut options);
    TestServer::start(options, |server| {
        endpoints::mount(server, &EndpointOptions::default()).expect("mount");
    })
}

/// Everything that comes back for these bytes until the server ends the connection.
fn conversation(server: &TestServer, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(server.address);
    client.send(bytes);
    without_date(client.rest())
}

/// The one thing that differs between two equal answers.
fn without_date(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).expect("text");
    text.split_inclusive('\n').filter(|line| !line.starts_with("Date: ")).collect()
}

fn statuses(conversation: &str) -> Vec<&str> {
    conversation.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}
