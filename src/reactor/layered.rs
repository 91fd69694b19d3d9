//! A connection's layer, and the wire bytes that the socket did not take. No sockets here: what writes is an argument.
//!
//! The engine's `sent` drives backpressure, stalls and the close of a connection, so a plain byte must not count as
//! sent before its wire bytes have left. Plain bytes become wire bytes only when no wire bytes wait. While some of a
//! chunk do, the engine keeps the plain bytes, and is told of a part of them that corresponds to what has left.

use std::io;

use crate::containment::{contain, discard};
use crate::layer::{Layer, LayerError, PLAIN_AT_ONCE, Received};

/// Plain bytes that become wire bytes at once. Two TLS records: beyond that, a client that takes nothing would
/// hold more than a write can gain.
pub(super) const CHUNK: usize = 32 << 10;

/// A layer's own wire bytes, beside those of plain bytes, that may wait for the socket before reading pauses.
const OWN_UNSENT: usize = 16 << 10;

/// Plain bytes of one call that no layer needs: it was told to stop at a quarter.
pub(super) const TOO_MUCH: usize = 4 * PLAIN_AT_ONCE;

/// The layer of a connection.
pub(super) struct Layered {
    /// `None`: it has failed, or has panicked, and is not called any more.
    layer: Option<Box<dyn Layer>>,
    input: Input,
    output: Output,
    unsent: Unsent,
    /// Bytes that wait for the socket, as the engine was told.
    booked: usize,
}

/// What the next wire bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// A PROXY header, which is not the layer's.
    ProxyHeader,
    /// The handshake, or the first plain bytes: none have come yet.
    Handshake,
    /// Anything.
    Open,
    /// The layer has plain bytes to give in front of them.
    HasMore,
    /// Ignored: the client has ended.
    Ended,
}

/// What becomes of the engine's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Open,
    /// The layer took none before it has read more.
    AwaitsInput,
    /// The layer has said its last, and the sending side is shut behind that.
    Closing,
    Shut,
}

/// Wire bytes that the socket did not take.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// How many of them have left meanwhile.
    taken: usize,
    /// The part at the front that stands for plain bytes, of those that have not left: how many, and for how many plain
    /// ones that the engine was not told of.
    wire: usize,
    plain: usize,
}

/// Why a layer is given up.
pub(super) enum Fault {
    /// It says so.
    Error(LayerError),
    Panic,
}

/// What a layer makes of wire bytes.
pub(super) enum Outcome {
    /// The next ones are welcome.
    Goes(Goes),
    Failed(Fault),
}

/// How it goes on behind wire bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    /// With plain bytes that the layer has.
    More,
    /// The client has ended.
    Ended,
}

/// What became of plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Plain bytes that the socket took, as wire bytes.
    pub(super) sent: usize,
    /// The socket takes no more before it is writable, or the layer none before it has read more.
    pub(super) blocked: bool,
}

impl Layered {
    /// The bytes of a connection begin with a PROXY header in front of the layer's.
    pub(super) fn new(layer: Box<dyn Layer>, proxied: bool) -> Self {
        let input = if proxied { Input::ProxyHeader } else { Input::Handshake };
        Self { layer: Some(layer), input, output: Output::Open, unsent: Unsent::default(), booked: 0 }
    }

    pub(super) fn is_behind_proxy_header(&self) -> bool {
        self.input == Input::ProxyHeader
    }

    pub(super) fn end_proxy_header(&mut self) {
        self.input = Input::Handshake;
    }

    /// Whether no plain byte has come yet, so that reading costs what a handshake does.
    pub(super) fn is_in_handshake(&self) -> bool {
        matches!(self.input, Input::ProxyHeader | Input::Handshake)
    }

    /// Whether the layer has plain bytes to give before more wire bytes are read.
    pub(super) fn has_more(&self) -> bool {
        self.input == Input::HasMore
    }

    /// Whether nothing is to be read before the socket takes what the layer itself has to say.
    pub(super) fn is_clogged(&self) -> bool {
        self.unsent.own() > OWN_UNSENT
    }

