//! Floods: the work that other clients give a server while a quiet client has its echoes. Each has a thread of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::{Connection, PATIENCE, Reply, frame_header, wrong};
use crate::lanes::Lane;

/// A flood, which can be had again and again.
pub(crate) trait Flood: Send {
    /// Makes ready for the next run, while nothing is measured.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Goes on until it is told to stop, or is over by itself, and the server owes it nothing any more. Says how
    /// many units the server was given.
    fn run(&mut self, stop: &AtomicBool) -> io::Result<usize>;
}

/// One exchange after the other, at most so often.
pub(crate) struct Paced<L> {
    pub(crate) lane: L,
    /// From the start of an exchange to that of the next; they follow each other at once where the client is too slow.
    pub(crate) every: Duration,
}

impl<L: Lane> Flood for Paced<L> {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<usize> {
        let (mut next, mut units) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            sleep(next.saturating_duration_since(Instant::now()));
            units += self.lane.exchange()?;
            next += self.every;
        }
        Ok(units)
    }
}

/// A single event: one exchange, however long it takes.
pub(crate) struct Once<L>(pub(crate) L);

impl<L: Lane> Flood for Once<L> {
    fn run(&mut self, _: &AtomicBool) -> io::Result<usize> {
        self.0.exchange()
    }
}

/// Many connections, each of which sends so many requests at once, and as many again when all replies have come.
/// Replies are counted by their lengths.
pub(crate) struct Pipes {
    poll: Poll,
    events: Events,
    pipes: Vec<Pipe>,
    buffer: Vec<u8>,
}

struct Pipe {
    stream: TcpStream,
    /// All requests that are sent at once, and how many.
    requests: Arc<[u8]>,
    depth: usize,
    /// Bytes of them that have left.
    sent: usize,
    /// Replies that have not come.
    owed: usize,
    tally: Tally,
}

impl Pipes {
    pub(crate) fn new(
        connections: Vec<Connection>,
        request: &[u8],
        reply: &Reply,
        depth: usize,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let requests: Arc<[u8]> = request.repeat(depth).into();
        let open = |(number, connection): (usize, Connection)| {
            let stream = connection.into_stream()?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(number), interest)?;
            let sent = requests.len();
            Ok(Pipe { stream, requests: requests.clone(), depth, sent, owed: 0, tally: Tally::new(reply)? })
        };
        let pipes = connections.into_iter().enumerate().map(open).collect::<io::Result<_>>()?;
        Ok(Self { poll, events: Events::with_capacity(1024), pipes, buffer: vec![0; 256 << 10] })
    }

    /// So many replies are owed for what is sent at once.
    pub(crate) fn set_depth(&mut self, depth: usize) {
        for pipe in &mut self.pipes {
            pipe.depth = depth;
        }
    }
}

impl Flood for Pipes {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<usize> {
        let mut units = 0;
        for pipe in &mut self.pipes {
            pipe.begin()?;
        }
        let mut busy = self.pipes.len();
        while busy > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(wrong("the server owes replies"));
            }
            for event in &self.events {
                let Some(pipe) = self.pipes.get_mut(event.token().0) else { continue };
                if pipe.is_done() || !pipe.go_on(&mut self.buffer)? {
                    continue;
                }
                units += pipe.depth;
                match stop.load(Ordering::Relaxed) {
                    true => busy -= 1,
                    false => pipe.begin()?,
                }
            }
        }
        Ok(units)
    }
}

impl Pipe {
    fn is_done(&self) -> bool {
        self.owed == 0 && self.sent == self.requests.len()
    }

    /// Sends what the socket takes of the next requests. Its replies cause an event of their own.
    fn begin(&mut self) -> io::Result<()> {
        (self.sent, self.owed) = (0, self.depth);
        self.write()
    }

    /// `true`: all replies have come.
    fn go_on(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.write()?;
        while self.owed > 0 {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(wrong("the server hung up")),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let replies = self.tally.count(&buffer[..count])?;
            self.owed = self.owed.checked_sub(replies).ok_or_else(|| wrong("too many replies"))?;
        }
        Ok(self.is_done())
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.requests.len() {
            match self.stream.write(&self.requests[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Counts replies by their lengths, wherever the stream is cut.
struct Tally {
    unit: Unit,
    /// Bytes of a frame's header that is not complete.
    header: Vec<u8>,
    /// Bytes that have come of a unit of fixed size, or that are missing of a frame.
    bytes: usize,
    /// Messages in that frame.
    messages: usize,
}

enum Unit {
    /// So many bytes.
    Fixed(usize),
    /// A JSON string of so many bytes in an `a[…]` frame.
    Json(usize),
}

impl Tally {
    fn new(reply: &Reply) -> io::Result<Self> {
        let unit = match reply {
            Reply::Exact(bytes) => Unit::Fixed(bytes.len()),
            Reply::Frames(json) => Unit::Json(json.len()),
            _ => return Err(wrong("replies of no fixed length")),
        };
        Ok(Self { unit, header: Vec::new(), bytes: 0, messages: 0 })
    }

    /// How many replies are complete with these bytes.
    fn count(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let json = match self.unit {
            Unit::Fixed(size) => {
                let all = self.bytes + bytes.len();
                self.bytes = all % size;
                return Ok(all / size);
            }
            Unit::Json(size) => size,
        };
        let mut complete = 0;
        while let Some((first, rest)) = bytes.split_first() {
            if self.bytes > 0 {
                let front = self.bytes.min(bytes.len());
                bytes = &bytes[front..];
                self.bytes -= front;
            } else {
                bytes = rest;
                self.header.push(*first);
                if let Some((_, length)) = frame_header(&self.header)? {
                    self.header.clear();
                    (self.bytes, self.messages) = (length, messages(length, json)?);
                }
            }
            if self.bytes == 0 {
                complete += std::mem::take(&mut self.messages);
            }
        }
        Ok(complete)
    }
}

/// How many JSON strings of one size make an `a[…]` frame of this length.
fn messages(length: usize, json: usize) -> io::Result<usize> {
    // A comma between two of them, and `a[]` around all.
    let all = length.checked_sub("a[]".len() - 1).ok_or_else(|| wrong("a frame without messages"))?;
    match all % (json + 1) {
        0 => Ok(all / (json + 1)),
        _ => Err(wrong(format!("a frame of {length} bytes"))),
    }
}
