//! Hexadecimal digits, lower case, two a byte: how ids and hashes are told.

use std::fmt;
use std::ops::Deref;

/// A text of `N` digits that needs no memory of its own: every transaction has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits<const N: usize>([u8; N]);

impl<const N: usize> Digits<N> {
    /// Of `N / 2` bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; N];
        write(&mut digits, bytes);
        Self(digits)
    }
}

impl<const N: usize> Deref for Digits<N> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Digits<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// The digits of any bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    write(&mut text, bytes);
    String::from_utf8(text).unwrap_or_default()
}

fn write(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The inverse of [`hex`] for a fixed length; `None` where the length or a digit is wrong.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Digits, hex, unhex};

    #[test]
    fn digits_and_bytes_are_each_others_inverse() {
        let bytes = [0x00, 0x7f, 0xa0, 0xff];
        assert_eq!(hex(&bytes), "007fa0ff");
        assert_eq!(&*Digits::<8>::of(&bytes), "007fa0ff");
        assert_eq!(unhex("007fa0ff"), Some(bytes));
        assert_eq!(
            (unhex::<4>("007FA0FF"), unhex::<4>("007fa0"), unhex::<1>("0g")),
            (None, None, None)
        );
    }
}
