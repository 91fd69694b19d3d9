//! What is measured: servers, ways, and what they may cost.

use std::io;
use std::path::Path;

use sockjs_server::websocket::frame::Opcode;

use crate::child::Child;
use crate::client::{
    Connection, Reply, client_frame, cycled, get, handshake, json, payload, post, server_frame, text,
};
use crate::echo::{Echo, FLOOR, RAW, SOCKJS};
use crate::floor::{self, Duty};
use crate::handles;
use crate::idle;
use crate::lanes::{Crowd, Fan, Lane, Pipe, TwoWay, Visit};
use crate::measure::{Contestant, Effort, Target, compete};
use crate::secure::{Certificate, Secure};
use crate::tails;

/// A message as people write them.
const SIZE: usize = 125;

const TLS: &str = "TLS";
const PLAIN: &str = "plain";

/// An object as people send it: quotes, backslashes, the end of a line.
const ESCAPES: &str = r#"{"user":"ann","path":"C:\temp","text":"She said \"no\" and left.",
 "at":1700000000}"#;

/// Characters of three and of four bytes.
const CJK_AND_EMOJI: &str = "你好，世界！今天天气很好。🙂 明日は晴れるでしょう 🎉🚀 ";

/// A setting with its name.
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) run: Run,
}

pub(crate) type Run = Box<dyn Fn(&str, Effort) -> io::Result<()>>;

/// Echoes on other libraries, beside our raw WebSockets.
const PEERS: [&str; 3] = ["tungstenite", "tokio-websockets", "fastwebsockets"];

/// All of them, in the order in which they run; those with other libraries only where their program is named.
pub(crate) fn all(peers: Option<&Path>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |name: String, run: Run| settings.push(Setting { name, run });
    for (size, words) in [(20, "20 B"), (SIZE, "125 B"), (16 << 10, "16 KiB"), (1 << 20, "1 MiB")] {
        for depth in [1, 16] {
            let name = format!("websocket echo, {words}, depth {depth}");
            add(name, Box::new(move |name, effort| websocket_echo(name, size, depth, effort)));
        }
    }
    for (pattern, words) in [(ESCAPES, "escapes"), (CJK_AND_EMOJI, "CJK and emoji")] {
        let name = format!("websocket echo, 125 B with {words}, depth 16");
        add(name, Box::new(move |name, effort| escaped_echo(name, pattern, 16, effort)));
    }
    // Beyond these sizes client and server, which encrypt on a core each, measure the cipher.
    for (size, words, depth) in [(SIZE, "125 B", 1), (SIZE, "125 B", 16), (16 << 10, "16 KiB", 1)] {
        let name = format!("TLS echo, {words}, depth {depth}");
        add(name, Box::new(move |name, effort| secure_echo(name, size, depth, effort)));
    }
    add("xhr-streaming echo".into(), Box::new(|name, effort| http_echo(name, "xhr_streaming", 1.15, effort)));
    add("xhr-polling echo".into(), Box::new(|name, effort| http_echo(name, "xhr", 1.10, effort)));
    add("greeting".into(), Box::new(greeting));
    add("broadcast, websocket".into(), Box::new(|name, effort| broadcast(name, false, effort)));
    add("broadcast, xhr-streaming".into(), Box::new(|name, effort| broadcast(name, true, effort)));
    for (raw, transport) in [(false, "websocket"), (true, "raw")] {
        for (prefix, what) in [("/group", "group"), ("/broadcast", "broadcast")] {
            let name = format!("{what}, 1,000 of 10,000, {transport}");
            add(name, Box::new(move |name, effort| group(name, prefix, raw, effort)));
        }
    }
    add("open and close, websocket".into(), Box::new(open_and_close));
    add("100 and 10,000 sessions".into(), Box::new(crowds));
    add("idle, websocket".into(), Box::new(|name, effort| idle_sessions(name, "websocket", 400.0, effort)));
    add(
        "idle, xhr-streaming".into(),
        Box::new(|name, effort| idle_sessions(name, "xhr_streaming", 700.0, effort)),
    );
    settings.extend(tails::all());
    settings.extend(handles::all());
    settings.extend(peers.into_iter().flat_map(beside_peers));
    settings
}

fn beside_peers(program: &Path) -> Vec<Setting> {
    let sizes = [(SIZE, "125 B", 1), (SIZE, "125 B", 16), (16 << 10, "16 KiB", 1), (1 << 20, "1 MiB", 1)];
    let setting = |(size, words, depth)| {
        let name = format!("peers, {words}, depth {depth}");
        let program = program.to_owned();
        Setting { name, run: Box::new(move |name, effort| peers_echo(name, &program, size, depth, effort)) }
    };
    sizes.map(setting).into()
}

