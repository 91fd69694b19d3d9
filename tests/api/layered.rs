//! Layers of the program's own: what they are given and asked for, and what becomes of those that fail, panic, or give
//! more than they are asked for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sockjs_server::{
    EndpointOptions, Event, Incoming, Layer, LayerError, LayerFactory, ListenerOptions, PLAIN_AT_ONCE,
    Preamble, Received, Response, Server, ServerOptions, Session,
};

use crate::support::client::Client;
use crate::support::frames::{handshake, text};
use crate::support::{PATIENCE, TestServer, turn_until};

/// Makes layers by a function.
struct Make<F>(F);

impl<F, L> LayerFactory for Make<F>
where
    F: FnMut() -> L + Send,
    L: Layer + 'static,
{
    fn layer(&mut self, _: Option<SocketAddr>) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new((self.0)()))
    }

    fn memory(&self) -> usize {
        size_of::<L>()
    }
}

/// The key is the next byte of a sequence, so that a byte that is lost, doubled or out of order spoils all that follow.
#[derive(Clone, Copy, Default)]
struct Key(u8);

impl Key {
    fn apply(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend(bytes.iter().map(|byte| {
            self.0 = self.0.wrapping_mul(5).wrapping_add(113);
            byte ^ self.0
        }));
    }

    fn applied(mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.apply(bytes, &mut out);
        out
    }
}

/// Takes and gives a few bytes at a time, and answers every read with nothing of its own.
#[derive(Default)]
struct Cipher {
    input: Key,
    output: Key,
    /// Plain bytes that wait, and how many of them are given at once; 0: all.
    held: Vec<u8>,
    portion: usize,
}

impl Layer for Cipher {
    fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<Received, LayerError> {
        self.input.apply(wire, &mut self.held);
        let portion = if self.portion == 0 { usize::MAX } else { self.portion };
        plain.extend(self.held.drain(..portion.min(self.held.len())));
        Ok(if self.held.is_empty() { Received::NeedsMore } else { Received::HasMore })
    }

    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
        let portion = if self.portion == 0 { plain.len() } else { self.portion.min(plain.len()) };
        self.output.apply(&plain[..portion], wire);
        Ok(portion)
    }

    fn close(&mut self, _: &mut Vec<u8>) {}
}

fn mount(server: &mut Server) {
    let options = EndpointOptions::default().send_queue(16 << 20);
    let echo = |session: &mut Session<'_>, text: &str| _ = session.send(text);
    server.mount_with("/echo", options, echo).expect("mount");
    server.fallback(|_, _, _| Response::new(200).body("page"));
}

/// A server with layers on a second listener, and what its observer is told of them.
fn start(layers: impl LayerFactory + 'static) -> (TestServer, SocketAddr, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let mut address = None;
    let server = TestServer::start(ServerOptions::default(), |server| {
        mount(server);
        server.observe(move |event| {
            let text = match event {
                Event::LayerFailed { error, .. } => error.to_string(),
                Event::Panicked { session: None } => "panic".to_owned(),
                _ => return,
            };
            // The server may outlive the test's interest.
            let _ = tell.send(text);
        });
        let options = ListenerOptions::default().layers(layers);
        address = Some(server.listen_with("127.0.0.1:0", options).expect("listen"));
    });
    (server, address.expect("it listens"), told)
}

/// A request whose answer is the last.
const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Sends all of it while it reads to the end.
fn exchange(mut stream: TcpStream, bytes: Vec<u8>) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut writer = stream.try_clone().expect("a second descriptor");
    let writing = std::thread::spawn(move || writer.write_all(&bytes));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the end");
    writing.join().expect("no panic").expect("send");
    answer
}

#[test]
fn whatever_portions_a_layer_takes_and_gives_the_bytes_are_the_same() {
    let mut bytes = handshake("/echo/websocket", "").into_bytes();
    let messages: Vec<_> = (0..60).map(|number| format!("{number:03}").repeat(10 * number)).collect();
    messages.iter().for_each(|message| bytes.extend(text(message)));
    bytes.extend(crate::support::frames::close(1000, ""));
    // What a connection without a layer gets, its date left out.
    let plain = {
        let server = TestServer::start(ServerOptions::default(), mount);
        let stream = TcpStream::connect(server.address).expect("connect");
        without_date(&exchange(stream, bytes.clone()))
    };
    for portion in [0, 1, 7, 1000, PLAIN_AT_ONCE] {
        let (server, address, told) = start(Make(move || Cipher { portion, ..Cipher::default() }));
        let stream = TcpStream::connect(address).expect("connect");
        let answer = exchange(stream, Key::default().applied(&bytes));
        assert!(without_date(&Key::default().applied(&answer)) == plain, "in portions of {portion}");
        server.wait_until_empty("the session");
        assert_eq!(server.counters().buffered, 0);
        drop(server);
        assert_eq!(told.try_iter().count(), 0);
    }
}

