//! The end in parts: a server that listens no more, one that takes no new sessions, and sessions that end at once.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{
    Cause, Close, EndpointId, EndpointOptions, Handler, Report, Request, Response, Server, ServerOptions,
    Session, SessionId,
};

use crate::support::client::Client;
use crate::support::frames::handshake;
use crate::support::sockjs::SockJs;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer};

/// Long beside anything that a test does.
const FAR: Duration = Duration::from_secs(3600);

/// One thing that a handler heard.
#[derive(Debug, PartialEq)]
enum Told {
    Opened(SessionId),
    Closed(u16, String, Cause),
}

/// Echoes, tells of opens and closes, and ends sessions when a client says so.
struct Echo(mpsc::Sender<Told>);

impl Handler for Echo {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        // A test that is over does not listen.
        let _ = self.0.send(Told::Opened(session.id()));
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.send(text).expect("room");
        match text {
            "terminate" => session.terminate(),
            "terminate all" => {
                let mut endpoint = session.endpoint();
                for id in endpoint.sessions() {
                    assert!(endpoint.terminate(id));
                    assert!(!endpoint.terminate(id), "it is over");
                }
            }
            _ => {}
        }
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        let _ = self.0.send(Told::Closed(close.code, close.reason.clone(), close.cause));
    }
}

/// Sessions without a receiver expire soon.
fn mount(server: &mut Server) -> (EndpointId, mpsc::Receiver<Told>) {
    let (tell, told) = mpsc::channel();
    let mut options = EndpointOptions::default();
    options.disconnect_delay = Duration::from_millis(300);
    let endpoint = server.mount_with("/echo", options, Echo(tell)).expect("mount");
    server.fallback(|context, _, _| Response::new(if context.refuses_sessions() { 404 } else { 200 }));
    (endpoint, told)
}

fn start() -> (TestServer, mpsc::Receiver<Told>) {
    let mut told = None;
    let server = TestServer::start(ServerOptions::default(), |server| told = Some(mount(server).1));
    (server, told.expect("mounted"))
}

/// A server that the thread of the test turns.
fn own() -> (Server, SocketAddr) {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    mount(&mut server);
    (server, address)
}

/// Waits until the end of a session was told.
fn closed(told: &mpsc::Receiver<Told>) -> (u16, String, Cause) {
    loop {
        match told.recv_timeout(PATIENCE).expect("a close") {
            Told::Opened(_) => {}
            Told::Closed(code, reason, cause) => return (code, reason, cause),
        }
    }
}

