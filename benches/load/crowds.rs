//! Crowds: clients that open sessions and forget them, that leave at the same time, or that get the
//! messages of a thread of the program.

use std::io;
use std::sync::atomic::AtomicBool;

use crate::child::Child;
use crate::client::{Connection, Reply, post};
use crate::floods::Flood;
use crate::lanes::Lane;

/// Polling sessions that are opened, so many with each exchange, and never polled again.
pub(crate) struct Abandoned {
    pub(crate) connection: Connection,
    pub(crate) at_once: usize,
    /// How many were opened before.
    pub(crate) opened: usize,
}

impl Lane for Abandoned {
    fn exchange(&mut self) -> io::Result<usize> {
        let numbers = self.opened..self.opened + self.at_once;
        self.opened = numbers.end;
        let requests = numbers.flat_map(|number| post(&format!("/brief/000/{number:08}/xhr"), b""));
        let reply = Reply::Answer(200, b"o\n".to_vec());
        self.connection.exchange(&requests.collect::<Vec<_>>(), &reply, self.at_once)?;
        Ok(self.at_once)
    }
}

/// Clients that end their streams at the same time, and others that hear of each of them.
pub(crate) struct Leaving {
    open: Box<dyn Fn() -> io::Result<Connection> + Send>,
    stayers: Vec<Connection>,
    leavers: Vec<Connection>,
    /// How many leave at a time.
    leaving: usize,
    notice: Reply,
}

impl Leaving {
    /// Clients of an endpoint that sends `notice` to all when one has left.
    pub(crate) fn new(
        child: &Child,
        path: &'static str,
        (staying, leaving): (usize, usize),
        notice: Reply,
    ) -> io::Result<Self> {
        let address = child.address;
        let open = move || Connection::upgrade(address, path);
        let stayers = (0..staying).map(|_| open()).collect::<io::Result<_>>()?;
        Ok(Self { open: Box::new(open), stayers, leavers: Vec::new(), leaving, notice })
    }
}

impl Flood for Leaving {
    fn prepare(&mut self) -> io::Result<()> {
        self.leavers = (0..self.leaving).map(|_| (self.open)()).collect::<io::Result<_>>()?;
        Ok(())
    }

    fn run(&mut self, _: &AtomicBool) -> io::Result<usize> {
        self.leavers.clear();
        for stayer in &mut self.stayers {
            stayer.expect(&self.notice, self.leaving)?;
        }
        Ok(self.leaving)
    }
}

/// A request upon which a thread of the server's process sends so many messages to each of the receivers.
pub(crate) struct Produced {
    pub(crate) trigger: Vec<u8>,
    pub(crate) sender: Connection,
    pub(crate) receivers: Vec<Connection>,
    pub(crate) message: Reply,
    pub(crate) count: usize,
}

impl Lane for Produced {
    fn exchange(&mut self) -> io::Result<usize> {
        self.sender.send(&self.trigger)?;
        for receiver in &mut self.receivers {
            receiver.expect(&self.message, self.count)?;
        }
        Ok(self.count)
    }
}
