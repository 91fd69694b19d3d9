//! A blocking client that sends prepared bytes and checks every byte that comes back. What it expects is a value, so
//! that one client drives every transport, and the floor as well.

#![allow(dead_code, reason = "each bench uses its own part")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use sockjs_server::websocket::frame::{Opcode, write_header};
use sockjs_server::websocket::mask::unmask;

/// How long anything may take before a run fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Larger requests are written by a thread of their own, while this one reads: neither side waits for the other.
const FITS_IN_SOCKET: usize = 16 << 10;

/// What a server is to answer.
#[derive(Clone)]
pub enum Reply {
    /// These bytes.
    Exact(Vec<u8>),
    /// An HTTP answer with this status, and this body if its head gives a length.
    Answer(u16, Vec<u8>),
    /// WebSocket messages `a[…]` that repeat this JSON string.
    Frames(Vec<u8>),
    /// HTTP chunks `a[…]\n` that repeat this JSON string.
    Chunks(Vec<u8>),
    /// A HTTP chunk, whatever is in it: a prelude.
    Chunk,
}

/// What the front of the bytes that arrived amounts to.
struct Taken {
    length: usize,
    messages: usize,
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What has arrived and was not looked at yet lies between these.
    start: usize,
    end: usize,
    /// Bytes that arrived in all.
    pub received: usize,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 4 << 10], start: 0, end: 0, received: 0 })
    }

    /// A WebSocket, raw or with the session's open frame behind it.
    pub fn upgrade(address: SocketAddr, path: &str) -> io::Result<Self> {
        let mut connection = Self::open(address)?;
        connection.send(&handshake(path))?;
        connection.expect(&Reply::Answer(101, Vec::new()), 1)?;
        if !is_raw(path) {
            connection.expect(&Reply::Exact(OPEN_FRAME.to_vec()), 1)?;
        }
        Ok(connection)
    }

    /// A receiver that streams, asked for by this request, and read as far as the open frame `first`.
    pub fn stream(address: SocketAddr, request: &[u8], first: &[u8]) -> io::Result<Self> {
        let mut connection = Self::open(address)?;
        connection.send(request)?;
        connection.expect(&Reply::Answer(200, Vec::new()), 1)?;
        connection.expect(&Reply::Chunk, 1)?;
        connection.expect(&Reply::Exact(chunk(first)), 1)?;
        Ok(connection)
    }

    /// The receiver of xhr-streaming.
    pub fn xhr_stream(address: SocketAddr, path: &str) -> io::Result<Self> {
        Self::stream(address, &post(path, b""), b"o\n")
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads until so many messages have come, and nothing but what was expected.
    pub fn expect(&mut self, reply: &Reply, messages: usize) -> io::Result<()> {
        let mut left = messages;
        while left > 0 {
            match reply.take(&self.buffer[self.start..self.end])? {
                Some(taken) => {
                    self.start += taken.length;
                    left = left.checked_sub(taken.messages).ok_or_else(|| wrong("too many messages"))?;
                }
                None => self.fill()?,
            }
        }
        Ok(())
    }

    /// Sends and reads at the same time, where that is needed.
    pub fn exchange(&mut self, request: &[u8], reply: &Reply, messages: usize) -> io::Result<()> {
        if request.len() <= FITS_IN_SOCKET {
            self.send(request)?;
            return self.expect(reply, messages);
        }
        let mut writer = self.stream.try_clone()?;
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || writer.write_all(request));
            self.expect(reply, messages)?;
            writing.join().map_err(|_| wrong("the writer panicked"))?
        })
    }

    /// Hangs up, and reads until the server has too.
    pub fn finish(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        match self.stream.read(&mut self.buffer)? {
            0 => Ok(()),
            count => Err(wrong(format!("{count} bytes behind the end"))),
        }
    }

    /// The socket, for programs that go on by themselves; nothing may be left that was read and not looked at.
    pub fn into_stream(self) -> io::Result<TcpStream> {
        check(self.start == self.end, &self.buffer[self.start..self.end])?;
        Ok(self.stream)
    }

    /// The payload of the next WebSocket message.
    pub fn message(&mut self) -> io::Result<&[u8]> {
        loop {
            if let Some((header, length)) = frame_header(&self.buffer[self.start..self.end])?
                && self.end - self.start >= header + length
            {
                let start = self.start + header;
                self.start = start + length;
                return Ok(&self.buffer[start..self.start]);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err(wrong("the server hung up")),
            count => {
                self.end += count;
                self.received += count;
                Ok(())
            }
        }
    }
}

