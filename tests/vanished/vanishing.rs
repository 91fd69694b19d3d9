//! How long it takes until a server knows that its clients have vanished: the same for clients that were cut off
//! and for clients that were frozen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sockjs_server::{Close, EndpointOptions, Handler, Server, ServerOptions, Session, Transport};

use crate::SECOND;
use crate::child::{Process, tell};

const HEARTBEAT_DELAY: Duration = Duration::from_millis(500);
const DISCONNECT_DELAY: Duration = SECOND;
const PONG_TIMEOUT: Duration = Duration::from_millis(500);

/// The time that rule 7.13 allows beyond the waits.
const ALLOWANCE: Duration = SECOND;

/// The longest time from the loss of a client to its `on_close` (rule 7.13).
fn bound(transport: Transport) -> Duration {
    match transport {
        Transport::WebSocket | Transport::RawWebSocket => HEARTBEAT_DELAY + PONG_TIMEOUT + ALLOWANCE,
        _ => 2 * HEARTBEAT_DELAY + DISCONNECT_DELAY + ALLOWANCE,
    }
}

/// How long a test listens for `on_close`. The time is longer than every bound, so that a late `on_close` can be told
/// from one that does not come.
const LISTEN: Duration = Duration::from_secs(6);

/// A handler that echoes, and tells the parent of every session that closes.
struct Teller(&'static str);

impl Handler for Teller {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.send(text).expect("there is room");
    }

    fn on_close(&mut self, session: &mut Session<'_>, close: &Close) {
        tell(&format!("closed {} {} {:?}", self.0, session.transport().name(), close.cause));
    }
}

/// The server's process: an endpoint for the clients that will vanish, and one for those that will not.
pub fn serve(address: SocketAddr) {
    let mut server = Server::new(ServerOptions::default()).expect("a server");
    let address = server.listen(address).expect("the address is free");
    let mut options = EndpointOptions::default();
    options.heartbeat_delay = HEARTBEAT_DELAY;
    options.disconnect_delay = DISCONNECT_DELAY;
    options.pong_timeout = PONG_TIMEOUT;
    server.mount_with("/vanishing", options.clone(), Teller("/vanishing")).expect("mount");
    server.mount_with("/staying", options, Teller("/staying")).expect("mount");
    tell(&format!("listening {address}"));
    server.run().expect("run");
}

/// How long after its client vanished each transport's `on_close` came, and with which cause.
pub type Closed = BTreeMap<&'static str, (Duration, String)>;

/// Clients that will vanish, clients that will not, and their server, each in a process of its own. The processes end
/// in this order, because the clients would report the end of the server as a loss.
pub struct Scene {
    pub vanishing: Process,
    staying: Process,
    server: Process,
}

impl Scene {
    /// Starts the processes in the namespaces of the server and of the clients that will vanish. Every client is
    /// connected then, and has exchanged a message.
    pub fn start(namespaces: [Option<&str>; 2], address: &str) -> Self {
        let (server, at) = Process::serve(namespaces[0], "vanishing-server", address);
        let staying = Process::start(namespaces[0], &format!("clients {at} /staying"));
        let vanishing = Process::start(namespaces[1], &format!("clients {at} /vanishing"));
        for clients in [&staying, &vanishing] {
            for _ in Transport::ALL {
                let event = clients.next();
                assert!(event.starts_with("ready "), "{event}");
            }
        }
        let scene = Self { vanishing, staying, server };
        // The clients live on for longer than two heartbeats and a disconnect_delay: the server gives none of
        // them up, and the clients open the next stream when a stream ends.
        scene.expect_all_alive(2 * HEARTBEAT_DELAY + DISCONNECT_DELAY + Duration::from_millis(200));
        scene
    }

    /// Asserts that no client loses its session for so long.
    fn expect_all_alive(&self, time: Duration) {
        let until = Instant::now() + time;
        if let Some((_, event)) = self.server.next_until(until) {
            panic!("a live client was given up: {event}");
        }
        for clients in [&self.staying, &self.vanishing] {
            if let Some((_, event)) = clients.next_until(Instant::now()) {
                panic!("a live client has {event}");
            }
        }
    }

    /// Lets clients vanish, and measures how long after that `on_close` came for each transport.
    pub fn measure(&self, vanish: impl FnOnce()) -> Closed {
        let start = Instant::now();
        vanish();
        let mut closed = BTreeMap::new();
        while closed.len() < Transport::ALL.len()
            && let Some((time, event)) = self.server.next_until(start + LISTEN)
        {
            let words: Vec<&str> = event.split(' ').collect();
            let ["closed", "/vanishing", name, cause] = words[..] else {
                panic!("a client that did not vanish was given up: {event}")
            };
            let transport = Transport::ALL.iter().find(|transport| transport.name() == name);
            let transport = transport.expect("a transport");
            let before = closed.insert(transport.name(), (time - start, cause.to_owned()));
            assert!(before.is_none(), "{name} was closed twice");
        }
        if let Some((_, event)) = self.staying.next_until(Instant::now()) {
            panic!("a client that did not vanish has {event}");
        }
        closed
    }
}

/// Asserts that every transport's `on_close` came within its bound.
pub fn judge(how: &str, closed: &Closed) {
    let mut late = Vec::new();
    for transport in Transport::ALL {
        let (name, bound) = (transport.name(), bound(transport));
        let (took, cause) = match closed.get(name) {
            Some((took, cause)) => (Some(*took), &**cause),
            None => (None, "no on_close"),
        };
        let shown =
            took.map_or_else(|| format!("> {LISTEN:?}"), |took| format!("{:.3} s", took.as_secs_f64()));
        println!("{how}: {name:14} on_close after {shown:>8} ({cause}), allowed are {bound:?}");
        if took.is_none_or(|took| took > bound) {
            late.push(name);
        }
    }
    assert!(late.is_empty(), "{how}: on_close came late or not at all for {late:?}");
}
