//! The end: every client hears of it on its own transport, and nothing hangs.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{
    Cause, Close, Handler, MountError, Preamble, Report, Server, ServerOptions, Session, Transport,
};

use crate::clients::{Frame, Polling, WebSocket};
use crate::descriptors;
use crate::support::client::Client;
use crate::support::{PATIENCE, TestServer};

/// Tells how sessions close.
struct Closes(mpsc::Sender<Close>);

impl Handler for Closes {
    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        // A test that is over does not listen.
        let _ = self.0.send(close.clone());
    }
}

/// An open session of some transport, with a receiver that waits.
enum Open {
    Polling(Polling),
    Jsonp(Client),
    Streaming(Client, Transport),
    Raw(WebSocket),
    SockJs(WebSocket),
}

impl Open {
    fn new(address: SocketAddr, transport: Transport, number: usize) -> Self {
        let path = |name: &str| format!("/all/0/s{number}/{name}");
        let stream = |method: &str, name: &str| {
            let mut client = Client::connect(address);
            assert_eq!(client.request(method, &path(name), "", b"").read_head().status, 200);
            let _prelude = client.chunk().expect("a prelude");
            let frame = client.chunk().expect("the open frame");
            assert!(frame.contains(&b'o'));
            Open::Streaming(client, transport)
        };
        match transport {
            Transport::WebSocket => Open::SockJs(WebSocket::sockjs(address, "/all")),
            Transport::RawWebSocket => Open::Raw(WebSocket::raw(address, "/all")),
            Transport::XhrPolling => {
                let mut polling = Polling::open(address, "/all", &format!("s{number}"));
                polling.begin_poll();
                Open::Polling(polling)
            }
            Transport::JsonpPolling => {
                let mut client = Client::connect(address);
                let answer = client.ask("GET", &path("jsonp?c=f"), "", b"");
                assert_eq!(answer.text(), "/**/f(\"o\");\r\n");
                client.request("GET", &path("jsonp?c=f"), "", b"");
                Open::Jsonp(client)
            }
            Transport::XhrStreaming => stream("POST", "xhr_streaming"),
            Transport::EventSource => stream("GET", "eventsource"),
            Transport::HtmlFile => stream("GET", "htmlfile?c=f"),
            other => panic!("a test of {other:?} is missing"),
        }
    }

    fn expect_goodbye(self) {
        const FRAME: &str = r#"c[1001,"Server shutdown"]"#;
        let goodbye = Frame::Close(1001, "Server shutdown".to_owned());
        match self {
            Open::Polling(mut polling) => assert_eq!(polling.end_poll(), FRAME),
            Open::Jsonp(mut client) => {
                let mut answer = client.read_head();
                client.read_body(&mut answer);
                assert_eq!(answer.text(), "/**/f(\"c[1001,\\\"Server shutdown\\\"]\");\r\n");
            }
            Open::Streaming(mut client, transport) => {
                let expected = match transport {
                    Transport::EventSource => format!("data: {FRAME}\r\n\r\n"),
                    Transport::HtmlFile => {
                        format!("<script>\np(\"{}\");\n</script>\r\n", FRAME.replace('"', "\\\""))
                    }
                    _ => format!("{FRAME}\n"),
                };
                assert_eq!(client.chunk().as_deref(), Some(expected.as_bytes()));
                assert_eq!(client.chunk(), None);
                client.expect_end();
            }
            Open::Raw(mut socket) => {
                assert_eq!(socket.next(), goodbye);
                answer_late(socket);
            }
            Open::SockJs(mut socket) => {
                assert_eq!(socket.next_text(), FRAME);
                assert_eq!(socket.next(), goodbye);
                answer_late(socket);
            }
        }
    }
}

/// The server does not wait long for it, and on a slow machine it may be gone.
fn answer_late(mut socket: WebSocket) {
    let _ = socket.client.stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);
    socket.client.expect_end();
}

/// All that a machine lets us open: a thousand where it can.
fn session_count() -> usize {
    (descriptors() / 4).min(1_000)
}

