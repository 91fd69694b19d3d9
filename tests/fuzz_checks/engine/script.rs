//! Fuzz input → what clients, the clock and the application do.

use crate::checks::Input;
use crate::checks::websocket::append_frame;

#[derive(Debug, Clone)]
pub enum Step {
    Accept,
    /// A hundred clients connect at once, with session names from this number on, and each
    /// of them writes its first bytes.
    Crowd(Crowd, usize),
    /// The client writes these bytes.
    Send(usize, Vec<u8>),
    /// It writes so many requests, each of which can be answered at once.
    Ask(usize, usize, Vec<u8>),
    /// FIN, behind all that it wrote.
    HangUp(usize),
    Reset(usize),
    /// Its socket takes so many bytes more, until this is said again; `None`: all.
    Appetite(usize, Option<usize>),
    Wait(u64),
    /// The application is to do this in its next callbacks.
    Program(Vec<u8>),
    /// Somebody outside calls the engine.
    Call(u8),
    Stop,
    EndTurn,
}

/// What the clients of a crowd ask for first.
#[derive(Debug, Clone, Copy)]
pub enum Crowd {
    /// Nothing.
    Idle,
    /// They begin with a request, and do not go on.
    HalfARequest,
    /// Each polls for a session of its own.
    Polling,
    Streaming,
    WebSocket,
    RawWebSocket,
}

/// Clients of a crowd.
pub const CROWD: usize = 100;

impl Crowd {
    /// What one of them writes.
    pub fn first_bytes(self, name: usize) -> Vec<u8> {
        let post = |path| format!("POST /o/0/{name}/{path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let get = |path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n{HANDSHAKE}\r\n");
        let head = match self {
            Crowd::Idle => String::new(),
            Crowd::HalfARequest => {
                "POST /o/0/a/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n[".into()
            }
            Crowd::Polling => post("xhr"),
            Crowd::Streaming => post("xhr_streaming"),
            Crowd::WebSocket => get(format!("/o/0/{name}/websocket")),
            Crowd::RawWebSocket => get("/o/websocket".into()),
        };
        head.into_bytes()
    }
}

#[derive(Debug)]
pub struct Script {
    /// How the bytes of a step are cut, where they are.
    pub seed: u8,
    pub steps: Vec<Step>,
    /// At the end clients go silent, with their sockets open, instead of hanging up.
    pub goes_silent: bool,
    /// The whole server has little memory for what waits.
    pub is_poor: bool,
    /// It has as little as the options allow, if it has not even less.
    pub is_modest: bool,
}

/// More of it finds nothing new, and slows the fuzzer down.
const MOST_STEPS: usize = 200;
const MOST_CONNECTIONS: usize = 12;
const MOST_CROWDS: usize = 4;
const MOST_LARGE: usize = 6 << 20;

impl Script {
    pub fn read(mut input: Input<'_>) -> Self {
        let (seed, flags) = (input.byte(), input.byte());
        let mut steps = vec![Step::Program(input.short().to_vec())];
        let (mut connections, mut singles, mut crowds, mut written) = (0, 0, 0, 0);
        while !input.is_empty() && steps.len() < MOST_STEPS {
            let code = input.byte();
            if connections == 0 || (code & 15 == 0 && singles < MOST_CONNECTIONS) {
                steps.push(Step::Accept);
                (connections, singles) = (connections + 1, singles + 1);
            } else {
                let client = usize::from(input.byte()) % connections;
                match step(&mut input, code & 15, client) {
                    Step::Crowd(..) if crowds == MOST_CROWDS => {}
                    Step::Crowd(kind, _) => {
                        steps.push(Step::Crowd(kind, crowds * CROWD));
                        (connections, crowds) = (connections + CROWD, crowds + 1);
                    }
                    Step::Send(_, bytes) if written + bytes.len() > MOST_LARGE => {}
                    step => {
                        written += if let Step::Send(_, bytes) = &step { bytes.len() } else { 0 };
                        steps.push(step);
                    }
                }
            }
            // Things that happen in one turn are what races are made of.
            if code & 0x80 == 0 {
                steps.push(Step::EndTurn);
            }
        }
        let [goes_silent, is_poor, is_modest] = [1, 2, 4].map(|flag| flags & flag != 0);
        Self { seed, steps, goes_silent, is_poor, is_modest }
    }

    /// Whether several clients write in one turn: where what one of them sent takes more than
    /// that, the others' comes in between.
    pub fn is_crowded(&self) -> bool {
        self.has_crowds()
            || self.turns().any(|turn| {
                let mut writers = turn.iter().filter_map(writer);
                let first = writers.next();
                writers.any(|other| Some(other) != first)
            })
    }

