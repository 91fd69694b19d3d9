//! Looking for the few bytes that need care among many that need none.
//!
//! In go bytes and a set of bytes; out come positions, or the bytes copied with some of them replaced. Every
//! JSON string is read and written by these loops: at the speed of vector comparisons where nothing is found,
//! and a word at a time where much is.

/// Bytes compared at once while a text stays clean, and near a byte of the set.
const LONG: usize = 32;
const SHORT: usize = size_of::<u64>();

/// The same byte in each place of a word.
const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; SHORT])
}

/// The highest bit of each byte, and the others.
const HIGH: u64 = repeated(0x80);
const LOW: u64 = repeated(0x7F);

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

    /// The highest bit of each byte of a word that is in the set. No sum below goes beyond its byte, so
    /// that each byte is looked at alone.
    #[inline]
    fn hits(word: u64) -> u64 {
        let not_control = ((word & LOW) + repeated(0x80 - b' ')) | word;
        let in_none = Self::OTHERS.iter().fold(not_control, |in_none, &other| {
            let difference = word ^ repeated(other);
            in_none & (((difference & LOW) + LOW) | difference)
        });
        !in_none & HIGH
    }
}

/// The first bytes of a text as a word, the first of them lowest, and how many they are. Where they are fewer than a
/// word has, bytes stand behind them that are in no set.
#[inline]
fn first_word(text: &[u8]) -> (u64, usize) {
    match text.first_chunk() {
        Some(block) => (u64::from_le_bytes(*block), SHORT),
        None => {
            let word = text.iter().rev().fold(u64::MAX, |word, &byte| word << 8 | u64::from(byte));
            (word, text.len())
        }
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
fn skip_clean<S: Set>(text: &[u8]) -> &[u8] {
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
#[inline]
fn after_clean_block<const BLOCK: usize, S: Set>(text: &[u8]) -> Option<&[u8]> {
    let (block, after) = text.split_first_chunk::<BLOCK>()?;
    // Without an early end all bytes are compared at once.
    let is_dirty = block.iter().fold(false, |found, &byte| found | S::contains(byte));
    (!is_dirty).then_some(after)
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
/// At each of them `replace` is given the text from there on. It returns what stands for one character or
/// more, and the text after them.
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
    replace_words::<S>(out, near, replace);
}

/// The same for a text with bytes of the set near its front.
#[inline]
fn replace_words<'t, S: Set>(
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
        let (word, count) = first_word(rest);
        let mut hits = S::hits(word);
        let is_clean = hits == 0;
        let mut done = 0;
        while hits != 0 {
            let place = hits.trailing_zeros() as usize / 8;
            used = write_word(&mut page, used, word >> (8 * done), place - done);
            let (written, left) = replace(rest.get(place..).unwrap_or_default());
            used = write_word(&mut page, used, written.0, written.length());
            done = rest.len() - left.len();
            if done >= count {
                break;
            }
            hits &= u64::MAX << (8 * done);
        }
        if done < count {
            used = write_word(&mut page, used, word >> (8 * done), count - done);
        }
        rest = rest.get(done.max(count)..).unwrap_or_default();
        if is_clean && rest.len() >= LONG && skip_clean::<S>(rest).len() < rest.len() {
            out.extend_from_slice(page.get(..used).unwrap_or_default());
            used = 0;
            rest = copy_clean::<S>(out, rest);
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
    fn knows_each_byte_in_each_place_beside_any_other() {
        for byte in 0..=0xFF {
            let is_in = byte < 0x20 || [b'"', b'\\', 0xE2, 0xEF].contains(&byte);
            assert_eq!(Many::contains(byte), is_in, "{byte}");
            for place in 0..SHORT {
                let mut block = [b'-'; SHORT];
                block[place] = byte;
                for neighbour in 0..=0xFF {
                    block[(place + 1) % SHORT] = neighbour;
                    let expected = block.map(|byte| if Many::contains(byte) { 0x80 } else { 0 });
                    let hits = Many::hits(u64::from_le_bytes(block));
                    assert_eq!(hits.to_le_bytes(), expected, "{block:?}");
                }
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
                    copy_replacing::<Mark>(&mut out, text.as_bytes(), |text| {
                        (Written::counted(*b"7 bytes\x07"), text.get(width..).unwrap_or_default())
                    });
                    let expected = ["-".repeat(before), "7 bytes".repeat(count), "=".repeat(before)].concat();
                    assert_eq!(String::from_utf8(out).unwrap(), expected);
                }
            }
        }
    }
}