fn without_date(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.windows(6).position(|six| six == b"Date: ");
    match start {
        Some(start) => [&bytes[..start], &bytes[start + 35..]].concat(),
        None => bytes.to_vec(),
    }
}

/// A layer that makes a hundred plain bytes of one: the server takes them as its client takes the echoes,
/// and the rest waits in the layer.
#[test]
fn what_a_layer_makes_more_of_is_taken_as_there_is_room() {
    /// A wire byte is a text frame of 10,000 bytes, behind a handshake.
    #[derive(Default)]
    struct Expanding {
        begun: bool,
        left: usize,
    }
    impl Layer for Expanding {
        fn receive(
            &mut self,
            wire: &[u8],
            plain: &mut Vec<u8>,
            _: &mut Vec<u8>,
        ) -> Result<Received, LayerError> {
            if !wire.is_empty() && !std::mem::replace(&mut self.begun, true) {
                plain.extend(handshake("/echo/websocket", "").bytes());
            }
            self.left += wire.len();
            while self.left > 0 && plain.len() < PLAIN_AT_ONCE {
                plain.extend(text("x".repeat(10_000)));
                self.left -= 1;
            }
            Ok(if self.left > 0 { Received::HasMore } else { Received::NeedsMore })
        }
        fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
            wire.extend_from_slice(plain);
            Ok(plain.len())
        }
        fn close(&mut self, _: &mut Vec<u8>) {}
    }
    let (server, address, _told) = start(Make(Expanding::default));
    let mut client = Client::connect(address);
    // 50 MB of messages, in one packet.
    client.send([0; 5000]);
    client.expect_upgrade();
    let most = server.counters().buffered;
    assert!(most < 1 << 20, "{most}");
    for number in 0..5000 {
        assert_eq!(client.frame().1.len(), 10_000, "message {number}");
    }
    assert_eq!(server.counters().messages_in, 5000);
    drop(client);
    server.wait_until_empty("the flood");
}

/// The places at which a layer may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Receive,
    Send,
    Close,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Error,
    Panic,
}

/// Hands bytes through, and goes wrong at one place.
struct Faulty {
    place: Place,
    how: How,
}

impl Faulty {
    fn reach(&self, place: Place) -> Result<(), LayerError> {
        match self.how {
            _ if place != self.place => Ok(()),
            How::Error => Err("as it was asked to".into()),
            How::Panic => panic!("as it was asked to"),
        }
    }
}

impl Layer for Faulty {
    fn receive(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<Received, LayerError> {
        if self.place == Place::Receive {
            reply.extend(b"alert");
        }
        self.reach(Place::Receive)?;
        plain.extend_from_slice(wire);
        Ok(Received::NeedsMore)
    }

    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
        self.reach(Place::Send)?;
        wire.extend_from_slice(plain);
        Ok(plain.len())
    }

    fn close(&mut self, _: &mut Vec<u8>) {
        let _ = self.reach(Place::Close);
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        let _ = self.reach(Place::Drop);
    }
}

#[test]
fn a_layer_that_fails_or_panics_loses_its_connection_and_nothing_else() {
    for (place, how, bytes, event) in [
        (Place::Receive, How::Error, "alert", Some("as it was asked to")),
        (Place::Receive, How::Panic, "alert", Some("panic")),
        (Place::Send, How::Error, "", Some("as it was asked to")),
        (Place::Send, How::Panic, "", Some("panic")),
        (Place::Close, How::Error, "page", None),
        (Place::Close, How::Panic, "page", Some("panic")),
        (Place::Drop, How::Panic, "page", Some("panic")),
    ] {
        let (server, address, told) = start(Make(move || Faulty { place, how }));
        let mut neighbour = Client::connect(server.address);
        assert_eq!(neighbour.ask("GET", "/", "", b"").text(), "page");
        let mut client = Client::connect(address);
        client.send(LAST);
        let answer = client.rest();
        assert!(answer.ends_with(bytes.as_bytes()), "{place:?}, {how:?}: {}", answer.escape_ascii());
        assert_eq!(answer.is_empty(), bytes.is_empty(), "{place:?}, {how:?}");
        drop(client);
        if let Some(event) = event {
            assert_eq!(told.recv_timeout(PATIENCE).as_deref(), Ok(event), "{place:?}, {how:?}");
        }
        server.wait_for("its end", |counters| counters.connections == 1);
        assert_eq!(neighbour.ask("GET", "/", "", b"").text(), "page", "{place:?}, {how:?}");
        let is_error = how == How::Error && event.is_some();
        assert_eq!(server.counters().refused.malformed, u64::from(is_error), "{place:?}, {how:?}");
        drop(server);
        assert_eq!(told.try_iter().count(), 0, "{place:?}, {how:?}: it is told once");
    }
}

