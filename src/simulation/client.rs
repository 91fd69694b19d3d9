//! A simulated client in the hands of a test: what it is to do, and what it has seen.

use std::net::SocketAddr;

use super::Simulation;
use super::peer::{Peer, State};
use crate::sockjs::Transport;
use crate::websocket::frame::Opcode;

/// The name of a client in its [`Simulation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub(super) usize);

/// How a client connects: see [`Simulation::connect_with`].
#[derive(Clone, Debug)]
pub struct Connect {
    pub(super) transport: Option<Transport>,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) polling: Polling,
}

/// What follows when a response with frames has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polling {
    /// The client opens the next one at once.
    Automatic,
    /// Nothing, before [`Client::reopen`].
    ByHand,
}

impl Connect {
    /// A session over this transport, at the endpoint with this prefix.
    pub fn new(transport: Transport, prefix: &str) -> Self {
        Self { transport: Some(transport), path: prefix.trim_end_matches('/').to_owned(), ..Self::raw() }
    }

    /// A connection on which the test writes bytes of its own.
    pub fn raw() -> Self {
        let (transport, path, query, headers, address) = Default::default();
        Self { transport, path, query, headers, address, polling: Polling::Automatic }
    }

    /// The query of each request of the client, such as `token=a`.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    /// One more header field in each request of the client. It is written as it is.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The origin of the client's page, such as `https://a.example`.
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// The address from which the client connects. Without it there is none, as on a Unix socket.
    #[must_use]
    pub fn address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// When a response with frames has ended, the client opens no other one before [`Client::reopen`]. By default it
    /// does so at once.
    #[must_use]
    pub fn polling_by_hand(mut self) -> Self {
        self.polling = Polling::ByHand;
        self
    }
}

/// A client: what it does, and what it has seen. Made by [`Simulation::client`].
///
/// A client behaves as `sockjs-client` does: it polls, answers pings and closing handshakes, and sends messages one
/// request after the other. It does not ask for `/info`, and tries no other transport.
#[derive(Debug)]
pub struct Client<'a> {
    simulation: &'a mut Simulation,
    id: ClientId,
}

impl<'a> Client<'a> {
    pub(super) fn new(simulation: &'a mut Simulation, id: ClientId) -> Self {
        Self { simulation, id }
    }

    fn act(&mut self, act: impl FnOnce(&mut Peer, &mut crate::loopback::Loopback)) -> &mut Self {
        self.simulation.act(self.id, act);
        self
    }

    fn take<T: Default>(&mut self, take: impl FnOnce(&mut Peer) -> T) -> T {
        self.simulation.settle();
        self.simulation.peer(self.id).map(take).unwrap_or_default()
    }

    /// Sends a text message.
    pub fn send(&mut self, text: &str) -> &mut Self {
        self.act(|peer, network| peer.send(text, network))
    }

    /// Sends a binary message, on a raw WebSocket.
    pub fn send_binary(&mut self, bytes: &[u8]) -> &mut Self {
        self.act(|peer, network| peer.send_frame(Opcode::Binary, bytes, network))
    }

    /// Writes any bytes, on the first connection of the client.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.act(|peer, network| peer.write(bytes.as_ref(), network))
    }

    /// The page closes its session: by the closing handshake of a WebSocket; over HTTP it leaves its connections.
    pub fn close(&mut self) -> &mut Self {
        self.act(Peer::close)
    }

    /// The client's connections are reset, as by a network that fails. A session over HTTP may come back by
    /// [`Client::reopen`].
    pub fn cut(&mut self) -> &mut Self {
        self.act(Peer::reset)
    }

    /// The client ends the sending side of its connections (FIN), and reads on.
    pub fn end(&mut self) -> &mut Self {
        self.act(Peer::finish)
    }

    /// The client stops to read, and does nothing by itself: so it also looks if it vanished without a trace. Each of
    /// its connections takes `window` bytes more, as the buffers of an operating system do.
    pub fn freeze(&mut self, window: usize) -> &mut Self {
        self.act(|peer, network| peer.freeze(window, network))
    }

    /// The client reads again, everything that was written meanwhile.
    pub fn thaw(&mut self) -> &mut Self {
        self.act(Peer::thaw)
    }

    /// Asks for the session's frames: the next poll, or a second receiver beside the one that is open. A WebSocket
    /// connects anew, with a new session.
    pub fn reopen(&mut self) -> &mut Self {
        self.act(Peer::open_receiver)
    }

    /// The text messages that came since this was asked last.
    pub fn messages(&mut self) -> Vec<String> {
        self.take(|peer| peer.messages.drain(..).collect())
    }

    /// The binary messages that came since this was asked last.
    pub fn binary_messages(&mut self) -> Vec<Vec<u8>> {
        self.take(|peer| peer.binary.drain(..).collect())
    }

    /// The SockJS frames that came since this was asked last, such as `o`, `h` and `a["hello"]`; on a
    /// raw WebSocket its text messages.
    pub fn frames(&mut self) -> Vec<String> {
        self.take(|peer| peer.frames.drain(..).collect())
    }

    /// The bytes that the client has read since this was asked last, of all its connections, in the order in which it
    /// read them.
    pub fn bytes(&mut self) -> Vec<u8> {
        self.take(|peer| std::mem::take(&mut peer.bytes))
    }

    /// The status of the last answer that the client has read.
    pub fn status(&mut self) -> Option<u16> {
        self.take(|peer| peer.status)
    }

    /// Whether the page has heard `onopen`, and no `onclose`.
    pub fn is_open(&mut self) -> bool {
        self.take(|peer| *peer.state() == State::Open)
    }

    /// Code and reason of the page's `onclose`, as `sockjs-client` gives them; `None` before that. The guide
    /// [lists them](crate::guide::close_codes).
    pub fn closed(&mut self) -> Option<(u16, String)> {
        self.take(|peer| match peer.state() {
            State::Closed(code, reason) => Some((*code, reason.clone())),
            State::Connecting | State::Open => None,
        })
    }
}
