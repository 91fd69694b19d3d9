//! The server in other people's loops, and on other people's sockets.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{Handler, Preamble, Server, ServerOptions, Session};

use crate::support::client::Client;
use crate::support::sockjs::SockJs;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, TestServer, turn_until};

/// Sends back what it gets, of either kind.
struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.send(text).expect("it has room");
    }

    fn on_binary(&mut self, session: &mut Session<'_>, bytes: &[u8]) {
        session.send_binary(bytes).expect("it has room");
    }
}

#[test]
fn a_turn_takes_no_longer_than_it_may() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    server.listen("127.0.0.1:0").expect("listen");
    let nap = Duration::from_millis(20);
    let start = Instant::now();
    server.turn(Some(nap)).expect("turn");
    server.turn(Some(nap)).expect("turn");
    assert!(start.elapsed() >= nap, "it came back at once");
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(server.report(), None);
}

/// A program that was away for longer than a timer had left is not held up by the next turn.
#[test]
fn a_turn_behind_a_pause_does_not_sleep_for_what_is_due() {
    const DELAY: Duration = Duration::from_secs(1);
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let echo = server.mount("/echo", Echo).expect("mount");
    server.endpoint(echo).set_timer(0, DELAY);
    server.turn(Some(Duration::ZERO)).expect("turn");
    thread::sleep(DELAY * 5 / 4);
    assert_eq!(server.next_timeout(), Some(Duration::ZERO));
    let start = Instant::now();
    server.turn(None).expect("turn");
    assert!(start.elapsed() < DELAY, "it slept for {:?}", start.elapsed());
}

/// A loop that owns the server sends without a detour, and is told to turn at once.
#[test]
fn the_owner_of_the_loop_sends_to_an_endpoint() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let address = server.listen("127.0.0.1:0").expect("listen");
    assert_eq!(server.addresses(), [address]);
    let endpoint = server.mount("/echo", Echo).expect("mount");
    let client = thread::spawn(move || WebSocket::raw(address, "/echo").text());
    while server.endpoint(endpoint).session_count() == 0 {
        server.turn(Some(PATIENCE)).expect("turn");
    }
    assert_ne!(server.next_timeout(), Some(Duration::ZERO));
    assert_eq!(server.endpoint(endpoint).broadcast("from outside"), 1);
    assert_eq!(server.next_timeout(), Some(Duration::ZERO));
    server.turn(None).expect("turn");
    assert_eq!(client.join().expect("client"), "from outside");
}

