//! The chat in more than one process: start several, put a balancer in front, and Redis carries every line from each of
//! them to the others.
//!
//! `cargo run --example chat_cluster LISTEN REDIS_URL`, as in `127.0.0.1:8081 redis://127.0.0.1:6379`
//!
//! What is said goes to the guests of this process at once, and through Redis to those of the others: the chat lives on
//! without Redis, in one room per process, and says so. Two threads do the waiting, so that the server never does:
//!
//! ```text
//! handlers ──bounded channel──▶ publisher ──▶ Redis ──▶ subscriber ──Handle──▶ sessions
//! ```

use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use redis::{Client, Commands, Connection, RedisResult};
use sockjs_server::{
    Close, EndpointId, Handle, HandleError, Handler, Refusal, Request, Response, Server, ServerOptions,
    Session,
};

/// The Redis channel of the room.
const ROOM: &str = "chat_cluster";
/// How many lines may wait for the publisher. Beyond it they are dropped: a Redis that stands still costs no memory.
const QUEUE: usize = 1024;
/// How long connecting, or writing a line, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often each process publishes something, if only a beat...
const BEAT: Duration = Duration::from_secs(2);
/// ...which it hears itself: silence of this length means that Redis is lost, even if the connection looks alive.
const SILENCE: Duration = Duration::from_secs(7);
/// How long to wait before the next attempt to reach Redis.
const PAUSE: Duration = Duration::from_millis(500);

const LOST: &str = "the room is disconnected from the others";
const BACK: &str = "the room is back with the others";

/// The handler's own state.
struct Chat {
    /// This process among the others.
    process: String,
    guests: usize,
    /// To the publisher.
    lines: SyncSender<String>,
    /// Whether the subscriber hears the others.
    connected: bool,
}

/// What is kept with each session.
struct Guest {
    name: String,
}

impl Chat {
    /// For the guests of the other processes. Never waits; what does not fit is lost to them, who were told that they
    /// are on their own.
    fn publish(&self, line: String) {
        let _ = self.lines.try_send(line);
    }
}

impl Handler<Guest> for Chat {
    fn admit(&mut self, _: &Request<'_>) -> Result<Guest, Refusal> {
        self.guests += 1;
        Ok(Guest { name: format!("guest {} of {}", self.guests, self.process) })
    }

    fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
        // A session that has just opened has room.
        let _ = session.send(&format!("you are {}", session.state().name));
        if !self.connected {
            let _ = session.send(LOST);
        }
        let joined = format!("{} joined", session.state().name);
        session.broadcast_others(&joined);
        self.publish(joined);
    }

    fn on_message(&mut self, session: &mut Session<'_, Guest>, text: &str) {
        let line = format!("{}: {text}", session.state().name);
        session.broadcast(&line);
        self.publish(line);
    }

    fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
        let left = format!("{} left", session.state().name);
        session.broadcast(&left);
        self.publish(left);
    }
}

/// Publishes what comes out of the channel, each line behind the name of this process, until the server is gone. A
/// connection may have died since the last line, so that a line that fails is tried once more, on a new one.
fn publish(redis: &Client, process: &str, lines: &Receiver<String>) {
    let mut connection = None;
    loop {
        let line = match lines.recv_timeout(BEAT) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => String::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let publish_on = |mut open: Connection| -> RedisResult<Connection> {
            let _: usize = open.publish(ROOM, format!("{process} {line}"))?;
            Ok(open)
        };
        connection = connection
            .and_then(|open| publish_on(open).ok())
            .or_else(|| connect(redis).and_then(publish_on).ok());
    }
}

/// Hears the others for as long as the program runs, and tells the room when it stops or begins to.
fn subscribe(redis: &Client, process: &str, room: &Room) -> ! {
    loop {
        // It never ends well: only an error leads out of it.
        let _ = hear(redis, process, room);
        room.tell_connected(false);
        thread::sleep(PAUSE);
    }
}

/// Passes on what the other processes publish, until Redis is lost.
fn hear(redis: &Client, process: &str, room: &Room) -> RedisResult<()> {
    let mut connection = connect(redis)?;
    let mut subscription = connection.as_pubsub();
    subscription.subscribe(ROOM)?;
    subscription.set_read_timeout(Some(SILENCE))?;
    room.tell_connected(true);
    loop {
        let published: String = subscription.get_message()?.get_payload()?;
        match published.split_once(' ') {
            // Our own guests have it already, and a beat is not for them.
            Some((origin, line)) if origin != process && !line.is_empty() => room.tell(line),
            _ => {}
        }
    }
}

fn connect(redis: &Client) -> RedisResult<Connection> {
    let connection = redis.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// The guests of this process, as other threads reach them.
struct Room {
    handle: Handle,
    endpoint: EndpointId<Guest>,
}

impl Room {
    fn tell(&self, line: &str) {
        wait_for_room(|| self.handle.broadcast(self.endpoint, line));
    }

    /// Both at once, on the server's thread: whoever opens a session now hears it one way or the other, and once.
    fn tell_connected(&self, connected: bool) {
        let endpoint = self.endpoint;
        wait_for_room(|| {
            self.handle.run(move |context| {
                let Some((chat, mut room)) = context.handler_and_endpoint::<Chat, _>(endpoint) else {
                    return;
                };
                if chat.connected != connected {
                    chat.connected = connected;
                    room.broadcast(if connected { BACK } else { LOST });
                }
            })
        });
    }
}

/// While the server is behind, this thread waits, and lines of other processes wait in Redis.
fn wait_for_room(mut post: impl FnMut() -> Result<(), HandleError>) {
    while post() == Err(HandleError::Busy) {
        thread::sleep(Duration::from_millis(10));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, url] = arguments.as_slice() else {
        return Err("usage: chat_cluster LISTEN REDIS_URL".into());
    };
    let redis = Client::open(url.as_str())?;
    // Process ids may be equal on two machines.
    let process = format!("{:08x}", RandomState::new().hash_one(listen) as u32);
    let (lines, to_publish) = sync_channel(QUEUE);

    let mut server = Server::new(ServerOptions::default())?;
    let chat = Chat { process: process.clone(), guests: 0, lines, connected: false };
    let endpoint = server.mount("/chat", chat)?;
    server.fallback(|_, request, _| match request.path() {
        "/" => Response::new(200)
            .header("Content-Type", "text/html; charset=UTF-8")
            .body(include_str!("page.html")),
        _ => Response::new(404),
    });
    let room = Room { handle: server.handle(), endpoint };
    thread::spawn({
        let (redis, process) = (redis.clone(), process.clone());
        move || publish(&redis, &process, &to_publish)
    });
    thread::spawn(move || subscribe(&redis, &process, &room));
    println!("Listening on http://{}/", server.listen(listen)?);
    Ok(server.run()?)
}