    fn has_crowds(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Crowd(..)))
    }

    fn turns(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.split(|step| matches!(step, Step::EndTurn | Step::Wait(_)))
    }

    /// Whether something in it depends on turns, and may: receivers that meet; clients that write in the turn
    /// in which somebody leaves, stops reading, calls the engine, or changes the application's mind; and
    /// requests behind a receiver's, which ends when its response has reached a size, and that depends on how
    /// many frames the messages are in.
    pub fn is_entangled(&self) -> bool {
        let asks = |step: &&Step| matches!(step, Step::Send(_, bytes) if asks_for_frames(bytes));
        let writes = |step: &Step| matches!(step, Step::Send(..) | Step::Ask(..));
        let meddles = |step: &Step| !writes(step) && !matches!(step, Step::Accept);
        let receivers = self.steps.iter().filter(asks).count();
        let behind = |first: usize| {
            let client = writer(&self.steps[first]);
            self.steps[first + 1..].iter().any(|step| writer(step).is_some() && writer(step) == client)
        };
        self.has_crowds()
            || receivers > 1
            || self.steps.iter().position(|step| asks(&step)).is_some_and(behind)
            || self.turns().any(|turn| turn.iter().any(writes) && turn.iter().any(meddles))
    }
}

fn writer(step: &Step) -> Option<usize> {
    match step {
        Step::Send(client, _) | Step::Ask(client, ..) => Some(*client),
        _ => None,
    }
}

fn asks_for_frames(bytes: &[u8]) -> bool {
    let names = [&b"/xhr "[..], b"/xhr_streaming ", b"/eventsource ", b"/htmlfile?", b"/jsonp?"];
    let mut windows = (0..bytes.len()).filter_map(|at| bytes.get(at..));
    windows.any(|window| names.iter().any(|name| window.starts_with(name)))
}

fn step(input: &mut Input<'_>, code: u8, client: usize) -> Step {
    match code {
        0 => Step::Accept,
        1..5 => request(input, client),
        5..7 => Step::Send(client, message(input)),
        7 => Step::Send(client, frame(input)),
        8 => Step::Send(client, input.short().to_vec()),
        9 => Step::HangUp(client),
        10 => Step::Reset(client),
        11 => match input.byte() {
            0xff => Step::Appetite(client, None),
            bytes => Step::Appetite(client, Some(usize::from(bytes) * 16)),
        },
        12 => Step::Program(input.short().to_vec()),
        13 => Step::Call(input.byte()),
        14 => Step::Wait([1, 499, 500, 2000, 4999, 5000, 10_000, 25_000][usize::from(input.byte() & 7)]),
        _ => match input.byte() {
            0xee => Step::Stop,
            0xf0 => Step::Crowd(Crowd::Idle, 0),
            0xf1 => Step::Crowd(Crowd::HalfARequest, 0),
            0xf2 => Step::Crowd(Crowd::Polling, 0),
            0xf3 => Step::Crowd(Crowd::Streaming, 0),
            0xf4 => Step::Crowd(Crowd::WebSocket, 0),
            0xf5 => Step::Crowd(Crowd::RawWebSocket, 0),
            more => Step::Wait(u64::from(more)),
        },
    }
}

const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, chat\r\n";

