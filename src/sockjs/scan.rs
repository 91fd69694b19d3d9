//! Looking for the few bytes that need care among many that need none.
//!
//! In go bytes and a set of bytes; out come positions, or the bytes copied with some of them replaced. Every
//! JSON string is read and written by these loops: at the speed of vector comparisons where nothing is found, and
//! byte by byte within a block where something is.

/// Bytes compared at once while a text stays clean, and near a byte of the set.
const LONG: usize = 32;
pub(super) const SHORT: usize = size_of::<u64>();

/// A set of bytes: the control characters, which are those below the space, and up to four others. (A type and not a
/// value, so that the loops below are made for each set.)
pub(super) trait Set {
    /// The others. Where they are fewer, one is repeated: that costs nothing.
    const OTHERS: [u8; 4];

    #[inline]
    fn contains(byte: u8) -> bool {
        let [first, second, third, fourth] = Self::OTHERS;
        // Without an early end, and without a loop, many bytes are compared at once.
        (byte < b' ') | (byte == first) | (byte == second) | (byte == third) | (byte == fourth)
    }
}

/// The position of the first byte that is in the set.
#[inline]
pub(super) fn find<S: Set>(text: &[u8]) -> Option<usize> {
    let near = skip_clean::<S>(text);
    near.iter().position(|&byte| S::contains(byte)).map(|position| text.len() - near.len() + position)
}

/// The text from the short block on that has a byte of the set or is the last.
#[inline]
pub(super) fn skip_clean<S: Set>(text: &[u8]) -> &[u8] {
    let mut rest = text;
    // A long block is not worth a look where a short one is dirty.
    if let Some(after) = after_clean_block::<SHORT, S>(rest) {
        rest = after;
        while let Some(after) = after_clean_block::<LONG, S>(rest) {
            rest = after;
        }
        while let Some(after) = after_clean_block::<SHORT, S>(rest) {
            rest = after;
        }
    }
    rest
}

/// The text after its first block, if nothing in that block is in the set.
#[inline(always)]
fn after_clean_block<const BLOCK: usize, S: Set>(text: &[u8]) -> Option<&[u8]> {
    let (block, after) = text.split_first_chunk::<BLOCK>()?;
    // Without an early end all bytes are compared at once.
    let found = block.iter().fold(0, |found, &byte| found | u8::from(S::contains(byte)));
    (found == 0).then_some(after)
}

/// Bytes that stand for others: up to seven, the first of them lowest, and in the highest place how many they
/// are. (A word stays in a register.)
#[derive(Clone, Copy)]
pub(super) struct Written(u64);

impl Written {
    /// No byte.
    pub(super) const NOTHING: Self = Self(0);

    /// The bytes of a list but the last, which says how many of the others count.
    #[inline]
    pub(super) const fn counted(bytes: [u8; SHORT]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// One byte.
    #[inline]
    pub(super) const fn one(byte: u8) -> Self {
        Self::counted([byte, 0, 0, 0, 0, 0, 0, 1])
    }

    /// How many bytes.
    #[inline]
    pub(super) const fn length(self) -> usize {
        (self.0 >> (8 * (SHORT - 1))) as usize
    }
}

/// Bytes on their way to the output. To write a word here, of which some bytes count, costs a
/// fraction of an append to a vector.
const PAGE: usize = 128;

/// What a block can become: a word for each of its bytes, and one more that is written last.
const BLOCK: usize = SHORT * SHORT + SHORT;

/// Appends `text` to `out`, with the bytes of the set replaced.
///
/// Near each of them `replace` is given the text from some byte on. It returns what stands for one character or
/// more, and the text after them: for a byte that is not in the set, that byte.
#[inline]
pub(super) fn copy_replacing<'t, S: Set>(
    out: &mut Vec<u8>,
    text: &'t [u8],
    replace: impl Fn(&'t [u8]) -> (Written, &'t [u8]),
) {
    let near = skip_clean::<S>(text);
    if !near.iter().any(|&byte| S::contains(byte)) {
        return out.extend_from_slice(text);
    }
    out.reserve(text.len());
    out.extend_from_slice(text.get(..text.len() - near.len()).unwrap_or_default());
    replace_blocks::<S>(out, near, replace);
}

