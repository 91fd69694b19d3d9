//! What a server and a simulated one have in common: the engine with the handlers that are mounted on it, the commands
//! of handles, and the stages of the end. What they do not have in common is behind [`Sockets`].

mod ending;
mod mounting;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Application, Engine};
use crate::handle::{ForServer, Handle, Pending};
use crate::handler::{Endpoint, EndpointId};
use crate::incoming::Incoming;
use crate::mailbox::{Blocks, Mailbox, weigh};
use crate::mounts::{self, Mounts};
pub use ending::Report;
use ending::Stage;
pub use mounting::MountError;

/// Why nothing is added to a server that ends.
pub(crate) const SHUT_DOWN: &str =
    "the server is shutting down, or has stopped: what is added now would never be served";

/// The sockets of the engine, and its clock.
pub(crate) trait Sockets {
    /// Lets the engine know the time.
    fn tell_time(&mut self, engine: &mut Engine);

    /// The time that has passed since the server was made.
    fn elapsed(&self, engine: &Engine) -> Duration;

    /// Does what the engine asks for.
    fn carry_out(&mut self, engine: &mut Engine, application: &mut dyn Application);

    /// The end of a turn: what is due happens, and all that the turn brought about leaves.
    fn end_turn(&mut self, engine: &mut Engine, application: &mut dyn Application);

    /// Takes in a connection from elsewhere, of which these bytes are read.
    fn add(
        &mut self,
        connection: Incoming,
        already_read: Vec<u8>,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) -> io::Result<()>;

    /// Listens no more: connections that wait to be accepted are taken in before, as far as the limits allow.
    fn stop_listening(&mut self, engine: &mut Engine, application: &mut dyn Application);

    /// Listens no more: connections that wait to be accepted are dropped.
    fn close_listeners(&mut self);
}

/// An engine with its handlers, its sockets and its mailbox.
pub(crate) struct Host<S> {
    pub(crate) engine: Engine,
    pub(crate) mounts: Mounts,
    pub(crate) sockets: S,
    mailbox: Arc<Mailbox>,
    /// Commands that were taken out of the mailbox, and are not carried out.
    commands: Blocks,
    /// Commands wait, here or in the mailbox.
    has_mail: bool,
    stage: Stage,
}

impl<S: Sockets> Host<S> {
    pub(crate) fn new(engine: Engine, sockets: S, mailbox: Arc<Mailbox>) -> Self {
        let (mounts, commands) = (Mounts::default(), Blocks::default());
        Self { engine, mounts, sockets, mailbox, commands, has_mail: false, stage: Stage::Running }
    }

    /// A way to reach it from other threads.
    pub(crate) fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.mailbox))
    }

    /// One of its endpoints, between two turns.
    pub(crate) fn endpoint<T: 'static>(&mut self, endpoint: EndpointId<T>) -> Endpoint<'_, T> {
        // The last turn may be long ago, and timers are set from now on.
        self.sockets.tell_time(&mut self.engine);
        mounts::endpoint(self.mounts.all(), &mut self.engine, endpoint)
    }

    /// The handler of an endpoint; `None` if it is of another type.
    pub(crate) fn handler<H: 'static>(&mut self, endpoint: EndpointId<impl Sized>) -> Option<&mut H> {
        mounts::handler(self.mounts.all(), endpoint)
    }

    /// The handler of an endpoint, and the endpoint, between two turns; `None` if the handler is of another type.
    pub(crate) fn handler_and_endpoint<H: 'static, T: 'static>(
        &mut self,
        endpoint: EndpointId<T>,
    ) -> Option<(&mut H, Endpoint<'_, T>)> {
        self.sockets.tell_time(&mut self.engine);
        mounts::handler_and_endpoint(self.mounts.all(), &mut self.engine, endpoint)
    }

    /// Whether commands were left over in the last turn.
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail
    }

    /// Whether commands wait for the next turn.
    pub(crate) fn awaits_commands(&self) -> bool {
        self.mailbox.pending().commands > 0
    }

    /// What follows in a turn when all that arrived was dealt with: commands, if there may be some in the mailbox or
    /// some were left over; and its end.
    pub(crate) fn end_turn(&mut self, has_mail: bool) {
        self.has_mail |= has_mail;
        self.carry_out_commands();
        self.sockets.end_turn(&mut self.engine, &mut self.mounts);
        self.advance_stage();
    }

    fn carry_out_commands(&mut self) {
        let mut done = Pending::default();
        self.engine.begin_commands();
        while self.has_mail && !self.engine.is_turn_done() {
            if self.commands.is_empty() {
                self.mailbox.collect(&mut self.commands, &mut done);
            }
            let Some(command) = self.commands.pop() else {
                self.has_mail = false;
                break;
            };
            let weight = weigh(&command);
            self.engine.note_command();
            match command.run(&mut self.engine, &mut self.mounts) {
                None => {}
                Some(ForServer::Add(connection)) => {
                    let (connection, already_read) = *connection;
                    // The observer is told of one too many; otherwise the system has failed, and the
                    // client sees the close.
                    let _ = self.add_connection(connection, already_read);
                }
                Some(ForServer::End(ending)) => self.end(ending),
            }
            done.note(weight);
            self.sockets.carry_out(&mut self.engine, &mut self.mounts);
        }
        self.mailbox.settle(&mut done);
    }

    /// Takes in a connection from elsewhere, of which these bytes are read.
    pub(crate) fn add_connection(&mut self, connection: Incoming, already_read: Vec<u8>) -> io::Result<()> {
        self.check_running()?;
        self.sockets.add(connection, already_read, &mut self.engine, &mut self.mounts)
    }

    /// A socket that is added when the others were closed would take connections, and serve none.
    pub(crate) fn check_running(&self) -> io::Result<()> {
        if self.is_ending() { Err(io::Error::new(io::ErrorKind::NotConnected, SHUT_DOWN)) } else { Ok(()) }
    }

    /// No command is carried out any more.
    fn close_mailbox(&mut self) {
        self.mailbox.close(&mut self.commands);
        self.has_mail = false;
    }

    /// It is dropped: sessions that are still there are cut off, and every handler hears the end of its own.
    pub(crate) fn cut(&mut self) {
        self.close_mailbox();
        self.engine.cut(&mut self.mounts);
    }
}
