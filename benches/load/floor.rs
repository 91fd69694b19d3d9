//! The floor: what the operating system takes for moving the same bytes, with mio and nothing else.
//!
//! Edge-triggered; one read for an event, one write, no parsing. A client whose read filled the buffer is read
//! again behind the events that have come meanwhile. What a socket does not take waits, and nothing more is read
//! from that client until it has left.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);

/// As large as the server's.
pub(crate) const BUFFER: usize = 64 << 10;

/// The size that serves messages of 1 MiB best, of 64 KiB to 4 MiB.
pub(crate) const LARGE_BUFFER: usize = 1 << 20;

/// What is done with what was read.
#[derive(Clone, Copy)]
pub(crate) enum Duty {
    /// The bytes go back as they came.
    Echo,
    /// So many bytes are one request, and so many its response.
    Answer { request: usize, response: usize },
    /// So many bytes are one request, for which every other connection gets so many.
    Spread { request: usize, response: usize },
}

struct Client {
    stream: TcpStream,
    /// Bytes of a request that is not complete.
    partial: usize,
    /// What the socket did not take, and how much of that has left meanwhile.
    waiting: Vec<u8>,
    written: usize,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    /// Places in `clients` that are empty.
    free: Vec<usize>,
    /// Clients whose last read filled the buffer, so that no event says what is left.
    unfinished: Vec<usize>,
    duty: Duty,
}

/// Serves until the process ends, with at most `buffer` bytes at once; says on which port when it begins.
pub(crate) fn run(duty: Duty, buffer: usize, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(io::Error::other)?)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    ready(listener.local_addr()?);
    let mut floor =
        Floor { poll, listener, clients: Vec::new(), free: Vec::new(), unfinished: Vec::new(), duty };
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; buffer];
    loop {
        let unfinished = std::mem::take(&mut floor.unfinished);
        floor.poll.poll(&mut events, (!unfinished.is_empty()).then_some(Duration::ZERO))?;
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(number) if unfinished.contains(&number) => {}
                Token(number) => floor.serve(number, &mut buffer)?,
            }
        }
        for number in unfinished {
            floor.serve(number, &mut buffer)?;
        }
    }
}

impl Floor {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let number = self.free.pop().unwrap_or(self.clients.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number), interest)?;
            let client = Some(Client { stream, partial: 0, waiting: Vec::new(), written: 0 });
            match self.clients.get_mut(number) {
                Some(place) => *place = client,
                None => self.clients.push(client),
            }
        }
    }

    /// Reads once, and does what is to be done with it.
    fn serve(&mut self, number: usize, buffer: &mut [u8]) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(number).and_then(Option::as_mut) else { return Ok(()) };
        if !client.flush()? {
            return Ok(());
        }
        let count = match client.stream.read(buffer) {
            Ok(0) => return self.drop_client(number),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return self.drop_client(number),
            Err(error) => return Err(error),
        };
        if count == buffer.len() {
            self.unfinished.push(number);
        }
        match self.duty {
            Duty::Echo => client.write(&buffer[..count])?,
            Duty::Answer { request, response } => {
                let requests = client.requests(count, request);
                client.write(responses(response * requests))?;
            }
            Duty::Spread { request, response } => {
                let bytes = responses(response * client.requests(count, request));
                let others = self.clients.iter_mut().enumerate().filter(|(other, _)| *other != number);
                for client in others.filter_map(|(_, place)| place.as_mut()) {
                    client.write(bytes)?;
                }
            }
        }
        Ok(())
    }

    fn drop_client(&mut self, number: usize) -> io::Result<()> {
        if let Some(mut client) = self.clients.get_mut(number).and_then(Option::take) {
            self.poll.registry().deregister(&mut client.stream)?;
            self.free.push(number);
        }
        Ok(())
    }
}

impl Client {
    fn requests(&mut self, count: usize, request: usize) -> usize {
        self.partial += count;
        let requests = self.partial / request;
        self.partial %= request;
        requests
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = match self.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        self.waiting.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// `true`: nothing waits any more.
    fn flush(&mut self) -> io::Result<bool> {
        while self.written < self.waiting.len() {
            match self.stream.write(&self.waiting[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.waiting.clear();
        self.written = 0;
        Ok(true)
    }
}

/// The bytes of responses that were never made: a slice of one constant.
fn responses(length: usize) -> &'static [u8] {
    static RESPONSE: [u8; BUFFER] = [b'x'; BUFFER];
    &RESPONSE[..length.min(BUFFER)]
}