/// The same for a text with bytes of the set near its front.
#[inline]
fn replace_blocks<'t, S: Set>(
    out: &mut Vec<u8>,
    text: &'t [u8],
    replace: impl Fn(&'t [u8]) -> (Written, &'t [u8]),
) {
    let mut page = [0; PAGE];
    let mut used = 0;
    let mut rest = text;
    while !rest.is_empty() {
        if used > PAGE - BLOCK {
            out.extend_from_slice(page.get(..used).unwrap_or_default());
            used = 0;
        }
        if let (Some(block), Some(after)) = (rest.first_chunk(), after_clean_block::<SHORT, S>(rest)) {
            used = write_word(&mut page, used, u64::from_le_bytes(*block), SHORT);
            rest = after;
            if after_clean_block::<LONG, S>(rest).is_some() {
                out.extend_from_slice(page.get(..used).unwrap_or_default());
                used = 0;
                rest = copy_clean::<S>(out, rest);
            }
            continue;
        }
        let left = rest.len().saturating_sub(SHORT);
        while rest.len() > left {
            let (written, after) = replace(rest);
            used = write_word(&mut page, used, written.0, written.length());
            rest = after;
        }
    }
    out.extend_from_slice(page.get(..used).unwrap_or_default());
}

/// Copies the long blocks that have no byte of the set, and returns the text after them.
#[inline]
fn copy_clean<'t, S: Set>(out: &mut Vec<u8>, text: &'t [u8]) -> &'t [u8] {
    let rest = skip_clean::<S>(text);
    out.extend_from_slice(text.get(..text.len() - rest.len()).unwrap_or_default());
    rest
}

/// Writes a word at this place, of which so many bytes count; returns the place behind them.
#[inline]
fn write_word(page: &mut [u8; PAGE], place: usize, word: u64, count: usize) -> usize {
    if let Some(place) = page.get_mut(place..).and_then(|free| free.first_chunk_mut()) {
        *place = word.to_le_bytes();
    }
    place + count
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mark;
    impl Set for Mark {
        const OTHERS: [u8; 4] = *b"!!!!";
    }

    struct Many;
    impl Set for Many {
        const OTHERS: [u8; 4] = *b"\"\\\xE2\xEF";
    }

    #[test]
    fn finds_the_first_at_every_length_and_position() {
        for length in 0..70 {
            let mut text = vec![b'-'; length];
            assert_eq!(find::<Many>(&text), None);
            for position in (0..length).rev() {
                text[position] = [b'"', 0xEF, 0, 0x1F][position % 4];
                assert_eq!(find::<Many>(&text), Some(position), "{length}");
            }
        }
    }

    #[test]
    fn knows_each_byte_in_each_place() {
        for byte in 0..=0xFF {
            let is_in = byte < 0x20 || [b'"', b'\\', 0xE2, 0xEF].contains(&byte);
            assert_eq!(Many::contains(byte), is_in, "{byte}");
            for place in 0..SHORT {
                let mut block = [b'-'; SHORT];
                block[place] = byte;
                assert_eq!(after_clean_block::<SHORT, Many>(&block).is_none(), is_in, "{block:?}");
            }
        }
    }

    #[test]
    fn replaces_one_or_more_bytes_at_a_time() {
        let mut out = b"before:".to_vec();
        let text = b"!b !b cd !b ! very long run without any of them b  !b";
        copy_replacing::<Mark>(&mut out, text, |text| match text {
            [b'!', b'b', rest @ ..] => (Written::counted(*b"<AB>\0\0\0\x04"), rest),
            [byte, rest @ ..] => (Written::one(*byte), rest),
            [] => (Written::NOTHING, text),
        });
        let expected = "before:<AB> <AB> cd <AB> ! very long run without any of them b  <AB>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn replaces_as_much_as_one_block_can_become_and_across_blocks() {
        for before in 0..20 {
            for width in 1..12 {
                for count in 0..40 {
                    let text = ["-".repeat(before), "!".repeat(count * width), "=".repeat(before)].concat();
                    let mut out = Vec::new();
                    copy_replacing::<Mark>(&mut out, text.as_bytes(), |text| match text {
                        [b'!', ..] => {
                            (Written::counted(*b"7 bytes\x07"), text.get(width..).unwrap_or_default())
                        }
                        [byte, rest @ ..] => (Written::one(*byte), rest),
                        [] => (Written::NOTHING, text),
                    });
                    let expected = ["-".repeat(before), "7 bytes".repeat(count), "=".repeat(before)].concat();
                    assert_eq!(String::from_utf8(out).unwrap(), expected);
                }
            }
        }
    }
}