    /// Whether the layer waits for wire bytes before it takes plain ones. It has read some now.
    pub(super) fn take_awaits_input(&mut self) -> bool {
        let awaits = self.output == Output::AwaitsInput;
        if awaits {
            self.output = Output::Open;
        }
        awaits
    }

    /// The memory of the bytes that wait for the socket, where it is not what the engine was told last.
    pub(super) fn take_change_of_memory(&mut self) -> Option<usize> {
        let now = self.unsent.bytes.capacity();
        (std::mem::replace(&mut self.booked, now) != now).then_some(now)
    }

    /// Whether wire bytes wait for the socket.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.bytes.is_empty()
    }

    /// The same where the engine does not wait for them, and so makes no order for them.
    pub(super) fn has_own_unsent(&self) -> bool {
        self.has_unsent() && self.unsent.plain == 0
    }

    /// Reads wire bytes, or none where the layer has more to give. Plain bytes are appended to `plain`, and what the
    /// layer answers by itself to what is unsent.
    pub(super) fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>) -> Outcome {
        if self.input == Input::Ended {
            return Outcome::Goes(Goes::On);
        }
        let Some(layer) = &mut self.layer else { return Outcome::Goes(Goes::On) };
        let reply = &mut self.unsent.bytes;
        let error = match contain(|| layer.receive(wire, plain, reply)) {
            None => return self.fail(Fault::Panic),
            Some(Err(error)) => error,
            Some(Ok(_)) if plain.len() > TOO_MUCH => "the layer gave too many bytes at once".into(),
            // It would be called again without end.
            Some(Ok(Received::HasMore)) if plain.is_empty() => "the layer has more, and gives nothing".into(),
            Some(Ok(received)) => return Outcome::Goes(self.note_received(received, plain.is_empty())),
        };
        self.fail(Fault::Error(error))
    }

    fn note_received(&mut self, received: Received, is_without_plain: bool) -> Goes {
        let (input, goes) = match received {
            Received::NeedsMore if is_without_plain && self.is_in_handshake() => (self.input, Goes::On),
            Received::NeedsMore => (Input::Open, Goes::On),
            Received::HasMore => (Input::HasMore, Goes::More),
            Received::Ended => (Input::Ended, Goes::Ended),
        };
        self.input = input;
        goes
    }

    fn fail(&mut self, fault: Fault) -> Outcome {
        self.input = Input::Ended;
        self.discard();
        Outcome::Failed(fault)
    }

    /// Drops the layer. `false`: its drop panicked.
    pub(super) fn discard(&mut self) -> bool {
        self.layer.take().is_none_or(discard)
    }

    /// Sends plain bytes. Only while no wire bytes wait: see [`Layered::flush`]. `scratch` is empty, and is so again.
    pub(super) fn send(
        &mut self,
        plain: &[u8],
        scratch: &mut Vec<u8>,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> Result<io::Result<Progress>, Fault> {
        debug_assert!(self.unsent.bytes.is_empty(), "wire bytes would overtake others");
        let Some(layer) = &mut self.layer else { return Ok(Ok(Progress { sent: 0, blocked: true })) };
        let taken = match contain(|| layer.send(plain, scratch)) {
            Some(Ok(taken)) => taken.min(plain.len()),
            Some(Err(error)) => {
                self.discard();
                return Err(Fault::Error(error));
            }
            None => {
                self.discard();
                return Err(Fault::Panic);
            }
        };
        if taken == 0 {
            self.output = Output::AwaitsInput;
        }
        Ok(self.write_out(taken, scratch, write))
    }

    /// Writes the wire bytes of so many plain ones, and keeps what the socket does not take.
    fn write_out(
        &mut self,
        plain: usize,
        scratch: &mut Vec<u8>,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<Progress> {
        let written = write_once(scratch, write);
        let total = scratch.len();
        if let Ok(count) = written
            && count < total
        {
            let bytes = scratch.get(count..).unwrap_or_default().to_vec();
            self.unsent = Unsent { bytes, taken: 0, wire: total, plain };
        }
        scratch.clear();
        let count = written?;
        let sent = if count < total { self.unsent.note_left(count) } else { plain };
        Ok(Progress { sent, blocked: count < total || plain == 0 })
    }

    /// Writes the wire bytes that wait.
    pub(super) fn flush(&mut self, write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<Progress> {
        let waiting = self.unsent.bytes.get(self.unsent.taken..).unwrap_or_default();
        let (length, written) = (waiting.len(), write_once(waiting, write)?);
        let sent = self.unsent.note_left(written);
        if written == length {
            // An idle connection holds no memory.
            self.unsent = Unsent::default();
            return Ok(Progress { sent, blocked: false });
        }
        self.unsent.taken += written;
        Ok(Progress { sent, blocked: true })
    }

    /// The last plain byte was sent: the layer says so, in what is flushed next.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        if let (Output::Open | Output::AwaitsInput, Some(layer)) = (self.output, &mut self.layer) {
            let bytes = &mut self.unsent.bytes;
            if contain(|| layer.close(bytes)).is_none() {
                self.discard();
                return Err(Fault::Panic);
            }
        }
        self.output = Output::Closing;
        Ok(())
    }

    /// Says farewell on a connection that is about to be dropped: unless the socket takes nothing,
    /// or the layer has said so before.
    pub(super) fn close_without_waiting(&mut self, write: impl FnMut(&[u8]) -> io::Result<usize>) {
        let may_close = matches!(self.output, Output::Open | Output::AwaitsInput);
        if may_close && self.unsent.bytes.is_empty() && self.close().is_ok() {
            // The connection is over in any case.
            let _ = self.flush(write);
        }
    }

    /// Whether the sending side is to be shut now: once.
    pub(super) fn take_is_to_be_shut(&mut self) -> bool {
        let is_due = self.output == Output::Closing && self.unsent.bytes.is_empty();
        if is_due {
            self.output = Output::Shut;
        }
        is_due
    }
}

