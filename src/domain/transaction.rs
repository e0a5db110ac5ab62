//! What a producer asked to be paid.

use std::fmt;

use sha2::{Digest, Sha256};

use super::hex::{Digits, unhex};
use super::id::TransactionId;
use super::labels::Labels;
use super::money::{Amount, Currency};
use super::time::Wall;

/// A transaction that passed every rule of the wire. Built by `wire::transaction`, which checks them.
#[derive(Clone, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    /// 1–128 characters.
    pub account_id: String,
    pub amount: Amount,
    pub currency: Currency,
    /// The gateway's token, 1–128 characters; never a card number. Not logged.
    pub payment_method: String,
    pub created_at: Wall,
    /// At most 512 characters.
    pub description: Option<String>,
    /// At most 32 entries, names of at most 64 and values of at most 512 characters. Sorted, so that bodies are
    /// the same bytes on every attempt.
    pub metadata: Labels,
}

impl fmt::Debug for Transaction {
    /// Leaves out what must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.id)
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .finish_non_exhaustive()
    }
}

/// SHA-256 over a transaction's fields (so that the same transaction in another encoding has the same hash), or
/// over the record's value where it could not be read as a transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadHash(pub [u8; 32]);

impl PayloadHash {
    /// Fields in the order of the schema. Texts as a little-endian `u32` length and UTF-8; numbers as
    /// little-endian `i64`; the optional description as a byte 0, or 1 and the text; the metadata as a `u32`
    /// count and name, value in the order of names.
    #[must_use]
    pub fn of(tx: &Transaction) -> Self {
        let mut hash = Sha256::new();
        text(&mut hash, tx.id.as_str());
        text(&mut hash, &tx.account_id);
        hash.update(tx.amount.minor_units().to_le_bytes());
        text(&mut hash, tx.currency.as_str());
        text(&mut hash, &tx.payment_method);
        hash.update(tx.created_at.0.to_le_bytes());
        match &tx.description {
            None => hash.update([0]),
            Some(description) => {
                hash.update([1]);
                text(&mut hash, description);
            }
        }
        hash.update(length(tx.metadata.len()));
        for (name, value) in &tx.metadata {
            text(&mut hash, name);
            text(&mut hash, value);
        }
        Self(hash.finalize().into())
    }

    /// Of a record's value that could not be read; a tombstone counts as no bytes.
    #[must_use]
    pub fn of_bytes(value: Option<&[u8]>) -> Self {
        Self(Sha256::digest(value.unwrap_or_default()).into())
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Digits<64> {
        Digits::of(&self.0)
    }

    /// The inverse of [`Self::to_hex`].
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update(length(text.len()));
    hash.update(text.as_bytes());
}

fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex()[..12])
    }
}
