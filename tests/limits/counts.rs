//! How many there may be: the last one is served, the next one has its answer, and those
//! who are there go on (rule 12.4).

use crate::support::client::Client;
use crate::support::frames::HANDSHAKE;
use crate::support::sockjs::SockJs;
use crate::support::wire::{Transport, Wire};
use crate::{Neighbour, start};

/// Beyond `sessions`, while each of them has its receiver: 503, whatever transport would have opened one.
#[test]
fn an_endpoint_has_so_many_sessions() {
    let server = start(|_, endpoint| endpoint.sessions = Transport::ALL.len());
    let mut neighbour = Neighbour::of(server.address);
    let sessions = Transport::ALL
        .map(|transport| SockJs::open(server.address, transport, &format!("/echo/000/{}", transport.name())));
    let sessions = sessions.map(|mut session| {
        session.listen();
        session
    });
    for transport in Transport::ALL {
        let mut client = Client::connect(server.address);
        let target = match transport {
            Transport::RawWebSocket => "/echo/websocket".to_owned(),
            _ => format!("/echo/000/beyond{}", transport.path()),
        };
        let headers = if transport.is_websocket() { HANDSHAKE } else { "" };
        let answer = client.ask(transport.method(), &target, headers, b"");
        assert_eq!(answer.status, 503, "{transport:?}");
        neighbour.expect_service("sessions beyond the limit");
    }
    // A send request asks for no room; another endpoint has room of its own, and this one when a session has ended.
    let mut client = Client::connect(server.address);
    let unknown = client.ask("POST", "/echo/000/beyond/xhr_send", "", b"[]");
    assert_eq!((unknown.status, unknown.text()), (404, "Unknown session."));
    assert_eq!(client.ask("POST", "/broadcast/000/a/xhr", "", b"").status, 200);
    let [websocket, _others @ ..] = sessions;
    drop(websocket);
    server.wait_for("room", |counters| counters.closed == 1);
    assert_eq!(client.ask("POST", "/echo/000/beyond/xhr", "", b"").status, 200);
}

/// Beyond `connections` accepting pauses: who is there does not notice, and who comes is served when one leaves.
#[test]
fn a_server_has_so_many_connections() {
    let server = start(|server, _| server.connections = 10);
    let mut neighbour = Neighbour::of(server.address);
    // The neighbour holds one.
    server.wait_for("its other ones to be gone", |counters| counters.connections == 1);
    let mut inside: Vec<_> = (0..9).map(|_| Client::connect(server.address)).collect();
    for client in &mut inside {
        assert_eq!(client.ask("GET", "/echo", "", b"").status, 200);
    }
    let mut beyond: Vec<_> = (0..20).map(|_| Client::connect(server.address)).collect();
    for client in &mut beyond {
        client.request("GET", "/echo", "", b"");
    }
    neighbour.expect_echo("clients that wait outside");
    let accepted = server.counters().accepted;
    assert_eq!(server.counters().connections, 10);
    assert!(beyond.iter().all(Client::is_quiet));
    assert_eq!(server.counters().accepted, accepted);
    drop(inside);
    for mut client in beyond {
        assert_eq!(client.head().status, 200);
    }
    neighbour.expect_service("clients that waited outside");
}
