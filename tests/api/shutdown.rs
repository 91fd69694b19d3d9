//! The end: every client hears of it on its own transport, and nothing hangs.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{
    Cause, Close, Handler, MountError, Preamble, Report, Server, ServerOptions, Session, Transport,
};

use crate::support::client::Client;
use crate::support::descriptors;
use crate::support::frames::close;
use crate::support::sockjs::{Event, SockJs};
use crate::support::websocket::{Frame, WebSocket};
use crate::support::wire::Wire;
use crate::support::{PATIENCE, TestServer, turn_until};

/// Tells how sessions close.
struct Closes(mpsc::Sender<Close>);

impl Handler for Closes {
    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        // A test that is over does not listen.
        let _ = self.0.send(close.clone());
    }
}

/// A session whose receiver waits hears the end, and its connection ends too.
fn expect_goodbye(mut session: SockJs) {
    let goodbye = Event::Closed(1001, "Server shutdown".to_owned());
    assert_eq!(session.next(), goodbye, "{:?}", session.transport);
    if session.transport == Transport::WebSocket {
        assert_eq!(session.receiver.client.expect_close(1001), "Server shutdown");
    }
    if session.transport.is_websocket() {
        // The server does not wait long for the answer, and on a slow machine the connection may be gone.
        session.receiver.client.send_if_wanted(close(1001, ""));
    } else {
        session.receiver.expect_end();
    }
    session.receiver.client.expect_end();
}

/// All that a machine lets us open: a thousand where it can.
fn session_count() -> usize {
    (descriptors() / 4).min(1_000)
}

/// Rule 12.10, and rule 9 (1001), on every transport.
#[test]
fn a_thousand_sessions_of_all_transports_hear_the_end() {
    let count = session_count();
    let (told, closes) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/all", Closes(told)).expect("mount");
    });
    let mut idle = Client::connect(server.address);
    assert_eq!(idle.ask("GET", "/all", "", b"").status, 200);
    let open = |(number, transport): (usize, &Transport)| {
        let mut session = SockJs::open(server.address, *transport, &format!("/all/0/s{number}"));
        session.listen();
        session
    };
    let open: Vec<_> = Transport::ALL.iter().cycle().take(count).enumerate().map(open).collect();
    server.wait_for("all to be open", |counters| counters.sessions == count && counters.closed == 0);
    let start = Instant::now();
    server.handle.shutdown();
    open.into_iter().for_each(expect_goodbye);
    idle.expect_end();
    drop(idle);
    assert_eq!(server.stop(), Report::default(), "nothing was left");
    assert!(start.elapsed() < Duration::from_secs(10), "before the grace was over");
    let expected = (1001, "Server shutdown".to_owned(), Cause::Shutdown);
    let closes: Vec<_> = closes.iter().map(|close| (close.code, close.reason, close.cause)).collect();
    assert_eq!(closes.len(), count);
    assert!(closes.iter().all(|close| *close == expected));
}

/// A server, and the thread of the test turns it.
fn own(grace: Duration) -> (Server, SocketAddr, mpsc::Receiver<Close>) {
    let mut options = ServerOptions::default();
    options.shutdown_grace = grace;
    let mut server = Server::new(options).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    let (told, closes) = mpsc::channel();
    server.mount("/all", Closes(told)).expect("mount");
    (server, address, closes)
}

/// Turns the server while a client does something.
fn beside<T: Send + 'static>(server: &mut Server, client: impl FnOnce() -> T + Send + 'static) -> T {
    let client = thread::spawn(client);
    while !client.is_finished() {
        server.turn(Some(Duration::from_millis(1))).expect("turn");
    }
    client.join().expect("the client")
}

