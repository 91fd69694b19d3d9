//! The ways in which a client has a server work: one exchange at a time, and every byte of it checked.

use std::io;
use std::net::SocketAddr;

use crate::client::{Connection, Reply};

/// One way.
pub(crate) trait Lane: Send {
    /// Has one exchange, and says how many messages it carried.
    fn exchange(&mut self) -> io::Result<usize>;
}

/// Requests on one connection, and their replies: `depth` of each before the next.
pub(crate) struct Pipe {
    pub(crate) connection: Connection,
    /// All that is sent for one exchange.
    pub(crate) requests: Vec<u8>,
    pub(crate) reply: Reply,
    pub(crate) depth: usize,
}

impl Lane for Pipe {
    fn exchange(&mut self) -> io::Result<usize> {
        self.connection.exchange(&self.requests, &self.reply, self.depth)?;
        Ok(self.depth)
    }
}

/// Messages that go up by one connection and come down by another, as SockJS over HTTP has it.
pub(crate) struct TwoWay {
    pub(crate) up: Connection,
    pub(crate) down: Connection,
    /// What is sent down the second connection before each message; streams need nothing.
    pub(crate) poll: Option<Vec<u8>>,
    pub(crate) request: Vec<u8>,
    pub(crate) accepted: Reply,
    pub(crate) message: Reply,
}

impl Lane for TwoWay {
    fn exchange(&mut self) -> io::Result<usize> {
        if let Some(poll) = &self.poll {
            self.down.send(poll)?;
        }
        self.up.send(&self.request)?;
        self.up.expect(&self.accepted, 1)?;
        self.down.expect(&self.message, 1)?;
        Ok(1)
    }
}

/// A message that one connection sends and many others get.
pub(crate) struct Fan {
    pub(crate) sender: Connection,
    pub(crate) trigger: Vec<u8>,
    pub(crate) receivers: Vec<Connection>,
    /// Connections that are open, and of which nothing is read.
    #[expect(dead_code, reason = "they are only kept open")]
    pub(crate) silent: Vec<Connection>,
    pub(crate) reply: Reply,
    /// How many messages there are in one reply.
    pub(crate) times: usize,
}

impl Lane for Fan {
    fn exchange(&mut self) -> io::Result<usize> {
        self.sender.send(&self.trigger)?;
        for receiver in &mut self.receivers {
            receiver.expect(&self.reply, 1)?;
        }
        Ok(self.receivers.len() * self.times)
    }
}

/// Connections that come, exchange a few words and go.
pub(crate) struct Visit {
    pub(crate) address: SocketAddr,
    pub(crate) words: Vec<(Vec<u8>, Reply)>,
}

impl Visit {
    /// One visit; says how many bytes were received.
    pub(crate) fn pay(&self) -> io::Result<usize> {
        let mut connection = Connection::open(self.address)?;
        for (request, reply) in &self.words {
            connection.exchange(request, reply, 1)?;
        }
        let received = connection.received;
        connection.finish()?;
        Ok(received)
    }
}

impl Lane for Visit {
    fn exchange(&mut self) -> io::Result<usize> {
        self.pay().map(|_| 1)
    }
}

/// Echoes on some of many connections in turn; the others are open and silent.
pub(crate) struct Crowd {
    pub(crate) connections: Vec<Connection>,
    /// Every how manieth connection speaks.
    pub(crate) stride: usize,
    pub(crate) next: usize,
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Reply,
}

impl Lane for Crowd {
    fn exchange(&mut self) -> io::Result<usize> {
        let next = (self.next + self.stride) % self.connections.len();
        let connection = &mut self.connections[std::mem::replace(&mut self.next, next)];
        connection.exchange(&self.request, &self.reply, 1)?;
        Ok(1)
    }
}
