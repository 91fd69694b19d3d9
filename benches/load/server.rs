//! The server under load: endpoints that echo, broadcast and publish to a group, with the limits that would end a long run
//! lifted.

use std::io;
use std::net::SocketAddr;

use sockjs_server::{EndpointOptions, Handler, Request, Server, Session};

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
    for (prefix, times) in [("/broadcast", 1), ("/broadcast4", 4)] {
        server.mount_with(prefix, options.clone(), move |session: &mut Session<'_>, text: &str| {
            for _ in 0..times {
                session.broadcast_others(text);
            }
        })?;
    }
    server.mount_with("/group", options, Group)?;
    ready(match certificate {
        None => server.listen("127.0.0.1:0")?,
        Some(certificate) => certificate.listen(&mut server)?,
    });
    server.run()
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
