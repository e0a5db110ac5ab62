//! Names of things, each with a type of its own so that an offset can't stand where a partition belongs.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The business key and the idempotency key: `[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Arc<str>);

/// The longest transaction id, in characters.
pub const TRANSACTION_ID_CHARS_MAX: usize = 64;

/// Why a text is no transaction id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("the id is empty")]
    Empty,
    #[error("the id has {0} characters, more than 64")]
    TooLong(usize),
    #[error("character {0} of the id is not allowed (first: A-Z a-z 0-9; then also _ . : -)")]
    BadCharacter(usize),
}

impl TransactionId {
    pub fn parse(text: &str) -> Result<Self, BadId> {
        if text.is_empty() {
            return Err(BadId::Empty);
        }
        if text.len() > TRANSACTION_ID_CHARS_MAX {
            return Err(BadId::TooLong(text.chars().count()));
        }
        let bad = text.bytes().enumerate().position(|(i, b)| {
            !(b.is_ascii_alphanumeric() || (i > 0 && matches!(b, b'_' | b'.' | b':' | b'-')))
        });
        match bad {
            Some(at) => Err(BadId::BadCharacter(at + 1)),
            None => Ok(Self(text.into())),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A partition of the `transactions` topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

/// An offset within a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Counts the owners that a partition has had. Every Redis script compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Of the owner after this one; `None` where none can be counted. Such a number was not counted up to.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// Counts, within one process, the times that partitions were assigned to it; records and replies that carry an
/// older one belong to an assignment that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// Where a transaction stands on its source topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: Partition,
    pub offset: Offset,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition.0, self.offset.0)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a store, written once by `tollbridge migrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub [u8; 16]);

/// The hash of a body recipe: template and mapper version. What may have been attempted under another recipe is
/// never sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeHash(pub u32);

impl RecipeHash {
    /// Of more than one recipe, or of one that is no longer known: no recipe of anyone equals it.
    pub const MIXED: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_their_rule() {
        for good in ["a", "A-1", "tx_1.2:3-4", &"x".repeat(64)] {
            assert_eq!(TransactionId::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(TransactionId::parse(""), Err(BadId::Empty));
        assert_eq!(TransactionId::parse(&"x".repeat(65)), Err(BadId::TooLong(65)));
        for bad in ["-a", "_a", ".a", ":a", " a"] {
            assert_eq!(TransactionId::parse(bad), Err(BadId::BadCharacter(1)), "{bad}");
        }
        assert_eq!(TransactionId::parse("a\r\n"), Err(BadId::BadCharacter(2)));
        assert_eq!(TransactionId::parse("aé"), Err(BadId::BadCharacter(2)));
    }
}

/// Tells a topic from another of the same name, made after the first was deleted: a part of the hash of the id that
/// the brokers gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicHash(pub u32);

impl TopicHash {
    /// Of the id's 16 bytes.
    #[must_use]
    pub fn of(id: [u8; 16]) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(id));
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}
