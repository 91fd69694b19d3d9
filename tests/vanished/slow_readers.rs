//! Clients that read slowly but steadily are given the time to read what was written to them, before their next poll or
//! their pong is waited for (rule 7.14).

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{Close, EndpointId, EndpointOptions, Handler, ServerOptions, Session};

use crate::SECOND;
use crate::pace::SlowReader;
use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{FIN, PING, PONG, TEXT, frame, text};

/// A handler that sends as many messages as `fill` asks for, echoes any other message, and tells the test of every
/// session that closes.
pub struct Filler(Sender<Close>);

/// The length of each message that `fill` sends.
pub const FILLING: usize = 1000;

impl Handler for Filler {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let Some(count) = text.strip_prefix("fill ") else {
            return session.send(text).expect("there is room");
        };
        let message = "x".repeat(FILLING);
        for _ in 0..count.parse().expect("a number") {
            session.send(&message).expect("there is room");
        }
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        // The send fails when the test has ended.
        let _ = self.0.send(close.clone());
    }
}

/// A server with that handler at `/filler`.
pub fn filler(server: ServerOptions, endpoint: EndpointOptions) -> (TestServer, EndpointId, Receiver<Close>) {
    let (sender, closed) = mpsc::channel();
    let mut id = None;
    let server = TestServer::start(server, |server| {
        id = Some(server.mount_with("/filler", endpoint, Filler(sender)).expect("mount"));
    });
    (server, id.expect("mounted"), closed)
}

#[test]
fn a_poll_that_is_read_slowly_keeps_its_session() {
    const RATE: usize = 100_000;
    let mut options = EndpointOptions::default();
    options.disconnect_delay = SECOND;
    let (server, endpoint, closed) = filler(ServerOptions::default(), options);
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/filler/000/a/xhr", "", b"").text(), "o\n");
    let mut sender = Client::connect(server.address);
    assert_eq!(sender.ask("POST", "/filler/000/a/xhr_send", "", b"[\"fill 990\"]").status, 204);
    let start = Instant::now();
    client.request("POST", "/filler/000/a/xhr", "", b"");
    let mut reader = SlowReader::new(client, RATE);
    let answer = reader.read_answer(|| {
        server.handle.broadcast(endpoint, "meanwhile").expect("room");
    });
    let took = start.elapsed();
    println!("slow poll: {} bytes in {took:.1?}; closed: {:?}", answer.body.len(), closed.try_recv());
    assert_eq!(answer.text().matches('x').count(), 990 * FILLING);
    assert!(took > 5 * SECOND, "the answer was not read slowly: {took:?}");
    let next = reader.client.ask("POST", "/filler/000/a/xhr", "", b"");
    assert_eq!(next.text(), "a[\"meanwhile\"]\n");
}

/// The rates are ten times those of a client that reads 40 KB/s where 16 KiB/s is the slowest.
const SLOWEST: usize = 160 << 10;
const RATE: usize = 400_000;

const ECHOES: usize = 27;
const ECHO: usize = 100_000;

#[test]
fn a_websocket_whose_echoes_are_read_slowly_is_not_closed() {
    let mut server = ServerOptions::default();
    server.slowest_client = SLOWEST;
    let mut endpoint = EndpointOptions::default();
    endpoint.heartbeat_delay = Duration::from_millis(500);
    endpoint.pong_timeout = Duration::from_millis(500);
    let (server, _, closed) = filler(server, endpoint);
    let read = thread::scope(|scope| {
        let server = &server;
        [true, false]
            .map(|raw| scope.spawn(move || read_echoes(server, raw)))
            .map(|reader| reader.join().is_ok())
    });
    println!("slow echoes: closed: {:?}", closed.try_iter().collect::<Vec<_>>());
    assert_eq!(read, [true, true], "whether each read all of its echoes");
}

/// Sends all messages, and then reads their echoes slowly. The client is served behind the last echo too.
fn read_echoes(server: &TestServer, raw: bool) {
    let start = Instant::now();
    let mut client = Client::connect(server.address);
    client.upgrade(if raw { "/filler/websocket" } else { "/filler/000/b/websocket" });
    let (queue, queued) = mpsc::channel::<Vec<u8>>();
    let mut stream = client.stream.try_clone().expect("clone");
    // Pongs wait behind messages that the server does not read yet, as with every client. A thread writes both, because
    // the client must read meanwhile.
    let writer = thread::spawn(move || {
        queued.iter().try_for_each(|frame| std::io::Write::write_all(&mut stream, &frame))
    });
    let message = |text: &str| {
        queue.send(if raw { self::text(text) } else { self::text(format!("\"{text}\"")) }).expect("a writer");
    };
    let echo = "x".repeat(ECHO);
    (0..ECHOES).for_each(|_| message(&echo));
    let mut reader = SlowReader::new(client, RATE);
    let (mut read, mut pings) = (0, 0);
    let mut asked = false;
    loop {
        let (first, payload) = reader.frame();
        if first == FIN | PING {
            pings += 1;
            queue.send(frame(FIN | PONG, &payload)).expect("a writer");
            continue;
        }
        let payload = String::from_utf8_lossy(&payload);
        assert_eq!(first, FIN | TEXT, "after {read} bytes in {:.1?}: {payload:?}", start.elapsed());
        if payload.contains("the last") {
            break;
        }
        read += payload.matches('x').count();
        if read == ECHOES * ECHO && !asked {
            asked = true;
            message("the last");
        }
    }
    println!("slow echoes: {read} bytes in {:.1?}, {pings} pings answered", start.elapsed());
    drop(queue);
    writer.join().expect("no panic").expect("the server takes everything");
    assert!(start.elapsed() > 4 * SECOND, "the echoes were not read slowly");
}
