//! Random input for the property tests of this folder: the same on every run.

/// A xorshift generator.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Up to `length` characters: long runs of ASCII, and everything that a codec could stumble on.
    pub(super) fn text(&mut self, length: usize) -> String {
        const CARE: &[char] = &[
            '"',
            '\\',
            '/',
            '\0',
            '\u{1}',
            '\u{8}',
            '\t',
            '\n',
            '\u{b}',
            '\u{c}',
            '\r',
            '\u{1f}',
            ' ',
            '<',
            '%',
            '+',
            '\u{7f}',
            '\u{80}',
            '\u{a0}',
            '\u{2028}',
            '\u{2029}',
            '\u{200b}',
            '\u{200c}',
            '\u{2010}',
            '\u{fff0}',
            '\u{ffef}',
            '\u{feff}',
            '\u{ffff}',
            '\u{e000}',
            '\u{1f600}',
            '\u{10ffff}',
        ];
        let mut text = String::new();
        for _ in 0..self.below(length + 1) {
            match self.below(8) {
                0 => text.push(self.pick(CARE)),
                1 => text.extend(char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap())),
                2 => text.push_str("a run of plain text, longer than one block"),
                _ => text.push(char::from(b'a' + u8::try_from(self.below(26)).unwrap())),
            }
        }
        text
    }
}
