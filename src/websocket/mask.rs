//! Masking (RFC 6455 §5.3): a payload and its four-byte key go in; the plain bytes
//! stand where the masked ones stood. It never moves, copies or judges them.

/// Unmasks `payload` in place. Of one that arrives in parts, each part needs the key rotated left by how many bytes
/// came before it.
///
/// Compilers turn the loop over words into vector instructions. Loops over wider blocks, with more of a tail
/// behind them, measured slower on short payloads and little different on long ones.
#[inline]
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let key = u32::from_ne_bytes(mask);
    let (words, tail) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The algorithm as RFC 6455 §5.3 states it.
    fn unmask_naively(payload: &mut [u8], mask: [u8; 4]) {
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= mask[index % 4];
        }
    }

    #[test]
    fn agrees_with_the_rfc_at_every_length_and_alignment() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().skip(7).take(300).collect();
        for length in 0..=260 {
            for start in 0..=17 {
                let mut fast = bytes[start..start + length].to_vec();
                let mut naive = fast.clone();
                unmask(&mut fast, mask);
                unmask_naively(&mut naive, mask);
                assert_eq!(fast, naive, "length {length}, start {start}");
            }
        }
    }

    #[test]
    fn in_parts_is_the_same_as_whole() {
        let mask = [1, 2, 4, 8];
        let mut whole: Vec<u8> = (0..200).collect();
        let mut parts = whole.clone();
        unmask(&mut whole, mask);
        for cut in 0..=parts.len() {
            let (front, back) = parts.split_at_mut(cut);
            let mut rotated = mask;
            rotated.rotate_left(cut % 4);
            unmask(front, mask);
            unmask(back, rotated);
            assert_eq!(parts, whole, "cut at {cut}");
            unmask(&mut parts, mask);
        }
    }

    #[test]
    fn rfc_example() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        unmask(&mut payload, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(&payload, b"Hello");
    }
}
