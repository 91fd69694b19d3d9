//! Shows how several processes are one service: a chat in which Redis carries every line from each process to the
//! others. A guest is in one room, first the lobby, and goes to another with `/join ROOM`.
//!
//! To see it, start Redis and two processes, and open <http://127.0.0.1:8081/> and <http://127.0.0.1:8082/>. (Behind a
//! balancer they have one address: see the guide's chapter on several processes.)
//!
//! ```text
//! redis-server &
//! cargo run --example chat_cluster 127.0.0.1:8081 redis://127.0.0.1:6379 &
//! cargo run --example chat_cluster 127.0.0.1:8082 redis://127.0.0.1:6379
//! ```
//!
//! What is said goes to the guests of this process at once, and through Redis to those of the others: the chat lives on
//! without Redis, in its own rooms in each process, and says so. A room is a group of the endpoint; the process hears
//! in Redis the rooms in which it has guests, and no others. Two threads do the waiting, so that the server never does:
//!
//! ```text
//! handlers ──bounded channel──▶ publisher ──▶ Redis ──▶ subscriber ──Handle──▶ sessions
//! ```

#[path = "../client/mod.rs"]
mod client;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Commands, Connection, PubSub, RedisResult};
use sockjs_server::{
    Close, Endpoint, EndpointId, Handle, HandleError, Handler, Refusal, Request, Response, Server,
    ServerOptions, Session,
};

/// Where guests are first.
const LOBBY: &str = "lobby";
/// The Redis channel of a room is this and its name.
const ROOM: &str = "chat_cluster:room:";
/// The Redis channel of a process, on which it hears its own beats, is this and the name of the process.
const PROCESS: &str = "chat_cluster:process:";
/// How many lines may wait for the publisher. Beyond it they are dropped: a Redis that stands still costs no memory.
const QUEUE: usize = 1024;
/// How long connecting, or writing a line, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often each process publishes a beat...
const BEAT: Duration = Duration::from_secs(2);
/// ...which it hears itself: silence of this length means that Redis is lost, even if the connection looks alive.
const SILENCE: Duration = Duration::from_secs(7);
/// How long to wait before the next attempt to reach Redis.
const PAUSE: Duration = Duration::from_millis(500);

const LOST: &str = "the room is disconnected from the others";
const BACK: &str = "the room is back with the others";

/// One thing for the publisher to publish.
enum Job {
    /// A line for the guests of the other processes.
    Line { room: String, line: String },
    /// A beat at once: it wakes the subscriber, which looks at the rooms.
    Beat,
}

/// The handler's own state.
struct Chat {
    /// This process among the others.
    process: String,
    guests: usize,
    /// To the publisher.
    jobs: SyncSender<Job>,
    /// Whether the subscriber hears the others.
    connected: bool,
}

/// What is kept with each session.
struct Guest {
    name: String,
    room: String,
}

impl Chat {
    /// Says something in the guest's room, here and elsewhere. Never waits; what does not fit is lost to the others,
    /// whose guests were told that they are on their own.
    fn say(&self, session: &mut Session<'_, Guest>, line: String) {
        let room = session.state().room.clone();
        session.publish(&room, &line);
        let _ = self.jobs.try_send(Job::Line { room, line });
    }

    /// Takes a guest from its room to another.
    fn go(&self, session: &mut Session<'_, Guest>, room: &str) {
        if let Err(error) = session.join(room) {
            let _ = session.send(format!("not possible: {error}"));
            return;
        }
        let name = session.state().name.clone();
        let before = std::mem::replace(&mut session.state_mut().room, room.to_owned());
        if before != room && session.leave(&before) {
            let line = format!("{name} left");
            session.publish(&before, &line);
            let _ = self.jobs.try_send(Job::Line { room: before, line });
        }
        self.say(session, format!("{name} joined"));
    }
}

impl Handler<Guest> for Chat {
    fn admit(&mut self, _: &Request<'_>) -> Result<Guest, Refusal> {
        self.guests += 1;
        Ok(Guest { name: format!("guest {} of {}", self.guests, self.process), room: LOBBY.to_owned() })
    }

    fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
        // A session that has just opened has room.
        let _ = session.send(format!("you are {}", session.state().name));
        if !self.connected {
            let _ = session.send(LOST);
        }
        self.go(session, LOBBY);
    }

    fn on_message(&mut self, session: &mut Session<'_, Guest>, text: &str) {
        match text.strip_prefix("/join ") {
            Some(room) => self.go(session, room.trim()),
            None => {
                let line = format!("{}: {text}", session.state().name);
                self.say(session, line);
            }
        }
    }

    fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
        let line = format!("{} left", session.state().name);
        self.say(session, line);
    }

    /// The first guest of a room: its lines from other processes are heard from now on. If the channel is full, the
    /// next beat wakes the subscriber.
    fn on_group_start(&mut self, _: &mut Endpoint<'_, Guest>, _: &str) {
        let _ = self.jobs.try_send(Job::Beat);
    }

    fn on_group_end(&mut self, _: &mut Endpoint<'_, Guest>, _: &str) {
        let _ = self.jobs.try_send(Job::Beat);
    }
}

