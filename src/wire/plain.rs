//! Texts in which no character needs to be looked at by itself. Nearly every text from outside is one.

/// Whether it is printable ASCII alone: as many characters as bytes, and none of control.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    // To look at all bytes is quicker than to stop at the first that is not.
    text.bytes().fold(true, |plain, byte| plain & (0x20..0x7F).contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_has_a_byte_a_character_and_no_control(text in ".{0,24}|[ -~]{0,24}") {
            let has_control = text.chars().any(char::is_control);
            prop_assert_eq!(is_plain(&text), text.is_ascii() && !has_control);
        }
    }
}
