//! A blocking connection: everything that is awaited has a time by which it must have come.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::address::Address;
use super::problem::Problem;

/// The most that is kept of what was not understood yet. A message is far smaller here.
const LARGEST_INPUT: usize = 2 << 20;

/// Something that is awaited, and until when.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) awaited: &'static str,
    waited: Duration,
    until: Instant,
}

impl Wait {
    /// A wait that begins now.
    pub(super) fn new(awaited: &'static str, patience: Duration) -> Self {
        Self { awaited, waited: patience, until: Instant::now() + patience }
    }

    fn silence(&self) -> Problem {
        Problem::Silence { awaited: self.awaited, waited: self.waited }
    }

    /// How long it may still take.
    fn left(&self) -> Result<Duration, Problem> {
        let left = self.until.saturating_duration_since(Instant::now());
        // A timeout of zero would mean none.
        if left.is_zero() { Err(self.silence()) } else { Ok(left) }
    }
}

/// A connection to a server.
pub(super) struct Connection {
    stream: TcpStream,
    /// What has arrived and was not taken.
    pub(super) input: Vec<u8>,
}

impl Connection {
    /// Connects to the first of the host's addresses that answers.
    pub(super) fn open(address: &Address, patience: Duration) -> Result<Self, Problem> {
        let wait = Wait::new("connection", patience);
        let mut problem = None;
        for address in (&*address.host, address.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, wait.left()?) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self { stream, input: Vec::new() });
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => problem = Some(wait.silence()),
                Err(error) => problem = Some(error.into()),
            }
        }
        Err(problem.unwrap_or(Problem::Connection(ErrorKind::NotFound.into())))
    }

    pub(super) fn send(&mut self, bytes: &[u8], patience: Duration) -> Result<(), Problem> {
        self.stream.set_write_timeout(Some(patience))?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads what arrives next. `false`: the stream has ended.
    pub(super) fn receive(&mut self, wait: Wait) -> Result<bool, Problem> {
        if self.input.len() > LARGEST_INPUT {
            return Err(Problem::TooMuch);
        }
        let mut buffer = [0; 16 << 10];
        loop {
            self.stream.set_read_timeout(Some(wait.left()?))?;
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    self.input.extend(buffer.iter().take(count));
                    return Ok(count > 0);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    // Which of them it is depends on the platform.
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(wait.silence()),
                    _ => return Err(error.into()),
                },
            }
        }
    }
}
