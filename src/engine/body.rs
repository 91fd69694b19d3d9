//! The body of an answer of the program's own: bytes that are copied, bytes that are referenced, or a reader that is
//! asked for more when the client has taken what there was.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use crate::containment::{contain, discard};

/// The body of a [`Response`](crate::Response).
///
/// Bytes that are static, or shared by an `Arc`, are not copied for each client, and an owned `Vec` of 32 KiB or more
/// is moved. A [reader](Body::reader) is asked for the next piece, 15 KiB at most, when the client has taken the one
/// before: however large the body is, and however slowly its clients read it, each of them costs one piece.
///
/// ```
/// use std::sync::Arc;
/// use sockjs_server::{Body, Response};
///
/// let page = Response::new(200).body("<h1>Hello</h1>");
/// let script = Response::new(200).body(b"let socket = new SockJS(\"/echo\");");
/// let map: Arc<[u8]> = vec![7; 100_000].into();
/// let shared = Response::new(200).body(Arc::clone(&map));
/// let report = Response::new(200).body(format!("{} bytes", map.len()));
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join("sockjs-server-body-example");
/// # std::fs::write(&path, "text")?;
/// let file = std::fs::File::open(&path)?;
/// let length = file.metadata()?.len();
/// let download = Response::new(200).body(Body::sized_reader(file, length));
/// # std::fs::remove_file(&path)
/// # }
/// ```
pub struct Body(pub(super) Content);

/// What a body consists of.
pub(super) enum Content {
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
    Owned(Vec<u8>),
    Read(Reader),
}

impl Body {
    /// A body of which the length is not known before its end. HTTP/1.1 sends each piece as a chunk (RFC 9112 §7.1); on
    /// HTTP/1.0 the body ends with the connection, and its client cannot tell an end from a failure.
    ///
    /// The reader is called in the server's thread, with room for 15 KiB, and one that blocks holds up everybody: a
    /// file is fine, a socket or a pipe is not. It ends with `Ok(0)`. [`Interrupted`](ErrorKind::Interrupted) is asked
    /// again in the next turn; any other error, `WouldBlock` too, and a panic end the connection in the middle of the
    /// body, and the observer is told ([`Event::BodyFailed`](crate::Event::BodyFailed),
    /// [`Event::Panicked`](crate::Event::Panicked)). Reads of few bytes make small chunks:
    /// [`BufReader`](std::io::BufReader) gathers them.
    ///
    /// The reader is dropped at the end of the body, with the connection, and unread where no body is sent: for HEAD,
    /// 204, 205 and 304. The server counts its size among the bytes that it holds
    /// ([`ServerOptions::buffered_bytes`](crate::ServerOptions::buffered_bytes)), but not the heap that it owns.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self(Content::Read(Reader { reader: Some(Box::new(reader)), length: None }))
    }

    /// The same for a body of exactly so many bytes, which is announced in `Content-Length`. A reader that has fewer of
    /// them, or more, ends the connection: a client must not take a wrong body for a whole one. For a file that may
    /// grow while it is sent, [`Read::take`] cuts off the rest.
    pub fn sized_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        Self(Content::Read(Reader { reader: Some(Box::new(reader)), length: Some(length) }))
    }

    /// Its length, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match &self.0 {
            Content::Static(bytes) => Some(bytes.len() as u64),
            Content::Shared(bytes) => Some(bytes.len() as u64),
            Content::Owned(bytes) => Some(bytes.len() as u64),
            Content::Read(reader) => reader.length,
        }
    }

    /// Bytes of memory that it holds beside itself, but for bytes that others may hold too.
    pub(crate) fn held(&self) -> usize {
        match &self.0 {
            Content::Static(_) | Content::Shared(_) => 0,
            Content::Owned(bytes) => bytes.capacity(),
            Content::Read(reader) => reader.footprint(),
        }
    }
}

impl Default for Body {
    /// An empty body.
    fn default() -> Self {
        Self(Content::Static(&[]))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Content::Static(_) => "static",
            Content::Shared(_) => "shared",
            Content::Owned(_) => "owned",
            Content::Read(_) => "reader",
        };
        formatter.debug_struct("Body").field("kind", &kind).field("length", &self.length()).finish()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Content::Static(bytes))
    }
}

