//! The server under load: endpoints that echo, broadcast, publish to a group and more, with the limits
//! that would end a long run lifted.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sockjs_server::{Close, EndpointOptions, Handler, Overflow, Request, Server, Session};

use crate::producers::{NOTICE, Producers};
use crate::secure::Certificate;

/// Serves until the process ends, through TLS if it has a certificate; says on which port when it begins.
pub(crate) fn run(certificate: Option<&Certificate>, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let mut server = Server::new(sockjs_server::ServerOptions::default())?;
    let mut options = EndpointOptions::default();
    // Streams measure messages, not how often a response is opened anew.
    options.response_limit = 1 << 30;
    // Room for 1 MiB as a JSON string, and for the echoes of those that are pipelined.
    options.message_size = 2 << 20;
    options.send_queue = 64 << 20;
    server.mount_with("/echo", options.clone(), Echo)?;
    let broadcast = |times| {
        move |session: &mut Session<'_>, text: &str| {
            for _ in 0..times {
                session.broadcast_others(text);
            }
        }
    };
    let everybody = server.mount_with("/broadcast", options.clone(), broadcast(1))?;
    server.mount_with("/broadcast4", options.clone(), broadcast(4))?;
    let members = server.mount_with("/group", options.clone(), Group)?;
    server.mount_with("/chat", options.clone(), Chat)?;
    let skipping = options.clone().send_queue(1 << 20).overflow(Overflow::Skip);
    server.mount_with("/skip", skipping, broadcast(1))?;
    server.mount_with("/brief", options.clone().disconnect_delay(Duration::from_millis(250)), Echo)?;
    let producers = Producers { handle: server.handle(), everybody, members };
    server.mount_with("/produce", options, producers)?;
    ready(match certificate {
        None => server.listen("127.0.0.1:0")?,
        Some(certificate) => certificate.listen(&mut server)?,
    });
    server.run()
}

/// Tells all when one of them has left.
struct Chat;

impl Handler for Chat {
    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_close(&mut self, session: &mut Session<'_>, _: &Close) {
        session.broadcast(NOTICE);
    }
}

/// Publishes to the sessions that came as members.
struct Group;

impl Handler for Group {
    fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
        if request.query() == Some("member") {
            session.join("group").expect("within limits");
        }
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.publish("group", text);
    }
}

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        // What could not be sent is missed by the client.
        let _ = session.send(text);
    }
}
