//! Does the steady state allocate? A server in a thread of its own, whose allocations alone are counted; every
//! transport, both ways, some thousand messages behind a warm-up. Short messages lie whole in what one read brings;
//! long ones are put together from several.
//!
//! In: the client sends, the handler keeps still. Out: the application sends, the client reads. The bench fails if a
//! short message on a WebSocket or on a stream costs an allocation, or on polling, one request, more than two; or a
//! message to a group more than its encodings. What long ones cost is only shown: the list of their pieces is
//! allocated, and small beside them.

#[path = "support/client.rs"]
mod client;
#[path = "support/counting.rs"]
mod counting;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};

use client::{Connection, Reply, chunk, client_frame, json, payload, post, server_frame, text, wrong};
use sockjs_server::websocket::frame::Opcode;
use sockjs_server::{EndpointId, EndpointOptions, Handle, Handler, Request, Server, Session, SessionId};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Messages, the first fifth of which may allocate: buffers grow, and the pool fills.
const MESSAGES: usize = 2_500;

/// Of so many messages a few may fall together with something that happens once in a while.
const TOLERANCE: f64 = 0.01;

const SHORT: usize = 125;

/// Several times what the server reads at once.
const LONG: usize = 200 << 10;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: something allocates that should not.
fn run() -> io::Result<bool> {
    let server = Running::start()?;
    println!("{:<26} {:>8} {:>9}", "allocations per message", "in", "out");
    let mut sound = true;
    for (size, words) in [(SHORT, "short"), (LONG, "long")] {
        for transport in Transport::ALL {
            let mut lane = Lane::open(&server, transport, size)?;
            // A long message takes as long as many short ones.
            let messages = if size == SHORT { MESSAGES } else { MESSAGES / 10 };
            let inward = steady(messages, || lane.send_in())?;
            let outward = steady(messages, || lane.send_out())?;
            let verdict = match size {
                SHORT if inward.max(outward) <= transport.allowed() => "PASS",
                SHORT => "MISS",
                _ => "",
            };
            sound &= verdict != "MISS";
            println!(
                "{:<26} {inward:>8.3}  {outward:>8.3}  {verdict}",
                format!("{}, {words}", transport.name())
            );
        }
    }
    let published = publish(&server)?;
    let verdict = if published <= ENCODED + TOLERANCE { "PASS" } else { "MISS" };
    println!("{:<26} {:>8}  {published:>8.3}  {verdict}", "to a group of 50, short", "");
    Ok(sound && verdict == "PASS")
}

/// Allocations for a message to many: its bytes, and what counts their holders, once for each of two wire formats.
const ENCODED: f64 = 4.0;

/// Allocations for each message that is published to a group, whose members are on both kinds of WebSocket.
fn publish(server: &Running) -> io::Result<f64> {
    let text = text(SHORT);
    let replies = [Reply::Exact(server_frame(Opcode::Text, text.as_bytes())), Reply::Frames(json(&text))];
    let mut members = Vec::new();
    for number in 0..50 {
        let path = ["/silent/websocket", "/silent/000/member/websocket"][number % 2];
        members.push((Connection::upgrade(server.address, path)?, replies[number % 2].clone()));
        server.handle.join(server.opened.recv().map_err(wrong)?, "group").map_err(wrong)?;
    }
    steady(MESSAGES / 5, || {
        server.handle.publish(server.endpoint, "group", text.as_str()).map_err(wrong)?;
        members.iter_mut().try_for_each(|(member, reply)| member.expect(reply, 1))
    })
}

/// Allocations of the server for each call.
fn steady(messages: usize, mut call: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    for _ in 0..messages / 5 {
        call()?;
    }
    let before = counting::allocations();
    let counted = messages - messages / 5;
    for _ in 0..counted {
        call()?;
    }
    Ok((counting::allocations() - before) as f64 / counted as f64)
}

/// The server in its thread.
struct Running {
    address: SocketAddr,
    handle: Handle,
    endpoint: EndpointId,
    opened: Receiver<SessionId>,
}

/// Tells the name of each session, and keeps still.
struct Silent(Sender<SessionId>);

impl Handler for Silent {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        let _ = self.0.send(session.id());
    }

    fn on_message(&mut self, _: &mut Session<'_>, text: &str) {
        assert!(text.len() == SHORT || text.len() == LONG);
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let mut server = Server::new(sockjs_server::ServerOptions::default())?;
        let address = server.listen("127.0.0.1:0")?;
        let (sender, opened) = channel();
        let mut options = EndpointOptions::default();
        // Opening a response anew is not the steady state.
        options.response_limit = 1 << 30;
        let endpoint = server.mount_with("/silent", options, Silent(sender))?;
        let handle = server.handle();
        std::thread::spawn(move || {
            counting::count_this_thread();
            server.run()
        });
        Ok(Self { address, handle, endpoint, opened })
    }
}

/// What carries the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    RawWebSocket,
    WebSocket,
    XhrStreaming,
    EventSource,
    HtmlFile,
    XhrPolling,
    JsonpPolling,
}