/// The floor that serves messages of this size best.
fn floor_for(size: usize) -> Echo {
    Echo::Floor(if size < 1 << 20 { floor::BUFFER } else { floor::LARGE_BUFFER })
}

/// One connection; `depth` messages go out together, and the next ones when all have come back.
fn websocket_echo(name: &str, size: usize, depth: usize, effort: Effort) -> io::Result<()> {
    let text = text(size);
    let contestants =
        [floor_for(size), Echo::Raw, Echo::SockJs].map(|echo| contestant(echo, echo.name(), &text, depth));
    let target = |who, against, limit| Target { who, against, limit };
    let targets = match (size, depth) {
        (SIZE, 1) => vec![target(RAW, FLOOR, 1.06), target(SOCKJS, RAW, 1.02)],
        (SIZE, _) => vec![target(RAW, FLOOR, 1.10), target(SOCKJS, RAW, 1.05)],
        (0x4000, _) => vec![target(RAW, FLOOR, 1.06), target(SOCKJS, RAW, 1.10)],
        (0x10_0000, 1) => vec![target(RAW, FLOOR, 1.15), target(SOCKJS, RAW, 1.6)],
        (0x10_0000, _) => vec![target(SOCKJS, RAW, 1.6)],
        _ => Vec::new(),
    };
    compete(name, contestants.into_iter().collect::<io::Result<_>>()?, &targets, effort)
}

/// The same bytes from all of them: what differs is the server.
fn peers_echo(name: &str, program: &Path, size: usize, depth: usize, effort: Effort) -> io::Result<()> {
    let text = text(size);
    let mut contestants =
        vec![contestant(floor_for(size), FLOOR, &text, depth)?, contestant(Echo::Raw, RAW, &text, depth)?];
    for peer in PEERS {
        let child = Child::peer(program, peer)?;
        let lane = Box::new(Echo::Raw.pipe(&child, &text, depth)?);
        contestants.push(Contestant { name: peer, child, lane });
    }
    compete(name, contestants, &[], effort)
}

/// A text that JSON cannot carry as it is, or that is not ASCII, beside a plain one of the same length.
fn escaped_echo(name: &str, pattern: &str, depth: usize, effort: Effort) -> io::Result<()> {
    let (plain, escaped) = (text(SIZE), cycled(pattern, SIZE));
    let contestants = vec![
        contestant(Echo::Floor(floor::BUFFER), FLOOR, &plain, depth)?,
        contestant(Echo::SockJs, PLAIN, &plain, depth)?,
        contestant(Echo::SockJs, SOCKJS, &escaped, depth)?,
    ];
    compete(name, contestants, &[Target { who: SOCKJS, against: PLAIN, limit: 1.5 }], effort)
}

fn contestant(echo: Echo, name: &'static str, text: &str, depth: usize) -> io::Result<Contestant> {
    let child = echo.serve()?;
    let lane = Box::new(echo.pipe(&child, text, depth)?);
    Ok(Contestant { name, child, lane })
}

/// The same bytes without TLS and with it.
fn secure_echo(name: &str, size: usize, depth: usize, effort: Effort) -> io::Result<()> {
    let text = text(size);
    let raw = contestant(Echo::Raw, RAW, &text, depth)?;
    let certificate = Certificate::new()?;
    let child = Child::secure(&certificate)?;
    let request = client_frame(Opcode::Text, text.as_bytes());
    let reply = server_frame(Opcode::Text, text.as_bytes());
    let lane = Secure::open(child.address, &certificate, (&request, &reply), depth)?;
    let secure = Contestant { name: TLS, child, lane: Box::new(lane) };
    compete(name, vec![raw, secure], &[], effort)
}

/// Up by `xhr_send`, down by the receiver. The floor answers a request as large as the `xhr_send` with as many bytes as
/// our server sends for the whole echo, all on one connection.
fn http_echo(name: &str, receiver: &str, limit: f64, effort: Effort) -> io::Result<()> {
    let child = Child::server()?;
    let text = text(SIZE);
    let path = format!("/echo/000/session/{receiver}");
    let frame = [b"a[", &*json(&text), b"]\n"].concat();
    let request = post("/echo/000/session/xhr_send", &payload(&text));
    let (down, poll, message) = match receiver {
        "xhr" => {
            let mut down = Connection::open(child.address)?;
            let poll = post(&path, b"");
            down.exchange(&poll, &Reply::Answer(200, b"o\n".to_vec()), 1)?;
            (down, Some(poll), Reply::Answer(200, frame))
        }
        _ => (Connection::xhr_stream(child.address, &path)?, None, Reply::Chunks(json(&text))),
    };
    let accepted = Reply::Answer(204, Vec::new());
    let up = Connection::open(child.address)?;
    let mut lane = TwoWay { up, down, poll, request, accepted, message };
    let before = lane.up.received + lane.down.received;
    lane.exchange()?;
    let floor = answering_floor(lane.request.clone(), lane.up.received + lane.down.received - before)?;
    let ours = Contestant { name: SOCKJS, child, lane: Box::new(lane) };
    compete(name, vec![floor, ours], &[Target { who: SOCKJS, against: FLOOR, limit }], effort)
}