#[cfg(unix)]
mod foreign {
    use std::os::fd::AsRawFd;
    use std::sync::{Arc, mpsc};

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token, Waker};
    use sockjs_server::{Context, EndpointOptions};

    use super::*;
    use crate::support::descriptors;

    const SERVER: Token = Token(0);
    const OTHER: Token = Token(1);

    /// A loop of somebody else's: it knows of the server its descriptor and `next_timeout`, and has an event of its
    /// own.
    struct Loop {
        poll: Poll,
        events: Events,
        server: Server,
        /// Kept, for a wake goes with its waker.
        waker: Arc<Waker>,
    }

    impl Loop {
        fn new(options: EndpointOptions) -> (Self, SocketAddr) {
            let mut server = Server::new(ServerOptions::default()).expect("server");
            let address = server.listen("127.0.0.1:0").expect("listen");
            server.mount_with("/echo", options, Echo).expect("mount");
            let poll = Poll::new().expect("poll");
            let descriptor = server.as_raw_fd();
            poll.registry()
                .register(&mut SourceFd(&descriptor), SERVER, Interest::READABLE)
                .expect("register");
            let waker = Arc::new(Waker::new(poll.registry(), OTHER).expect("waker"));
            (Self { poll, events: Events::with_capacity(8), server, waker }, address)
        }

        /// Sleeps once as long as it may, and gives the server its turn. `true`: its own event has come.
        fn turn(&mut self) -> bool {
            let timeout = self.server.next_timeout().map_or(PATIENCE, |timeout| timeout.min(PATIENCE));
            self.poll.poll(&mut self.events, Some(timeout)).expect("poll");
            assert!(
                !self.events.is_empty() || timeout < PATIENCE,
                "nothing says that it goes on: {:?}",
                self.server
            );
            self.server.turn(Some(Duration::ZERO)).expect("turn");
            self.events.iter().any(|event| event.token() == OTHER)
        }

        /// Runs beside a client, until the client is done.
        fn run<T: Send + 'static>(&mut self, client: impl FnOnce() -> T + Send + 'static) -> T {
            let waker = Arc::clone(&self.waker);
            let client = thread::spawn(move || {
                let outcome = client();
                waker.wake().expect("wake");
                outcome
            });
            while !self.turn() {}
            client.join().expect("the client")
        }
    }

    /// 6 MiB each way, more than all buffers of the system hold, by nothing but the outer poll and `next_timeout`.
    #[test]
    fn large_messages_make_progress() {
        const SIZE: usize = 6 << 20;
        let mut options = EndpointOptions::default();
        options.message_size = 8 << 20;
        options.send_queue = 16 << 20;
        let (mut outer, address) = Loop::new(options);
        outer.run(move || {
            let bytes: Vec<u8> = (0..SIZE).map(|number| (number / 251) as u8).collect();
            let mut socket = WebSocket::raw(address, "/echo");
            assert!(socket.send_binary(&bytes).next() == Frame::Binary(bytes), "other bytes came back");
            socket.leave();
        });
        outer.run(move || {
            let text = "0123456789abcdef".repeat(SIZE / 16);
            let mut polling = SockJs::polling(address, "/echo", "a");
            assert_eq!(polling.send_json(&format!("[\"{text}\"]")), 204);
            assert!(polling.frame() == format!("a[\"{text}\"]"), "another text came back");
        });
        // Many at once, which the client reads only when all are sent.
        outer.run(move || {
            let kilobytes = "x".repeat(4 << 10);
            let mut socket = WebSocket::raw(address, "/echo");
            (0..1_536).for_each(|_| _ = socket.send(&kilobytes));
            (0..1_536).for_each(|_| assert!(socket.text() == kilobytes));
            socket.leave();
        });

        // All is quiet again: nothing to read, and nothing that is due soon.
        while outer.server.counters().connections > 1 {
            outer.turn();
        }
        outer.server.turn(Some(Duration::ZERO)).expect("turn");
        outer.poll.poll(&mut outer.events, Some(Duration::ZERO)).expect("poll");
        assert!(outer.events.is_empty());
        assert!(outer.server.next_timeout().is_none_or(|timeout| timeout > Duration::from_secs(1)));
    }

    /// More sockets have something to say than one turn hears. An outer poll that is edge-triggered, as mio's is, was
    /// told of them once; so what is left over is for `next_timeout` to tell.
    #[test]
    fn more_events_than_a_turn_takes_are_not_forgotten() {
        const SESSIONS: usize = 1_100;
        if descriptors() < 3 * SESSIONS {
            eprintln!("skipped: too few descriptors for {SESSIONS} sessions");
            return;
        }
        let (mut outer, address) = Loop::new(EndpointOptions::default());
        let sockets = outer
            .run(move || -> Vec<_> { (0..SESSIONS).map(|_| WebSocket::raw(address, "/echo")).collect() });
        let (sender, receiver) = mpsc::channel();
        let client = thread::spawn(move || {
            let mut sockets = sockets;
            sockets.iter_mut().for_each(|socket| _ = socket.send("x"));
            sender.send(()).expect("the loop is waiting");
            sockets.iter_mut().for_each(|socket| assert_eq!(socket.text(), "x"));
        });
        receiver.recv_timeout(PATIENCE).expect("all are sent");
        while outer.server.counters().messages_in < SESSIONS as u64 {
            let timeout = outer.server.next_timeout();
            outer.turn();
            let knew = !outer.events.is_empty() || timeout == Some(Duration::ZERO);
            assert!(knew, "slept {timeout:?} with messages unread: {:?}", outer.server);
        }
        client.join().expect("the client");
    }

    /// What a `Handle` posts, and a shutdown, reach a foreign loop too.
    #[test]
    fn handles_wake_the_outer_poll() {
        let (mut outer, address) = Loop::new(EndpointOptions::default());
        let mut socket = outer.run(move || WebSocket::raw(address, "/echo"));
        let (sender, receiver) = mpsc::channel();
        let tell = move |context: &mut Context<'_>| {
            sender.send(context.counters().sessions).expect("listening");
        };
        outer.server.handle().run(tell).expect("room");
        while receiver.try_recv() != Ok(1) {
            outer.turn();
        }
        outer.server.handle().shutdown();
        let client = thread::spawn(move || {
            assert_eq!(socket.next(), Frame::Close(1001, "Server shutdown".into()));
        });
        while outer.server.report().is_none() {
            outer.turn();
        }
        client.join().expect("the client");
    }
}

fn greet(address: SocketAddr) {
    let answer = Client::connect(address).ask("GET", "/echo", "", b"");
    assert_eq!(answer.text(), "Welcome to SockJS!\n");
}

#[test]
fn one_server_listens_in_several_places() {
    // Somebody connected before the server took the socket: it is served all the same.
    let inherited = TcpListener::bind("127.0.0.1:0").expect("listen");
    let inherited_address = inherited.local_addr().expect("an address");
    let early = TcpStream::connect(inherited_address).expect("connect");

    let mut addresses = vec![inherited_address];
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/echo", Echo).expect("mount");
        server.add_listener(inherited, Preamble::None).expect("a listener from elsewhere");
        addresses.push(server.listen("127.0.0.1:0").expect("another"));
        // A machine may have no IPv6.
        if TcpListener::bind("[::1]:0").is_ok() {
            addresses.push(server.listen("[::1]:0").expect("IPv6"));
        }
    });
    addresses.push(server.address);
    let mut early = Client::on(early);
    assert_eq!(early.ask("GET", "/echo", "", b"").status, 200);
    addresses.iter().for_each(|address| greet(*address));
}

#[test]
fn a_server_that_listens_later_is_heard() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    server.mount("/echo", Echo).expect("mount");
    server.turn(Some(Duration::ZERO)).expect("turn");
    let address = server.listen("127.0.0.1:0").expect("listen");
    let client = thread::spawn(move || greet(address));
    turn_until(&mut server, |server| server.counters().requests > 0);
    client.join().expect("the client");
}

#[test]
#[cfg(unix)]
fn a_unix_socket_serves() {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::mpsc;

    use sockjs_server::Event;

    let path = std::env::temp_dir().join(format!("sockjs-server-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("listen");
    let (told, heard) = mpsc::channel();
    let _server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/echo", Echo).expect("mount");
        server.add_unix_listener(listener, Preamble::None).expect("a listener from elsewhere");
        server.observe(move |event| {
            if let Event::Accepted { peer } = event {
                told.send(*peer).expect("the test is waiting");
            }
        });
    });
    let mut stream = UnixStream::connect(&path).expect("connect");
    std::fs::remove_file(&path).expect("it was there");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream
        .write_all(b"POST /echo/0/s/xhr HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\no\n"), "{answer}");
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(None), "Unix sockets have no address");
}
