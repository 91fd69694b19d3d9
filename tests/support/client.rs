//! A plain socket that speaks just enough HTTP to see every byte of an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    /// Bytes that arrived and were not looked at yet.
    pub buffer: Vec<u8>,
}

/// An answer, read whole or as far as its head.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// The head as it came, without the empty line.
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The only field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "several {name} in {}", self.head);
        first
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("only valid UTF-8 goes out")
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("send");
        self
    }

    /// A request with `Host`, these header lines (each ended by CRLF), and a body with its length if there is one.
    pub fn request(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> &mut Self {
        let length = match (method, body) {
            ("GET" | "HEAD" | "OPTIONS", b"") => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes)
    }

    /// Sends a request and reads the whole answer.
    pub fn ask(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        self.request(method, target, headers, body);
        let mut answer = self.read_head();
        if method != "HEAD" {
            self.read_body(&mut answer);
        }
        answer
    }

    /// More bytes into the buffer; `false` at the end of the stream.
    pub fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            // A child of the test's has ended, say.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) => panic!("read: {error}; so far: {:?}", excerpt(&self.buffer)),
        }
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "ended within {count} bytes: {:?}", excerpt(&self.buffer));
        }
        self.buffer.drain(..count).collect()
    }

    /// Everything up to and including `end`.
    pub fn take_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.buffer[looked_at..].windows(end.len()).position(|window| window == end) {
                return self.take(looked_at + at + end.len());
            }
            looked_at = self.buffer.len().saturating_sub(end.len() - 1);
            assert!(self.fill(), "ended before {end:?}: {:?}", excerpt(&self.buffer));
        }
    }

    pub fn read_head(&mut self) -> Answer {
        let head = String::from_utf8(self.take_until(b"\r\n\r\n")).expect("a head is text");
        let head = head.trim_end_matches("\r\n").to_owned();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("a status line");
        assert!(status_line.starts_with("HTTP/1.1 "), "{status_line}");
        let status = status_line[9..12].parse().expect("a status");
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("a field: {line:?}"));
            (name.to_owned(), value.to_owned())
        });
        Answer { status, headers: headers.collect(), body: Vec::new(), head: head.clone() }
    }

    /// The body behind a head, however it is framed.
    pub fn read_body(&mut self, answer: &mut Answer) {
        if answer.status == 204 || answer.status == 304 || answer.status < 200 {
            return;
        }
        if let Some(length) = answer.header("Content-Length") {
            answer.body = self.take(length.parse().expect("a length"));
        } else if answer.header("Transfer-Encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            answer.body = self.rest();
        }
    }

    /// One chunk's data; `None` for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.take_until(b"\r\n");
        let size = std::str::from_utf8(&line[..line.len() - 2]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        let data = self.take(size);
        assert_eq!(self.take(2), b"\r\n");
        (size > 0).then_some(data)
    }

    /// Whether nothing has come that was not read: no byte, and no end either.
    pub fn is_quiet(&self) -> bool {
        self.stream.set_nonblocking(true).expect("nonblocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        self.buffer.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Asserts that the server closes and sends nothing more.
    pub fn expect_end(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "expected the end, got {:?}", excerpt(&rest));
    }

    /// Ends the sending side.
    pub fn hang_up(&self) {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
    }
}

/// As much of what came as a message can hold.
fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..500).unwrap_or(bytes)).into_owned()
}