/// A floor that knows how long requests and responses are, and nothing else of them.
fn answering_floor(request: Vec<u8>, response: usize) -> io::Result<Contestant> {
    let child = Child::floor(Duty::Answer { request: request.len(), response }, floor::BUFFER)?;
    let lane = Pipe {
        connection: Connection::open(child.address)?,
        requests: request,
        reply: Reply::Exact(vec![b'x'; response]),
        depth: 1,
    };
    Ok(Contestant { name: FLOOR, child, lane: Box::new(lane) })
}

/// The smallest HTTP answer, on a connection that is kept alive.
fn greeting(name: &str, effort: Effort) -> io::Result<()> {
    let child = Child::server()?;
    let reply = Reply::Answer(200, b"Welcome to SockJS!\n".to_vec());
    let mut connection = Connection::open(child.address)?;
    connection.exchange(&get("/echo"), &reply, 1)?;
    let floor = answering_floor(get("/echo"), connection.received)?;
    let lane = Pipe { connection, requests: get("/echo"), reply, depth: 1 };
    let ours = Contestant { name: SOCKJS, child, lane: Box::new(lane) };
    compete(name, vec![floor, ours], &[Target { who: SOCKJS, against: FLOOR, limit: 1.08 }], effort)
}

/// One message to a thousand sessions; a message here is one delivery. The floor has a thousand bare writes of the same
/// bytes. With four broadcasts in one turn each receiver gets one frame with four messages.
fn broadcast(name: &str, streaming: bool, effort: Effort) -> io::Result<()> {
    let count = 1_000 / effort.crowd_divisor;
    let text = text(SIZE);
    let once = fan(SOCKJS, "/broadcast", count, streaming, &text, 1)?;
    let four = fan("four at once", "/broadcast4", count, streaming, &text, 4)?;
    let trigger = client_frame(Opcode::Text, text.as_bytes());
    let floor = {
        let response = once.response;
        let child = Child::floor(Duty::Spread { request: trigger.len(), response }, floor::BUFFER)?;
        let receivers = (0..count).map(|_| Connection::open(child.address)).collect::<io::Result<_>>()?;
        let sender = Connection::open(child.address)?;
        let reply = Reply::Exact(vec![b'x'; response]);
        let lane = Fan { sender, trigger, receivers, silent: Vec::new(), reply, times: 1 };
        Contestant { name: FLOOR, child, lane: Box::new(lane) }
    };
    let targets = [
        Target { who: SOCKJS, against: FLOOR, limit: 1.03 },
        Target { who: "four at once", against: FLOOR, limit: 0.28 },
    ];
    compete(name, vec![floor, once.contestant, four.contestant], &targets, effort)
}

struct Fanned {
    contestant: Contestant,
    /// Bytes that a receiver gets in one exchange.
    response: usize,
}

fn fan(
    name: &'static str,
    prefix: &str,
    count: usize,
    streaming: bool,
    text: &str,
    times: usize,
) -> io::Result<Fanned> {
    let child = Child::server()?;
    let open = |number: usize| match streaming {
        true => Connection::xhr_stream(child.address, &format!("{prefix}/000/{number}/xhr_streaming")),
        false => Connection::upgrade(child.address, &format!("{prefix}/000/{number}/websocket")),
    };
    let receivers = (0..count).map(open).collect::<io::Result<Vec<_>>>()?;
    // All in one frame: fewer would be a wrong echo.
    let messages = vec![json(text); times].join(&b',');
    let mut lane = Fan {
        // It shares the endpoint, and gets nothing: the handler broadcasts to all others.
        sender: Connection::upgrade(child.address, &format!("{prefix}/websocket"))?,
        trigger: client_frame(Opcode::Text, text.as_bytes()),
        receivers,
        silent: Vec::new(),
        reply: if streaming { Reply::Chunks(messages) } else { Reply::Frames(messages) },
        times,
    };
    let received = |lane: &Fan| lane.receivers.first().map_or(0, |receiver| receiver.received);
    let before = received(&lane);
    lane.exchange()?;
    let response = received(&lane) - before;
    Ok(Fanned { contestant: Contestant { name, child, lane: Box::new(lane) }, response })
}