#[test]
fn a_server_that_listens_no_more_serves_on() {
    let (server, _told) = start();
    let mut socket = WebSocket::raw(server.address, "/echo");
    let mut polling = SockJs::polling(server.address, "/echo", "a");
    server.handle.stop_listening().expect("room");
    // Behind it in the mailbox.
    server.counters();
    assert!(TcpStream::connect(server.address).is_err(), "it listens no more");
    let next = TcpListener::bind(server.address).expect("the port is free for the next process");
    assert_eq!(socket.send("hello").text(), "hello");
    assert_eq!(polling.send_json(r#"["there"]"#), 204);
    assert_eq!(polling.frame(), r#"a["there"]"#);
    assert_eq!(
        polling.receiver.client.ask("POST", "/echo/0/new/xhr", "", b"").text(),
        "o\n",
        "sessions open"
    );
    drop((next, polling));
    socket.leave();
}

/// Connections that the system has taken in are not lost with the socket in which they wait.
#[test]
fn connections_that_wait_to_be_accepted_are_served() {
    let (mut server, address) = own();
    let mut clients: Vec<_> = (0..100).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.request("GET", "/echo", "", b"");
    }
    server.stop_listening();
    assert_eq!((server.counters().accepted, server.addresses().len()), (100, 0));
    let address = server.listen("127.0.0.1:0").expect("it may listen again");
    clients.push(Client::connect(address));
    clients[100].request("GET", "/echo", "", b"");
    while server.counters().requests < 101 {
        server.turn(Some(PATIENCE)).expect("turn");
    }
    for mut client in clients {
        assert_eq!(client.head().status, 200);
    }
}

#[test]
fn new_sessions_are_refused_and_old_ones_go_on() {
    let (server, _told) = start();
    let mut socket = WebSocket::raw(server.address, "/echo");
    let mut polling = SockJs::polling(server.address, "/echo", "a");
    let health = || Client::connect(server.address).ask("GET", "/health", "", b"").status;
    assert_eq!(health(), 200);
    for _ in 0..2 {
        server.handle.refuse_sessions(true).expect("room");
        let mut other = Client::connect(server.address);
        assert_eq!(other.ask("POST", "/echo/0/b/xhr", "", b"").status, 503);
        assert_eq!(other.ask("POST", "/echo/0/b/xhr_send", "", b"[]").status, 404);
        assert_eq!(other.ask("GET", "/echo/info", "", b"").status, 200);
        for path in ["/echo/websocket", "/echo/0/c/websocket"] {
            let mut client = Client::connect(server.address);
            assert_eq!(client.send(handshake(path, "")).head().status, 503);
        }
        assert_eq!(health(), 404);
        assert_eq!(socket.send("hello").text(), "hello");
        polling.listen();
        let sent = other.ask("POST", "/echo/0/a/xhr_send", "", br#"["from a new connection"]"#);
        assert_eq!(sent.status, 204);
        assert_eq!(polling.frame(), r#"a["from a new connection"]"#);
        server.handle.refuse_sessions(false).expect("room");
        assert_eq!(health(), 200);
    }
    assert_eq!(server.counters().refused.overloaded, 6);
    WebSocket::raw(server.address, "/echo").leave();
}

#[test]
fn a_server_stops_when_the_last_session_has_left() {
    let (mut server, address) = own();
    let handle = server.handle();
    let running = thread::spawn(move || server.run_until_stopped().expect("run"));
    let start = Instant::now();
    let mut polling = SockJs::polling(address, "/echo", "a");
    let mut socket = WebSocket::raw(address, "/echo");
    handle.drain(FAR, 1012, "Service restart").expect("room");
    let mut other = Client::connect(address);
    assert_eq!(other.ask("POST", "/echo/0/b/xhr", "", b"").status, 503);
    for round in ["one", "two"] {
        assert_eq!(socket.send(round).text(), round);
        assert_eq!(polling.send_json(&format!("[\"{round}\"]")), 204);
        assert_eq!(polling.frame(), format!("a[\"{round}\"]"));
    }
    socket.leave();
    assert_eq!(polling.send_json("[\"three\"]"), 204);
    assert_eq!(polling.frame(), "a[\"three\"]");
    // Its session expires: that was the last one.
    drop(polling);
    other.expect_end();
    assert_eq!(running.join().expect("the server did not panic"), Report::default());
    assert!(start.elapsed() < FAR);
    assert!(TcpStream::connect(address).is_err());
}

/// Where it would go on, sessions that had just been admitted would be closed with the others.
#[test]
fn a_server_that_admits_sessions_again_drains_no_more() {
    let (mut server, address) = own();
    let handle = server.handle();
    let running = thread::spawn(move || server.run_until_stopped().expect("run"));
    let mut socket = WebSocket::raw(address, "/echo");
    let patience = Duration::from_millis(50);
    handle.drain(patience, 1012, "Service restart").expect("room");
    handle.refuse_sessions(false).expect("room");
    let start = Instant::now();
    while start.elapsed() < 3 * patience {
        assert_eq!(socket.send("hello").text(), "hello");
    }
    let mut other = WebSocket::raw(address, "/echo");
    assert_eq!(other.send("me too").text(), "me too");
    socket.leave();
    other.leave();
    assert!(!running.is_finished(), "the last session has left");
    // Refused without a drain, sessions leave without an end.
    handle.refuse_sessions(true).expect("room");
    handle.drain(FAR, 1012, "Service restart").expect("room");
    assert_eq!(running.join().expect("the server did not panic"), Report::default());
}

#[test]
fn sessions_that_stay_are_closed_when_patience_is_over() {
    let (server, told) = start();
    let socket = WebSocket::raw(server.address, "/echo");
    server.handle.drain(Duration::from_millis(30), 1012, "Service restart").expect("room");
    socket.expect_close(1012, "Service restart");
    assert_eq!(closed(&told), (1012, "Service restart".to_owned(), Cause::Shutdown));
    assert_eq!(server.stop(), Report::default());
}

/// Nor does it sleep for the whole grace, or for ever.
#[test]
fn a_server_without_sessions_is_drained_at_once() {
    let start = Instant::now();
    for patience in [Duration::ZERO, FAR, Duration::MAX] {
        let (mut server, _) = own();
        assert!(server.is_empty() && !server.refuses_sessions());
        server.drain(patience, 1012, "Service restart");
        assert!(server.refuses_sessions());
        assert_eq!(server.next_timeout(), Some(Duration::ZERO));
        assert_eq!(server.run_until_stopped().expect("run"), Report::default());
        assert_eq!(server.next_timeout(), None);
    }
    let (mut server, _) = own();
    server.shutdown(1001, "bye");
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert!(start.elapsed() < Duration::from_secs(10), "the grace of a shutdown");
}

#[test]
fn a_drain_can_be_cut_short() {
    let (server, told) = start();
    let socket = WebSocket::raw(server.address, "/echo");
    server.handle.drain(FAR, 1012, "Service restart").expect("room");
    server.handle.shutdown_with(4000, "right now");
    // The second shutdown is one too many.
    server.handle.shutdown_with(4001, "twice");
    socket.expect_close(4000, "right now");
    assert_eq!(closed(&told), (4000, "right now".to_owned(), Cause::Shutdown));
}

#[test]
fn a_session_is_terminated_by_its_handler_its_endpoint_and_a_handle() {
    let (server, told) = start();
    for text in ["terminate", "terminate all"] {
        let mut socket = WebSocket::raw(server.address, "/echo");
        socket.send(text);
        // Neither the echo nor a close frame.
        socket.client.expect_end();
        assert_eq!(closed(&told), (1006, "Session terminated".to_owned(), Cause::Terminated));
    }
    let mut socket = WebSocket::sockjs(server.address, "/echo");
    let Told::Opened(id) = told.recv_timeout(PATIENCE).expect("opened") else { panic!("it opens first") };
    server.handle.terminate(id).expect("room");
    server.handle.terminate(id).expect("room");
    socket.client.expect_end();
    assert_eq!(closed(&told), (1006, "Session terminated".to_owned(), Cause::Terminated));

    let mut polling = SockJs::polling(server.address, "/echo", "a");
    let Told::Opened(id) = told.recv_timeout(PATIENCE).expect("opened") else { panic!("it opens first") };
    polling.listen();
    server.wait_for("the poll", |counters| counters.requests == 5);
    server.handle.terminate(id).expect("room");
    polling.receiver.client.expect_end();
    assert_eq!(closed(&told), (1002, "Session terminated".to_owned(), Cause::Terminated));
    let again = Client::connect(server.address).ask("POST", "/echo/000/a/xhr", "", b"");
    assert_eq!(again.text(), "c[1002,\"Session terminated\"]\n");
    drop(socket);
    server.wait_until_empty("all were cut");
    assert!(told.try_recv().is_err(), "each end was told once");
}

/// The queued messages are not waited for, and a client that takes nothing does not hold its slot.
#[test]
fn a_client_that_does_not_read_is_cut() {
    let (server, told) = start();
    let socket = WebSocket::raw(server.address, "/echo");
    let Told::Opened(id) = told.recv_timeout(PATIENCE).expect("opened") else { panic!("it opens first") };
    // More than the buffers of two sockets hold.
    server.wait_for("much to wait", |counters| {
        server.handle.send(id, "x".repeat(64 << 10)).expect("room");
        counters.buffered > 256 << 10
    });
    server.handle.terminate(id).expect("room");
    let counters = server.wait_for("the end", |counters| counters.connections == 0);
    assert_eq!((counters.sessions, counters.buffered), (0, 0));
    assert_eq!(closed(&told).2, Cause::Terminated);
    drop(socket);
}
