//! Connections that the program has accepted itself, and hands in with the bytes that it has read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use sockjs_server::{
    Event, Handle, HandleError, Incoming, Response, Server, ServerOptions, Session, Transport,
};

use crate::support::client::Client;
use crate::support::frames::{handshake, text};
use crate::support::sockjs::SockJs;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer, turn_until};

/// A server with an echo that says from where its connections come.
fn server(options: ServerOptions) -> TestServer {
    TestServer::start(options, mount)
}

fn mount(server: &mut Server) {
    let echo = |session: &mut Session<'_>, text: &str| _ = session.send(text);
    server.mount("/echo", echo).expect("mount");
    server.fallback(|_, request, _| Response::new(200).body(format!("{:?}", request.peer())));
}

/// A connection, from both ends.
fn pair() -> (TcpStream, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let client = Client::connect(listener.local_addr().expect("address"));
    (listener.accept().expect("the client has connected").0, client)
}

/// The program's own server, in as few lines as a small HTTP library has: a thread that accepts, and one for each
/// client, which reads request after request. Those for `/echo` are handed on with all that was read.
struct OwnServer {
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl OwnServer {
    fn start(handle: Handle) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = listener.local_addr().expect("address");
        let accepting = std::thread::spawn(move || {
            let mut clients = Vec::new();
            for client in listener.incoming() {
                let (client, handle) = (client.expect("a client"), handle.clone());
                if clients.len() == 20 {
                    break;
                }
                clients.push(std::thread::spawn(move || serve(client, &handle)));
            }
            clients.into_iter().for_each(|client| client.join().expect("no panic"));
        });
        Self { address, accepting: Some(accepting) }
    }
}

impl Drop for OwnServer {
    /// The accept loop ends with its twentieth client.
    fn drop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        while !accepting.is_finished() {
            let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
        }
        accepting.join().expect("no panic");
    }
}

fn serve(mut client: TcpStream, handle: &Handle) {
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            if read.starts_with(b"GET /own ") {
                client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nown\n").expect("send");
                read.drain(..end + 4);
                continue;
            }
            // The client, its socket and its bytes are the other server's now.
            return handle.add_connection(client, read).expect("it runs");
        }
        let mut buffer = [0; 1000];
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn a_server_of_the_programs_own_hands_on_what_is_for_sockjs() {
    let server = server(ServerOptions::default());
    let own = OwnServer::start(server.handle.clone());
    let mut client = Client::connect(own.address);
    assert_eq!(client.ask("GET", "/own", "", b"").text(), "own\n");
    // On the same connection, with one of its own requests in front in the same packet.
    let both = [client.bytes_of("GET", "/own", "", b""), client.bytes_of("GET", "/echo", "", b"")].concat();
    client.send(both);
    assert_eq!((client.answer().text(), client.answer().text()), ("own\n", "Welcome to SockJS!\n"));
    // From then on all of it is the server's.
    let address = client.stream.local_addr().expect("address");
    assert_eq!(client.ask("GET", "/own", "", b"").text(), format!("Some({address})"));
    for transport in
        [Transport::WebSocket, Transport::XhrStreaming, Transport::XhrPolling, Transport::EventSource]
    {
        let mut session = SockJs::open(own.address, transport, &format!("/echo/000/{transport:?}"));
        for number in 0..20 {
            let message = format!("{transport:?} {number}");
            session.send(&[&message]);
            session.expect(&message);
        }
    }
    drop(client);
}

/// An upgrade, with frames behind it, cut at every byte: some were read by the program, the others come by the socket.
#[test]
fn an_upgrade_comes_with_any_part_of_its_bytes() {
    let server = server(ServerOptions::default());
    let bytes = [handshake("/echo/websocket", "").as_bytes(), &text("one"), &text("two")].concat();
    for cut in 0..=bytes.len() {
        let (accepted, mut client) = pair();
        let (read, left) = bytes.split_at(cut);
        server.handle.add_connection(accepted, read.to_vec()).expect("it runs");
        client.send(left).expect_upgrade();
        client.expect_text("one");
        client.expect_text("two");
        client.send(text("three")).expect_text("three");
    }
    server.wait_until_empty("all of them");
}

