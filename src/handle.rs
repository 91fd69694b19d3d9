//! The server from other threads: a mailbox, and a waker that is used only when the mailbox was empty.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use crate::containment::{contain, discard};
use crate::engine::{Application, Engine, Event, Message, SessionId};
use crate::handler::{Context, EndpointId};
use crate::mounts::Mounts;

/// Reaches a running server from any thread; clones are cheap. No call waits for the server: what is asked is done in
/// its next turn, in the order in which one thread asked. For a server that is gone nothing happens. What waits for that
/// turn has no limit: a program that asks faster than the server works must see to it itself.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use sockjs_server::{Server, Session};
///
/// let mut server = Server::bind("127.0.0.1:0")?;
/// let endpoint = server.mount("/news", |_: &mut Session<'_>, _: &str| {})?;
/// let handle = server.handle();
/// std::thread::spawn(move || {
///     handle.broadcast(endpoint, "the news of the day");
///     handle.shutdown();
/// });
/// server.run()
/// # }
/// ```
#[derive(Clone)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
}

/// What is asked of the server.
pub(crate) enum Command {
    Send(SessionId, String),
    SendBinary(SessionId, Vec<u8>),
    Close(SessionId, u16, String),
    Broadcast(EndpointId, String),
    Join(SessionId, String),
    Leave(SessionId, String),
    Publish(EndpointId, String, String),
    PublishBinary(EndpointId, String, Vec<u8>),
    SendTo(Vec<SessionId>, String),
    Run(Box<dyn FnOnce(&mut Context<'_>) + Send>),
    Shutdown,
}

/// Where commands wait for the next turn.
pub(crate) struct Mailbox {
    /// `None` once the server is gone.
    commands: Mutex<Option<VecDeque<Command>>>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { commands: Mutex::new(Some(VecDeque::new())), waker })
    }

    /// Takes out what waits, and leaves an empty queue for what comes.
    pub(crate) fn collect(&self, commands: &mut VecDeque<Command>) {
        if let Some(waiting) = &mut *self.lock() {
            std::mem::swap(waiting, commands);
        }
    }

    /// Nobody will collect any more: what waits is dropped, and what comes.
    pub(crate) fn close(&self) {
        let waiting = self.lock().take();
        // A command may own a handle: it must not be dropped inside of the lock. And what a task has captured may panic as
        // it is dropped: each is dropped on its own.
        for command in waiting.into_iter().flatten() {
            discard(command);
        }
    }

    fn post(&self, command: Command) {
        let mut commands = self.lock();
        let Some(waiting) = &mut *commands else { return };
        waiting.push_back(command);
        if waiting.len() == 1 {
            // It fails only if the server is gone.
            let _ = self.waker.wake();
        }
    }

    /// A panic between lock and unlock cannot happen, and would leave the queue whole.
    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// Queues a text message for a session; dropped if the session is closed. Where its client does not read and its queue is
    /// full by then, [`EndpointOptions::overflow`](crate::EndpointOptions::overflow) says what happens.
    pub fn send(&self, session: SessionId, text: impl Into<String>) {
        self.mailbox.post(Command::Send(session, text.into()));
    }

    /// Queues a binary message for a session of a raw WebSocket, as [`Handle::send`] does; dropped if the session has another
    /// transport.
    pub fn send_binary(&self, session: SessionId, bytes: impl Into<Vec<u8>>) {
        self.mailbox.post(Command::SendBinary(session, bytes.into()));
    }

    /// Closes a session; see [`Session::close`](crate::Session::close).
    pub fn close(&self, session: SessionId, code: u16, reason: impl Into<String>) {
        self.mailbox.post(Command::Close(session, code, reason.into()));
    }

    /// Sends a text to all sessions of an endpoint; see [`Endpoint::broadcast`](crate::Endpoint::broadcast).
    pub fn broadcast(&self, endpoint: EndpointId, text: impl Into<String>) {
        self.mailbox.post(Command::Broadcast(endpoint, text.into()));
    }

    /// Makes a session a member of a group of its endpoint; see [`Session::join`](crate::Session::join). Nothing happens
    /// where that is an error.
    pub fn join(&self, session: SessionId, name: impl Into<String>) {
        self.mailbox.post(Command::Join(session, name.into()));
    }

    /// Ends a session's membership; see [`Session::leave`](crate::Session::leave).
    pub fn leave(&self, session: SessionId, name: impl Into<String>) {
        self.mailbox.post(Command::Leave(session, name.into()));
    }

    /// Sends a text to all members of a group; see [`Endpoint::publish`](crate::Endpoint::publish).
    pub fn publish(&self, endpoint: EndpointId, name: impl Into<String>, text: impl Into<String>) {
        self.mailbox.post(Command::Publish(endpoint, name.into(), text.into()));
    }

    /// Sends a binary message to the members of a group that came by raw WebSocket; see
    /// [`Endpoint::publish_binary`](crate::Endpoint::publish_binary).
    pub fn publish_binary(&self, endpoint: EndpointId, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.mailbox.post(Command::PublishBinary(endpoint, name.into(), bytes.into()));
    }

    /// Sends a text to these sessions, of whatever endpoints; see [`Endpoint::send_to`](crate::Endpoint::send_to).
    pub fn send_to(&self, sessions: impl Into<Vec<SessionId>>, text: impl Into<String>) {
        self.mailbox.post(Command::SendTo(sessions.into(), text.into()));
    }

    /// Runs a closure on the server's own thread, with the server in its hands. If it panics nothing else happens.
    pub fn run(&self, task: impl FnOnce(&mut Context<'_>) + Send + 'static) {
        self.mailbox.post(Command::Run(Box::new(task)));
    }

    /// Begins the shutdown, with 1001 `Server shutdown`; see [`Server::shutdown`](crate::Server::shutdown).
    pub fn shutdown(&self) {
        self.mailbox.post(Command::Shutdown);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handle")
    }
}

impl Command {
    /// Carries it out; a shutdown is the server's own affair and asked for by `true`.
    pub(crate) fn run(self, engine: &mut Engine, mounts: &mut Mounts) -> bool {
        match self {
            Command::Send(session, text) => {
                engine.send_or_overflow(session.0, Message::Text(&text));
            }
            Command::SendBinary(session, bytes) => {
                engine.send_or_overflow(session.0, Message::Binary(&bytes));
            }
            Command::Close(session, code, reason) => {
                engine.close(session.0, code, &reason);
            }
            Command::Broadcast(endpoint, text) => {
                engine.broadcast(endpoint.0, &text, None);
            }
            Command::Join(session, name) => {
                let _ = engine.join(session.0, &name);
            }
            Command::Leave(session, name) => {
                engine.leave(session.0, &name);
            }
            Command::Publish(endpoint, name, text) => {
                engine.publish(endpoint.0, &name, Message::Text(&text), None);
            }
            Command::PublishBinary(endpoint, name, bytes) => {
                engine.publish(endpoint.0, &name, Message::Binary(&bytes), None);
            }
            Command::SendTo(sessions, text) => {
                engine.send_to(None, &sessions, &text);
            }
            Command::Run(task) => {
                let context = &mut Context::new(engine);
                if contain(|| task(context)).is_none() {
                    mounts.observe(&Event::Panicked { session: None });
                }
                // The task may have taken long.
                engine.read_clock();
            }
            Command::Shutdown => return true,
        }
        false
    }
}
