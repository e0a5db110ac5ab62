//! Bytes as text of 15 bits a character, for a place whose limit counts characters: the metadata of a Kafka offset
//! commit. It is not compact in UTF-8 (three bytes a character) and not meant to be read.
//!
//! The bytes are a string of bits, the highest bit of each byte first. Each 15 bits, as a number `v`, are one
//! character:
//!
//! | v               | character             | block                             |
//! |-----------------|-----------------------|-----------------------------------|
//! | 0x0000 – 0x0FFF | U+3400 + v            | CJK unified ideographs, extension A |
//! | 0x1000 – 0x5FFF | U+4E00 + (v − 0x1000) | CJK unified ideographs            |
//! | 0x6000 – 0x7FFF | U+AC00 + (v − 0x6000) | Hangul syllables                  |
//!
//! What is left at the end is padded with zero bits: up to 7 bits become U+A000 + v (Yi syllables), more become one
//! of the characters above. So the padding is always shorter than a byte and the length needs no telling. All of
//! these are assigned, lie in the basic plane (one Java `char` each), and are left alone by Unicode normalisation.

const BITS: u32 = 15;
const TAIL_BITS: u32 = 7;
const TAIL_FIRST: u32 = 0xA000;

/// How many bytes fit in so many characters.
#[must_use]
pub fn bytes_in(chars: usize) -> usize {
    chars.saturating_mul(BITS as usize) / 8
}

/// The text of these bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(BITS as usize) * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        if bits >= BITS {
            bits -= BITS;
            text.push(character(held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    if bits > TAIL_BITS {
        text.push(character(held << (BITS - bits)));
    } else if bits > 0 {
        text.push(tail_character(held << (TAIL_BITS - bits)));
    }
    text
}

/// The bytes of this text.
///
/// # Errors
/// The position of the first character, counted from 0, that [`encode`] would not have written there.
pub fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(bytes_in(text.len() / 3));
    let (mut held, mut bits) = (0_u32, 0);
    let mut characters = text.chars().enumerate().peekable();
    while let Some((at, c)) = characters.next() {
        let last = characters.peek().is_none();
        let (value, width) = match number(c) {
            Some(value) => (value, BITS),
            None if last => (tail_number(c).ok_or(at)?, TAIL_BITS),
            None => return Err(at),
        };
        held = held << width | value;
        bits += width;
        while bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits).to_be_bytes()[3]);
            held &= (1 << bits) - 1;
        }
        // A last character is there for bits that begin in it: all of its bits can't be padding.
        if last && (held != 0 || bits >= width) {
            return Err(at);
        }
    }
    Ok(bytes)
}

fn character(value: u32) -> char {
    let point = match value {
        ..0x1000 => 0x3400 + value,
        0x1000..0x6000 => 0x4E00 + (value - 0x1000),
        _ => 0xAC00 + (value - 0x6000),
    };
    char::from_u32(point).unwrap_or('\u{3400}')
}

fn tail_character(value: u32) -> char {
    char::from_u32(TAIL_FIRST + value).unwrap_or('\u{A000}')
}

fn number(c: char) -> Option<u32> {
    match u32::from(c) {
        point @ 0x3400..0x4400 => Some(point - 0x3400),
        point @ 0x4E00..0x9E00 => Some(point - 0x4E00 + 0x1000),
        point @ 0xAC00..0xCC00 => Some(point - 0xAC00 + 0x6000),
        _ => None,
    }
}

fn tail_number(c: char) -> Option<u32> {
    u32::from(c).checked_sub(TAIL_FIRST).filter(|value| *value < 1 << TAIL_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mapping_is_the_documented_one() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(&[0, 0]), "\u{3400}\u{A000}");
        assert_eq!(encode(&[0xFF, 0xFF]), "\u{CBFF}\u{A040}");
        // 0x1FFF, then the bits 1 and 10101010 padded with six zeros: 0x6A80.
        assert_eq!(encode(&[0x3F, 0xFF, 0xAA]), "\u{5DFF}\u{B680}");
        assert_eq!(bytes_in(4096), 7680);
    }

    #[test]
    fn every_number_has_a_character_of_its_own() {
        for value in 0..1 << BITS {
            assert_eq!(number(character(value)), Some(value));
            assert_eq!(character(value).len_utf16(), 1);
        }
        for value in 0..1 << TAIL_BITS {
            assert_eq!(tail_number(tail_character(value)), Some(value));
            assert_eq!(number(tail_character(value)), None);
        }
    }

    #[test]
    fn other_text_is_refused_where_it_goes_wrong() {
        assert_eq!(decode("abc"), Err(0));
        assert_eq!(decode("\u{3400}a"), Err(1));
        assert_eq!(decode("\u{A000}\u{3400}"), Err(0), "a tail before the end");
        assert_eq!(decode("\u{3400}\u{A001}"), Err(1), "padding that is not zero");
        assert_eq!(decode("\u{A000}"), Err(0), "nothing but padding");
    }

    proptest! {
        #[test]
        fn text_carries_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.chars().count(), (bytes.len() * 8).div_ceil(15));
            prop_assert!(bytes.len() <= bytes_in(text.chars().count()));
            prop_assert_eq!(decode(&text), Ok(bytes));
        }

        #[test]
        fn what_decodes_is_what_encode_writes(
            text in "[\u{3400}-\u{3410}\u{4E00}\u{AC00}\u{A000}-\u{A07F}a]{0,12}",
        ) {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