/// A request as clients send them, and nearly so.
fn request(input: &mut Input<'_>, client: usize) -> Step {
    let (kind, flags) = (input.byte(), input.byte());
    let session = ["a", "b", "__proto__", "c"][usize::from(flags & 3)];
    let prefix = if flags & 4 == 0 { "/e" } else { "/o" };
    let (method, path) = match kind & 15 {
        0 => ("GET", format!("{prefix}/info")),
        1 => ("POST", format!("{prefix}/0/{session}/xhr")),
        2 => ("POST", format!("{prefix}/0/{session}/xhr_streaming")),
        3 | 4 => ("POST", format!("{prefix}/0/{session}/xhr_send")),
        5 => ("GET", format!("{prefix}/0/{session}/eventsource")),
        6 => ("GET", format!("{prefix}/0/{session}/htmlfile?c=c%61ll")),
        7 => ("GET", format!("{prefix}/0/{session}/jsonp?c=call")),
        8 => ("POST", format!("{prefix}/0/{session}/jsonp_send")),
        9 | 10 => ("GET", format!("{prefix}/0/{session}/websocket")),
        11 => ("GET", format!("{prefix}/websocket")),
        12 => ("GET", format!("{prefix}/iframe.html")),
        13 => ("OPTIONS", format!("{prefix}/0/{session}/xhr")),
        14 => {
            let paths = [
                "/elsewhere",
                "/read",
                "/later",
                "/later/read",
                "/elsewhere",
                "/shared",
                "/broken",
                "/later/broken",
            ];
            ("POST", paths[usize::from(flags & 7)].to_owned())
        }
        _ => ("HEAD", format!("{prefix}/0/{session}/eventsource")),
    };
    let version = if flags & 0x38 == 0x38 { "1.0" } else { "1.1" };
    let mut head = format!("{method} {path} HTTP/{version}\r\nHost: h\r\n");
    if kind & 0x10 != 0 {
        head.push_str("Connection: close\r\n");
    }
    if kind & 0x20 != 0 {
        head.push_str("Origin: http://a\r\nCookie: JSESSIONID=x\r\nConnection: keep-alive\r\n");
    }
    if (9..12).contains(&(kind & 15)) {
        head.push_str(HANDSHAKE);
    }
    // Answers that come later, or never, cannot be counted on.
    let is_late = path.starts_with("/later") || path == "/broken";
    let is_plain = version == "1.1" && kind & 0x10 == 0 && matches!(kind & 15, 0 | 3 | 4 | 8 | 12..15);
    let is_plain = is_plain && !is_late;
    // Many at once are more than what may wait for the client.
    let times = if is_plain && flags & 0x80 != 0 { 200 } else { 1 };
    let step = |wire: Vec<u8>| match is_plain {
        true => Step::Ask(client, times, wire.repeat(times)),
        false => Step::Send(client, wire),
    };
    let body = match kind & 15 {
        3 | 4 => messages(input),
        8 if flags & 8 != 0 => {
            head.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
            [b"d=", &messages(input)[..]].concat()
        }
        8 => messages(input),
        14 => input.short().to_vec(),
        _ => return step([head.as_bytes(), b"\r\n"].concat()),
    };
    if kind & 0x40 != 0 {
        head.push_str("Expect: 100-continue\r\n");
    }
    if flags & 0x40 == 0 {
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        return step([head.as_bytes(), &body].concat());
    }
    head.push_str("Transfer-Encoding: chunked\r\n\r\n");
    let mut wire = head.into_bytes();
    // Long bodies in longer chunks.
    for part in body.chunks(7.max(body.len() / 64)) {
        wire.extend_from_slice(format!("{:x};x=y\r\n", part.len()).as_bytes());
        wire.extend_from_slice(part);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
    step(wire)
}

/// Usually an array of strings.
fn messages(input: &mut Input<'_>) -> Vec<u8> {
    let text = input.short();
    match text {
        [0xff, rest @ ..] => return rest.to_vec(),
        [LARGE, size, kind, ..] => return large(*size, *kind),
        _ => {}
    }
    // More than one turn takes.
    let times = if text.first() == Some(&0xfe) { 2 } else { 1 };
    let texts = text.split(|byte| *byte == b'|').map(String::from_utf8_lossy);
    let texts: Vec<_> = std::iter::repeat_n(texts, times).flatten().collect();
    serde_json::to_vec(&texts).expect("strings are JSON")
}

/// The size and the kind of a large payload follow.
const LARGE: u8 = 0xfd;

/// The most messages of a large payload: more of them take long, and find nothing new.
const MOST_MESSAGES: usize = 2048;

/// From 32 bytes to 2 MiB: four bits of a mantissa, and four of an exponent.
fn large_size(size: u8) -> usize {
    if size == 0xff { 2 << 20 } else { (32 + 2 * usize::from(size & 15)) << (size >> 4) }
}

/// A payload of about this size.
fn large(size: u8, kind: u8) -> Vec<u8> {
    let size = large_size(size);
    let fill = |text: &str, size: usize| text.repeat(size / text.len());
    let texts = match kind & 3 {
        0 => vec![fill("x", size)],
        1 => {
            let count = (size / 16).min(MOST_MESSAGES);
            vec![fill("y", size / count.max(1)); count]
        }
        2 => vec![fill("\u{e9}\u{2028}\"\\", size)],
        _ => return fill("z", size).into_bytes(),
    };
    serde_json::to_vec(&texts).expect("strings are JSON")
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A text frame with a SockJS message.
fn message(input: &mut Input<'_>) -> Vec<u8> {
    let kind = match input.clone().short() {
        [LARGE, _, kind, ..] => *kind,
        _ => 0,
    };
    frames(0x81, &messages(input), kind)
}

/// Any frame whose length is right, or the beginning of one.
fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let first = input.byte();
    match input.short() {
        [LARGE, size, kind, ..] => frames(first, &large(*size, *kind), *kind),
        payload => frames(first, payload, 0),
    }
}

/// A message in one frame, or in three, or but the first half of it.
fn frames(first: u8, payload: &[u8], kind: u8) -> Vec<u8> {
    let mut wire = Vec::with_capacity(payload.len() + 64);
    if kind & 4 == 0 {
        append_frame(&mut wire, first, MASK, payload);
    } else {
        let (front, rest) = payload.split_at(payload.len() / 3);
        let (middle, back) = rest.split_at(rest.len() / 2);
        append_frame(&mut wire, first & 0x7f, MASK, front);
        append_frame(&mut wire, 0x00, MASK, middle);
        append_frame(&mut wire, 0x80, MASK, back);
    }
    if kind & 8 != 0 {
        wire.truncate(wire.len() / 2);
    }
    wire
}
