//! What a server listens on, and connections that it is given.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixListener;

use super::Server;
use crate::incoming::Incoming;
use crate::layer::LayerFactory;
use crate::reactor::{Acceptor, Begins, Factory};

/// What the connections of a listener begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preamble {
    /// The first request.
    #[default]
    None,
    /// A PROXY header, version 1 or 2, in which a load balancer names its client. All of them must: a connection that
    /// begins otherwise is dropped. Only for listeners that the balancer alone can reach.
    Proxy,
}

/// How a listener takes its connections. A [`Preamble`] is one, too, where nothing else is to be said.
///
/// ```
/// # use sockjs_server::{ListenerOptions, Preamble, Server, ServerOptions};
/// # fn main() -> std::io::Result<()> {
/// # let mut server = Server::new(ServerOptions::default())?;
/// server.listen_with("127.0.0.1:0", Preamble::Proxy)?;
/// server.listen_with("127.0.0.1:0", ListenerOptions::default().preamble(Preamble::Proxy))?;
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct ListenerOptions {
    preamble: Preamble,
    layers: Option<Box<dyn LayerFactory>>,
}

impl ListenerOptions {
    /// What the connections begin with; default nothing but their first request.
    #[must_use]
    pub fn preamble(mut self, preamble: Preamble) -> Self {
        self.preamble = preamble;
        self
    }

    /// What makes a [layer](crate::Layer) for each connection, between the socket and the server: TLS,
    /// say. Default none. A [`Preamble::Proxy`] comes in front of it, in plain bytes, as load balancers
    /// send it that hand TLS through.
    #[must_use]
    pub fn layers(mut self, layers: impl LayerFactory + 'static) -> Self {
        self.layers = Some(Box::new(layers));
        self
    }
}

impl From<Preamble> for ListenerOptions {
    fn from(preamble: Preamble) -> Self {
        Self { preamble, layers: None }
    }
}

impl fmt::Debug for ListenerOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { preamble, layers } = self;
        let mut fields = formatter.debug_struct("ListenerOptions");
        fields.field("preamble", preamble).field("layers", &layers.is_some()).finish()
    }
}

impl Server {
    /// Listens on one more address, and says which: port 0 lets the system choose.
    ///
    /// # Errors
    /// Those of the operating system, and [`io::ErrorKind::NotConnected`] once the shutdown has begun.
    pub fn listen(&mut self, address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        self.listen_with(address, ListenerOptions::default())
    }

    /// Listens on one more address, for connections with a [preamble](Preamble), or with a
    /// [layer](crate::Layer) such as TLS.
    ///
    /// As many as 128 connections wait to be accepted, which is what mio asks of the system; a client that comes when
    /// as many wait tries again after a second. For a longer backlog see [`Server::add_listener`].
    ///
    /// # Errors
    /// Those of the operating system, which name the address, and [`io::ErrorKind::NotConnected`] once the shutdown
    /// has begun.
    pub fn listen_with(
        &mut self,
        address: impl ToSocketAddrs,
        options: impl Into<ListenerOptions>,
    ) -> io::Result<SocketAddr> {
        self.host.check_running()?;
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for address in address.to_socket_addrs()? {
            match mio::net::TcpListener::bind(address) {
                Ok(listener) => return self.add_tcp(listener, options.into()),
                Err(error) => failure = io::Error::new(error.kind(), format!("{address}: {error}")),
            }
        }
        Err(failure)
    }