#[test]
fn a_thousand_sessions_of_all_transports_hear_the_end() {
    let count = session_count();
    let (told, closes) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/all", Closes(told)).expect("mount");
    });
    let transports = Transport::ALL.iter().cycle().take(count);
    let open: Vec<_> =
        transports.enumerate().map(|(number, it)| Open::new(server.address, *it, number)).collect();
    server.wait_for("all to be open", |counters| counters.sessions == count && counters.closed == 0);
    let start = Instant::now();
    server.handle.shutdown();
    open.into_iter().for_each(Open::expect_goodbye);
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
    let mut polling = beside(&mut server, move || Polling::open(address, "/all", "a"));
    server.shutdown(1012, "Service restart");
    assert_eq!(server.report(), None);
    polling.begin_poll();
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert_eq!(polling.end_poll(), r#"c[1012,"Service restart"]"#);
    // It stays stopped, whatever is asked of it.
    server.shutdown(1000, "again");
    server.turn(None).expect("turn");
    server.run().expect("run");
    assert_eq!(server.report(), Some(Report::default()));
    assert_eq!(server.counters().connections, 0);
}

#[test]
fn what_is_left_at_the_end_of_the_grace_is_cut_and_counted() {
    let (mut server, address, closes) = own(Duration::ZERO);
    // Its session waits for a poll that does not come; the other does not answer the close frame.
    let (polling, mut raw) =
        beside(&mut server, move || (Polling::open(address, "/all", "a"), WebSocket::raw(address, "/all")));
    server.shutdown(1001, "at once");
    let report = server.run_until_stopped().expect("run");
    assert_eq!((report.sessions_cut, report.connections_cut), (1, 2));
    assert_eq!(raw.next(), Frame::Close(1001, "at once".to_owned()));
    raw.client.expect_end();
    drop(polling);
    assert_eq!(closes.try_iter().map(|close| close.cause).collect::<Vec<_>>(), [Cause::Shutdown; 2]);
    let counters = server.counters();
    assert_eq!((counters.connections, counters.sessions, counters.timers), (0, 0, 0));
    assert_eq!((counters.opened, counters.closed), (2, 2));
}

/// From the first moment of the shutdown: no new connections, no new sessions; and the port can be bound again at once.
#[test]
fn nothing_new_begins() {
    let (mut server, address, _closes) = own(Duration::from_secs(10));
    let mut polling = beside(&mut server, move || Polling::open(address, "/all", "a"));
    server.shutdown(1001, "Server shutdown");
    assert!(TcpStream::connect(address).is_err(), "it listens no more");
    let again = TcpListener::bind(address).expect("the port is free");
    // Both in one packet, so that the connection is still there for the second.
    polling.client.send(
        "POST /all/0/new/xhr HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /all/0/a/xhr HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert_eq!(polling.client.read_head().status, 503);
    drop(again);
    assert_eq!(server.counters().opened, 1);
}

/// A shutdown with nobody there takes no time; and one that is asked for before the server runs is not lost.
#[test]
fn an_empty_server_stops_at_once() {
    let (mut server, _, _closes) = own(Duration::from_secs(3600));
    server.handle().shutdown();
    let start = Instant::now();
    assert_eq!(server.run_until_stopped().expect("run"), Report::default());
    assert!(start.elapsed() < PATIENCE);
}

/// Without a shutdown nobody is told goodbye; but the program hears of the end of each session, and handles do nothing.
#[test]
fn a_dropped_server_tells_its_handlers() {
    let (mut server, address, closes) = own(Duration::from_secs(10));
    let handle = server.handle();
    let (_polling, mut raw) =
        beside(&mut server, move || (Polling::open(address, "/all", "a"), WebSocket::raw(address, "/all")));
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
    while server.counters().connections == 0 {
        server.turn(Some(PATIENCE)).expect("turn");
    }
    server.shutdown(1001, "bye");
    assert_eq!(server.report(), None, "a connection is left");
    expect_refusals(&mut server);
    drop(connection);
    while server.report().is_none() {
        server.turn(Some(PATIENCE)).expect("turn");
    }
    expect_refusals(&mut server);
}