impl Transport {
    const ALL: [Self; 7] = [
        Self::RawWebSocket,
        Self::WebSocket,
        Self::XhrStreaming,
        Self::EventSource,
        Self::HtmlFile,
        Self::XhrPolling,
        Self::JsonpPolling,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::RawWebSocket => "raw WebSocket",
            Self::WebSocket => "WebSocket",
            Self::XhrStreaming => "xhr-streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile => "htmlfile",
            Self::XhrPolling => "xhr-polling",
            Self::JsonpPolling => "jsonp-polling",
        }
    }

    /// Allocations for a short message, either way.
    fn allowed(self) -> f64 {
        match self {
            Self::XhrPolling | Self::JsonpPolling => 2.0 + TOLERANCE,
            _ => TOLERANCE,
        }
    }
}

/// One session, and both ways through it.
struct Lane<'s> {
    server: &'s Running,
    session: SessionId,
    up: Connection,
    /// What carries one message up, and what comes back when it was taken.
    request: Vec<u8>,
    taken: Reply,
    /// Where messages come down, if not where they go up.
    down: Option<Connection>,
    /// What must be sent down there before each.
    poll: Option<Vec<u8>>,
    message: Reply,
    text: String,
}

impl<'s> Lane<'s> {
    fn open(server: &'s Running, transport: Transport, size: usize) -> io::Result<Self> {
        let text = text(size);
        let path =
            |action: &str| format!("/silent/000/{}-{size}/{action}", transport.name().replace(' ', "-"));
        let frame = format!("a[\"{text}\"]");
        let quoted = format!("a[\\\"{text}\\\"]");
        let pong = Reply::Exact(server_frame(Opcode::Pong, b""));
        // That a message was taken is shown by the answer to a ping behind it.
        let pinged = |payload: &[u8]| [client_frame(Opcode::Text, payload), client_frame(Opcode::Ping, b"")];
        let connect = || Connection::open(server.address);
        let xhr_send = post(&path("xhr_send"), &payload(&text));
        let accepted = Reply::Answer(204, Vec::new());
        let (up, request, taken, down, poll, message) = match transport {
            Transport::RawWebSocket => {
                let up = Connection::upgrade(server.address, "/silent/websocket")?;
                let message = Reply::Exact(server_frame(Opcode::Text, text.as_bytes()));
                (up, pinged(text.as_bytes()).concat(), pong, None, None, message)
            }
            Transport::WebSocket => {
                let up = Connection::upgrade(server.address, &path("websocket"))?;
                (up, pinged(&payload(&text)).concat(), pong, None, None, Reply::Frames(json(&text)))
            }
            Transport::XhrStreaming => {
                let down = Connection::xhr_stream(server.address, &path("xhr_streaming"))?;
                let message = Reply::Exact(chunk(format!("{frame}\n").as_bytes()));
                (connect()?, xhr_send, accepted, Some(down), None, message)
            }
            Transport::EventSource => {
                let request = client::get(&path("eventsource"));
                let down = Connection::stream(server.address, &request, b"data: o\r\n\r\n")?;
                let message = Reply::Exact(chunk(format!("data: {frame}\r\n\r\n").as_bytes()));
                (connect()?, xhr_send, accepted, Some(down), None, message)
            }
            Transport::HtmlFile => {
                let script = |quoted: &str| format!("<script>\np(\"{quoted}\");\n</script>\r\n").into_bytes();
                let request = client::get(&path("htmlfile?c=cb"));
                let down = Connection::stream(server.address, &request, &script("o"))?;
                let message = Reply::Exact(chunk(&script(&quoted)));
                (connect()?, xhr_send, accepted, Some(down), None, message)
            }
            Transport::XhrPolling => {
                let (mut down, poll) = (connect()?, post(&path("xhr"), b""));
                down.exchange(&poll, &Reply::Answer(200, b"o\n".to_vec()), 1)?;
                let message = Reply::Answer(200, format!("{frame}\n").into_bytes());
                (connect()?, xhr_send, accepted, Some(down), Some(poll), message)
            }
            Transport::JsonpPolling => {
                let (mut down, poll) = (connect()?, client::get(&path("jsonp?c=cb")));
                down.exchange(&poll, &Reply::Answer(200, b"/**/cb(\"o\");\r\n".to_vec()), 1)?;
                let request = post(&path("jsonp_send"), &payload(&text));
                let message = Reply::Answer(200, format!("/**/cb(\"{quoted}\");\r\n").into_bytes());
                (connect()?, request, Reply::Answer(200, b"ok".to_vec()), Some(down), Some(poll), message)
            }
        };
        let session = server.opened.recv().map_err(wrong)?;
        Ok(Self { server, session, up, request, taken, down, poll, message, text })
    }

    fn send_in(&mut self) -> io::Result<()> {
        self.up.exchange(&self.request, &self.taken, 1)
    }

    fn send_out(&mut self) -> io::Result<()> {
        let down = self.down.as_mut().unwrap_or(&mut self.up);
        if let Some(poll) = &self.poll {
            down.send(poll)?;
        }
        let (endpoint, session, text) = (self.server.endpoint, self.session, self.text.clone());
        // What is allocated here is this thread's, and not counted.
        let posted = self.server.handle.run(move |context| {
            let _ = context.endpoint(endpoint).send(session, &text);
        });
        posted.map_err(io::Error::other)?;
        down.expect(&self.message, 1)
    }
}