/// The client comes back on its connection, and hears the code and the reason of the program's choice.
#[test]
fn a_client_between_two_polls_hears_it_with_the_next() {
    let (mut server, address, _closes) = own(Duration::from_secs(10));
    let mut polling = beside(&mut server, move || SockJs::polling(address, "/all", "a"));
    server.shutdown(1012, "Service restart");
    assert_eq!(server.report(), None);
    polling.listen();
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert_eq!(polling.frame(), r#"c[1012,"Service restart"]"#);
    // It stays stopped, whatever is asked of it.
    server.shutdown(1000, "again");
    server.turn(None).expect("turn");
    server.run().expect("run");
    assert_eq!(server.report(), Some(Report::default()));
    assert_eq!(server.counters().connections, 0);
}

/// Rule 12.10: clients that do nothing do not hold up the end.
#[test]
fn what_is_left_at_the_end_of_the_grace_is_cut_and_counted() {
    let (mut server, address, closes) = own(Duration::from_millis(50));
    // The first waits for a poll that does not come, the second gets no answer to its close frame, and
    // the third no rest of its request.
    let (polling, mut raw, mut half) = beside(&mut server, move || {
        let mut half = Client::connect(address);
        half.send("POST /all/0/s/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1");
        (SockJs::polling(address, "/all", "a"), WebSocket::raw(address, "/all"), half)
    });
    turn_until(&mut server, |server| server.counters().connections >= 3);
    server.shutdown(1001, "at once");
    let report = server.run_until_stopped().expect("run");
    assert_eq!((report.sessions_cut, report.connections_cut), (1, 3));
    assert_eq!(raw.next(), Frame::Close(1001, "at once".to_owned()));
    raw.client.expect_end();
    half.expect_end();
    drop(polling);
    assert_eq!(closes.try_iter().map(|close| close.cause).collect::<Vec<_>>(), [Cause::Shutdown; 2]);
    let counters = server.counters();
    assert_eq!((counters.connections, counters.sessions, counters.timers), (0, 0, 0));
    assert_eq!((counters.opened, counters.closed), (2, 2));
}

/// Rule 12.10: from the first moment of the shutdown there are no new connections and no new sessions, and the
/// port can be bound again at once.
#[test]
fn nothing_new_begins() {
    let (mut server, address, _closes) = own(Duration::from_secs(10));
    let mut polling = beside(&mut server, move || SockJs::polling(address, "/all", "a"));
    server.shutdown(1001, "Server shutdown");
    assert!(TcpStream::connect(address).is_err(), "it listens no more");
    let again = TcpListener::bind(address).expect("the port is free");
    // Both in one packet, so that the connection is still there for the second.
    polling.receiver.client.send(
        "POST /all/0/new/xhr HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /all/0/a/xhr HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert_eq!(polling.receiver.client.head().status, 503);
    drop(again);
    assert_eq!(server.counters().opened, 1);
}

/// A shutdown without sessions takes no time; and one that is asked for before the server runs is not lost.
#[test]
fn an_empty_server_stops_at_once() {
    let (mut server, _, _closes) = own(Duration::from_secs(3600));
    server.handle().shutdown();
    let start = Instant::now();
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert!(start.elapsed() < PATIENCE);
}

/// Without a shutdown no client is told goodbye; but the program hears of the end of each
/// session, and handles do nothing.
#[test]
fn a_dropped_server_tells_its_handlers() {
    let (mut server, address, closes) = own(Duration::from_secs(10));
    let handle = server.handle();
    let (_polling, mut raw) =
        beside(&mut server, move || (SockJs::polling(address, "/all", "a"), WebSocket::raw(address, "/all")));
    drop(server);
    assert_eq!(closes.iter().count(), 2);
    raw.client.expect_end();
    handle.shutdown();
}

/// What is added once the shutdown has begun would take connections, and serve none.
#[test]
fn a_server_that_ends_takes_no_more_listeners_and_endpoints() {
    let expect_refusals = |server: &mut Server| {
        let own = || TcpListener::bind("127.0.0.1:0").expect("listen");
        let error = server.listen("127.0.0.1:0").expect_err("listen");
        assert!(error.to_string().contains("shutting down"), "{error}");
        let kinds = [
            error.kind(),
            server.listen_with("127.0.0.1:0", Preamble::Proxy).expect_err("listen_with").kind(),
            server.add_listener(own(), Preamble::None).expect_err("add_listener").kind(),
            #[cfg(unix)]
            {
                use std::os::unix::net::UnixListener;
                let path = std::env::temp_dir().join(format!("sockjs-late-{}.sock", std::process::id()));
                let listener = UnixListener::bind(&path).expect("listen");
                std::fs::remove_file(&path).expect("the socket's file");
                server.add_unix_listener(listener, Preamble::None).expect_err("add_unix_listener").kind()
            },
        ];
        assert!(kinds.iter().all(|kind| *kind == ErrorKind::NotConnected), "{kinds:?}");
        let mounted = server.mount("/late", |_: &mut Session<'_>, _: &str| {});
        assert_eq!(mounted, Err(MountError::ShutDown));
        assert_eq!(server.addresses().len(), 1);
    };
    let mut server = Server::bind("127.0.0.1:0").expect("server");
    let connection = Client::connect(server.addresses()[0]);
    turn_until(&mut server, |server| server.counters().connections > 0);
    server.shutdown(1001, "bye");
    assert_eq!(server.report(), None, "a connection is left");
    expect_refusals(&mut server);
    drop(connection);
    turn_until(&mut server, |server| server.report().is_some());
    expect_refusals(&mut server);
}
