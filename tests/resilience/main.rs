//! Clients that vanish, flood, stall or stay silent: what they held is given back, and the others go on (section 12,
//! rules 2, 5 and 6). And the end of the server itself (rule 10).

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod flooding;
mod leaving;
mod stalling;
mod stopping;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions};
use support::client::Client;
use support::{TestServer, endpoints};

/// Longer than any test waits: what ends sooner was not ended by its timer.
const NEVER: Duration = Duration::from_secs(600);

fn start(change: impl FnOnce(&mut ServerOptions, &mut EndpointOptions)) -> TestServer {
    let (mut server_options, mut endpoint_options) = (ServerOptions::default(), EndpointOptions::default());
    change(&mut server_options, &mut endpoint_options);
    TestServer::start(server_options, |server| endpoints::mount(server, &endpoint_options).expect("mount"))
}

/// A request whose answer is small.
const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends units, numbered from 0, without reading, until the server takes no more. How many were begun, and what is
/// left to send of the last one.
fn flood(server: &TestServer, client: &mut Client, unit: impl Fn(usize) -> Vec<u8>) -> (usize, Vec<u8>) {
    /// Far beyond what the buffers of two sockets hold.
    const BEYOND: u64 = 256 << 20;
    let start = server.counters().bytes_in;
    let mut begun = 0;
    let mut rest = Vec::new();
    let mut idle = 0;
    client.stream.set_nonblocking(true).expect("nonblocking");
    // Full for good: the server has read nothing over many of its turns.
    while idle < 200 {
        let before = server.counters().bytes_in;
        assert!(before - start < BEYOND, "the server reads on and on");
        loop {
            if rest.is_empty() {
                rest = unit(begun);
                begun += 1;
            }
            match client.stream.write(&rest) {
                Ok(count) => drop(rest.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Cut for it: there is nobody left to be slow.
                Err(_) => break,
            }
        }
        idle = if server.counters().bytes_in == before { idle + 1 } else { 0 };
    }
    client.stream.set_nonblocking(false).expect("blocking");
    (begun, rest)
}
