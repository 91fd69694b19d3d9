//! A connection from elsewhere: accepted by the program, on its way to the server.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;

use crate::layer::{LayerError, LayerFactory};
use crate::reactor::{Accepted, NewLayer, Stream};

/// A connection that the program has accepted, for [`Server::add_connection`](crate::Server::add_connection) or
/// [`Handle::add_connection`](crate::Handle::add_connection). A `TcpStream` or `UnixStream` becomes one as it is.
pub struct Incoming {
    socket: Socket,
    peer: Option<SocketAddr>,
    layer: Option<NewLayer>,
    /// Bytes of memory that the layer holds at most.
    layer_memory: usize,
}

enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl From<TcpStream> for Incoming {
    fn from(stream: TcpStream) -> Self {
        // A client that has gone has no address any more: the first read shows it.
        Self { peer: stream.peer_addr().ok(), ..Self::new(Socket::Tcp(stream)) }
    }
}

#[cfg(unix)]
impl From<UnixStream> for Incoming {
    fn from(stream: UnixStream) -> Self {
        Self::new(Socket::Unix(stream))
    }
}

impl Incoming {
    fn new(socket: Socket) -> Self {
        Self { socket, peer: None, layer: None, layer_memory: 0 }
    }

    /// The address of the client, in place of the socket's other end: for a program that has read a PROXY header, say.
    /// It is what [`Request::peer`](crate::Request::peer) says, and what
    /// [`connections_per_client`](crate::ServerOptions::connections_per_client) counts.
    #[must_use]
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Puts a [layer](crate::Layer) between the socket and the server, made here and now. The bytes that were
    /// already read are wire bytes then.
    ///
    /// # Errors
    /// That of [`LayerFactory::layer`]; the connection is closed.
    pub fn layered(mut self, layers: &mut dyn LayerFactory) -> Result<Self, LayerError> {
        let layer = layers.layer(self.peer)?;
        self.layer = Some(NewLayer::made(layer, layers.is_https()));
        self.layer_memory = layers.memory();
        Ok(self)
    }

    /// Bytes of memory that its layer holds at most; `None`: it has none.
    pub(crate) fn layer_memory(&self) -> Option<usize> {
        self.layer.as_ref().map(|_| self.layer_memory)
    }

    /// The client's address.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The same for the reactor, whose sockets never block.
    pub(crate) fn into_accepted(self) -> io::Result<Accepted> {
        let stream = match self.socket {
            Socket::Tcp(stream) => Stream::from_tcp(stream)?,
            #[cfg(unix)]
            Socket::Unix(stream) => Stream::from_unix(stream)?,
        };
        Ok(Accepted { stream, peer: self.peer, proxied: false, layer: self.layer })
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, layer, .. } = self;
        let mut fields = formatter.debug_struct("Incoming");
        fields.field("peer", peer).field("layered", &layer.is_some()).finish_non_exhaustive()
    }
}
