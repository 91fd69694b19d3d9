//! Clients that do all that a live client does, one for each transport: the clients take every frame, answer pings,
//! poll again, and open the next stream when a stream ends.

use std::net::SocketAddr;

use crate::child::tell;
use crate::support::sockjs::{Event, SockJs};
use crate::support::wire::Transport;

/// The life of a process of clients. Each client tells `ready` when its session is open and has exchanged a message,
/// and `lost` when its session does not live on.
pub fn live(address: SocketAddr, endpoint: &str) {
    std::thread::scope(|scope| {
        for transport in Transport::ALL {
            scope.spawn(move || {
                let name = transport.name();
                let mut session = SockJs::open(address, transport, &format!("{endpoint}/000/{name}"));
                session.send(&["hello"]);
                session.expect("hello");
                tell(&format!("ready {name}"));
                // Heartbeats are no events: the session brings nothing more while it lives.
                let event: Event = session.next();
                tell(&format!("lost {name}: {event:?}"));
            });
        }
    });
}
