//! One connection of an HTTP client: its socket, its request under way, and the response as far as it has read it.

use super::fingerprint::without_serials;
use crate::collections::Key;
use crate::engine::Connection;

/// What a client knows of its connection.
#[derive(Default)]
pub(super) struct Client {
    /// None: it has to connect first.
    pub(super) key: Option<Key<Connection>>,
    pub(super) asked: Option<Asked>,
    pub(super) reader: Reader,
    pub(super) socket: Socket,
}

/// How its socket stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Socket {
    /// It takes a few bytes more, and no others.
    pub(super) is_stalled: bool,
    /// The client sends no more.
    pub(super) is_finished: bool,
    /// The server sends no more.
    pub(super) is_shut: bool,
}

/// A request whose response has not been read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// For messages to be taken, by a session that the server knows, or not, if that is certain.
    ToSend { is_known: Option<bool> },
    /// For frames of a session, by its number.
    ToReceive { session: usize, is_second: bool },
    /// For frames of a session that has ended for this client's having left.
    InVain,
}

impl Client {
    /// Whether it can make a request on a connection that it has.
    pub(super) fn is_idle(&self) -> bool {
        self.key.is_some() && self.asked.is_none() && !self.socket.is_finished && !self.socket.is_shut
    }

    /// Whether its response carries the frames of a session, as far as it knows.
    pub(super) fn receives(&self, number: usize) -> bool {
        matches!(self.asked, Some(Asked::ToReceive { session, is_second: false }) if session == number)
    }
}

/// Reads responses as they come, in whatever pieces.
#[derive(Default)]
pub(super) struct Reader {
    unread: Vec<u8>,
    within: Within,
}

/// Where in a response the next byte is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Within {
    #[default]
    Head,
    /// So many bytes of the body follow.
    Body(usize),
    Chunks,
}

/// A part of a response that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Status(u16),
    /// A frame of a receiver, or the prelude in front of them.
    Frame(String),
    End,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// What the next parts depend on.
    pub(super) fn state(&self) -> (Vec<u8>, impl std::hash::Hash + use<>) {
        (without_serials(&self.unread), self.within)
    }

    pub(super) fn next(&mut self) -> Option<Part> {
        match self.within {
            Within::Head => {
                let head = self.line(b"\r\n\r\n")?;
                let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                self.within = match length {
                    Some(length) => Within::Body(length.parse().expect("a length")),
                    None if head.contains("Transfer-Encoding: chunked") => Within::Chunks,
                    None => Within::Body(0),
                };
                Some(Part::Status(status))
            }
            Within::Body(0) => {
                self.within = Within::Head;
                Some(Part::End)
            }
            Within::Body(length) => {
                let body = self.take(length)?;
                self.within = Within::Body(0);
                Some(Part::Frame(body))
            }
            Within::Chunks => {
                let end = self.unread.windows(2).position(|window| window == b"\r\n")?;
                let size = std::str::from_utf8(&self.unread[..end]).expect("text");
                let size = usize::from_str_radix(size, 16).expect("a size");
                let chunk = self.take(end + 2 + size + 2)?;
                if size == 0 {
                    self.within = Within::Head;
                    return Some(Part::End);
                }
                Some(Part::Frame(chunk[end + 2..end + 2 + size].to_owned()))
            }
        }
    }

    fn line(&mut self, end: &[u8]) -> Option<String> {
        let at = self.unread.windows(end.len()).position(|window| window == end)?;
        self.take(at + end.len())
    }

    fn take(&mut self, count: usize) -> Option<String> {
        if self.unread.len() < count {
            return None;
        }
        Some(String::from_utf8(self.unread.drain(..count).collect()).expect("text"))
    }
}