impl Drop for Layered {
    fn drop(&mut self) {
        self.discard();
    }
}

impl Unsent {
    /// Wire bytes that stand for no plain ones.
    fn own(&self) -> usize {
        self.bytes.len().saturating_sub(self.taken).saturating_sub(self.wire)
    }

    /// So many wire bytes have left: how many plain ones that makes, of which the engine is told. All of them only when
    /// the last wire byte of theirs has left, since the end of a record shows that it is whole.
    fn note_left(&mut self, count: usize) -> usize {
        let of_plain = count.min(self.wire);
        let sent = match self.wire - of_plain {
            0 => self.plain,
            _ => {
                let part = self.plain as u64 * of_plain as u64 / self.wire as u64;
                usize::try_from(part).unwrap_or(0).min(self.plain.saturating_sub(1))
            }
        };
        self.wire -= of_plain;
        self.plain -= sent;
        sent
    }
}

/// Writes what the socket takes at once, and says how much that was.
fn write_once(bytes: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    loop {
        match write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            written => return written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles every byte on the wire, after a handshake of one byte, which it answers. `!` is an error, `?` a panic,
    /// `.` the client's end, and `*` three bytes that are given one by one.
    #[derive(Default)]
    struct Doubling {
        is_open: bool,
        left: usize,
    }

    impl Layer for Doubling {
        fn receive(
            &mut self,
            wire: &[u8],
            plain: &mut Vec<u8>,
            reply: &mut Vec<u8>,
        ) -> Result<Received, LayerError> {
            for byte in wire {
                match byte {
                    b'!' => {
                        reply.push(b'!');
                        return Err("no".into());
                    }
                    b'?' => panic!("as it should"),
                    b'.' => return Ok(Received::Ended),
                    b'*' => self.left = 3,
                    b'+' => plain.extend([0; TOO_MUCH + 1]),
                    _ if !std::mem::replace(&mut self.is_open, true) => reply.push(*byte),
                    _ => plain.push(*byte),
                }
            }
            if self.left > 0 {
                self.left -= 1;
                plain.push(b'*');
            }
            Ok(if self.left > 0 { Received::HasMore } else { Received::NeedsMore })
        }

        fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
            if !self.is_open {
                return Ok(0);
            }
            wire.extend(plain.iter().flat_map(|byte| [*byte; 2]));
            Ok(plain.len())
        }

        fn close(&mut self, wire: &mut Vec<u8>) {
            wire.push(b'.');
        }
    }

    fn layered() -> Layered {
        Layered::new(Box::new(Doubling::default()), false)
    }

    fn open() -> Layered {
        let mut it = layered();
        assert_eq!(receive(&mut it, b"h").1, Some(Goes::On));
        flush(&mut it, 1);
        it
    }

    /// The plain bytes of these wire bytes, and how it goes on; `None`: the layer has failed.
    fn receive(it: &mut Layered, wire: &[u8]) -> (Vec<u8>, Option<Goes>) {
        let mut plain = Vec::new();
        let outcome = it.receive(wire, &mut plain);
        let goes = if let Outcome::Goes(goes) = outcome { Some(goes) } else { None };
        (plain, goes)
    }

    /// A socket that takes so many bytes in all.
    fn socket(mut room: usize, taken: &mut Vec<u8>) -> impl FnMut(&[u8]) -> io::Result<usize> {
        move |bytes| {
            let count = bytes.len().min(room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            room -= count;
            taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }
    }

    fn flush(it: &mut Layered, room: usize) -> (Progress, Vec<u8>) {
        let mut taken = Vec::new();
        let progress = it.flush(socket(room, &mut taken)).expect("the socket is sound");
        (progress, taken)
    }

    fn send(it: &mut Layered, plain: &[u8], room: usize) -> (Progress, Vec<u8>) {
        let (mut taken, mut scratch) = (Vec::new(), Vec::new());
        let Ok(Ok(progress)) = it.send(plain, &mut scratch, socket(room, &mut taken)) else {
            panic!("neither fails");
        };
        assert!(scratch.is_empty());
        (progress, taken)
    }

    const fn progress(sent: usize, blocked: bool) -> Progress {
        Progress { sent, blocked }
    }

    #[test]
    fn plain_bytes_count_as_sent_when_their_wire_bytes_have_left() {
        let mut it = open();
        assert_eq!(send(&mut it, b"abcd", 8), (progress(4, false), b"aabbccdd".to_vec()));
        // In parts: what has left is told, but never all before the last byte.
        assert_eq!(send(&mut it, b"abcd", 5), (progress(2, true), b"aabbc".to_vec()));
        assert_eq!(flush(&mut it, 0), (progress(0, true), Vec::new()));
        assert_eq!(flush(&mut it, 2), (progress(1, true), b"cd".to_vec()));
        assert!(!it.has_own_unsent() && it.has_unsent());
        assert_eq!(flush(&mut it, 9), (progress(1, false), b"d".to_vec()));
        assert!(!it.has_unsent());
        assert_eq!(it.unsent.bytes.capacity(), 0, "an idle connection holds no memory");
    }

    #[test]
    fn every_cut_of_a_chunk_tells_of_each_plain_byte_once() {
        for first in 0..=20 {
            for second in 0..=20 - first {
                let mut it = open();
                let (one, mut wire) = send(&mut it, b"0123456789", first);
                let (mut sent, mut blocked) = (one.sent, one.blocked);
                for room in [second, 20] {
                    if blocked {
                        assert!(sent < 10);
                        let (more, bytes) = flush(&mut it, room);
                        (sent, blocked) = (sent + more.sent, more.blocked);
                        wire.extend(bytes);
                    }
                }
                assert_eq!((sent, blocked), (10, false));
                assert_eq!(wire, b"00112233445566778899");
            }
        }
    }

    #[test]
    fn a_layer_speaks_for_itself_behind_what_waits() {
        let mut it = open();
        assert_eq!(send(&mut it, b"ab", 1).0, progress(0, true));
        // The reply of an error goes out behind the bytes that wait.
        assert_eq!(receive(&mut it, b"x!"), (b"x".to_vec(), None));
        assert_eq!(flush(&mut it, 9), (progress(2, false), b"abb!".to_vec()));
    }

    #[test]
    fn a_layer_that_cannot_speak_yet_is_asked_again_when_it_has_read() {
        let mut it = layered();
        assert_eq!(send(&mut it, b"early", 9).0, progress(0, true));
        assert!(it.is_in_handshake());
        assert_eq!(receive(&mut it, b"h"), (Vec::new(), Some(Goes::On)));
        assert!(it.take_awaits_input());
        assert!(!it.take_awaits_input(), "once");
        assert!(it.has_own_unsent());
        assert_eq!(flush(&mut it, 9), (progress(0, false), b"h".to_vec()));
        assert_eq!(send(&mut it, b"e", 9), (progress(1, false), b"ee".to_vec()));
        assert!(it.is_in_handshake(), "no plain byte has come");
        assert_eq!(receive(&mut it, b"x").0, b"x");
        assert!(!it.is_in_handshake());
    }

    #[test]
    fn a_layer_gives_what_it_has_before_more_is_read() {
        let mut it = open();
        for (wire, goes) in [(&b"*"[..], Goes::More), (b"", Goes::More), (b"", Goes::On)] {
            assert_eq!(receive(&mut it, wire), (b"*".to_vec(), Some(goes)));
            assert_eq!(it.has_more(), goes == Goes::More);
        }
    }

    #[test]
    fn a_layer_that_fails_or_panics_is_not_called_again() {
        for fault in [&b"x!"[..], b"x?", b"+"] {
            let mut it = open();
            assert_eq!(receive(&mut it, fault).1, None);
            assert_eq!(receive(&mut it, b"x"), (Vec::new(), Some(Goes::On)), "what follows is ignored");
            assert!(it.close().is_ok() && it.layer.is_none());
        }
    }

    #[test]
    fn the_end_is_said_once_and_the_socket_shut_behind_it() {
        let mut it = open();
        assert!(!it.take_is_to_be_shut());
        assert!(it.close().is_ok());
        assert!(!it.take_is_to_be_shut(), "the last byte has not left");
        assert_eq!(flush(&mut it, 9).1, b".");
        assert!(it.take_is_to_be_shut());
        assert!(!it.take_is_to_be_shut());
        let mut taken = Vec::new();
        it.close_without_waiting(socket(9, &mut taken));
        assert!(taken.is_empty(), "it has said so");
        // The client may go on, and end.
        assert_eq!(receive(&mut it, b"x."), (b"x".to_vec(), Some(Goes::Ended)));
        assert_eq!(receive(&mut it, b"x"), (Vec::new(), Some(Goes::On)));
    }

    #[test]
    fn a_dropped_connection_says_its_end_if_nothing_waits() {
        let mut taken = Vec::new();
        open().close_without_waiting(socket(9, &mut taken));
        assert_eq!(taken, b".");
        let mut it = open();
        send(&mut it, b"ab", 1);
        taken.clear();
        it.close_without_waiting(socket(9, &mut taken));
        assert!(taken.is_empty(), "it would stand in the middle of another");
    }

    #[test]
    fn what_the_layer_says_by_itself_is_bounded() {
        let mut it = open();
        for _ in 0..=OWN_UNSENT {
            assert!(!it.is_clogged());
            it.layer = Some(Box::new(Doubling::default()));
            receive(&mut it, b"h");
        }
        assert!(it.is_clogged());
        assert!(it.take_change_of_memory().is_some_and(|memory| memory > OWN_UNSENT));
        assert_eq!(it.take_change_of_memory(), None);
        flush(&mut it, usize::MAX);
        assert!(!it.is_clogged());
        assert_eq!(it.take_change_of_memory(), Some(0));
    }
}
