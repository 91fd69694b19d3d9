//! The server from other threads: commands, and how the server carries out each of them in a turn of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::containment::contain;
use crate::engine::{
    Application, EndpointNumber, Engine, Event, Message, Outgoing, Response, SessionId, Ticket,
};
use crate::handler::{Context, EndpointId};
use crate::incoming::Incoming;
use crate::mailbox::Mailbox;
use crate::mounts::Mounts;

/// Reaches a running server from any thread; clones are cheap. No call waits for the server: a command is carried out
/// in its next turn, or a later one if there are many, in the order in which one thread gave them.
///
/// Commands that the server has not carried out yet hold [`ServerOptions::mailbox_bytes`] at most. A program that gives
/// them faster than the server works is told [`HandleError::Busy`], and [`Handle::pending`] says how far behind the
/// server is; a command that was accepted is carried out, unless the server stops before.
///
/// [`ServerOptions::mailbox_bytes`]: crate::ServerOptions::mailbox_bytes
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use sockjs_server::{Server, Session};
///
/// let mut server = Server::bind("127.0.0.1:0")?;
/// let endpoint = server.mount("/news", |_: &mut Session<'_>, _: &str| {})?;
/// let handle = server.handle();
/// std::thread::spawn(move || {
///     if let Err(error) = handle.broadcast(endpoint, "the news of the day") {
///         eprintln!("no news: {error}");
///     }
///     handle.shutdown();
/// });
/// server.run()
/// # }
/// ```
#[derive(Clone)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
}

/// Why a [`Handle`] did not take a command. The server does not get to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// The commands that the server has not carried out yet hold [`ServerOptions::mailbox_bytes`]: it is worth another
    /// try when the server has worked some of them off. The mailbox is emptied once in a turn, so that `Busy` may last
    /// for as long as one: 20 ms or so under load, and longer where a callback takes longer. A callback must not wait
    /// for that: it holds up the server's own thread, and can send by itself, through its [`Session`](crate::Session)
    /// or [`Endpoint`](crate::Endpoint).
    ///
    /// [`ServerOptions::mailbox_bytes`]: crate::ServerOptions::mailbox_bytes
    Busy,
    /// The command alone is larger than that: no other try will do.
    TooLarge,
    /// The server has stopped, or was dropped.
    Gone,
}

impl fmt::Display for HandleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            HandleError::Busy => "the server's mailbox is full (option `mailbox_bytes`)",
            HandleError::TooLarge => {
                "the command is larger than the server's mailbox (option `mailbox_bytes`)"
            }
            HandleError::Gone => "the server has stopped",
        })
    }
}

impl std::error::Error for HandleError {}

/// Commands that wait for a server: see [`Handle::pending`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Commands that were accepted, and are not carried out.
    pub commands: usize,
    /// Bytes of memory that they hold, their places in the mailbox included.
    pub bytes: usize,
}

/// What is asked of the server.
pub(crate) enum Command {
    Send(SessionId, String),
    SendBinary(SessionId, Vec<u8>),
    Close(SessionId, u16, String),
    Terminate(SessionId),
    Broadcast(EndpointNumber, String),
    BroadcastExcept(EndpointNumber, SessionId, String),
    Join(SessionId, String),
    Leave(SessionId, String),
    Publish(EndpointNumber, Box<(String, String)>),
    PublishExcept(EndpointNumber, SessionId, Box<(String, String)>),
    PublishBinary(EndpointNumber, Box<(String, Vec<u8>)>),
    SendTo(Box<(Vec<SessionId>, String)>),
    Answer(Ticket, Box<Response>),
    Run(Box<dyn FnOnce(&mut Context<'_>) + Send>),
    Add(Box<(Incoming, Vec<u8>)>),
    End(Box<Ending>),
}

/// What a command asks of the server, not of its engine.
pub(crate) enum ForServer {
    /// To take in a connection, of which these bytes are read.
    Add(Box<(Incoming, Vec<u8>)>),
    End(Ending),
}

/// A part of the server's end.
pub(crate) enum Ending {
    StopListening,
    RefuseSessions(bool),
    Drain(Duration, u16, String),
    Shutdown(u16, String),
}

impl Handle {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// Queues a text message for a session; dropped if the session is closed by then. Where its client does not read
    /// and its queue is full, [`EndpointOptions::overflow`](crate::EndpointOptions::overflow) says what happens.
    ///
    /// # Errors
    /// [`HandleError`]: the message was not taken.
    pub fn send(&self, session: SessionId, text: impl Into<String>) -> Result<(), HandleError> {
        self.mailbox.post(Command::Send(session, text.into()))
    }

    /// Queues a binary message for a session of a raw WebSocket, as [`Handle::send`] does; dropped if the
    /// session has another transport.
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn send_binary(&self, session: SessionId, bytes: impl Into<Vec<u8>>) -> Result<(), HandleError> {
        self.mailbox.post(Command::SendBinary(session, bytes.into()))
    }

    /// Closes a session; see [`Session::close`](crate::Session::close).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn close(&self, session: SessionId, code: u16, reason: impl Into<String>) -> Result<(), HandleError> {
        self.mailbox.post(Command::Close(session, code, reason.into()))
    }

    /// Ends a session at once; see [`Session::terminate`](crate::Session::terminate).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn terminate(&self, session: SessionId) -> Result<(), HandleError> {
        self.mailbox.post(Command::Terminate(session))
    }