/// One message to a thousand members of a group, every tenth of ten thousand sessions, and one to all of a thousand
/// sessions; a message here is one delivery. Where it is broadcast to a thousand sessions of one endpoint in place of a
/// group, every tenth of the server's, the difference in cost is the crowd's and not the group's.
fn group(name: &str, prefix: &str, raw: bool, effort: Effort) -> io::Result<()> {
    let members = 1_000 / effort.crowd_divisor;
    let text = text(SIZE);
    let crowd = |name, prefix: &str, others_of: &str, silent: usize| {
        let child = Child::server()?;
        let open = |prefix: &str, number: usize, query: &str| match raw {
            true => Connection::upgrade(child.address, &format!("{prefix}/websocket{query}")),
            false => Connection::upgrade(child.address, &format!("{prefix}/000/{number}/websocket{query}")),
        };
        let (mut receivers, mut others) = (Vec::new(), Vec::new());
        for number in 0..members {
            receivers.push(open(prefix, number, "?member")?);
            for _ in 0..silent {
                others.push(open(others_of, number, "")?);
            }
        }
        let lane = Fan {
            sender: Connection::upgrade(child.address, &format!("{prefix}/websocket"))?,
            trigger: client_frame(Opcode::Text, text.as_bytes()),
            receivers,
            silent: others,
            reply: match raw {
                true => Reply::Exact(server_frame(Opcode::Text, text.as_bytes())),
                false => Reply::Frames(json(&text)),
            },
            times: 1,
        };
        io::Result::Ok(Contestant { name, child, lane: Box::new(lane) })
    };
    let contestants =
        vec![crowd("broadcast", "/broadcast", "", 0)?, crowd("in a crowd", prefix, "/group", 9)?];
    compete(name, contestants, &[Target { who: "in a crowd", against: "broadcast", limit: 1.1 }], effort)
}

/// Connect, open a session, close it, hang up. The floor takes a request as large as the handshake, and sends as many
/// bytes as our server does.
fn open_and_close(name: &str, effort: Effort) -> io::Result<()> {
    let visitor = |name, path: &str, greets: bool| {
        let child = Child::server()?;
        let close = |frame: fn(Opcode, &[u8]) -> Vec<u8>| frame(Opcode::Close, &1000_u16.to_be_bytes());
        let mut words = vec![(handshake(path), Reply::Answer(101, Vec::new()))];
        if greets {
            words.push((Vec::new(), Reply::Exact(server_frame(Opcode::Text, b"o"))));
        }
        words.push((close(client_frame), Reply::Exact(close(server_frame))));
        let lane = Visit { address: child.address, words };
        let received = lane.pay()?;
        io::Result::Ok((Contestant { name, child, lane: Box::new(lane) }, received))
    };
    let (raw, _) = visitor(RAW, "/echo/websocket", false)?;
    let path = "/echo/000/session/websocket";
    let (sockjs, received) = visitor(SOCKJS, path, true)?;
    let request = handshake(path);
    let child = Child::floor(Duty::Answer { request: request.len(), response: received }, floor::BUFFER)?;
    let words = vec![(request, Reply::Exact(vec![b'x'; received]))];
    let lane = Visit { address: child.address, words };
    let floor = Contestant { name: FLOOR, child, lane: Box::new(lane) };
    compete(name, vec![floor, raw, sockjs], &[], effort)
}

/// A hundred sessions that talk in turn, alone and among ten thousand.
fn crowds(name: &str, effort: Effort) -> io::Result<()> {
    let talkers = 100 / effort.crowd_divisor;
    let text = text(SIZE);
    let crowd = |name, stride: usize| {
        let child = Child::server()?;
        let open = |_| Connection::upgrade(child.address, "/echo/websocket");
        let lane = Crowd {
            connections: (0..talkers * stride).map(open).collect::<io::Result<_>>()?,
            stride,
            next: 0,
            request: client_frame(Opcode::Text, text.as_bytes()),
            reply: Reply::Exact(server_frame(Opcode::Text, text.as_bytes())),
        };
        io::Result::Ok(Contestant { name, child, lane: Box::new(lane) })
    };
    let targets = [Target { who: "10,000", against: "100", limit: 1.15 }];
    compete(name, vec![crowd("100", 1)?, crowd("10,000", 100)?], &targets, effort)
}

fn idle_sessions(name: &str, transport: &'static str, limit: f64, effort: Effort) -> io::Result<()> {
    let count = 10_000 / effort.crowd_divisor;
    idle::watch(name, count, limit, effort, |child, number| {
        let path = format!("/echo/000/{number:08x}/{transport}");
        match transport {
            "websocket" => Connection::upgrade(child.address, &path),
            _ => Connection::xhr_stream(child.address, &path),
        }
    })
}
