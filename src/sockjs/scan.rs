//! Looking for the few bytes that need care among many that need none.
//!
//! In go bytes and a predicate; out come positions, or the bytes copied with some of them replaced. Every
//! JSON string is read and written by these loops, at the speed of vector comparisons where nothing is found.

/// Bytes compared at once while a text stays clean, and near what is looked for.
const LONG: usize = 32;
const SHORT: usize = 8;

/// The position of the first byte that is `wanted`.
#[inline]
pub(super) fn find(text: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let near = skip_clean(text, &wanted);
    near.iter().position(|&byte| wanted(byte)).map(|position| text.len() - near.len() + position)
}

/// Appends `text` to `out`, with what is `suspect` replaced.
///
/// At each suspect byte `replace` is given the text from there on. It writes what stands for one character or
/// more, and returns the text after them.
#[inline]
pub(super) fn copy_replacing<'t>(
    out: &mut Vec<u8>,
    text: &'t [u8],
    suspect: impl Fn(u8) -> bool,
    replace: impl Fn(&mut Vec<u8>, &'t [u8]) -> &'t [u8],
) {
    out.reserve(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let near = skip_clean(rest, &suspect);
        if let Some(clean) = rest.get(..rest.len() - near.len()) {
            out.extend_from_slice(clean);
        }
        // Byte by byte through one short block: where suspects are dense, that beats looking for each.
        let end = near.len().saturating_sub(SHORT);
        rest = near;
        while rest.len() > end
            && let Some((&byte, after)) = rest.split_first()
        {
            if suspect(byte) {
                rest = replace(out, rest);
            } else {
                out.push(byte);
                rest = after;
            }
        }
    }
}

/// The text from the short block on that has a `wanted` byte or is the last.
#[inline]
fn skip_clean(text: &[u8], wanted: impl Fn(u8) -> bool) -> &[u8] {
    let mut rest = text;
    // A long block is not worth a look where a short one is dirty.
    if let Some(after) = after_clean_block::<SHORT>(rest, &wanted) {
        rest = after;
        while let Some(after) = after_clean_block::<LONG>(rest, &wanted) {
            rest = after;
        }
        while let Some(after) = after_clean_block::<SHORT>(rest, &wanted) {
            rest = after;
        }
    }
    rest
}

/// The text after its first block, if nothing in that block is `wanted`.
#[inline]
fn after_clean_block<const BLOCK: usize>(text: &[u8], wanted: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let (block, after) = text.split_first_chunk::<BLOCK>()?;
    // Without an early end all bytes are compared at once.
    let is_dirty = block.iter().fold(false, |found, &byte| found | wanted(byte));
    (!is_dirty).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_at_every_length_and_position() {
        for length in 0..70 {
            let mut text = vec![b'-'; length];
            assert_eq!(find(&text, |byte| byte == b'!'), None);
            for position in (0..length).rev() {
                text[position] = b'!';
                assert_eq!(find(&text, |byte| byte == b'!'), Some(position), "{length}");
            }
        }
    }

    #[test]
    fn replaces_one_or_more_bytes_at_a_time() {
        let mut out = b"before:".to_vec();
        let text = b"ab ab cd ab a very long run without any of them b  ab";
        copy_replacing(
            &mut out,
            text,
            |byte| byte == b'a',
            |out, text| match text {
                [b'a', b'b', rest @ ..] => {
                    out.extend_from_slice(b"<AB>");
                    rest
                }
                [_, rest @ ..] => {
                    out.push(b'a');
                    rest
                }
                [] => text,
            },
        );
        let expected = "before:<AB> <AB> cd <AB> a very long run without any of them b  <AB>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
