//! A simulated client: what it has asked for, what it has read, and what it does next by
//! itself, as `sockjs-client` would.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::{Connect, Polling};
use super::frames::{Malformed, client_frame, take_frame, take_prelude, take_server_frame};
use super::response::{Part, Responses};
use crate::engine::split_mix;
use crate::loopback::{Loopback, SocketId};
use crate::sockjs::Transport;
use crate::websocket::frame::Opcode;

/// One client, with its connections.
pub(super) struct Peer {
    connect: Connect,
    /// The path of its session, or of its endpoint for a raw WebSocket.
    path: String,
    random: u64,
    lines: Vec<Line>,
    state: State,
    attention: Attention,
    /// Messages that wait for the answer to the last ones.
    unsent: Vec<String>,
    pub(super) frames: VecDeque<String>,
    pub(super) messages: VecDeque<String>,
    pub(super) binary: VecDeque<Vec<u8>>,
    pub(super) bytes: Vec<u8>,
    pub(super) status: Option<u16>,
}

/// How its page sees the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Open,
    Closed(u16, String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attention {
    Reads,
    Frozen,
}

/// One of its connections.
struct Line {
    socket: SocketId,
    role: Role,
    /// Bytes that it has read.
    read: usize,
    responses: Responses,
    stage: Stage,
    /// Of a body, or of the frames of a WebSocket: what is not whole yet.
    rest: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Frames come on it; on that of a WebSocket messages go out, too.
    Receiver,
    Sender,
    /// Its bytes are the test's affair.
    Raw,
}

/// How far the last response was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Asked,
    Prelude,
    Frames,
    /// The body of a refusal, with this status.
    Refused(u16),
}

impl Peer {
    pub(super) fn new(connect: Connect, mut random: u64, network: &mut Loopback) -> Self {
        let path = match connect.transport {
            None | Some(Transport::RawWebSocket) => connect.path.clone(),
            Some(_) => {
                let name = split_mix(&mut random);
                format!("{}/{:03}/{:012x}", connect.path, name % 1000, name >> 16)
            }
        };
        let mut peer = Self {
            connect,
            path,
            random,
            lines: Vec::new(),
            state: State::Connecting,
            attention: Attention::Reads,
            unsent: Vec::new(),
            frames: VecDeque::new(),
            messages: VecDeque::new(),
            binary: VecDeque::new(),
            bytes: Vec::new(),
            status: None,
        };
        if peer.connect.transport.is_some() {
            peer.open_receiver(network);
        } else {
            peer.add_line(Role::Raw, network);
        }
        peer
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn owns(&self, socket: SocketId) -> bool {
        self.lines.iter().any(|line| line.socket == socket)
    }

    fn add_line(&mut self, role: Role, network: &mut Loopback) -> usize {
        let socket = network.connect(self.connect.address);
        let (responses, stage) = (Responses::default(), Stage::Idle);
        self.lines.push(Line { socket, role, read: 0, responses, stage, rest: Vec::new() });
        self.lines.len() - 1
    }

    /// A connection of this role without a request under way.
    fn idle_line(&mut self, role: Role, network: &mut Loopback) -> usize {
        self.lines.retain(|line| !(line.stage == Stage::Idle && network.has_ended(line.socket)));
        let idle = self.lines.iter().position(|line| line.role == role && line.stage == Stage::Idle);
        idle.unwrap_or_else(|| self.add_line(role, network))
    }

    /// Asks for a receiver: beside the one that is under way, if there is one.
    pub(super) fn open_receiver(&mut self, network: &mut Loopback) {
        let Some(transport) = self.connect.transport else { return };
        let (method, name) = match transport {
            Transport::WebSocket | Transport::RawWebSocket => ("GET", "websocket"),
            Transport::XhrPolling => ("POST", "xhr"),
            Transport::XhrStreaming => ("POST", "xhr_streaming"),
            Transport::EventSource => ("GET", "eventsource"),
            Transport::HtmlFile => ("GET", "htmlfile"),
            Transport::JsonpPolling => ("GET", "jsonp"),
        };
        let callback = match transport {
            Transport::HtmlFile | Transport::JsonpPolling => "c=c",
            _ => "",
        };
        let upgrade = if is_websocket(transport) { self.handshake() } else { String::new() };
        if matches!(self.state, State::Closed(..)) {
            self.state = State::Connecting;
        }
        let request = self.request(method, name, callback, &upgrade, "");
        let line = self.idle_line(Role::Receiver, network);
        self.ask(line, &request, network);
    }

    fn handshake(&mut self) -> String {
        let key = [split_mix(&mut self.random).to_be_bytes(), split_mix(&mut self.random).to_be_bytes()];
        let mut encoded = [0; 24];
        // 16 bytes fill it (RFC 6455 §4.1).
        let _ = STANDARD.encode_slice(key.concat(), &mut encoded);
        let key = String::from_utf8_lossy(&encoded);
        format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        )
    }

