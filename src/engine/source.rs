//! What follows the bytes in the inbox of a connection: more of them, or the end of the stream.

/// Where a connection's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The driver hands over whatever arrives.
    Flowing,
    /// The driver was told to leave bytes in the socket.
    Paused,
    /// The same, and the end of the stream stands behind those bytes.
    PausedBeforeEnd,
    /// The end of the stream was read: it is the last unit of the inbox.
    Ended,
}

impl Source {
    /// Bytes are not welcome: the driver leaves them in the socket.
    pub(super) fn pause(&mut self) {
        if *self == Source::Flowing {
            *self = Source::Paused;
        }
    }

    /// The end of the stream was seen behind bytes that are left in the socket.
    pub(super) fn note_end_behind_unread(&mut self) {
        if *self != Source::Ended {
            *self = Source::PausedBeforeEnd;
        }
    }

    /// Whether the driver was told to leave bytes in the socket.
    pub(super) fn is_paused(self) -> bool {
        matches!(self, Source::Paused | Source::PausedBeforeEnd)
    }

    /// Whether the client sends no more than what is in the inbox.
    pub(super) fn has_ended(self) -> bool {
        self == Source::Ended
    }

    /// Whether the client has ended its side, though bytes in front of the end may be left in the socket.
    pub(super) fn is_end_known(self) -> bool {
        matches!(self, Source::PausedBeforeEnd | Source::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::Source::{Ended, Flowing, Paused, PausedBeforeEnd};

    #[test]
    fn an_end_that_was_read_is_never_forgotten() {
        // Each state, and what a pause and an end behind unread bytes make of it.
        for (source, paused, end_behind) in [
            (Flowing, Paused, PausedBeforeEnd),
            (Paused, Paused, PausedBeforeEnd),
            (PausedBeforeEnd, PausedBeforeEnd, PausedBeforeEnd),
            (Ended, Ended, Ended),
        ] {
            let mut it = source;
            it.pause();
            assert_eq!(it, paused);
            it = source;
            it.note_end_behind_unread();
            assert_eq!(it, end_behind);
            assert!(end_behind.is_paused() != end_behind.has_ended());
        }
    }
}
