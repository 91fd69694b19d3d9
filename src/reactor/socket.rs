//! The two kinds of stream that a listener accepts, as one.

use std::io::{self, IoSlice, Read, Write};
use std::net::{self, Shutdown};

use mio::event::Source;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A connected socket and what is known of its reading side: edge-triggered events tell it only once.
pub(super) struct Socket {
    /// Of the connection's key; its index is where the socket is found.
    pub(super) generation: u32,
    pub(super) stream: Stream,
    pub(super) input: Input,
    /// The client has hung up: reads go on until they say so.
    pub(super) hung_up: bool,
    /// A read may leave room in the buffer and bytes in the socket: on a Unix socket it stops where a client attached
    /// descriptors or its credentials (unix(7)), on TCP in front of a byte that was marked as urgent (tcp(7)).
    pub(super) stops_short: bool,
    /// A layer stands between the socket and the engine.
    pub(super) is_layered: bool,
}

/// What is known of the bytes in a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// None: the next ones come with an event.
    Drained(Weight),
    /// There may be some, and the reactor will read them.
    Queued,
    /// There may be some, and they stay until the engine takes them.
    Paused,
}

/// How much work the last read of a socket caused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Light,
    /// Much: the sockets of others are read first.
    Heavy,
}

/// Events tell of urgent bytes.
const TELLS_OF_URGENT: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What events are to tell of.
fn interests() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return both | Interest::PRIORITY;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    both
}

impl Socket {
    pub(super) fn new(generation: u32, stream: Stream, is_layered: bool) -> Self {
        let stops_short = match &stream {
            Stream::Tcp(_) => !TELLS_OF_URGENT,
            #[cfg(unix)]
            Stream::Unix(_) => true,
        };
        Self {
            generation,
            stream,
            input: Input::Drained(Weight::Light),
            hung_up: false,
            stops_short,
            is_layered,
        }
    }
}

impl Stream {
    /// A socket of the program's, which may block so far.
    pub(crate) fn from_tcp(stream: net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // A client that has gone already will be noticed at the first read.
        let _ = stream.set_nodelay(true);
        Ok(Stream::Tcp(TcpStream::from_std(stream)))
    }

    #[cfg(unix)]
    pub(crate) fn from_unix(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Stream::Unix(UnixStream::from_std(stream)))
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.read(buffer),
        }
    }

    /// One call for all slices; a plain write where there is one.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Stream::Tcp(stream), [slice]) => stream.write(slice),
            (Stream::Tcp(stream), slices) => stream.write_vectored(slices),
            #[cfg(unix)]
            (Stream::Unix(stream), [slice]) => stream.write(slice),
            #[cfg(unix)]
            (Stream::Unix(stream), slices) => stream.write_vectored(slices),
        }
    }

    pub(super) fn shut(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Registered once for both directions: one event when there is something to read, one when a full buffer drains.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.source().register(registry, token, interests())
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            #[cfg(unix)]
            Stream::Unix(stream) => stream,
        }
    }
}
