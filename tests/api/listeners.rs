//! Listening sockets (rule 12.15): one that fails stops no other and is told of, one that cannot listen is
//! refused, and each has its share of the connections.

#![cfg(unix)]

use std::io::ErrorKind;
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use sockjs_server::{Event, Preamble, Server, ServerOptions, Session};

use crate::support::client::Client;
use crate::support::{PATIENCE, TestServer};

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listen")
}

/// Shuts a listening socket down, as a process that shares it can.
fn shut(listener: &TcpListener) {
    let shared = TcpStream::from(OwnedFd::from(listener.try_clone().expect("a second descriptor")));
    shared.shutdown(Shutdown::Both).expect("shutdown");
}

#[test]
fn a_listener_that_is_dead_stops_no_other_and_is_told_of() {
    let (first, second) = (listener(), listener());
    let (dead, alive) = (first.local_addr().expect("bound"), second.local_addr().expect("bound"));
    let sharer = first.try_clone().expect("a second descriptor");
    let (sender, failures) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.add_listener(first, Preamble::None).expect("it listens");
        server.add_listener(second, Preamble::None).expect("it listens");
        server.observe(move |event| {
            if let Event::ListenerFailed { address, is_final, .. } = event {
                sender.send((*address, *is_final)).expect("the test listens");
            }
        });
    });
    assert_eq!(Client::connect(dead).ask("GET", "/", "", b"").status, 404);
    shut(&sharer);
    assert_eq!(failures.recv_timeout(PATIENCE), Ok((Some(dead), true)));
    for _ in 0..3 {
        assert_eq!(Client::connect(alive).ask("GET", "/", "", b"").status, 404);
    }
    drop(server);
    assert_eq!(failures.try_iter().count(), 0, "it is told of once");
}

#[test]
fn a_socket_that_does_not_listen_is_refused() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let shut_down = listener();
    shut(&shut_down);
    let open = listener();
    let connected = TcpStream::connect(open.local_addr().expect("bound")).expect("connect");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("bind");
    for (what, socket) in [
        ("shut down", shut_down),
        ("connected", OwnedFd::from(connected).into()),
        ("datagrams", OwnedFd::from(datagrams).into()),
    ] {
        let error = server.add_listener(socket, Preamble::None).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
    }
    let (one, _other) = UnixStream::pair().expect("a pair");
    let datagrams = UnixDatagram::unbound().expect("a socket");
    let (pipe, _writer) = std::io::pipe().expect("a pipe");
    for (what, socket) in [
        ("connected", OwnedFd::from(one)),
        ("datagrams", datagrams.into()),
        ("no socket", pipe.into()),
        ("of TCP", listener().into()),
    ] {
        let error = server.add_unix_listener(UnixListener::from(socket), Preamble::None).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
    }
}

/// The connection by which the server sees that a socket listens is a client's, and it is served.
#[test]
fn a_client_that_came_before_the_server_is_served() {
    let listener = listener();
    let mut early = Client::connect(listener.local_addr().expect("bound"));
    early.request("GET", "/", "", b"");
    let _server = TestServer::start(ServerOptions::default(), |server| {
        server.add_listener(listener, Preamble::None).expect("it listens");
    });
    assert_eq!(early.head().status, 404);
}

#[test]
fn at_the_limit_of_connections_each_listener_has_its_share() {
    let mut options = ServerOptions::default();
    options.connections = 2;
    let mut server = Server::new(options).expect("server");
    let addresses = [(); 2].map(|()| server.listen("127.0.0.1:0").expect("listen"));
    // All of them wait in the backlogs, the first listener's first; each leaves as soon as it is answered.
    let mut waiting: Vec<_> = addresses.iter().flat_map(|address| [*address; 10]).collect();
    let mut clients: Vec<_> = waiting
        .drain(..)
        .map(|address| {
            let mut client = Client::connect(address);
            client.request("GET", "/", "Connection: close\r\n", b"");
            (client, address)
        })
        .collect();
    let mut served = Vec::new();
    while served.len() < 12 {
        server.turn(Some(Duration::from_millis(10))).expect("turn");
        clients.retain(|(client, address)| {
            let is_answered = !client.is_quiet();
            if is_answered {
                served.push(*address);
            }
            !is_answered
        });
    }
    let firsts = served.iter().filter(|address| **address == addresses[0]).count();
    assert!((5..=7).contains(&firsts), "{firsts} of {} are of the first listener", served.len());
}

fn echoing() -> TestServer {
    TestServer::start(ServerOptions::default(), |server| {
        server
            .mount("/echo", |session: &mut Session<'_>, text: &str| {
                session.send(text).expect("the client reads");
            })
            .expect("mount");
    })
}

/// A read stops in front of an urgent byte, and leaves what follows without another event.
#[test]
fn bytes_behind_an_urgent_one_are_read() {
    let server = echoing();
    for cut in [0, 1, 10] {
        let mut client = Client::connect(server.address);
        let request = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
        // The urgent byte itself is none of the stream (RFC 6093 §2): the request is whole without it.
        client.send(&request[..cut]);
        rustix::net::send(&client.stream, b"!", SendFlags::OOB).expect("send");
        client.send(&request[cut..]);
        assert_eq!(client.head().status, 200, "cut at {cut}");
    }
}

/// The same where a client of a Unix socket hands descriptors over.
#[test]
fn bytes_behind_a_descriptor_are_read() {
    let path = std::env::temp_dir().join(format!("sockjs-server-rights-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("bind");
    let _server = TestServer::start(ServerOptions::default(), |server| {
        server.add_unix_listener(listener, Preamble::None).expect("it listens");
    });
    let mut client = UnixStream::connect(&path).expect("connect");
    std::fs::remove_file(&path).expect("remove");
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let parts: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n"];
    for part in parts {
        let descriptors = [std::os::fd::AsFd::as_fd(&client)];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let slices = [std::io::IoSlice::new(part)];
        rustix::net::sendmsg(&client, &slices, &mut ancillary, SendFlags::empty()).expect("send");
    }
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut client, &mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 404");
}