/// Makes layers that go wrong, or none.
struct FaultyFactory(How);

impl LayerFactory for FaultyFactory {
    fn layer(&mut self, _: Option<SocketAddr>) -> Result<Box<dyn Layer>, LayerError> {
        match self.0 {
            How::Error => Err("no more keys".into()),
            How::Panic => panic!("as it was asked to"),
        }
    }

    fn memory(&self) -> usize {
        0
    }
}

impl Drop for FaultyFactory {
    fn drop(&mut self) {
        panic!("as it was asked to");
    }
}

#[test]
fn a_factory_that_fails_or_panics_loses_its_connections_alone() {
    for (how, event) in [(How::Error, "no more keys"), (How::Panic, "panic")] {
        let (server, address, told) = start(FaultyFactory(how));
        for _ in 0..3 {
            Client::connect(address).expect_end();
            assert_eq!(told.recv_timeout(PATIENCE).as_deref(), Ok(event));
        }
        assert_eq!(Client::connect(server.address).ask("GET", "/", "", b"").text(), "page");
        server.wait_until_empty("them");
        // Its own drop panics, and the server goes on.
        server.handle.stop_listening().expect("it runs");
        server.counters();
    }
}

#[test]
fn a_layer_that_breaks_its_contract_has_failed() {
    /// Gives too much at once, or says that there is more and gives nothing.
    struct Greedy(usize);
    impl Layer for Greedy {
        fn receive(
            &mut self,
            _: &[u8],
            plain: &mut Vec<u8>,
            _: &mut Vec<u8>,
        ) -> Result<Received, LayerError> {
            plain.resize(self.0, 0);
            Ok(Received::HasMore)
        }
        fn send(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<usize, LayerError> {
            Ok(usize::MAX)
        }
        fn close(&mut self, _: &mut Vec<u8>) {}
    }
    for count in [0, 4 * PLAIN_AT_ONCE + 1] {
        let (server, address, told) = start(Make(move || Greedy(count)));
        let mut client = Client::connect(address);
        client.send("x");
        client.rest();
        let error = told.recv_timeout(PATIENCE).expect("the observer is told");
        assert!(error.starts_with("the layer "), "{error}");
        server.wait_until_empty("it");
    }
}

/// What a layer says by itself is sent, however slowly the client takes it, and without end it says nothing.
#[test]
fn a_client_that_takes_no_answers_of_the_layer_is_not_read() {
    /// Answers each byte with a kilobyte, and has no plain bytes.
    struct Chatty;
    impl Layer for Chatty {
        fn receive(
            &mut self,
            wire: &[u8],
            _: &mut Vec<u8>,
            reply: &mut Vec<u8>,
        ) -> Result<Received, LayerError> {
            reply.resize(reply.len() + (wire.len() << 10).min(64 << 10), b'r');
            Ok(Received::NeedsMore)
        }
        fn send(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<usize, LayerError> {
            Ok(0)
        }
        fn close(&mut self, _: &mut Vec<u8>) {}
    }
    let mut address = None;
    let options = ServerOptions::default().head_timeout(Duration::from_secs(2));
    let server = TestServer::start(options, |server| {
        let options = ListenerOptions::default().layers(Make(|| Chatty));
        address = Some(server.listen_with("127.0.0.1:0", options).expect("listen"));
    });
    let client = Client::connect(address.expect("it listens"));
    client.stream.set_nonblocking(true).expect("nonblocking");
    let start = Instant::now();
    let (mut written, mut most) = (0, 0);
    // The head never comes: the connection ends with its time.
    while server.counters().connections > 0 || written == 0 {
        written += (&client.stream).write(&[b'w'; 1000]).unwrap_or(0);
        most = most.max(server.counters().buffered);
        assert!(start.elapsed() < PATIENCE);
    }
    assert!((16 << 10..256 << 10).contains(&most), "{most}");
    server.wait_until_empty("it");
    assert_eq!(server.counters().buffered, 0);
}

#[test]
fn a_connection_from_elsewhere_may_have_a_layer() {
    let server = TestServer::start(ServerOptions::default(), mount);
    let wire = Key::default().applied(LAST);
    for cut in [0, 1, 20, wire.len()] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let mut client = Client::connect(listener.local_addr().expect("address"));
        let accepted = listener.accept().expect("the client has connected").0;
        let layered = Incoming::from(accepted).layered(&mut Make(Cipher::default)).expect("a layer");
        let (read, left) = wire.split_at(cut);
        server.handle.add_connection(layered, read.to_vec()).expect("it runs");
        client.send(left);
        assert!(Key::default().applied(&client.rest()).ends_with(b"page"), "{cut}");
    }
    // Several of the server's reads at once, in portions.
    let mut bytes = handshake("/echo/websocket", "").into_bytes();
    (0..50).for_each(|_| bytes.extend(text("y".repeat(10_000))));
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let mut client = Client::connect(listener.local_addr().expect("address"));
    let accepted = listener.accept().expect("the client has connected").0;
    let mut factory = Make(|| Cipher { portion: 5000, ..Cipher::default() });
    let layered = Incoming::from(accepted).layered(&mut factory).expect("a layer");
    server.handle.add_connection(layered, Key::default().applied(&bytes)).expect("it runs");
    let echo = [&[0x81, 126, 0x27, 0x10][..], &[b'y'; 10_000]].concat();
    let mut plain = Vec::new();
    let mut key = Key::default();
    let echoes = loop {
        assert!(client.fill(), "the echoes come");
        let count = client.buffered().len();
        key.apply(&client.take(count), &mut plain);
        // The answer to the handshake stands in front of them.
        let head = plain.windows(4).position(|end| end == b"\r\n\r\n").map_or(plain.len(), |at| at + 4);
        if plain.len() - head >= 50 * echo.len() {
            break plain.split_off(head);
        }
    };
    assert!(echoes == echo.repeat(50), "each comes once and whole");
}

#[cfg(unix)]
#[test]
fn a_unix_listener_may_have_layers_and_a_preamble() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let path =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("layered-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("listen");
    let _server = TestServer::start(ServerOptions::default(), |server| {
        server.fallback(|_, request, _| Response::new(200).body(format!("{:?}", request.client())));
        let options = ListenerOptions::default().preamble(Preamble::Proxy).layers(Make(Cipher::default));
        server.add_unix_listener(listener, options).expect("it listens");
    });
    let mut client = UnixStream::connect(&path).expect("connect");
    let header = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n".to_vec();
    client.write_all(&[header, Key::default().applied(LAST)].concat()).expect("send");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer");
    assert!(Key::default().applied(&answer).ends_with(b"Some(203.0.113.9)"));
    std::fs::remove_file(&path).expect("it is there");
}

/// A ceiling counts layers from when they are known.
#[test]
fn the_memory_ceiling_has_the_layers_in_it() {
    let mut server = Server::new(ServerOptions::default().connections(1000)).expect("server");
    let without = server.memory_ceiling();
    let options = ListenerOptions::default().layers(Make(Cipher::default));
    server.listen_with("127.0.0.1:0", options).expect("listen");
    let added = server.memory_ceiling() - without;
    assert!((1000 * size_of::<Cipher>()..4 << 20).contains(&added), "{added}");
}

/// Only so many handshakes are begun in one turn: the clients behind them are not judged before their turn has come.
#[test]
fn a_server_that_is_late_hears_all_clients_behind_layers() {
    const CLIENTS: usize = 100;
    const TIMEOUT: Duration = Duration::from_millis(300);
    let mut server = Server::new(ServerOptions::default().head_timeout(TIMEOUT)).expect("server");
    mount(&mut server);
    let options = ListenerOptions::default().layers(Make(Cipher::default));
    let address = server.listen_with("127.0.0.1:0", options).expect("listen");
    let mut clients = Vec::new();
    for number in 1..=CLIENTS {
        clients.push(TcpStream::connect(address).expect("connect"));
        turn_until(&mut server, |server| server.counters().accepted as usize == number);
    }
    for client in &mut clients {
        client.write_all(&Key::default().applied(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).expect("it fits");
    }
    // The server is late, and not the clients.
    std::thread::sleep(2 * TIMEOUT);
    turn_until(&mut server, |server| {
        let counters = server.counters();
        assert_eq!((counters.refused.total(), counters.connections), (0, CLIENTS));
        counters.requests == CLIENTS as u64
    });
}
