//! How many connections one client may have.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use sockjs_server::{Event, Preamble, Response, Server, ServerOptions};

use crate::support::client::Client;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer};

/// A server that allows each client so many connections, and the peers of those beyond, as its observer hears of them.
fn start(
    most: usize,
    change: impl FnOnce(&mut ServerOptions),
    listen: impl FnOnce(&mut Server),
) -> (TestServer, mpsc::Receiver<Option<SocketAddr>>) {
    let mut options = ServerOptions::default();
    options.connections_per_client = Some(most);
    change(&mut options);
    let (tell, told) = mpsc::channel();
    let server = TestServer::start(options, |server| {
        server.mount("/echo", |_: &mut sockjs_server::Session<'_>, _: &str| {}).expect("mount");
        server.fallback(|_, _, _| Response::new(200));
        server.observe(move |event| {
            if let Event::Refused { peer, status: 429 } = event {
                tell.send(*peer).expect("the test listens");
            }
        });
        listen(server);
    });
    (server, told)
}

fn is_served(client: &mut Client) -> bool {
    client.request("GET", "/", "", b"");
    // A connection that was closed with bytes unread is reset.
    client.fill() && client.head().status == 200
}

#[test]
fn a_client_has_so_many_connections() {
    let (server, told) = start(3, |_| {}, |_| {});
    let mut socket = WebSocket::raw(server.address, "/echo");
    let mut inside: Vec<_> = (0..2).map(|_| Client::connect(server.address)).collect();
    assert!(inside.iter_mut().all(is_served));
    for number in 1..=5 {
        let mut beyond = Client::connect(server.address);
        let address = beyond.stream.local_addr().expect("address");
        // Before it has said anything.
        beyond.expect_end();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(Some(address)));
        let counters = server.wait_for("its end", |counters| counters.connections == 3);
        assert_eq!((counters.refused.too_many, counters.refused.total()), (number, number));
        assert_eq!(counters.accepted, 3 + number);
    }
    assert!(inside.iter_mut().all(is_served), "the others go on");
    inside.pop();
    server.wait_for("one to leave", |counters| counters.connections == 2);
    let mut next = Client::connect(server.address);
    assert!(is_served(&mut next), "its place is free");
    Client::connect(server.address).expect_end();
    socket.send("still here");
    server.wait_for("a message", |counters| counters.messages_in == 1);
}

/// In each way in which a connection may end.
#[test]
fn a_place_is_free_when_its_connection_is_gone() {
    let (server, told) = start(1, |_| {}, |_| {});
    for round in 0..200 {
        if round % 5 == 0 {
            WebSocket::raw(server.address, "/echo").leave();
        } else {
            let mut client = Client::connect(server.address);
            match round % 5 {
                1 => assert!(is_served(&mut client)),
                2 => assert_eq!(client.send("GET\r\n\r\n").head().status, 400),
                3 => _ = client.request("POST", "/echo/0/s/xhr_send", "Expect: 100-continue\r\n", b"[]"),
                _ => _ = client.ask("POST", "/echo/0/s/xhr_send", "Connection: close\r\n", b""),
            }
        }
        server.wait_for("it to be gone", |counters| counters.connections == 0);
    }
    assert!(told.try_recv().is_err(), "there was always room");
}

#[test]
fn behind_a_load_balancer_the_client_that_it_names_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let (server, told) = start(
        2,
        |_| {},
        |server| {
            server.add_listener(listener, Preamble::Proxy).expect("listen");
        },
    );
    let connect = |family: &str, client: &str| {
        let mut connection = Client::connect(address);
        let destination = if family == "TCP4" { "10.0.0.1" } else { "::1" };
        connection.send(format!("PROXY {family} {client} {destination} 4711 80\r\n"));
        connection
    };
    // Connections of the balancer's own, and those that have not named a client yet.
    let silent: Vec<_> = (0..5).map(|_| Client::connect(address)).collect();
    let mut own: Vec<_> = (0..5).map(|_| Client::connect(address)).collect();
    assert!(own.iter_mut().all(|client| is_served(client.send("PROXY UNKNOWN\r\n"))));
    let mut kept = Vec::new();
    for (family, clients) in [
        ("TCP4", ["203.0.113.9", "203.0.113.9", "203.0.113.9"]),
        ("TCP4", ["203.0.113.10", "203.0.113.10", "203.0.113.10"]),
        ("TCP6", ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:1::"]),
        ("TCP6", ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1::3"]),
        // The same address as the first, and as the second.
        ("TCP6", ["::ffff:198.51.100.1", "::ffff:198.51.100.1", "::ffff:198.51.100.1"]),
    ] {
        for (number, client) in clients.into_iter().enumerate() {
            let mut connection = connect(family, client);
            if number < 2 {
                assert!(is_served(&mut connection), "{client}");
                kept.push(connection);
            } else {
                connection.expect_end();
                let peer = told.recv_timeout(PATIENCE).expect("a refusal").expect("an address");
                assert_eq!((peer.ip().to_string(), peer.port()), (canonical(client), 4711));
            }
        }
    }
    // The same client, as IPv4.
    connect("TCP4", "198.51.100.1").expect_end();
    drop(kept);
    server.wait_for("them to be gone", |counters| counters.connections == silent.len() + own.len());
    assert!(is_served(&mut connect("TCP4", "203.0.113.9")), "its place is free");
}

fn canonical(address: &str) -> String {
    let address: std::net::IpAddr = address.parse().expect("an address");
    address.to_canonical().to_string()
}

/// Each of their connections carries requests of many clients.
#[test]
fn trusted_proxies_do_not_count() {
    let trust = |options: &mut ServerOptions| {
        options.trusted_proxies.push("127.0.0.0/8".parse().expect("a network"));
    };
    let (server, _told) = start(1, trust, |_| {});
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(server.address)).collect();
    assert!(clients.iter_mut().all(is_served));
}

#[test]
#[cfg(unix)]
fn unix_sockets_do_not_count() {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    let path = std::env::temp_dir().join(format!("sockjs-per-client-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("listen");
    let (_server, _told) = start(
        1,
        |_| {},
        |server| {
            server.add_unix_listener(listener, Preamble::None).expect("listen");
        },
    );
    let clients: Vec<_> = (0..5).map(|_| UnixStream::connect(&path).expect("connect")).collect();
    std::fs::remove_file(&path).expect("the socket's file");
    for mut client in clients {
        client.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("write");
        let mut status = [0; 12];
        client.read_exact(&mut status).expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}