    /// Sends a text to all sessions of an endpoint; see [`Endpoint::broadcast`](crate::Endpoint::broadcast).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn broadcast<S>(&self, endpoint: EndpointId<S>, text: impl Into<String>) -> Result<(), HandleError> {
        self.mailbox.post(Command::Broadcast(endpoint.number, text.into()))
    }

    /// Sends a text to all sessions of an endpoint but one; see [`Endpoint::broadcast`](crate::Endpoint::broadcast).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn broadcast_except<S>(
        &self,
        endpoint: EndpointId<S>,
        text: impl Into<String>,
        except: SessionId,
    ) -> Result<(), HandleError> {
        self.mailbox.post(Command::BroadcastExcept(endpoint.number, except, text.into()))
    }

    /// Makes a session a member of a group of its endpoint; see [`Session::join`](crate::Session::join). Nothing
    /// happens where that is an error.
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn join(&self, session: SessionId, name: impl Into<String>) -> Result<(), HandleError> {
        self.mailbox.post(Command::Join(session, name.into()))
    }

    /// Ends a session's membership; see [`Session::leave`](crate::Session::leave).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn leave(&self, session: SessionId, name: impl Into<String>) -> Result<(), HandleError> {
        self.mailbox.post(Command::Leave(session, name.into()))
    }

    /// Sends a text to all members of a group; see [`Endpoint::publish`](crate::Endpoint::publish).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn publish<S>(
        &self,
        endpoint: EndpointId<S>,
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<(), HandleError> {
        self.mailbox.post(Command::Publish(endpoint.number, Box::new((name.into(), text.into()))))
    }

    /// Sends a binary message to the members of a group that came by raw WebSocket; see
    /// [`Endpoint::publish_binary`](crate::Endpoint::publish_binary).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn publish_binary<S>(
        &self,
        endpoint: EndpointId<S>,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<(), HandleError> {
        self.mailbox.post(Command::PublishBinary(endpoint.number, Box::new((name.into(), bytes.into()))))
    }

    /// Sends a text to all members of a group but one: to those that have not sent it. See
    /// [`Endpoint::publish`](crate::Endpoint::publish).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn publish_except<S>(
        &self,
        endpoint: EndpointId<S>,
        name: impl Into<String>,
        text: impl Into<String>,
        except: SessionId,
    ) -> Result<(), HandleError> {
        let message = Box::new((name.into(), text.into()));
        self.mailbox.post(Command::PublishExcept(endpoint.number, except, message))
    }

    /// Sends a text to these sessions, of whatever endpoints; see [`Endpoint::send_to`](crate::Endpoint::send_to).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn send_to(
        &self,
        sessions: impl Into<Vec<SessionId>>,
        text: impl Into<String>,
    ) -> Result<(), HandleError> {
        self.mailbox.post(Command::SendTo(Box::new((sessions.into(), text.into()))))
    }

    /// Runs a closure on the server's own thread, with the server in its hands. If it panics nothing else happens. In
    /// the mailbox it counts by its size, captured variables included, but not the heap that they own.
    ///
    /// # Errors
    /// As [`Handle::send`]; the closure is dropped then.
    pub fn run(&self, task: impl FnOnce(&mut Context<'_>) + Send + 'static) -> Result<(), HandleError> {
        self.mailbox.post(Command::Run(Box::new(task)))
    }

    /// Answers a request that waits for it; see [`Reply::later`](crate::Reply::later). Nothing happens if it does not
    /// wait any more; a task ([`Handle::run`]) can ask: [`Context::is_waiting`].
    ///
    /// In the mailbox an answer counts with its header fields, and a body that is owned; a reader counts by its size,
    /// and static and shared bytes do not count.
    ///
    /// # Errors
    /// As [`Handle::send`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use sockjs_server::{Reply, Response, Server};
    ///
    /// let mut server = Server::bind("127.0.0.1:0")?;
    /// let handle = server.handle();
    /// server.fallback(move |_, request, _| {
    ///     let (reply, ticket) = Reply::later(request);
    ///     let (handle, path) = (handle.clone(), request.path().to_owned());
    ///     // Mostly there is a pool of threads for what would hold up the server.
    ///     std::thread::spawn(move || {
    ///         let report = format!("a long report about {path}");
    ///         let _ = handle.answer(ticket, Response::new(200).body(report));
    ///     });
    ///     reply
    /// });
    /// # Ok(()) }
    /// ```
    pub fn answer(&self, ticket: Ticket, response: Response) -> Result<(), HandleError> {
        self.mailbox.post(Command::Answer(ticket, Box::new(response)))
    }

    /// Hands a connection to the server; see [`Server::add_connection`](crate::Server::add_connection). This is how a
    /// thread with an accept loop of its own does it. In the mailbox it counts with its bytes and its layer.
    ///
    /// Where the server cannot take it in its turn, the connection is closed:
    /// [`Event::Refused`](crate::Event::Refused) with 503 says so where there are too many. A program that would
    /// rather answer such a client itself counts its connections.
    ///
    /// # Errors
    /// As [`Handle::send`]; the connection is closed then.
    pub fn add_connection(
        &self,
        connection: impl Into<Incoming>,
        already_read: Vec<u8>,
    ) -> Result<(), HandleError> {
        self.mailbox.post(Command::Add(Box::new((connection.into(), already_read))))
    }

    /// Closes the listening sockets, and serves on; see [`Server::stop_listening`](crate::Server::stop_listening).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn stop_listening(&self) -> Result<(), HandleError> {
        self.mailbox.post(Command::End(Box::new(Ending::StopListening)))
    }

    /// Refuses new sessions, or admits them again; see [`Server::refuse_sessions`](crate::Server::refuse_sessions).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn refuse_sessions(&self, refuse: bool) -> Result<(), HandleError> {
        self.mailbox.post(Command::End(Box::new(Ending::RefuseSessions(refuse))))
    }

    /// Refuses new sessions, and begins the shutdown when the old ones have left; see
    /// [`Server::drain`](crate::Server::drain).
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn drain(&self, patience: Duration, code: u16, reason: impl Into<String>) -> Result<(), HandleError> {
        self.mailbox.post(Command::End(Box::new(Ending::Drain(patience, code, reason.into()))))
    }

    /// Begins the shutdown, with 1001 `Server shutdown`; see [`Server::shutdown`](crate::Server::shutdown). It is
    /// behind the commands that were accepted before, and is itself accepted always: also by a mailbox that is full.
    /// For a server that is gone nothing happens.
    pub fn shutdown(&self) {
        self.shutdown_with(1001, "Server shutdown");
    }

    /// The same with a code and a reason of the program's own, such as 1012 `Service restart`. Only the first shutdown
    /// counts.
    pub fn shutdown_with(&self, code: u16, reason: impl Into<String>) {
        self.mailbox.post_shutdown(Command::shutdown(code, reason.into()));
    }

    /// The commands that were accepted, of this handle and all others, and are not carried out.
    ///
    /// A program that does more than it needs to can leave that out while much waits:
    ///
    /// ```
    /// # use sockjs_server::{EndpointId, Handle};
    /// fn show(handle: &Handle, endpoint: EndpointId, picture: String) {
    ///     // The server is behind, and the next picture is not far.
    ///     if handle.pending().commands < 100 {
    ///         let _ = handle.broadcast(endpoint, picture);
    ///     }
    /// }
    /// ```
    pub fn pending(&self) -> Pending {
        self.mailbox.pending()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handle")
    }
}

