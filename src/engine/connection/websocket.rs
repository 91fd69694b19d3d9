//! A connection that speaks WebSocket: its pings and what their pongs tell, and the closing handshake.

use super::Connection;
use crate::engine::Millis;
use crate::engine::pool::Pool;
use crate::engine::reading::Reading;
use crate::engine::writing::{Ping, Writing};
use crate::websocket::WebSocketError;
use crate::websocket::discard::{Discard, Discarded};
use crate::websocket::frame::{Opcode, write_header};
use crate::websocket::message::Decoder;

/// Milliseconds in a quarter of a second, about.
const QUARTER: Millis = 256;

/// The last 16 bits of a time in quarters of a second.
fn quarters_of(time: Millis) -> u16 {
    (time / QUARTER) as u16
}

/// How far a time, of which the last 16 bits are known, is ahead; in milliseconds.
fn ahead_of(quarters: u16, now: Millis) -> Millis {
    let ahead = quarters.wrapping_sub(quarters_of(now)).cast_signed();
    u64::try_from(ahead).unwrap_or(0) * QUARTER
}

impl Connection {
    pub(in crate::engine) fn decoder_mut(&mut self) -> Option<&mut Decoder> {
        if let Reading::Frames { decoder, .. } = &mut self.reading { Some(decoder) } else { None }
    }

    /// Puts a ping into the outbox.
    pub(in crate::engine) fn queue_ping(&mut self, pool: &mut Pool) {
        let Writing::Frames(socket) = &mut self.writing else { return };
        socket.ping = Ping::Queued;
        self.outbox.write(pool, |out| write_header(out, Opcode::Ping, 0));
    }

    /// The last byte of the outbox has left. `true`: the client can answer the ping from now on.
    pub(in crate::engine) fn ping_left(&mut self, was_stalled: bool) -> bool {
        let Writing::Frames(socket) = &mut self.writing else { return false };
        match socket.ping {
            Ping::Queued => socket.ping = Ping::Sent,
            // The pong may have waited until the client had read what was before it.
            Ping::Sent if was_stalled => {}
            Ping::Rest | Ping::Sent | Ping::Outstanding(_) => return false,
        }
        true
    }

    /// The answer to a ping has come: what was written in front of the ping has been read.
    pub(in crate::engine) fn note_pong(&mut self, now: Millis) {
        let Writing::Frames(socket) = &mut self.writing else { return };
        // How much earlier than a slow client it has read so far.
        let early = match socket.ping {
            // The wait for the pong was to begin then.
            Ping::Sent => self.since.saturating_sub(now),
            Ping::Outstanding(quarters) => ahead_of(quarters, now),
            // The ping has left, though bytes behind it have not.
            Ping::Queued => 0,
            Ping::Rest => return,
        };
        socket.ping = Ping::Rest;
        self.pace.note_early(early);
    }

    /// The client, which has spoken since the last ping left, is silent again: the wait for that pong goes on. `false`:
    /// no pong is outstanding. A second ping in place of this would have a pong that cannot be told from the first
    /// one's, and the server would take the client for faster than it is.
    pub(in crate::engine) fn await_outstanding_pong(&mut self, now: Millis) -> bool {
        let Writing::Frames(socket) = &mut self.writing else { return false };
        let Ping::Outstanding(quarters) = socket.ping else { return false };
        socket.ping = Ping::Sent;
        // The time in 16 bits comes round again: that of a ping that was sent hours ago may look as if it were ahead.
        // But no ping is behind more than all that was written.
        let ahead = ahead_of(quarters, now).min(self.pace.read_by(now) - now);
        self.since = now.saturating_add(ahead);
        true
    }

    /// The client of a WebSocket has spoken: it is there, though its pong may be behind a long message.
    pub(in crate::engine) fn note_heard(&mut self, now: Millis) {
        let Writing::Frames(socket) = &mut self.writing else { return };
        socket.ping = match socket.ping {
            Ping::Sent => Ping::Outstanding(quarters_of(self.since)),
            // Kept near the present, since the time in 16 bits comes round again: hours later it would look as if it
            // were ahead.
            Ping::Outstanding(quarters) if ahead_of(quarters, now) == 0 => {
                Ping::Outstanding(quarters_of(now))
            }
            // A ping that is in the outbox leaves all the same, and its pong comes.
            other @ (Ping::Rest | Ping::Queued | Ping::Outstanding(_)) => other,
        };
        self.since = now;
    }

    /// Our close frame is in the outbox, the client's is awaited (RFC 6455 §7.1.2).
    pub(in crate::engine) fn await_close_frame(&mut self, now: Millis) {
        let Reading::Frames { decoder, .. } = &self.reading else { return };
        self.reading = Reading::Discarded(Discard::within(decoder.remaining()));
        self.writing = Writing::Idle;
        self.since = now;
    }

    /// Throws away the front of the input in front of the client's close frame.
    pub(in crate::engine) fn discard(&mut self, input: &[u8]) -> Result<Discarded, WebSocketError> {
        let Reading::Discarded(discard) = &mut self.reading else {
            return Ok(Discarded::Bytes(input.len()));
        };
        discard.discard(input)
    }
}
