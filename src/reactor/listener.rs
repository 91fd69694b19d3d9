//! Listening sockets: one connection from each in turn; one that fails rests, or goes, and stops no other.

use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};

use super::layered::Fault;
use super::socket::Stream;
use crate::containment::{contain, discard};
use crate::engine::{Millis, sooner};
use crate::layer::{Layer, LayerFactory};

/// How long a listener rests after it failed for want of descriptors or memory: no event tells when they are back.
const PAUSE: Millis = 100;

/// A listening socket of either kind.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connection that came in.
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    /// `None` on a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// It begins with a PROXY header.
    pub(crate) proxied: bool,
    pub(crate) layer: Option<NewLayer>,
}

/// The layer of a connection, fresh from its factory, or why there is none.
pub(crate) struct NewLayer {
    /// `None` while it is dropped.
    layer: Option<Result<Box<dyn Layer>, Fault>>,
    is_https: bool,
}

/// What the connections of a listener begin with.
pub(crate) struct Begins {
    /// A PROXY header.
    pub(crate) proxied: bool,
    /// Behind that, the bytes of a layer.
    pub(crate) layers: Option<Factory>,
}

/// Makes layers, and stops their panics.
pub(crate) struct Factory {
    /// `None` while it is dropped.
    factory: Option<Box<dyn LayerFactory>>,
    is_https: bool,
}

impl NewLayer {
    pub(crate) fn made(layer: Box<dyn Layer>, is_https: bool) -> Self {
        Self { layer: Some(Ok(layer)), is_https }
    }

    /// The layer, or why there is none; and whether clients name it `https`.
    pub(super) fn take(mut self) -> (Result<Box<dyn Layer>, Fault>, bool) {
        (self.layer.take().unwrap_or(Err(Fault::Panic)), self.is_https)
    }
}

impl Drop for NewLayer {
    fn drop(&mut self) {
        discard(self.layer.take());
    }
}

impl Factory {
    pub(crate) fn new(factory: Box<dyn LayerFactory>) -> Self {
        Self { is_https: factory.is_https(), factory: Some(factory) }
    }

    fn layer(&mut self, peer: Option<SocketAddr>) -> Option<NewLayer> {
        let factory = self.factory.as_mut()?;
        let layer = match contain(|| factory.layer(peer)) {
            Some(layer) => layer.map_err(Fault::Error),
            None => Err(Fault::Panic),
        };
        Some(NewLayer { layer: Some(layer), is_https: self.is_https })
    }
}

impl Begins {
    fn accepted(&mut self, stream: Stream, peer: Option<SocketAddr>) -> Accepted {
        let layer = self.layers.as_mut().and_then(|layers| layers.layer(peer));
        Accepted { stream, peer, proxied: self.proxied, layer }
    }
}

impl Drop for Factory {
    fn drop(&mut self) {
        discard(self.factory.take());
    }
}

/// A listener that failed.
pub(super) struct Failure {
    pub(super) address: Option<SocketAddr>,
    pub(super) error: io::Error,
    /// It listens no more; otherwise it is tried again.
    pub(super) is_final: bool,
}

/// All listening sockets, by the number of their token.
#[derive(Default)]
pub(super) struct Listeners {
    /// `None` where one has failed for good: the others keep their numbers.
    listeners: Vec<Option<Listener>>,
    /// The one whose turn is next. Where connections are short, at their limit, each listener gets its share of them.
    next: usize,
}

struct Listener {
    acceptor: Acceptor,
    begins: Begins,
    backlog: Backlog,
    /// That accepting fails was told, and has not been over since then: not all that waited were accepted.
    fails: bool,
    /// The connection that showed that it listens.
    first: Option<(Stream, Option<SocketAddr>)>,
}

/// What is known of the connections that wait in a listener: edge-triggered events tell of them only once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backlog {
    /// None: the next ones come with an event.
    Empty,
    /// There may be some.
    Waiting,
    /// There may be some, and accepting failed: it is tried again then.
    Paused(Millis),
}

impl Listeners {
    /// Takes a listener in, and registers it with the token of its number.
    ///
    /// # Errors
    /// The socket does not listen, and those of the operating system.
    pub(super) fn add(
        &mut self,
        mut acceptor: Acceptor,
        begins: Begins,
        registry: &Registry,
        token: impl FnOnce(usize) -> Token,
    ) -> io::Result<()> {
        let first = acceptor.check()?;
        acceptor.source().register(registry, token(self.listeners.len()), Interest::READABLE)?;
        self.listeners.push(Some(Listener {
            acceptor,
            begins,
            backlog: Backlog::Waiting,
            fails: false,
            first,
        }));
        Ok(())
    }

    /// How many tokens belong to listeners.
    pub(super) fn len(&self) -> usize {
        self.listeners.len()
    }

    /// An event of a listener. `false`: there is none of this number.
    pub(super) fn wake(&mut self, number: usize) -> bool {
        let Some(listener) = self.listeners.get_mut(number) else { return false };
        // One more that waits does not end a pause.
        if let Some(listener) = listener.as_mut().filter(|listener| listener.backlog == Backlog::Empty) {
            listener.backlog = Backlog::Waiting;
        }
        true
    }

