//! Numbers of variable length: LEB128, seven bits a byte, the lowest first; signed ones in zigzag. A longer form
//! than needed is refused, so that equal values are equal bytes.

/// The most bytes that a number takes.
pub const BYTES_MAX: usize = 10;

/// Appends the number.
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// How many bytes [`put`] appends.
#[must_use]
pub fn length(number: u64) -> usize {
    match number {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        _ => (64 - number.leading_zeros() as usize).div_ceil(7),
    }
}

/// Takes a number from the front; `None` where it is cut off, too large or longer than needed.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(BYTES_MAX) {
        let low = u64::from(byte & 0x7F);
        if at == BYTES_MAX - 1 && low > 1 {
            return None;
        }
        number |= low << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = bytes.get(at + 1..)?;
            return (at == 0 || low != 0).then_some(number);
        }
    }
    None
}

/// Appends a signed number.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, (number << 1 ^ number >> 63).cast_unsigned());
}

/// The inverse of [`put_signed`].
pub fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let zigzag = take(bytes)?;
    Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

/// Takes so many bytes from the front.
pub fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_numbers() {
        for (number, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (300, &[0xAC, 2])]
        {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out, bytes);
        }
        for bad in [&[][..], &[0x80], &[0x80, 0], &[0xFF; 10], &[0xFF; 11]] {
            assert_eq!(take(&mut &*bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number in any::<u64>(), shift in 0..64_u32) {
            let (number, mut out) = (number >> shift, Vec::new());
            put(&mut out, number);
            prop_assert_eq!(out.len(), length(number));
            put_signed(&mut out, number.cast_signed());
            let mut rest = &out[..];
            prop_assert_eq!(take(&mut rest), Some(number));
            prop_assert_eq!(take_signed(&mut rest), Some(number.cast_signed()));
            prop_assert!(rest.is_empty());
        }
    }
}
