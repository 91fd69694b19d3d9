//! The reading half of a connection: what the next bytes of its client are.

use super::session::Session;
use crate::collections::Key;
use crate::http::{BodyDecoder, HeadScanner};
use crate::websocket::discard::Discard;
use crate::websocket::message::Decoder;

/// What the next bytes are.
pub(super) enum Reading {
    /// The header in which a load balancer names its client.
    Proxied,
    /// The first request. It has the head's time from the accept on.
    First,
    /// The next request, behind whatever is under way; it may take the longer idle time to begin.
    Next,
    /// The rest of a request's head, of which a part is in the inbox.
    Head(HeadScanner),
    /// The rest of a request's body, whose head is in the inbox.
    Body(Box<PartialBody>),
    /// The next request, behind the messages of an `xhr_send` or `jsonp_send` that are being delivered.
    Delivering {
        session: Key<Session>,
        /// `None` while some of it is delivered.
        rest: Option<Box<Rest>>,
    },
    /// WebSocket frames.
    Frames {
        decoder: Decoder,
        /// The rest of a payload of which one turn took a part.
        rest: Option<Box<Rest>>,
    },
    /// Frames without a reader, up to the client's close frame: ours is out (RFC 6455 §7.1.1).
    Discarded(Discard),
    /// Bytes without a reader, up to the end of the stream (RFC 9112 §9.6).
    Ignored,
}

/// A request whose body has not arrived whole. The inbox begins with its head, which is read again at the end.
pub(super) struct PartialBody {
    pub(super) head_length: usize,
    pub(super) decoder: BodyDecoder,
    /// Decoded bytes behind the head.
    pub(super) decoded: usize,
}

/// A request of which a part was read before.
pub(super) enum Partial {
    Head(HeadScanner),
    Body(Box<PartialBody>),
}

/// The rest of a payload whose first messages were delivered.
pub(super) struct Rest {
    payload: String,
    /// Bytes of it that are delivered.
    delivered: usize,
}

impl Rest {
    pub(super) fn new(left: &str) -> Self {
        Self { payload: left.to_owned(), delivered: 0 }
    }

    pub(super) fn left(&self) -> &str {
        self.payload.get(self.delivered..).unwrap_or_default()
    }

    /// So many bytes are left now.
    pub(super) fn shorten(&mut self, left: usize) {
        self.delivered = self.payload.len().saturating_sub(left);
    }

    /// Bytes of memory that it holds.
    fn footprint(&self) -> usize {
        size_of::<Self>() + self.payload.capacity()
    }
}

impl Reading {
    /// Bytes of memory that it holds beside itself.
    pub(super) fn footprint(&self) -> usize {
        let rest = |rest: &Option<Box<Rest>>| rest.as_ref().map_or(0, |rest| rest.footprint());
        match self {
            Reading::Body(_) => size_of::<PartialBody>(),
            Reading::Delivering { rest: left, .. } => rest(left),
            Reading::Frames { decoder, rest: left } => decoder.buffered() + rest(left),
            Reading::Proxied
            | Reading::First
            | Reading::Next
            | Reading::Head(_)
            | Reading::Discarded(_)
            | Reading::Ignored => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_payload_gets_shorter() {
        let mut rest = Rest::new(r#""a","b","c"]"#);
        assert_eq!(rest.left(), r#""a","b","c"]"#);
        rest.shorten(8);
        assert_eq!(rest.left(), r#""b","c"]"#);
        rest.shorten(0);
        assert_eq!(rest.left(), "");
        rest.shorten(usize::MAX);
        assert_eq!(rest.left(), r#""a","b","c"]"#, "no more is left than there was");
        assert!(rest.footprint() >= size_of::<Rest>() + 12);
    }

    #[test]
    fn the_reading_half_is_small() {
        assert!(size_of::<Reading>() <= 24, "{}", size_of::<Reading>());
    }
}
