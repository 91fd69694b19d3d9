//! What is done over each transport: open a session, send a message, and wait until it comes back.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::time::{Duration, Instant};

use sockjs_server::Transport;

use super::connection::{Connection, Wait};
use super::exchange::{Client, Lines, Request, expect_status};
use super::frames::{CALLBACK, Frame, Line, Wrapping};
use super::problem::Problem;
use super::websocket::{self, Received};
use crate::json;

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) is_open: bool,
    /// How long the message took, there and back.
    pub(super) latency: Option<Duration>,
    /// With which code the server closed.
    pub(super) close: Option<u16>,
    /// `None`: it works.
    pub(super) problem: Option<Problem>,
}

impl Outcome {
    /// The endpoint has no such path: the transport is switched off.
    pub(super) fn is_off(&self) -> bool {
        !self.is_open && matches!(self.problem, Some(Problem::Status { status: 404, .. }))
    }
}

/// Tries a transport.
pub(super) fn try_out(client: &mut Client<'_>, transport: Transport) -> Outcome {
    let mut outcome = Outcome::default();
    let done = match transport {
        Transport::WebSocket => over_websocket(client, &session_path("websocket"), true, &mut outcome),
        Transport::RawWebSocket => over_websocket(client, "/websocket", false, &mut outcome),
        _ => over_http(client, transport, &mut outcome),
    };
    if let Err(problem) = done {
        if let Problem::Closed { code, .. } = problem {
            outcome.close = Some(code);
        }
        outcome.problem = Some(problem);
    }
    outcome
}

/// A number that no other run has.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The path of a new session, as `sockjs-client` makes them.
fn session_path(name: &str) -> String {
    format!("/{:03}/{:016x}/{name}", random() % 1000, random())
}

/// A message that is not plain ASCII: what stands between must not recode it.
fn message() -> String {
    format!("check {:08x} \u{fc}", random() as u32)
}

/// The names of an HTTP transport's URLs, and how its responses look.
struct Http {
    method: &'static str,
    receive: &'static str,
    send: &'static str,
    wrapping: Wrapping,
}

fn http(transport: Transport) -> Http {
    let (method, receive, send, wrapping) = match transport {
        Transport::XhrStreaming => ("POST", "xhr_streaming", "xhr_send", Wrapping::Bare),
        Transport::EventSource => ("GET", "eventsource", "xhr_send", Wrapping::EventSource),
        Transport::HtmlFile => ("GET", "htmlfile", "xhr_send", Wrapping::HtmlFile),
        Transport::JsonpPolling => ("GET", "jsonp", "jsonp_send", Wrapping::Jsonp),
        _ => ("POST", "xhr", "xhr_send", Wrapping::Bare),
    };
    Http { method, receive, send, wrapping }
}

fn over_http(client: &mut Client<'_>, transport: Transport, outcome: &mut Outcome) -> Result<(), Problem> {
    let http = http(transport);
    let session = session_path("");
    let query = match http.wrapping {
        Wrapping::HtmlFile | Wrapping::Jsonp => format!("?c={CALLBACK}"),
        Wrapping::Bare | Wrapping::EventSource => String::new(),
    };
    let path = format!("{session}{}{query}", http.receive);
    let mut receiver = Receiver { path: &path, http: &http, response: Response::None };
    let wait = client.wait("open frame");
    match receiver.frame(client, wait) {
        Ok(Frame::Open) => outcome.is_open = true,
        Ok(Frame::Close { code, reason }) => return Err(Problem::Closed { code, reason }),
        Ok(Frame::Heartbeat | Frame::Messages(_)) => return Err(Problem::NotAFrame),
        Err(Problem::Silence { waited, .. }) if transport.is_streaming() => {
            return Err(Problem::HeldBack { waited });
        }
        Err(problem) => return Err(problem),
    }
    let text = message();
    let mut sender = client.connect()?;
    // A poll is under way by then, as with a client in a page.
    if transport.is_polling() {
        receiver.finish(wait)?;
        receiver.ask(client)?;
    }
    let start = Instant::now();
    send(client, &mut sender, &http, &format!("{session}{}", http.send), &text)?;
    let wait = client.wait("echo");
    let mut has_others = false;
    loop {
        match receiver.frame(client, wait) {
            Ok(Frame::Messages(messages)) if messages.contains(&text) => break,
            Ok(Frame::Messages(_)) => has_others = true,
            Ok(Frame::Heartbeat) => {}
            Ok(Frame::Open) => return Err(Problem::NotAFrame),
            Ok(Frame::Close { code, reason }) => return Err(Problem::Closed { code, reason }),
            Err(Problem::Silence { .. }) if has_others => return Err(Problem::OtherMessage),
            Err(problem) => return Err(problem),
        }
    }
    outcome.latency = Some(start.elapsed());
    Ok(())
}