    fn add_tcp(
        &mut self,
        listener: mio::net::TcpListener,
        options: ListenerOptions,
    ) -> io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        self.add_acceptor(Acceptor::Tcp(listener), options)?;
        self.host.sockets.addresses.push(address);
        Ok(address)
    }

    fn add_acceptor(&mut self, acceptor: Acceptor, options: ListenerOptions) -> io::Result<()> {
        let ListenerOptions { preamble, layers } = options;
        let memory = layers.as_ref().map(|layers| layers.memory());
        let layers = layers.map(Factory::new);
        let reactor = &mut self.host.sockets.reactor;
        reactor.listen(acceptor, Begins { proxied: preamble == Preamble::Proxy, layers })?;
        if let Some(memory) = memory {
            reactor.expect_layers(memory);
        }
        Ok(())
    }

    /// Takes a listening socket from elsewhere: inherited, or made with options of its own. A longer backlog needs a
    /// second call of `listen(2)`, which a crate such as `rustix` or `socket2` has, or the service manager (systemd's
    /// `Backlog=`):
    ///
    /// ```
    /// # use sockjs_server::{Preamble, Server, ServerOptions};
    /// # fn main() -> std::io::Result<()> {
    /// let mut server = Server::new(ServerOptions::default())?;
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # #[cfg(unix)]
    /// rustix::net::listen(&listener, 4096)?;
    /// server.add_listener(listener, Preamble::None)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the socket does not listen for connections, [`io::ErrorKind::NotConnected`]
    /// once the shutdown has begun, and those of the operating system.
    pub fn add_listener(
        &mut self,
        listener: TcpListener,
        options: impl Into<ListenerOptions>,
    ) -> io::Result<()> {
        self.host.check_running()?;
        listener.set_nonblocking(true)?;
        self.add_tcp(mio::net::TcpListener::from_std(listener), options.into()).map(drop)
    }

    /// Takes a connection that the program has accepted itself, with the bytes that it has read from it so far: for a
    /// program whose own HTTP server, or accept loop, hands on what belongs to SockJS. The server takes it as if it
    /// came from a listener of its own, and answers all that follows on it, whatever its paths are. The bytes are the
    /// first of a request, which need not be whole; an upgrade to WebSocket with frames behind it is one.
    ///
    /// ```no_run
    /// # use std::io::Read;
    /// # use sockjs_server::{Server, ServerOptions};
    /// # fn is_for_sockjs(head: &[u8]) -> bool { true }
    /// # fn main() -> std::io::Result<()> {
    /// # let mut server = Server::new(ServerOptions::default())?;
    /// # let handle = server.handle();
    /// let listener = std::net::TcpListener::bind("127.0.0.1:8080")?;
    /// std::thread::spawn(move || {
    ///     for mut client in listener.incoming().flatten() {
    ///         let mut head = vec![0; 16 << 10];
    ///         // A program that serves strangers reads with a time limit, and not in the thread that accepts.
    ///         let Ok(count) = client.read(&mut head) else { continue };
    ///         head.truncate(count);
    ///         if is_for_sockjs(&head) && handle.add_connection(client, head).is_err() {
    ///             break;
    ///         }
    ///     }
    /// });
    /// server.run()
    /// # }
    /// ```
    ///
    /// A client with a session over HTTP makes its requests on several connections, so that all requests for the prefix
    /// of an endpoint must get here, and a connection that was handed on serves all that its client asks on it from
    /// then on: other paths than those of endpoints get to [`Server::fallback`].
    ///
    /// Handlers may be called by this method already. What is sent leaves in the next turn, which is at once:
    /// [`Server::next_timeout`] is zero then.
    ///
    /// Its limits are those of other connections: it counts among the
    /// [`connections_per_client`](crate::ServerOptions::connections_per_client) of its address, and is closed without a
    /// word where it is one too many, which is no error here. Its time for a request's head begins now.
    ///
    /// # Errors
    /// The connection is closed, after
    /// - [`io::ErrorKind::QuotaExceeded`]: there are as many [`connections`](crate::ServerOptions::connections)
    ///   as there may be. No backlog keeps this one, so it is counted as
    ///   [`overloaded`](crate::Refusals::overloaded), and told to the observer as
    ///   [`Event::Refused`](crate::Event::Refused) with 503. [`Server::counters`] says how many there are.
    /// - [`io::ErrorKind::NotConnected`]: the shutdown has begun.
    /// - Those of the operating system.
    pub fn add_connection(
        &mut self,
        connection: impl Into<Incoming>,
        already_read: Vec<u8>,
    ) -> io::Result<()> {
        self.host.add_connection(connection.into(), already_read)
    }

    /// Takes a listening Unix socket. Its clients have no address.
    ///
    /// # Errors
    /// As [`Server::add_listener`].
    #[cfg(unix)]
    pub fn add_unix_listener(
        &mut self,
        listener: UnixListener,
        options: impl Into<ListenerOptions>,
    ) -> io::Result<()> {
        self.host.check_running()?;
        listener.set_nonblocking(true)?;
        let acceptor = Acceptor::Unix(mio::net::UnixListener::from_std(listener));
        self.add_acceptor(acceptor, options.into())
    }

    /// The addresses it listens on, in the order in which they were added; Unix sockets have none.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.host.sockets.addresses
    }
}