/// Publishes what comes out of the channel, each line behind the name of this process, until the server is gone. A
/// connection may have died since the last line, so that a line that fails is tried once more, on a new one.
fn publish(redis: &redis::Client, process: &str, jobs: &Receiver<Job>) {
    let mut connection = None;
    let mut next_beat = Instant::now();
    loop {
        let job = match jobs.recv_timeout(next_beat.saturating_duration_since(Instant::now())) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => Job::Beat,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let (channel, text) = match job {
            Job::Line { room, line } => (format!("{ROOM}{room}"), format!("{process} {line}")),
            Job::Beat => {
                next_beat = Instant::now() + BEAT;
                (format!("{PROCESS}{process}"), String::new())
            }
        };
        let publish_on = |mut open: Connection| -> RedisResult<Connection> {
            let _: usize = open.publish(&channel, &text)?;
            Ok(open)
        };
        connection = connection
            .and_then(|open| publish_on(open).ok())
            .or_else(|| connect(redis).and_then(publish_on).ok());
    }
}

/// Hears the others for as long as the program runs, and tells the guests when it stops or begins to.
fn subscribe(redis: &redis::Client, process: &str, guests: &Guests) -> ! {
    loop {
        // It never ends well: only an error leads out of it.
        let _ = hear(redis, process, guests);
        guests.tell_connected(false);
        thread::sleep(PAUSE);
    }
}

/// Passes on what the other processes publish, until Redis is lost.
fn hear(redis: &redis::Client, process: &str, guests: &Guests) -> RedisResult<()> {
    let mut connection = connect(redis)?;
    let mut subscription = connection.as_pubsub();
    subscription.subscribe(format!("{PROCESS}{process}"))?;
    subscription.set_read_timeout(Some(SILENCE))?;
    let mut heard = BTreeSet::new();
    follow(&mut subscription, &mut heard, guests.rooms())?;
    guests.tell_connected(true);
    loop {
        let message = subscription.get_message()?;
        let Some(room) = message.get_channel_name().strip_prefix(ROOM) else {
            // A beat of our own: rooms may have got their first guest, or lost their last.
            follow(&mut subscription, &mut heard, guests.rooms())?;
            continue;
        };
        let published: String = message.get_payload()?;
        match published.split_once(' ') {
            // Our own guests have it already.
            Some((origin, line)) if origin != process => guests.tell(room, line),
            _ => {}
        }
    }
}

/// Subscribes to the rooms that have guests, and to no others.
fn follow(
    subscription: &mut PubSub<'_>,
    heard: &mut BTreeSet<String>,
    wanted: BTreeSet<String>,
) -> RedisResult<()> {
    for room in wanted.difference(heard) {
        subscription.subscribe(format!("{ROOM}{room}"))?;
    }
    for room in heard.difference(&wanted) {
        subscription.unsubscribe(format!("{ROOM}{room}"))?;
    }
    *heard = wanted;
    Ok(())
}

fn connect(redis: &redis::Client) -> RedisResult<Connection> {
    let connection = redis.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// The guests of this process, as other threads reach them.
struct Guests {
    handle: Handle,
    endpoint: EndpointId<Guest>,
}

impl Guests {
    fn tell(&self, room: &str, line: &str) {
        wait_for_room(|| self.handle.publish(self.endpoint, room, line));
    }

    /// The rooms that have guests in this process: the server's thread says so.
    fn rooms(&self) -> BTreeSet<String> {
        let (tell, told) = channel();
        let endpoint = self.endpoint;
        wait_for_room(|| {
            let tell = tell.clone();
            self.handle.run(move |context| {
                let groups = context.endpoint(endpoint).groups();
                // The subscriber waits for it.
                let _ = tell.send(groups.iter().map(ToString::to_string).collect());
            })
        });
        drop(tell);
        told.recv().unwrap_or_default()
    }

    /// Both at once, on the server's thread: a guest that comes now hears it one way or the other, and once.
    fn tell_connected(&self, connected: bool) {
        let endpoint = self.endpoint;
        wait_for_room(|| {
            self.handle.run(move |context| {
                let Some((chat, mut guests)) = context.handler_and_endpoint::<Chat, _>(endpoint) else {
                    return;
                };
                if chat.connected != connected {
                    chat.connected = connected;
                    guests.broadcast(if connected { BACK } else { LOST });
                }
            })
        });
    }
}

/// While the server is behind, this thread waits, and what others publish waits in Redis.
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
    let redis = redis::Client::open(url.as_str())?;
    let client = client::Client::from_env()?;
    let page = client.page(include_str!("page.html"));
    // Process ids may be equal on two machines.
    let process = format!("{:08x}", RandomState::new().hash_one(listen) as u32);
    let (jobs, to_publish) = sync_channel(QUEUE);

    let mut server = Server::new(ServerOptions::default())?;
    let chat = Chat { process: process.clone(), guests: 0, jobs, connected: false };
    let endpoint = server.mount("/chat", chat)?;
    server.fallback(move |_, request, _| match request.path() {
        "/" => Response::new(200).header("Content-Type", "text/html; charset=UTF-8").body(Arc::clone(&page)),
        path => client.answer(path).unwrap_or(Response::new(404)),
    });
    let guests = Guests { handle: server.handle(), endpoint };
    thread::spawn({
        let (redis, process) = (redis.clone(), process.clone());
        move || publish(&redis, &process, &to_publish)
    });
    thread::spawn(move || subscribe(&redis, &process, &guests));
    println!("Listening on http://{}/", server.listen(listen)?);
    Ok(server.run()?)
}