/// More than the server's own read takes, and more than its client has read of the echoes.
#[test]
fn many_bytes_may_have_been_read() {
    let server = server(ServerOptions::default());
    let (accepted, mut client) = pair();
    let messages: Vec<_> = (0..300).map(|number| format!("{number:05}").repeat(1000)).collect();
    let mut bytes = handshake("/echo/websocket", "").into_bytes();
    messages.iter().for_each(|message| bytes.extend(text(message)));
    server.handle.add_connection(accepted, bytes).expect("it runs");
    client.expect_upgrade();
    messages.iter().for_each(|message| client.expect_text(message));
    assert_eq!(server.counters().messages_in, 300);
}

/// A program with one thread, whose loop turns the server: the answer leaves in the next turn, which is due at once.
#[test]
fn a_program_that_turns_the_server_adds_connections_between_two_turns() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    mount(&mut server);
    server.turn(Some(Duration::ZERO)).expect("turn");
    let (accepted, mut client) = pair();
    server.add_connection(accepted, client.bytes_of("GET", "/echo", "", b"")).expect("there is room");
    assert_eq!((server.next_timeout(), server.counters().requests), (Some(Duration::ZERO), 1));
    server.turn(None).expect("turn");
    assert_eq!(client.answer().text(), "Welcome to SockJS!\n");
    drop(client);
    turn_until(&mut server, |server| server.counters().connections == 0);
}

#[test]
fn a_connection_with_nothing_read_has_the_time_for_a_head() {
    let server = server(ServerOptions::default().head_timeout(Duration::from_millis(200)));
    for read in [&b""[..], b"G"] {
        let (accepted, mut client) = pair();
        server.handle.add_connection(accepted, read.to_vec()).expect("it runs");
        client.rest();
    }
    assert_eq!(server.counters().refused.too_slow, 1, "a request had begun");
    server.wait_until_empty("both");
}

#[cfg(unix)]
#[test]
fn a_unix_stream_is_a_connection_too() {
    let server = server(ServerOptions::default());
    let (accepted, mut client) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let request = b"GET /unix HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (read, left) = request.split_at(20);
    server.handle.add_connection(accepted, read.to_vec()).expect("it runs");
    client.write_all(left).expect("send");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("\r\n\r\nNone"), "{answer}");
}

/// Statuses that the observer hears, with the client's address.
fn refusals(server: &mut Server) -> mpsc::Receiver<(Option<SocketAddr>, u16)> {
    let (tell, told) = mpsc::channel();
    server.observe(move |event| {
        if let Event::Refused { peer, status } = event {
            tell.send((*peer, *status)).expect("the test listens");
        }
    });
    told
}

#[test]
fn one_more_than_the_server_takes_is_closed_and_told_of() {
    let mut told = None;
    let server = TestServer::start(ServerOptions::default().connections(1), |server| {
        mount(server);
        told = Some(refusals(server));
    });
    let told = told.expect("it was made");
    let (accepted, mut first) = pair();
    server.handle.add_connection(accepted, first.bytes_of("GET", "/echo", "", b"")).expect("it runs");
    first.answer().expect(200);
    let (accepted, mut second) = pair();
    let address = second.stream.local_addr().ok();
    server.handle.add_connection(accepted, second.bytes_of("GET", "/echo", "", b"")).expect("it runs");
    second.expect_end();
    assert_eq!(told.recv_timeout(PATIENCE), Ok((address, 503)));
    let counters = server.counters();
    assert_eq!((counters.refused.overloaded, counters.accepted), (1, 1));
    // With a place there is room again.
    drop(first);
    server.wait_for("the end of the first", |counters| counters.connections == 0);
    let (accepted, mut third) = pair();
    server.handle.add_connection(accepted, third.bytes_of("GET", "/echo", "", b"")).expect("it runs");
    third.answer().expect(200);
}