impl Reply {
    /// The reply at the front of `bytes`; `None` if more must come.
    fn take(&self, bytes: &[u8]) -> io::Result<Option<Taken>> {
        match self {
            Reply::Exact(expected) => {
                let Some(front) = bytes.get(..expected.len()) else { return Ok(None) };
                check(front == expected, front)?;
                Ok(Some(Taken { length: expected.len(), messages: 1 }))
            }
            Reply::Answer(status, body) => {
                let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                    return Ok(None);
                };
                let (head, rest) = bytes.split_at(at + 4);
                let head = str::from_utf8(head).map_err(wrong)?;
                check(head.starts_with(&format!("HTTP/1.1 {status} ")), bytes)?;
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length = length.map_or(Ok(0), str::parse::<usize>).map_err(wrong)?;
                let Some(content) = rest.get(..length) else { return Ok(None) };
                check(content == body, bytes)?;
                Ok(Some(Taken { length: head.len() + length, messages: 1 }))
            }
            Reply::Frames(json) => {
                let Some((header, length)) = frame_header(bytes)? else { return Ok(None) };
                let Some(frame) = bytes.get(header..header + length) else { return Ok(None) };
                Ok(Some(Taken { length: header + length, messages: count_messages(frame, json)? }))
            }
            Reply::Chunks(json) => match front_chunk(bytes)? {
                Some((length, chunk)) => {
                    let frame = chunk.strip_suffix(b"\n").ok_or_else(|| wrong("no end of the frame"))?;
                    Ok(Some(Taken { length, messages: count_messages(frame, json)? }))
                }
                None => Ok(None),
            },
            Reply::Chunk => Ok(front_chunk(bytes)?.map(|(length, _)| Taken { length, messages: 1 })),
        }
    }
}

/// The lengths of the header and the payload of the text message at the front of `bytes`; `None` if more must come.
pub fn frame_header(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    Ok(Some(match *bytes {
        [0x81, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
        [0x81, 127, a, b, c, d, e, f, g, h, ..] => {
            (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize)
        }
        [0x81, length @ 0..126, ..] => (2, usize::from(length)),
        [] | [0x81] | [0x81, 126 | 127, ..] => return Ok(None),
        _ => return check(false, bytes).map(|()| None),
    }))
}

/// The length and the data of the HTTP chunk at the front of `bytes`; `None` if more must come.
fn front_chunk(bytes: &[u8]) -> io::Result<Option<(usize, &[u8])>> {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let size = str::from_utf8(&bytes[..at]).map_err(wrong)?.trim_end();
    let size = usize::from_str_radix(size, 16).map_err(wrong)?;
    let Some(chunk) = bytes.get(at + 1..at + 1 + size + 2) else { return Ok(None) };
    let data = chunk.strip_suffix(b"\r\n").ok_or_else(|| wrong("no end of the chunk"))?;
    Ok(Some((at + 1 + size + 2, data)))
}

/// How often an `a[…]` frame repeats a JSON string. Anything else in it is wrong.
fn count_messages(frame: &[u8], json: &[u8]) -> io::Result<usize> {
    let list = frame.strip_prefix(b"a[").and_then(|list| list.strip_suffix(b"]"));
    let mut rest = list.ok_or_else(|| wrong(format!("no messages: {}", start_of(frame))))?;
    let mut count = 0;
    loop {
        rest = rest.strip_prefix(json).ok_or_else(|| wrong(format!("no echo: {}", start_of(rest))))?;
        count += 1;
        match rest.split_first() {
            None => return Ok(count),
            Some((b',', behind)) => rest = behind,
            Some(_) => return Err(wrong(format!("no echo: {}", start_of(rest)))),
        }
    }
}

fn check(right: bool, bytes: &[u8]) -> io::Result<()> {
    if right { Ok(()) } else { Err(wrong(format!("unexpected bytes: {}", start_of(bytes)))) }
}

fn start_of(bytes: &[u8]) -> String {
    bytes.iter().take(200).flat_map(|byte| byte.escape_ascii()).map(char::from).collect()
}

/// The error of a run that cannot be trusted.
pub fn wrong(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// The `o` of a session, as a WebSocket message.
const OPEN_FRAME: &[u8] = b"\x81\x01o";

/// Whether a WebSocket of this path carries no SockJS frames: `/echo/websocket`.
fn is_raw(path: &str) -> bool {
    path.split('/').count() == 3
}

/// The request that opens a WebSocket.
pub fn handshake(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A chunk of an HTTP body.
pub fn chunk(content: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

/// A frame as a client sends it.
pub fn client_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = Vec::new();
    write_header(&mut frame, opcode, payload.len());
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[start..], MASK);
    frame
}

/// A frame as a server sends it.
pub fn server_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_header(&mut frame, opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// A text of letters and spaces; a JSON string of it has two bytes more.
pub fn text(size: usize) -> String {
    cycled("the quick brown fox jumps over a lazy dog ", size)
}

/// A pattern again and again, and spaces where a character of several bytes would be one too many.
pub fn cycled(pattern: &str, size: usize) -> String {
    let mut text = String::new();
    for character in pattern.chars().cycle() {
        if text.len() + character.len_utf8() > size {
            break;
        }
        text.push(character);
    }
    while text.len() < size {
        text.push(' ');
    }
    text
}

/// The JSON string of a text, as browsers and the server write it.
pub fn json(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

/// The payload of a client that sends one message.
pub fn payload(text: &str) -> Vec<u8> {
    [b"[", &*json(text), b"]"].concat()
}