impl Command {
    pub(crate) fn shutdown(code: u16, reason: String) -> Self {
        Command::End(Box::new(Ending::Shutdown(code, reason)))
    }

    /// Bytes of memory that it holds beside itself.
    pub(crate) fn held(&self) -> usize {
        match self {
            Command::Send(_, text) | Command::Close(_, _, text) | Command::Broadcast(_, text) => {
                text.capacity()
            }
            Command::BroadcastExcept(_, _, text) => text.capacity(),
            Command::SendBinary(_, bytes) => bytes.capacity(),
            Command::Join(_, name) | Command::Leave(_, name) => name.capacity(),
            Command::Publish(_, message) | Command::PublishExcept(_, _, message) => {
                size_of_val(&**message) + message.0.capacity() + message.1.capacity()
            }
            Command::PublishBinary(_, message) => {
                size_of_val(&**message) + message.0.capacity() + message.1.capacity()
            }
            Command::SendTo(message) => {
                let sessions = message.0.capacity() * size_of::<SessionId>();
                size_of_val(&**message) + sessions + message.1.capacity()
            }
            Command::Answer(_, response) => size_of::<Response>() + response.held(),
            Command::Terminate(_) => 0,
            Command::Run(task) => size_of_val(&**task),
            Command::Add(connection) => {
                let (incoming, bytes) = &**connection;
                let layer = incoming.layer_memory().unwrap_or(0);
                size_of_val(&**connection).saturating_add(bytes.capacity()).saturating_add(layer)
            }
            Command::End(ending) => {
                let reason = match &**ending {
                    Ending::StopListening | Ending::RefuseSessions(_) => 0,
                    Ending::Drain(.., reason) | Ending::Shutdown(_, reason) => reason.capacity(),
                };
                size_of::<Ending>() + reason
            }
        }
    }

