//! What the engine knows of a layer between a connection and its socket, in one byte: idle
//! connections are many, and most have none.

/// Whether clients name the connection `https`, and how much memory waits between its outbox and its socket.
#[derive(Clone, Copy, Default)]
pub(super) struct InLayer(u8);

/// The bit for https.
const HTTPS: u8 = 0x80;

/// What the other bits count.
const UNIT: usize = 2 << 10;

impl InLayer {
    /// Bytes at most: no layer needs more for one chunk and what it has to say itself.
    pub(super) const MOST: usize = (HTTPS as usize - 1) * UNIT;

    pub(super) fn is_https(self) -> bool {
        self.0 & HTTPS != 0
    }

    pub(super) fn note_https(&mut self) {
        self.0 |= HTTPS;
    }

    /// Bytes that wait, rounded up.
    pub(super) fn footprint(self) -> usize {
        usize::from(self.0 & !HTTPS) * UNIT
    }

    /// So many bytes wait now.
    pub(super) fn set(&mut self, bytes: usize) {
        let units = u8::try_from(bytes.min(Self::MOST).div_ceil(UNIT)).unwrap_or(!HTTPS);
        self.0 = self.0 & HTTPS | units;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_up_and_https_stays() {
        let mut it = InLayer::default();
        assert!(!it.is_https() && it.footprint() == 0);
        it.note_https();
        for (bytes, footprint) in [(1, UNIT), (UNIT, UNIT), (UNIT + 1, 2 * UNIT), (0, 0)] {
            it.set(bytes);
            assert_eq!((it.footprint(), it.is_https()), (footprint, true), "{bytes}");
        }
        it.set(usize::MAX);
        assert_eq!((it.footprint(), it.is_https()), (InLayer::MOST, true));
        assert_eq!(size_of::<InLayer>(), 1);
    }
}