impl<const LENGTH: usize> From<&'static [u8; LENGTH]> for Body {
    fn from(bytes: &'static [u8; LENGTH]) -> Self {
        Self(Content::Static(bytes))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Content::Static(text.as_bytes()))
    }
}

impl From<Arc<[u8]>> for Body {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Content::Shared(bytes))
    }
}

impl From<Arc<str>> for Body {
    fn from(text: Arc<str>) -> Self {
        Self(Content::Shared(text.into()))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Owned(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Content::Owned(text.into_bytes()))
    }
}

/// A reader of the program's, and how much it promises. Its panics stop here, those of its drop too.
pub(super) struct Reader {
    /// `None` once it was dropped.
    reader: Option<Box<dyn Read + Send>>,
    length: Option<u64>,
}

impl Reader {
    /// Reads once. `None`: it panicked.
    fn read(&mut self, room: &mut [u8]) -> Option<io::Result<usize>> {
        let Some(reader) = &mut self.reader else { return Some(Ok(0)) };
        let most = room.len();
        // More than there is room for is a reader's fault, and none of those bytes can be believed.
        contain(|| reader.read(room)).map(|read| match read {
            Ok(count) if count > most => Err(wrong("the reader claims more bytes than it had room for")),
            read => read,
        })
    }

    /// Bytes of memory that it holds.
    pub(super) fn footprint(&self) -> usize {
        self.reader.as_ref().map_or(0, |reader| size_of_val(&**reader))
    }

    /// Drops what is the program's. `false`: that panicked.
    pub(super) fn close(mut self) -> bool {
        self.reader.take().is_none_or(discard)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        discard(self.reader.take());
    }
}

/// An answer whose body is read piece by piece.
pub(super) struct Download {
    pub(super) reader: Reader,
    pub(super) end: BodyEnd,
    pub(super) share: Share,
    pub(super) keep_alive: bool,
}

/// Which part of the memory the next piece may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// That of all pages.
    Pages,
    /// Also what is kept for clients that read, since this one has waited for its next piece in vain.
    Readers,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// Behind so many bytes more.
    Behind(u64),
    /// With a chunk that is empty.
    LastChunk,
    /// With the connection.
    Close,
}

/// What came of one look into a reader.
#[derive(Debug)]
pub(super) enum Piece {
    /// So many bytes; more may follow.
    Bytes(usize),
    /// So many bytes, or none: the body ends with them.
    Last(usize),
    /// The body ends in the middle.
    Failed(io::Error),
    Panicked,
}

impl Download {
    pub(super) fn new(reader: Reader, is_http11: bool, keep_alive: bool) -> Self {
        let end = match reader.length {
            Some(length) => BodyEnd::Behind(length),
            None if is_http11 => BodyEnd::LastChunk,
            None => BodyEnd::Close,
        };
        Self { reader, end, share: Share::Pages, keep_alive }
    }

    /// Reads the next piece.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Piece {
        let BodyEnd::Behind(left) = self.end else {
            return match self.ask(room) {
                Ok(Some(0)) => Piece::Last(0),
                Ok(count) => Piece::Bytes(count.unwrap_or(0)),
                Err(failure) => failure,
            };
        };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
        let count = match self.ask(room.get_mut(..most).unwrap_or_default()) {
            Ok(Some(0)) if most > 0 => return Piece::Failed(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count.unwrap_or(0),
            Err(failure) => return failure,
        };
        let left = left - count as u64;
        self.end = BodyEnd::Behind(left);
        if left > 0 {
            return Piece::Bytes(count);
        }
        // The last byte that was announced must be the last that there is, and this is known before it leaves.
        match self.ask(&mut [0]) {
            Ok(Some(0)) => Piece::Last(count),
            Ok(Some(_)) => Piece::Failed(wrong("the reader has more bytes than were announced")),
            Ok(None) => Piece::Bytes(count),
            Err(failure) => failure,
        }
    }

    /// Reads once. `Ok(None)`: the read was interrupted, or there is no room to read into.
    fn ask(&mut self, room: &mut [u8]) -> Result<Option<usize>, Piece> {
        if room.is_empty() {
            return Ok(None);
        }
        match self.reader.read(room) {
            Some(Ok(count)) => Ok(Some(count)),
            Some(Err(error)) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Some(Err(error)) => Err(Piece::Failed(error)),
            None => Err(Piece::Panicked),
        }
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