    /// Carries it out; what is for the server itself is handed back.
    pub(crate) fn run(self, engine: &mut Engine, mounts: &mut Mounts) -> Option<ForServer> {
        match self {
            Command::Send(session, text) => {
                engine.send_or_overflow(session.0, Outgoing::Text(text.into()));
            }
            Command::SendBinary(session, bytes) => {
                engine.send_or_overflow(session.0, Outgoing::Binary(bytes.into()));
            }
            Command::Close(session, code, reason) => {
                engine.close(session.0, code, &reason);
            }
            Command::Terminate(session) => {
                engine.terminate(session.0);
            }
            Command::Broadcast(endpoint, text) => {
                engine.broadcast(endpoint, &text, None);
            }
            Command::BroadcastExcept(endpoint, except, text) => {
                engine.broadcast(endpoint, &text, Some(except.0));
            }
            Command::Join(session, name) => {
                let _ = engine.join(session.0, &name);
            }
            Command::Leave(session, name) => {
                engine.leave(session.0, &name);
            }
            Command::Publish(endpoint, message) => {
                engine.publish(endpoint, &message.0, Message::Text(&message.1), None);
            }
            Command::PublishExcept(endpoint, except, message) => {
                engine.publish(endpoint, &message.0, Message::Text(&message.1), Some(except.0));
            }
            Command::PublishBinary(endpoint, message) => {
                engine.publish(endpoint, &message.0, Message::Binary(&message.1), None);
            }
            Command::SendTo(message) => {
                engine.send_to(None, &message.0, &message.1);
            }
            Command::Answer(ticket, response) => {
                let _ = engine.answer_later(ticket, *response);
            }
            Command::Run(task) => {
                let context = &mut Context::new(engine, mounts.all());
                if contain(|| task(context)).is_none() {
                    mounts.observe(&Event::Panicked { session: None });
                }
                // The task may have taken long.
                engine.read_clock();
            }
            Command::Add(connection) => return Some(ForServer::Add(connection)),
            Command::End(ending) => return Some(ForServer::End(*ending)),
        }
        None
    }
}