#[test]
fn the_owner_of_the_server_is_told_by_an_error() {
    let mut server = Server::new(ServerOptions::default().connections(1)).expect("server");
    let told = refusals(&mut server);
    let (accepted, _first) = pair();
    server.add_connection(accepted, Vec::new()).expect("there is room");
    let (accepted, mut second) = pair();
    let error = server.add_connection(accepted, Vec::new()).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
    second.expect_end();
    server.turn(Some(Duration::ZERO)).expect("turn");
    assert_eq!(told.try_recv(), Ok((second.stream.local_addr().ok(), 503)));
    server.shutdown(1001, "Over");
    let (accepted, mut third) = pair();
    let error = server.add_connection(accepted, Vec::new()).expect_err("it stops");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    third.expect_end();
}

/// By the address of the socket, or by the one that the program knows better.
#[test]
fn connections_count_for_their_client() {
    let mut told = None;
    let server = TestServer::start(ServerOptions::default().connections_per_client(1), |server| {
        mount(server);
        told = Some(refusals(server));
    });
    let told = told.expect("it was made");
    let add = |connection: Incoming, client: &Client| {
        let bytes = client.bytes_of("GET", "/", "", b"");
        server.handle.add_connection(connection, bytes).expect("it runs");
    };
    let (accepted, mut first) = pair();
    add(accepted.into(), &first);
    first.answer().expect(200);
    let (accepted, mut second) = pair();
    add(accepted.into(), &second);
    second.expect_end();
    assert_eq!(told.recv_timeout(PATIENCE), Ok((second.stream.local_addr().ok(), 429)));
    assert_eq!(server.counters().refused.too_many, 1);
    let behind: SocketAddr = "[2001:db8::1]:4711".parse().expect("an address");
    let (accepted, mut third) = pair();
    add(Incoming::from(accepted).peer(behind), &third);
    assert_eq!(third.answer().text(), format!("Some({behind})"));
}

#[test]
fn a_handle_takes_no_more_than_the_mailbox_has_room_for() {
    let mut server = Server::new(ServerOptions::default().mailbox_bytes(10_000)).expect("server");
    let handle = server.handle();
    let (accepted, mut client) = pair();
    assert_eq!(handle.add_connection(accepted, vec![b' '; 10_000]), Err(HandleError::TooLarge));
    client.expect_end();
    let (accepted, _first) = pair();
    handle.add_connection(accepted, vec![b'x'; 6_000]).expect("there is room");
    assert!(handle.pending().bytes > 6_000, "{:?}", handle.pending());
    let (accepted, mut client) = pair();
    assert_eq!(handle.add_connection(accepted, vec![b' '; 6_000]), Err(HandleError::Busy));
    client.expect_end();
    server.turn(Some(Duration::ZERO)).expect("turn");
    assert_eq!((handle.pending().bytes, server.counters().accepted), (0, 1));
    drop(server);
    let (accepted, mut client) = pair();
    assert_eq!(handle.add_connection(accepted, Vec::new()), Err(HandleError::Gone));
    client.expect_end();
}

/// Connections that the server has not taken in are closed with it.
#[test]
fn a_connection_in_the_mailbox_ends_with_the_server() {
    let server = Server::new(ServerOptions::default()).expect("server");
    let (accepted, mut client) = pair();
    server.handle().add_connection(accepted, Vec::new()).expect("there is room");
    drop(server);
    client.expect_end();
}

#[test]
fn a_client_that_has_gone_already_leaves_nothing() {
    let server = server(ServerOptions::default());
    let (accepted, client) = pair();
    drop(client);
    let request = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    server.handle.add_connection(accepted, request).expect("it runs");
    server.wait_for("the request", |counters| counters.requests == 1);
    let (accepted, mut socket) = pair();
    server.handle.add_connection(accepted, Vec::new()).expect("it runs");
    socket.send(handshake("/echo/websocket", ""));
    let answer = socket.expect_upgrade();
    drop(WebSocket { client: socket, answer });
    server.wait_until_empty("clients that had gone");
}
