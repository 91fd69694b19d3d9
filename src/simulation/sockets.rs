//! The sockets of a simulated server: the driver's, at the time that the test says.

use std::io;
use std::time::Duration;

use crate::engine::{Application, Engine};
use crate::host::Sockets;
use crate::incoming::Incoming;
use crate::loopback::Loopback;

impl Sockets for Loopback {
    fn tell_time(&mut self, engine: &mut Engine) {
        engine.read_clock();
    }

    fn elapsed(&self, engine: &Engine) -> Duration {
        Duration::from_millis(engine.now())
    }

    fn carry_out(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        Loopback::carry_out(self, engine, application);
    }

    fn end_turn(&mut self, engine: &mut Engine, application: &mut dyn Application) {
        Loopback::end_turn(self, engine, application);
    }

    /// A socket of the operating system's has no place here: it is closed.
    fn add(&mut self, _: Incoming, _: Vec<u8>, _: &mut Engine, _: &mut dyn Application) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn stop_listening(&mut self, engine: &mut Engine, _: &mut dyn Application) {
        self.accept_rest(engine);
        Loopback::stop_listening(self);
    }

    fn close_listeners(&mut self) {
        Loopback::stop_listening(self);
    }
}