    /// A request below the session's path.
    fn request(&self, method: &str, name: &str, query: &str, headers: &str, body: &str) -> String {
        let queries: Vec<&str> =
            [query, &self.connect.query].into_iter().filter(|query| !query.is_empty()).collect();
        let mark = if queries.is_empty() { "" } else { "?" };
        let (path, query, own) = (&self.path, queries.join("&"), &self.connect.headers);
        let length =
            if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        format!(
            "{method} {path}/{name}{mark}{query} HTTP/1.1\r\nHost: simulation\r\n{own}{headers}{length}\r\n{body}"
        )
    }

    fn ask(&mut self, index: usize, request: &str, network: &mut Loopback) {
        if let Some(line) = self.lines.get_mut(index) {
            line.stage = Stage::Asked;
            network.write(line.socket, request.as_bytes());
        }
    }

    /// Writes bytes of the test's own, on its first connection.
    pub(super) fn write(&mut self, bytes: &[u8], network: &mut Loopback) {
        if let Some(line) = self.lines.first() {
            network.write(line.socket, bytes);
        }
    }

    pub(super) fn send(&mut self, text: &str, network: &mut Loopback) {
        match self.connect.transport {
            None => {}
            Some(Transport::RawWebSocket) => self.send_frame(Opcode::Text, text.as_bytes(), network),
            Some(Transport::WebSocket) => self.send_frame(Opcode::Text, json(&[text]).as_bytes(), network),
            Some(_) => {
                self.unsent.push(text.to_owned());
                self.post(network);
            }
        }
    }

    pub(super) fn send_frame(&mut self, opcode: Opcode, payload: &[u8], network: &mut Loopback) {
        let [mask @ .., _, _, _, _] = split_mix(&mut self.random).to_be_bytes();
        if let Some(line) = self.lines.iter().find(|line| line.stage == Stage::Frames) {
            network.write(line.socket, &client_frame(opcode, payload, mask));
        }
    }

    /// Posts the messages that wait, when the last messages were answered.
    fn post(&mut self, network: &mut Loopback) {
        let is_busy = self.lines.iter().any(|line| line.role == Role::Sender && line.stage != Stage::Idle);
        if is_busy || self.unsent.is_empty() {
            return;
        }
        let body = json(&std::mem::take(&mut self.unsent));
        let request = match self.connect.transport {
            Some(Transport::JsonpPolling) => {
                let form = "Content-Type: application/x-www-form-urlencoded\r\n";
                self.request("POST", "jsonp_send", "", form, &format!("d={}", percent_encode(&body)))
            }
            _ => self.request("POST", "xhr_send", "", "Content-Type: text/plain\r\n", &body),
        };
        let line = self.idle_line(Role::Sender, network);
        self.ask(line, &request, network);
    }

