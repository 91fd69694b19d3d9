//! Listening sockets: accept until there is no more, or until a turn's share is done; back off when it fails.

use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};

use super::socket::Stream;

/// A listening socket of either kind.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A listening socket, and whether connections are known to wait in it: edge-triggered events tell it only once.
pub(super) struct Listener {
    pub(super) acceptor: Acceptor,
    /// Its connections begin with a PROXY header.
    pub(super) proxied: bool,
    pub(super) pending: bool,
}

impl Acceptor {
    /// The next connection, without its delay for small packets: everything of a turn leaves in one write already.
    pub(super) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Acceptor::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                // A client that has gone already will be noticed at the first read.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            #[cfg(unix)]
            Acceptor::Unix(listener) => Ok((Stream::Unix(listener.accept()?.0), None)),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.source().register(registry, token, Interest::READABLE)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Acceptor::Tcp(listener) => listener,
            #[cfg(unix)]
            Acceptor::Unix(listener) => listener,
        }
    }
}
