//! The plain encoding of Kafka's protocol: big-endian numbers, texts and lists with their lengths.
//! Deliberately without the compact encoding of newer versions, which the rig does not need.

use crate::error::{Error, Result};

#[derive(Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn int16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn int32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn count(&mut self, count: usize) {
        self.int32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    pub(super) fn int64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.int16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

pub(super) struct Decoder {
    bytes: Vec<u8>,
    read: usize,
}

impl Decoder {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, read: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&[u8]> {
        let from = self.read;
        self.read = from + count;
        self.bytes
            .get(from..self.read)
            .ok_or_else(|| Error::new(format!("the broker's answer ends before byte {count}")))
    }

    pub(super) fn int16(&mut self) -> Result<i16> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn int32(&mut self) -> Result<i32> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn int64(&mut self) -> Result<i64> {
        let (high, low) = (self.int32()?, self.int32()?);
        Ok((i64::from(high) << 32) | i64::from(low.cast_unsigned()))
    }

    /// A byte field of its own encoding, to be read by itself; empty for a missing one.
    pub(super) fn nested(&mut self) -> Result<Self> {
        let length = usize::try_from(self.int32()?).unwrap_or(0);
        Ok(Self::new(self.take(length)?.to_vec()))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.read >= self.bytes.len()
    }

    pub(super) fn text(&mut self) -> Result<Option<String>> {
        let Ok(length) = usize::try_from(self.int16()?) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }

    /// Passes a list over, and gives how many it has.
    pub(super) fn skip_int32s(&mut self) -> Result<usize> {
        let count = self.int32()?;
        for _ in 0..count {
            self.int32()?;
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }
}
