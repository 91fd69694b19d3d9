//! WebSocket: section 9 of the wire contract whole, with `tungstenite` as an independent client for what is right, and
//! a plain socket for what is wrong.

#[path = "../support/mod.rs"]
mod support;

mod closing;
mod messages;
mod opening;
mod violations;

use std::net::TcpStream;
use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions};
use support::client::Client;
use support::recorder::{Record, recorder};
use support::{PATIENCE, TestServer};
use tungstenite::WebSocket;

const RAW: &str = "/raw/websocket";
const SOCKJS: &str = "/raw/000/session/websocket";

/// A server whose one endpoint tells what it hears.
fn recording(change: impl FnOnce(&mut EndpointOptions)) -> (TestServer, Record) {
    let (handler, record) = recorder();
    let mut options = EndpointOptions::default();
    change(&mut options);
    let mut server_options = ServerOptions::default();
    server_options.close_timeout = Duration::from_millis(100);
    let server = TestServer::start(server_options, |server| {
        server.mount_with("/raw", options, handler).expect("mount");
    });
    (server, record)
}

/// The independent client.
fn tungstenite(server: &TestServer, target: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let url = format!("ws://localhost{target}");
    tungstenite::client(url, stream).expect("a handshake").0
}

fn connect(server: &TestServer, target: &str) -> Client {
    let mut client = Client::connect(server.address);
    client.upgrade(target);
    client
}
