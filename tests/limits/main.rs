//! The hostile world: each limit at its value and one beyond it, crowds that only hold on to what they have, sizes that
//! are announced and never come, clients that flood, never read, vanish or fall silent, a process that runs out of
//! descriptors. Whatever one client does, its neighbour goes on (rules 12.4 to 12.6).

#[path = "../support/mod.rs"]
mod support;

mod neighbour;
mod process;

mod announced_sizes;
mod blocking;
mod buffered_bytes;
mod counts;
mod crowds;
mod descriptors;
mod disconnects;
mod downloads;
mod flooding;
mod floods;
mod large_packets;
mod queues;
mod sizes;
mod timeouts;
mod unread;

use std::time::Duration;

use neighbour::Neighbour;
use sockjs_server::{EndpointOptions, ServerOptions};
use support::{TestServer, endpoints};

/// Longer than any test waits: what ends sooner was not ended by its timer.
const NEVER: Duration = Duration::from_secs(600);

/// A request whose answer is small.
const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

/// The test endpoints with these options, and the neighbour's beside them.
fn start(change: impl FnOnce(&mut ServerOptions, &mut EndpointOptions)) -> TestServer {
    let (mut server_options, mut endpoint_options) = (ServerOptions::default(), EndpointOptions::default());
    change(&mut server_options, &mut endpoint_options);
    TestServer::start(server_options, |server| {
        endpoints::mount(server, &endpoint_options).expect("mount");
        neighbour::mount(server);
    })
}
