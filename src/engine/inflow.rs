//! What follows the bytes in the inbox of a connection: more of them, or the end of the stream.

/// Whether more input follows what is in the inbox of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inflow {
    /// The driver hands over whatever arrives.
    Flowing,
    /// The driver was told to leave bytes in the socket.
    Paused,
    /// The same, and the end of the stream stands behind those bytes.
    PausedBeforeEnd,
    /// The end of the stream was read: it is dealt with behind the inbox.
    Ended,
}

impl Inflow {
    /// Bytes are not welcome: the driver leaves them in the socket.
    pub(super) fn pause(&mut self) {
        if *self == Inflow::Flowing {
            *self = Inflow::Paused;
        }
    }

    /// The end of the stream was seen behind bytes that are left in the socket.
    pub(super) fn note_end_behind_unread(&mut self) {
        if *self != Inflow::Ended {
            *self = Inflow::PausedBeforeEnd;
        }
    }

    /// Whether the driver was told to leave bytes in the socket.
    pub(super) fn is_paused(self) -> bool {
        matches!(self, Inflow::Paused | Inflow::PausedBeforeEnd)
    }

    /// Whether the client sends no more than what is in the inbox.
    pub(super) fn has_ended(self) -> bool {
        self == Inflow::Ended
    }

    /// Whether the client has ended its side, though bytes in front of the end may be left in the socket.
    pub(super) fn is_end_known(self) -> bool {
        matches!(self, Inflow::PausedBeforeEnd | Inflow::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::Inflow::{Ended, Flowing, Paused, PausedBeforeEnd};

    #[test]
    fn an_end_that_was_read_is_never_forgotten() {
        // Each state, and what a pause and an end behind unread bytes make of it.
        for (inflow, paused, end_behind) in [
            (Flowing, Paused, PausedBeforeEnd),
            (Paused, Paused, PausedBeforeEnd),
            (PausedBeforeEnd, PausedBeforeEnd, PausedBeforeEnd),
            (Ended, Ended, Ended),
        ] {
            let mut it = inflow;
            it.pause();
            assert_eq!(it, paused);
            it = inflow;
            it.note_end_behind_unread();
            assert_eq!(it, end_behind);
            assert!(end_behind.is_paused() != end_behind.has_ended());
        }
    }
}
