//! Threads of the server's process that send through a `Handle`, as many and as often as a client asks for.

use std::str::FromStr;
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime};

use sockjs_server::{EndpointId, Handle, HandleError, Handler, Session, SessionId};

use crate::child;

/// The text of a broadcast to everybody, and of the chat's notice that a client has left.
pub(crate) const NOTICE: &str = "one of us has left..";

/// A client's request for messages.
pub(crate) struct Order {
    pub(crate) target: Target,
    pub(crate) threads: usize,
    /// Messages of each thread.
    pub(crate) count: usize,
    /// From one message of a thread to its next; zero: as fast as they are taken.
    pub(crate) every: Duration,
}

/// The receivers of the messages.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// [`NOTICE`], to all sessions of an endpoint.
    Everybody,
    /// The [time](now) at which it is sent, to the members of a group.
    Group,
    /// The same, to the session that asks.
    Session,
}

impl Order {
    /// The message that asks for it.
    pub(crate) fn text(&self) -> String {
        let target = match self.target {
            Target::Everybody => "everybody",
            Target::Group => "group",
            Target::Session => "session",
        };
        format!("{target} {} {} {}", self.threads, self.count, self.every.as_micros())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let target = match words.next()? {
            "everybody" => Target::Everybody,
            "group" => Target::Group,
            "session" => Target::Session,
            _ => return None,
        };
        let mut number = || u64::from_str(words.next()?).ok();
        let (threads, count) = (number()? as usize, number()? as usize);
        Some(Self { target, threads, count, every: Duration::from_micros(number()?) })
    }
}

/// Nanoseconds since 1970, which all processes have in common; 19 digits until the year 2286.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// The endpoint that takes orders.
pub(crate) struct Producers {
    pub(crate) handle: Handle,
    pub(crate) everybody: EndpointId<()>,
    pub(crate) members: EndpointId<()>,
}

impl Handler for Producers {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        let order = Order::parse(text).expect("an order");
        let (everybody, members, asking) = (self.everybody, self.members, session.id());
        for _ in 0..order.threads {
            let handle = self.handle.clone();
            let (count, every) = (order.count, order.every);
            match order.target {
                Target::Everybody => produce(count, every, move || handle.broadcast(everybody, NOTICE)),
                Target::Group => {
                    produce(count, every, move || handle.publish(members, "group", now().to_string()))
                }
                Target::Session => produce(count, every, move || send_time(&handle, asking)),
            }
        }
    }
}

fn send_time(handle: &Handle, session: SessionId) -> Result<(), HandleError> {
    handle.send(session, now().to_string())
}

/// Sends from a thread of its own, which is not on the server's core.
fn produce(count: usize, every: Duration, send: impl Fn() -> Result<(), HandleError> + Send + 'static) {
    thread::spawn(move || {
        child::leave_core().expect("another core");
        let mut next = Instant::now();
        for _ in 0..count {
            if !every.is_zero() {
                next += every;
                sleep(next.saturating_duration_since(Instant::now()));
            }
            while send() == Err(HandleError::Busy) {
                thread::yield_now();
            }
        }
    });
}
