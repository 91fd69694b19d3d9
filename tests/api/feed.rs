//! A feed through a `Handle`: fifty thousand messages a second to a hundred clients that read, beside a few that do
//! not. Each client checks that it gets every message in order, but for the gaps of which its session was told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{
    EndpointId, EndpointOptions, Event, Handle, Handler, Overflow, Request, ServerOptions, Session, Transport,
};

use crate::support::frames::handshake;
use crate::support::sockjs::SockJs;
use crate::support::{PATIENCE, TestServer};

const READERS: usize = 100;

/// Messages of the feed, 102 bytes each as a frame: twice as much as the queue of a session that is not read. For a
/// measurement, `FEED_SECONDS=30 cargo test --release --test api feed -- --nocapture` has as many as that takes.
fn messages() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let seconds = std::env::var("FEED_SECONDS").ok();
        seconds.map_or(20_000, |seconds| 1000 * PACE * seconds.parse::<usize>().expect("a number of seconds"))
    })
}

const LENGTH: usize = 100;

/// The last ones of them count; the others are zeros.
const DIGITS: usize = 10;
const ZEROS: &str =
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000";

/// So many messages in each millisecond.
const PACE: usize = 50;

/// How far the feed runs ahead of the slowest reader at most, however busy the machine is: half of a queue.
const LEAD: usize = 5_000;

/// Tells each client where its gaps are.
struct Feed;

impl Handler for Feed {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        session.join("feed").expect("within limits");
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_drain(&mut self, session: &mut Session<'_>, skipped: u64) {
        session.send(format!("{skipped:g>LENGTH$}")).expect("it has drained");
    }
}

/// The messages that one client got so far.
#[derive(Default)]
struct Sequence {
    next: usize,
    skipped: usize,
    gaps: usize,
}

impl Sequence {
    fn take(&mut self, text: &str) {
        if text.starts_with('g') {
            let count: usize = text.trim_start_matches('g').parse().expect("a count");
            self.next += count;
            self.skipped += count;
            self.gaps += 1;
        } else {
            // A measurement is of the server: the clients look at each byte, and do no more.
            let (zeros, number) = text.split_at(LENGTH - DIGITS);
            assert_eq!(zeros, ZEROS);
            assert_eq!(number.parse(), Ok(self.next), "in order, once");
            self.next += 1;
        }
    }
}

/// A raw WebSocket, and the messages that it gets: all of one length.
struct Socket(TcpStream);

impl Socket {
    fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(handshake("/feed/websocket", "").as_bytes()).expect("write");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        Self(stream)
    }

    /// Reads all of the feed, and says how far it has come.
    fn read(mut self, progress: &AtomicUsize) -> Sequence {
        let mut sequence = Sequence::default();
        let mut buffer = vec![0; 64 << 10];
        let mut filled = 0;
        while sequence.next < messages() {
            let count = self.0.read(&mut buffer[filled..]).expect("more of the feed");
            assert!(count > 0, "the server hung up at {}", sequence.next);
            filled += count;
            let mut frames = buffer[..filled].chunks_exact(2 + LENGTH);
            for frame in &mut frames {
                assert_eq!(frame[..2], [0x81, LENGTH as u8]);
                sequence.take(str::from_utf8(&frame[2..]).expect("text"));
            }
            let left = frames.remainder().len();
            buffer.copy_within(filled - left..filled, 0);
            filled = left;
            progress.store(sequence.next, Ordering::Relaxed);
        }
        sequence
    }
}

fn feed(handle: &Handle, endpoint: EndpointId, progress: &[AtomicUsize]) {
    let start = Instant::now();
    for (round, first) in (0..messages()).step_by(PACE).enumerate() {
        for number in first..first + PACE {
            handle.publish(endpoint, "feed", format!("{number:0>LENGTH$}")).expect("room");
        }
        let slowest = || progress.iter().map(|it| it.load(Ordering::Relaxed)).min().unwrap_or(0);
        let next = Duration::from_millis(round as u64 + 1);
        thread::sleep(next.saturating_sub(start.elapsed()));
        while slowest() + LEAD < first {
            thread::sleep(Duration::from_micros(100));
        }
    }
    let took = start.elapsed();
    println!("{} messages in {took:.1?}: {:.0}/s", messages(), messages() as f64 / took.as_secs_f64());
}

#[test]
fn clients_that_do_not_read_cost_those_that_do_nothing() {
    let (told, observed) = mpsc::channel();
    let mut endpoint = None;
    // None of the waits for clients is over before the end.
    let long = Duration::from_secs(3600);
    let server = TestServer::start(ServerOptions::default().write_stall(long), |server| {
        let mut options = EndpointOptions::default();
        options.overflow = Overflow::Skip;
        options.disconnect_delay = long;
        options.heartbeat_delay = long;
        options.transports = options.transports.without(Transport::JsonpPolling);
        server.observe(move |event| {
            if let Event::Skipped { endpoint, messages, .. } = event {
                assert_eq!(*endpoint, "/feed");
                told.send(*messages).expect("the test listens");
            }
        });
        endpoint = server.mount_with("/feed", options, Feed).ok();
    });
    let endpoint = endpoint.expect("mounted");
    let readers: Vec<_> = (0..READERS).map(|_| Socket::open(server.address)).collect();
    // The unread messages of these are in the buffers of the system first.
    let stalled: Vec<_> = (0..2).map(|_| Socket::open(server.address)).collect();
    // These make no requests meanwhile, so that all of their messages are in their queues.
    let mut away: Vec<_> =
        (0..3).map(|number| SockJs::polling(server.address, "/feed", &format!("p{number}"))).collect();

    let progress: Vec<_> = (0..READERS).map(|_| AtomicUsize::new(0)).collect();
    let read: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = readers
            .into_iter()
            .zip(&progress)
            .map(|(reader, progress)| scope.spawn(move || reader.read(progress)))
            .collect();
        feed(&server.handle, endpoint, &progress);
        threads.into_iter().map(|thread| thread.join().expect("a reader")).collect()
    });
    assert!(read.iter().all(|sequence| (sequence.next, sequence.skipped) == (messages(), 0)));

    let (mut skipped, mut gaps) = (0, 0);
    for socket in stalled {
        let sequence = socket.read(&AtomicUsize::new(0));
        assert_eq!(sequence.next, messages(), "delivered and skipped are what was sent");
        skipped += sequence.skipped;
        gaps += sequence.gaps;
    }
    for polling in &mut away {
        let mut sequence = Sequence::default();
        while sequence.next < messages() {
            let frame = polling.frame();
            for text in frame[2..].split('"').filter(|text| text.len() == LENGTH) {
                sequence.take(text);
            }
        }
        assert_eq!(sequence.next, messages(), "delivered and skipped are what was sent");
        assert!(sequence.skipped > messages() / 4, "its queue is not as large as that");
        skipped += sequence.skipped;
        gaps += sequence.gaps;
    }
    let counters = server.counters();
    println!(
        "to {READERS} readers all, to 5 stalled ones {skipped} of {} skipped in {gaps} gaps",
        5 * messages()
    );
    assert_eq!(counters.skipped, skipped as u64);
    let observed: Vec<_> = observed.try_iter().collect();
    assert_eq!((observed.len(), observed.iter().sum()), (gaps, skipped as u64), "once for each gap");
}
