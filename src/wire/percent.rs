//! Percent-encoding: everything but letters, digits and `- _ . ~`, so that a text can't leave its place in a URL or in
//! a form.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Writes `text` behind what `out` holds.
pub fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)].into());
            out.push(HEX[usize::from(byte & 15)].into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_leave_its_place() {
        let encoded = |text| {
            let mut out = String::new();
            encode(&mut out, text);
            out
        };
        assert_eq!(encoded("tx_1.2-3"), "tx_1.2-3");
        assert_eq!(encoded("a:b"), "a%3Ab");
        assert_eq!(encoded("../é?#% &=+"), "..%2F%C3%A9%3F%23%25%20%26%3D%2B");
    }
}
