//! Clients that read slowly but steadily.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Client};

/// How much later than planned a read may be for the next read to make up for the delay.
const LATE: Duration = Duration::from_millis(200);

/// A client that takes so many bytes per second from its socket, a buffer of at most 16 KiB at a time.
pub struct SlowReader {
    pub client: Client,
    rate: usize,
    /// The time of the next read.
    next: Instant,
    /// The number of bytes that the reader has taken.
    read: usize,
}

impl SlowReader {
    pub fn new(client: Client, rate: usize) -> Self {
        Self { client, rate, next: Instant::now(), read: 0 }
    }

    /// Reads until so many bytes are in the buffer.
    pub fn fill_to(&mut self, count: usize) {
        while self.client.buffered().len() < count {
            thread::sleep(self.next.saturating_duration_since(Instant::now()));
            let before = self.client.buffered().len();
            assert!(self.client.fill(), "the server ended the connection after {} bytes", self.read);
            let read = self.client.buffered().len() - before;
            // The reader makes up for a sleep that took too long, so that the rate is kept,
            // and not for a wait for bytes.
            let begun = self.next.max(Instant::now() - LATE);
            self.read += read;
            self.next = begun + Duration::from_secs_f64(read as f64 / self.rate as f64);
        }
    }

    /// The next frame of a WebSocket.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        self.fill_to(2);
        let header = match self.client.buffered()[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        self.fill_to(header);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let length = if header == 2 {
            usize::from(self.client.buffered()[1])
        } else {
            number(&self.client.buffered()[2..header])
        };
        self.fill_to(header + length);
        self.client.frame()
    }

    /// An answer whose length is declared. `midway` is called when about half of the body is read.
    pub fn read_answer(&mut self, midway: impl FnOnce()) -> Answer {
        let mut answer = self.client.head();
        assert_eq!(answer.status, 200, "{}", answer.head);
        let length: usize = answer.header("Content-Length").expect("a length").parse().expect("a number");
        self.fill_to(length / 2);
        midway();
        self.fill_to(length);
        answer.body = self.client.take(length);
        answer
    }
}