    /// Connections may wait in any of them of which no event has told yet.
    pub(super) fn expect(&mut self) {
        for listener in self.listeners.iter_mut().flatten() {
            if listener.backlog == Backlog::Empty {
                listener.backlog = Backlog::Waiting;
            }
        }
    }

    /// A descriptor was closed: what failed for want of one may be tried at once.
    pub(super) fn resume(&mut self) {
        for listener in self.listeners.iter_mut().flatten() {
            if let Backlog::Paused(_) = listener.backlog {
                listener.backlog = Backlog::Waiting;
            }
        }
    }

    /// Whether connections may wait that can be accepted now.
    pub(super) fn are_waiting(&self) -> bool {
        self.listeners.iter().flatten().any(|listener| listener.backlog == Backlog::Waiting)
    }

    /// From when on connections may be accepted for which none is waited: of those that wait, and of those where
    /// accepting failed and is tried again.
    pub(super) fn next_accept(&self) -> Option<Millis> {
        let times = self.listeners.iter().flatten().map(|listener| match listener.backlog {
            Backlog::Waiting => Some(0),
            Backlog::Paused(until) => Some(until),
            Backlog::Empty => None,
        });
        times.fold(None, sooner)
    }

    /// The next connection, from the listener whose turn it is; `None`: no connection waits.
    pub(super) fn accept(&mut self, now: Millis, registry: &Registry) -> Option<Result<Accepted, Failure>> {
        let count = self.listeners.len();
        for number in (self.next..count).chain(0..self.next.min(count)) {
            let Some(slot) = self.listeners.get_mut(number) else { continue };
            let Some(listener) = slot else { continue };
            match listener.accept(now) {
                Ok(Some(accepted)) => {
                    self.next = number + 1;
                    return Some(Ok(accepted));
                }
                Ok(None) => {}
                Err(failure) => {
                    if failure.is_final {
                        // It is closed in any case.
                        let _ = listener.acceptor.source().deregister(registry);
                        *slot = None;
                    }
                    return Some(Err(failure));
                }
            }
        }
        None
    }

    /// Closes all of them: their ports are free at once.
    pub(super) fn close(&mut self, registry: &Registry) {
        for mut listener in self.listeners.drain(..).flatten() {
            // It is closed in any case.
            let _ = listener.acceptor.source().deregister(registry);
        }
    }
}

impl Listener {
    /// The next connection, if one waits. A failure is told once, not at every try that follows.
    fn accept(&mut self, now: Millis) -> Result<Option<Accepted>, Failure> {
        if let Some((stream, peer)) = self.first.take() {
            return Ok(Some(self.begins.accepted(stream, peer)));
        }
        match self.backlog {
            Backlog::Empty => return Ok(None),
            Backlog::Paused(until) if now < until => return Ok(None),
            Backlog::Paused(_) | Backlog::Waiting => {}
        }
        loop {
            let error = match self.acceptor.accept() {
                Ok((stream, peer)) => {
                    self.backlog = Backlog::Waiting;
                    return Ok(Some(self.begins.accepted(stream, peer)));
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::WouldBlock => {
                    (self.backlog, self.fails) = (Backlog::Empty, false);
                    return Ok(None);
                }
                // Of the connection that would have been next: it is gone.
                io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset => {}
                _ => {
                    self.backlog = Backlog::Paused(now.saturating_add(PAUSE));
                    let is_final = is_final(&error);
                    if std::mem::replace(&mut self.fails, true) && !is_final {
                        return Ok(None);
                    }
                    return Err(Failure { address: self.acceptor.address(), error, is_final });
                }
            }
        }
    }
}

/// Whether an error of accept says that the socket does not listen: it never did, or was shut down by a process that
/// shares it. All others may pass: Linux hands on errors of the network, too (accept(2)).
fn is_final(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

impl Acceptor {
    /// Tries whether the socket listens, since nothing but accepting tells; a connection that waits comes with it.
    fn check(&self) -> io::Result<Option<(Stream, Option<SocketAddr>)>> {
        let is_of_its_family = match self {
            Acceptor::Tcp(listener) => listener.local_addr().is_ok(),
            #[cfg(unix)]
            Acceptor::Unix(listener) => listener.local_addr().is_ok(),
        };
        // What else a descriptor may be, accepting does not tell for certain: a pipe, or a socket of another family.
        let connection =
            if is_of_its_family { self.accept() } else { Err(io::ErrorKind::Unsupported.into()) };
        match connection {
            Ok(connection) => Ok(Some(connection)),
            // Of the wrong kind (UDP), connected, or never told to listen.
            Err(error) if is_final(&error) || error.kind() == io::ErrorKind::Unsupported => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen for connections"))
            }
            Err(_) => Ok(None),
        }
    }

    /// The next connection, without its delay for small packets: everything of a turn leaves in one write already.
    fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
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

    /// Where it listens; `None` for a Unix socket.
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Acceptor::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Acceptor::Unix(_) => None,
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Acceptor::Tcp(listener) => listener,
            #[cfg(unix)]
            Acceptor::Unix(listener) => listener,
        }
    }
}