/// Sends a message by a request of its own.
fn send(
    client: &mut Client<'_>,
    connection: &mut Connection,
    http: &Http,
    path: &str,
    text: &str,
) -> Result<(), Problem> {
    let mut payload = String::from("[");
    json::push_string(&mut payload, text);
    payload.push(']');
    let (fields, body) = match http.wrapping {
        Wrapping::Jsonp => {
            let encoded = payload.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            (
                "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n",
                format!("d={encoded}"),
            )
        }
        _ => ("Content-Type: text/plain; charset=UTF-8\r\nConnection: close\r\n", payload),
    };
    let request = Request { method: "POST", path, fields, body: &body };
    client.ask(connection, &request, "answer to the send request").map(drop)
}

/// Where frames come from: one response after the other.
struct Receiver<'r> {
    path: &'r str,
    http: &'r Http,
    response: Response,
}

#[derive(Default)]
enum Response {
    #[default]
    None,
    /// The request was sent. The head of a poll's answer comes with its frame.
    Asked(Connection),
    Reading {
        lines: Lines,
        has_frames: bool,
    },
}

impl Receiver<'_> {
    /// Asks for a response, unless one is under way.
    fn ask(&mut self, client: &Client<'_>) -> Result<(), Problem> {
        if let Response::None = self.response {
            let mut connection = client.connect()?;
            let Http { method, .. } = self.http;
            client.send(&mut connection, &Request { method, path: self.path, fields: "", body: "" })?;
            self.response = Response::Asked(connection);
        }
        Ok(())
    }

    /// The next frame.
    fn frame(&mut self, client: &mut Client<'_>, wait: Wait) -> Result<Frame, Problem> {
        loop {
            self.ask(client)?;
            match mem::take(&mut self.response) {
                Response::None => {}
                Response::Asked(mut connection) => {
                    let head = client.head(&mut connection, wait)?;
                    expect_status(&head, "answer to the receive request", |status| status == 200)?;
                    self.response =
                        Response::Reading { lines: Lines::new(connection, &head)?, has_frames: false };
                }
                Response::Reading { mut lines, has_frames } => {
                    let line = lines.next(wait)?;
                    match line.map(|line| self.http.wrapping.read(&line)) {
                        Some(Line::Frame(frame)) => {
                            self.response = Response::Reading { lines, has_frames: true };
                            return Ok(frame);
                        }
                        Some(Line::Other) => self.response = Response::Reading { lines, has_frames },
                        Some(Line::Malformed) => return Err(Problem::NotAFrame),
                        // A server that ends each response without a frame would be asked without end.
                        None if !has_frames => return Err(Problem::Ended { awaited: wait.awaited }),
                        None => {}
                    }
                }
            }
        }
    }

    /// Reads a poll's response to its end.
    fn finish(&mut self, wait: Wait) -> Result<(), Problem> {
        if let Response::Reading { mut lines, .. } = mem::take(&mut self.response) {
            while lines.next(wait)?.is_some() {}
        }
        Ok(())
    }
}

