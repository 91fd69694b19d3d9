//! HTTP/1.1 as a client sees it: the client sends what it is told to send, and keeps what arrives as it came.
//!
//! The clients of the tests stand on each other: [`Client`] is a connection; `frames` makes it a WebSocket; `receiver`
//! is one response (or one WebSocket) that carries the frames of a session; `sockjs` is a whole session over any
//! transport. None of them retries, repairs or hides anything, and each panics where the server breaks the contract.
//! Every wait is bounded by [`PATIENCE`].

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    /// The value of `Host`.
    pub host: String,
    /// The text before the path of every request; mostly nothing.
    pub base: String,
    /// Whether the server is not this one: another server may write heads in another way.
    pub is_foreign: bool,
    /// Bytes that arrived; those before `taken` were looked at.
    buffer: Vec<u8>,
    taken: usize,
}

/// An answer, read whole or as far as its head.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    /// The head as it came, without the empty line.
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The only field of this name; two of them are a fault of the server.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "several {name} in {}", self.head);
        first
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("only valid UTF-8 goes out")
    }

    /// Whether the connection ends behind this answer.
    pub fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Panics unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "status; the answer was {}\n{}", self.head, self.body.escape_ascii());
        self
    }

    /// Panics unless the field has this value, or is absent.
    #[track_caller]
    pub fn expect_header(self, name: &str, value: impl Into<Option<&'static str>>) -> Self {
        assert_eq!(self.header(name), value.into(), "{name} of {}", self.head);
        self
    }

    /// Panics unless the body is this.
    #[track_caller]
    pub fn expect_body(self, body: &str) -> Self {
        assert_eq!(self.text(), body, "body of {}", self.head);
        self
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        Self::on(stream)
    }

    /// A client on a socket that is connected.
    pub fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        let (host, base) = ("localhost".to_owned(), String::new());
        Self { stream, host, base, is_foreign: false, buffer: Vec::new(), taken: 0 }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("send");
        self
    }

    /// Sends bytes that the server may refuse before it has read them all.
    pub fn send_if_wanted(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        match self.stream.write_all(bytes.as_ref()) {
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                panic!("send: {error}");
            }
            _ => self,
        }
    }

    /// The bytes of a request with `Host`, these header lines (each ended by CRLF), and a body with its length if there
    /// is one.
    pub fn bytes_of(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let length = match (method, body) {
            ("GET" | "HEAD" | "OPTIONS", b"") => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let Self { host, base, .. } = self;
        let head = format!("{method} {base}{target} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n");
        [head.as_bytes(), body].concat()
    }

    pub fn request(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> &mut Self {
        let bytes = self.bytes_of(method, target, headers, body);
        self.send(bytes)
    }

    /// A request of HTTP/1.0.
    pub fn request_http10(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> &mut Self {
        let bytes = self.bytes_of(method, target, headers, body);
        let text = String::from_utf8(bytes).expect("a request in text");
        self.send(text.replacen(" HTTP/1.1\r\n", " HTTP/1.0\r\n", 1))
    }

    /// Sends a request and reads the whole answer.
    pub fn ask(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        self.request(method, target, headers, body).answer_to(method)
    }

    /// The whole answer to any request but HEAD.
    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// The whole answer to a request of this method.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        if method != "HEAD" {
            self.body(&mut answer);
        }
        answer
    }

    /// More bytes into the buffer; `false` at the end of the stream.
    pub fn fill(&mut self) -> bool {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            // A signal came: a child of the test has ended, say.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) => panic!("nothing more came ({error}); so far {:?}", excerpt(self.buffered())),
        }
    }

    /// Bytes that arrived and were not looked at yet.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffered().len() < count {
            assert!(self.fill(), "the stream ended within {count} bytes: {:?}", excerpt(self.buffered()));
        }
        let bytes = self.buffered()[..count].to_vec();
        self.taken += count;
        bytes
    }

    /// Everything up to and including `end`.
    pub fn take_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut looked_at = 0;
        loop {
            let rest = self.buffered();
            if let Some(at) = rest[looked_at..].windows(end.len()).position(|window| window == end) {
                return self.take(looked_at + at + end.len());
            }
            looked_at = rest.len().saturating_sub(end.len() - 1);
            assert!(
                self.fill(),
                "the stream ended before {:?}: {:?}",
                excerpt(end),
                excerpt(self.buffered())
            );
        }
    }

    /// The head of an answer.
    pub fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.take_until(b"\r\n\r\n")).expect("a head is text");
        let head = head.trim_end_matches("\r\n").to_owned();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("a status line");
        assert!(self.is_foreign || status_line.starts_with("HTTP/1.1 "), "a status line: {status_line:?}");
        let status = status_line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("a status line: {status_line:?}"));
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("a field: {line:?}"));
            assert!(self.is_foreign || value.starts_with(' '), "a space before the value: {line:?}");
            (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
        });
        Answer { status, headers: headers.collect(), body: Vec::new(), head: head.clone() }
    }

    /// The body behind a head, however it is framed (RFC 9112 §6.3).
    pub fn body(&mut self, answer: &mut Answer) {
        if answer.status == 204 || answer.status == 304 || answer.status < 200 {
            return;
        }
        if answer.header("Transfer-Encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = answer.header("Content-Length") {
            answer.body = self.take(length.parse().expect("a length"));
        } else {
            answer.body = self.rest();
        }
    }

    /// One chunk's data; `None` for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.take_until(b"\r\n");
        let size = std::str::from_utf8(&line[..line.len() - 2]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("a chunk size: {size:?}"));
        let data = self.take(size);
        assert_eq!(self.take(2), b"\r\n", "the end of a chunk");
        (size > 0).then_some(data)
    }

    /// Whether nothing has come that was not read: no byte, and no end either.
    pub fn is_quiet(&self) -> bool {
        self.stream.set_nonblocking(true).expect("nonblocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        self.buffered().is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Panics unless the server closes and sends nothing more.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "expected the end of the stream, got {:?}", excerpt(&rest));
    }

    /// Ends the sending side: a FIN.
    pub fn hang_up(&self) {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Ends the sending side, and reads what is still answered.
    pub fn hang_up_and_read(&mut self) -> Vec<u8> {
        // A server that closed first may have reset the connection.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.rest()
    }
}

/// As much of what came as a message can hold.
fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(500)].escape_ascii().to_string()
}