    /// The page closes.
    pub(super) fn close(&mut self, network: &mut Loopback) {
        if self.connect.transport.is_some_and(is_websocket) {
            self.send_frame(Opcode::Close, &1000_u16.to_be_bytes(), network);
        } else {
            self.reset(network);
        }
        self.set_closed(1000, "Normal closure");
    }

    /// Its connections are reset.
    pub(super) fn reset(&mut self, network: &mut Loopback) {
        for line in self.lines.drain(..) {
            network.reset(line.socket);
        }
        if self.connect.transport.is_some_and(is_websocket) {
            self.set_closed(1006, "");
        }
    }

    /// It sends no more on its connections.
    pub(super) fn finish(&mut self, network: &mut Loopback) {
        for line in &self.lines {
            network.finish(line.socket);
        }
    }

    pub(super) fn freeze(&mut self, window: usize, network: &mut Loopback) {
        self.attention = Attention::Frozen;
        for line in &self.lines {
            network.set_window(line.socket, Some(window));
        }
    }

    pub(super) fn thaw(&mut self, network: &mut Loopback) {
        self.attention = Attention::Reads;
        for line in &self.lines {
            network.set_window(line.socket, None);
        }
        self.read(network);
    }

    fn set_closed(&mut self, code: u16, reason: &str) {
        if !matches!(self.state, State::Closed(..)) {
            self.state = State::Closed(code, reason.to_owned());
        }
    }

