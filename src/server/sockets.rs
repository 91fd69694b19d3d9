//! The sockets of a server: those of the operating system, which the reactor has.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::engine::{Application, Engine};
use crate::host::Sockets;
use crate::incoming::Incoming;
use crate::reactor::Reactor;

/// The reactor, and what it does not keep.
pub(super) struct SystemSockets {
    pub(super) reactor: Reactor,
    /// Those that the server listens on, in the order in which they were added.
    pub(super) addresses: Vec<SocketAddr>,
    began: Instant,
}

impl SystemSockets {
    pub(super) fn new(reactor: Reactor) -> Self {
        Self { reactor, addresses: Vec::new(), began: Instant::now() }
    }
}

impl Sockets for SystemSockets {
    fn tell_time(&mut self, engine: &mut Engine) {
        self.reactor.tell_time(engine);
    }

    fn elapsed(&self, _: &Engine) -> Duration {
        self.began.elapsed()
    }

    fn carry_out(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        self.reactor.carry_out(engine, application);
    }

    fn end_turn(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        self.reactor.end_turn(engine, application);
    }

    fn add(
        &mut self,
        connection: Incoming,
        already_read: Vec<u8>,
        engine: &mut Engine,
        application: &mut dyn Application,
    ) -> io::Result<()> {
        if !engine.can_accept() {
            engine.refuse_connection(connection.address());
            let reason = "the server has as many connections as it may have (option `connections`)";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, reason));
        }
        if let Some(memory) = connection.layer_memory() {
            self.reactor.expect_layers(memory);
        }
        let accepted = connection.into_accepted()?;
        self.reactor.tell_time(engine);
        self.reactor.adopt(accepted, already_read, engine, application);
        Ok(())
    }

    fn stop_listening(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        self.reactor.accept_rest(engine, application);
        self.reactor.stop_listening();
        self.addresses.clear();
    }

    fn close_listeners(&mut self) {
        self.reactor.stop_listening();
    }
}
