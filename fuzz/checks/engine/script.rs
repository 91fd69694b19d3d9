//! Fuzz input → what clients, the clock and the application do.

use crate::checks::Input;
use crate::checks::websocket::append_frame;

#[derive(Debug, Clone)]
pub enum Step {
    Accept,
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

#[derive(Debug)]
pub struct Script {
    /// How the bytes of a step are cut, where they are.
    pub seed: u8,
    pub steps: Vec<Step>,
    /// At the end clients go silent, with their sockets open, instead of hanging up.
    pub goes_silent: bool,
    /// The whole server has little memory for what waits.
    pub is_poor: bool,
}

/// More of it finds nothing new, and slows the fuzzer down.
const MOST_STEPS: usize = 200;
const MOST_CONNECTIONS: usize = 12;

impl Script {
    pub fn read(mut input: Input<'_>) -> Self {
        let (seed, flags) = (input.byte(), input.byte());
        let mut steps = vec![Step::Program(input.short().to_vec())];
        let mut connections = 0;
        while !input.is_empty() && steps.len() < MOST_STEPS {
            let code = input.byte();
            if connections == 0 || (code & 15 == 0 && connections < MOST_CONNECTIONS) {
                steps.push(Step::Accept);
                connections += 1;
            } else {
                let client = usize::from(input.byte()) % connections;
                steps.push(step(&mut input, code & 15, client));
            }
            // Things that happen in one turn are what races are made of.
            if code & 0x80 == 0 {
                steps.push(Step::EndTurn);
            }
        }
        Self { seed, steps, goes_silent: flags & 1 != 0, is_poor: flags & 2 != 0 }
    }

    /// Whether several clients write in one turn: where what one of them sent takes more than that, the others' comes in
    /// between.
    pub fn is_crowded(&self) -> bool {
        let writer = |step: &Step| match step {
            Step::Send(client, _) | Step::Ask(client, ..) => Some(*client),
            _ => None,
        };
        self.turns().any(|turn| {
            let mut writers = turn.iter().filter_map(writer);
            let first = writers.next();
            writers.any(|other| Some(other) != first)
        })
    }

    fn turns(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.split(|step| matches!(step, Step::EndTurn | Step::Wait(_)))
    }

    /// Whether something in it depends on turns, and may: receivers that meet; and clients that write in the turn in
    /// which somebody leaves, stops reading, calls the engine, or changes the application's mind.
    pub fn is_entangled(&self) -> bool {
        let asks = |step: &&Step| matches!(step, Step::Send(_, bytes) if asks_for_frames(bytes));
        let writes = |step: &Step| matches!(step, Step::Send(..) | Step::Ask(..));
        let meddles = |step: &Step| !writes(step) && !matches!(step, Step::Accept);
        self.steps.iter().filter(asks).count() > 1
            || self.turns().any(|turn| turn.iter().any(writes) && turn.iter().any(meddles))
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
            more => Step::Wait(u64::from(more)),
        },
    }
}

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
        14 => ("POST", "/elsewhere".to_owned()),
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
        head.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
        head.push_str("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, chat\r\n");
    }
    let is_plain = version == "1.1" && kind & 0x10 == 0 && matches!(kind & 15, 0 | 3 | 4 | 8 | 12..15);
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
    for part in body.chunks(7) {
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
    if text.first() == Some(&0xff) {
        return text[1..].to_vec();
    }
    // More than one turn takes.
    let times = if text.first() == Some(&0xfe) { 2 } else { 1 };
    let texts = text.split(|byte| *byte == b'|').map(String::from_utf8_lossy);
    let texts: Vec<_> = std::iter::repeat_n(texts, times).flatten().collect();
    serde_json::to_vec(&texts).expect("strings are JSON")
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A whole text frame with a SockJS message.
fn message(input: &mut Input<'_>) -> Vec<u8> {
    let mut wire = Vec::new();
    append_frame(&mut wire, 0x81, MASK, &messages(input));
    wire
}

/// Any frame whose length is right.
fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let mut wire = Vec::new();
    let first = input.byte();
    append_frame(&mut wire, first, MASK, input.short());
    wire
}