    /// Reads everything that has come, and does what follows from it.
    pub(super) fn read(&mut self, network: &mut Loopback) {
        if self.attention == Attention::Frozen {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        for line in &mut lines {
            let news = network.received(line.socket).get(line.read..).unwrap_or_default();
            line.read += news.len();
            self.bytes.extend_from_slice(news);
            line.responses.push(news);
            if line.role != Role::Raw && self.read_line(line, network).is_err() {
                self.set_closed(1006, "malformed");
            }
        }
        // A response that one of them opens goes to a new connection.
        self.lines.append(&mut lines);
        self.note_ends(network);
        self.post(network);
        let polls = self.connect.polling == Polling::Automatic
            && !self.connect.transport.is_some_and(is_websocket)
            && self.state == State::Open
            && !self.lines.iter().any(|line| line.role == Role::Receiver && line.stage != Stage::Idle)
            && self.lines.iter().any(|line| line.role == Role::Receiver);
        if polls {
            self.open_receiver(network);
        }
    }

    /// Connections that the server has ended.
    fn note_ends(&mut self, network: &Loopback) {
        let mut lines = std::mem::take(&mut self.lines);
        for line in lines.iter_mut().filter(|line| network.has_ended(line.socket)) {
            let Some(transport) = self.connect.transport else { continue };
            match (line.stage, self.state.clone()) {
                (Stage::Idle | Stage::Refused(_), _) => {}
                (_, State::Connecting) if line.read == 0 => {
                    self.set_closed(1002, "Cannot connect to server");
                }
                _ if is_websocket(transport) => self.set_closed(1006, ""),
                // The browser asks for the next stream by itself.
                _ if matches!(transport, Transport::EventSource | Transport::HtmlFile) => {}
                _ => self.set_closed(1006, "permanent"),
            }
            line.stage = Stage::Idle;
        }
        self.lines = lines;
    }

    fn read_line(&mut self, line: &mut Line, network: &mut Loopback) -> Result<(), Malformed> {
        while let Some(part) = line.responses.next()? {
            match part {
                Part::Status(100) => {}
                Part::Status(status) => {
                    self.status = Some(status);
                    line.stage = match (status, line.role) {
                        (101, _) => Stage::Frames,
                        (200, Role::Receiver) => Stage::Prelude,
                        (200 | 204, _) => Stage::Asked,
                        _ => Stage::Refused(status),
                    };
                    if status == 101 && self.connect.transport == Some(Transport::RawWebSocket) {
                        self.state = State::Open;
                    }
                }
                Part::Body(bytes)
                    if line.role == Role::Receiver && !matches!(line.stage, Stage::Refused(_)) =>
                {
                    line.rest.extend(bytes);
                    self.read_rest(line, network)?;
                }
                Part::Body(_) => {}
                Part::End => {
                    if let Stage::Refused(status) = line.stage {
                        self.note_refusal(status, line.role);
                    }
                    line.stage = Stage::Idle;
                    line.rest.clear();
                }
            }
        }
        Ok(())
    }

    fn note_refusal(&mut self, status: u16, role: Role) {
        match (role, &self.state) {
            (Role::Sender, _) if self.connect.transport == Some(Transport::JsonpPolling) => {}
            (Role::Sender, _) => {
                self.set_closed(1006, &format!("Sending error: Error: http status {status}"));
            }
            (_, State::Connecting) => self.set_closed(2000, "All transports failed"),
            _ => self.set_closed(1006, "permanent"),
        }
    }

    fn read_rest(&mut self, line: &mut Line, network: &mut Loopback) -> Result<(), Malformed> {
        let Some(transport) = self.connect.transport else { return Ok(()) };
        if is_websocket(transport) {
            return self.read_websocket(line, network);
        }
        if line.stage == Stage::Prelude && take_prelude(transport, &mut line.rest)? {
            line.stage = Stage::Frames;
        }
        while line.stage == Stage::Frames
            && let Some(frame) = take_frame(transport, &mut line.rest)?
        {
            self.read_frame(frame)?;
        }
        Ok(())
    }

    fn read_websocket(&mut self, line: &mut Line, network: &mut Loopback) -> Result<(), Malformed> {
        while let Some((opcode, payload)) = take_server_frame(&mut line.rest)? {
            let mut answer = |opcode, payload: &[u8]| {
                let [mask @ .., _, _, _, _] = split_mix(&mut self.random).to_be_bytes();
                network.write(line.socket, &client_frame(opcode, payload, mask));
            };
            match opcode {
                Opcode::Ping => answer(Opcode::Pong, &payload),
                Opcode::Close => {
                    answer(Opcode::Close, &payload);
                    let (code, reason) = payload.split_first_chunk().unwrap_or((&[0x03, 0xed], &[]));
                    self.set_closed(u16::from_be_bytes(*code), &String::from_utf8_lossy(reason));
                }
                Opcode::Binary => self.binary.push_back(payload),
                _ => {
                    let text = String::from_utf8(payload).map_err(|_| Malformed)?;
                    if self.connect.transport == Some(Transport::RawWebSocket) {
                        self.frames.push_back(text.clone());
                        self.messages.push_back(text);
                    } else {
                        self.read_frame(text)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A SockJS frame (contract, section 5).
    fn read_frame(&mut self, frame: String) -> Result<(), Malformed> {
        match (frame.split_at_checked(1), &self.state) {
            // The session is new to the server: it has forgotten the one of this client.
            (Some(("o", "")), State::Open) => self.set_closed(1006, "Server lost session"),
            (Some(("o", "")), _) => self.state = State::Open,
            (Some(("h", "")), _) => {}
            (Some(("a", messages)), _) => {
                let messages: Vec<String> = serde_json::from_str(messages).map_err(|_| Malformed)?;
                self.messages.extend(messages);
            }
            (Some(("c", close)), _) => {
                let (code, reason): (u16, String) = serde_json::from_str(close).map_err(|_| Malformed)?;
                self.set_closed(code, &reason);
            }
            _ => return Err(Malformed),
        }
        self.frames.push_back(frame);
        Ok(())
    }
}

fn is_websocket(transport: Transport) -> bool {
    matches!(transport, Transport::WebSocket | Transport::RawWebSocket)
}

fn json(messages: &[impl AsRef<str>]) -> String {
    let messages: Vec<&str> = messages.iter().map(AsRef::as_ref).collect();
    // Strings are always JSON.
    serde_json::to_string(&messages).unwrap_or_default()
}

fn percent_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