fn over_websocket(
    client: &mut Client<'_>,
    path: &str,
    has_frames: bool,
    outcome: &mut Outcome,
) -> Result<(), Problem> {
    let mut socket = Socket::open(client, path)?;
    if has_frames {
        match socket.frame(client.wait("open frame"))? {
            Frame::Open => {}
            Frame::Close { code, reason } => return Err(Problem::Closed { code, reason }),
            Frame::Heartbeat | Frame::Messages(_) => return Err(Problem::NotAFrame),
        }
    }
    outcome.is_open = true;
    let text = message();
    let mut payload = text.clone();
    if has_frames {
        payload.clear();
        payload.push('[');
        json::push_string(&mut payload, &text);
        payload.push(']');
    }
    let start = Instant::now();
    socket.connection.send(&websocket::text(&payload, mask()), client.timeout)?;
    let wait = client.wait("echo");
    let mut has_others = false;
    loop {
        let messages = match has_frames {
            true => socket.frame(wait).map(|frame| match frame {
                Frame::Messages(messages) => Ok(messages),
                Frame::Heartbeat => Ok(Vec::new()),
                Frame::Open => Err(Problem::NotAFrame),
                Frame::Close { code, reason } => Err(Problem::Closed { code, reason }),
            }),
            false => socket.text(wait).map(|text| Ok(vec![text])),
        };
        match messages {
            Ok(messages) if messages.as_ref().is_ok_and(|messages| messages.contains(&text)) => break,
            Ok(messages) => has_others |= !messages?.is_empty(),
            Err(Problem::Silence { .. }) if has_others => return Err(Problem::OtherMessage),
            Err(problem) => return Err(problem),
        }
    }
    outcome.latency = Some(start.elapsed());
    outcome.close = Some(socket.close(client)?);
    Ok(())
}

fn mask() -> [u8; 4] {
    (random() as u32).to_be_bytes()
}

/// A WebSocket whose handshake is over.
struct Socket {
    connection: Connection,
    reader: websocket::Reader,
    timeout: Duration,
}

impl Socket {
    fn open(client: &mut Client<'_>, path: &str) -> Result<Self, Problem> {
        let mut connection = client.connect()?;
        client.send(
            &mut connection,
            &Request { method: "GET", path, fields: websocket::HANDSHAKE, body: "" },
        )?;
        let head = client.head(&mut connection, client.wait("answer to the upgrade"))?;
        expect_status(&head, "answer to the upgrade", |status| status == 101)?;
        if head.value("sec-websocket-accept") != Some(websocket::ACCEPT) {
            return Err(Problem::WrongAccept);
        }
        Ok(Self { connection, reader: websocket::Reader::default(), timeout: client.timeout })
    }

    /// What comes next, pings aside: they are answered.
    fn receive(&mut self, wait: Wait) -> Result<Received, Problem> {
        loop {
            match self.reader.take(&mut self.connection.input)? {
                Some(Received::Ping(payload)) => {
                    self.connection.send(&websocket::pong(&payload, mask()), self.timeout)?;
                }
                Some(Received::Pong) => {}
                Some(received) => return Ok(received),
                None if self.connection.receive(wait)? => {}
                None => return Err(Problem::Ended { awaited: wait.awaited }),
            }
        }
    }

    fn text(&mut self, wait: Wait) -> Result<String, Problem> {
        match self.receive(wait)? {
            Received::Text(text) => Ok(text),
            Received::Close { code, reason } => Err(Problem::Closed { code, reason }),
            // `receive` keeps the others.
            Received::Binary | Received::Ping(_) | Received::Pong => Err(Problem::NotWebSocket),
        }
    }

    fn frame(&mut self, wait: Wait) -> Result<Frame, Problem> {
        Frame::parse(&self.text(wait)?).ok_or(Problem::NotAFrame)
    }

    /// Closes, and says with which code the server does (RFC 6455 §5.5.1).
    fn close(&mut self, client: &Client<'_>) -> Result<u16, Problem> {
        self.connection.send(&websocket::close(mask()), self.timeout)?;
        let wait = client.wait("answer to the close frame");
        loop {
            if let Received::Close { code, .. } = self.receive(wait)? {
                return Ok(code);
            }
        }
    }
}
