//! What became of a transaction: its fate, and the outcome that is both the row and the event.

use std::fmt;

use sha2::{Digest, Sha256};

use super::hex::{Digits, unhex};
use super::id::{Place, TransactionId};
use super::money::{Amount, Currency};
use super::time::Wall;
use super::transaction::PayloadHash;

/// How a source offset ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// The gateway charged it and its row is stored.
    Archived,
    /// The gateway declined it; it was not charged.
    Declined,
    /// The same id stands at another place.
    Duplicate,
    /// Undecodable, invalid or expired; it never reached the gateway.
    Rejected,
    /// It may have been charged and can't be resolved safely; a person must look.
    InDoubt,
}

impl Fate {
    /// As on the wire and in the store: `archived`, `declined`, `duplicate`, `rejected`, `in_doubt`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Declined => "declined",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
            Self::InDoubt => "in_doubt",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Archived, Self::Declined, Self::Duplicate, Self::Rejected, Self::InDoubt]
            .into_iter()
            .find(|fate| fate.as_str() == text)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The code of an `in_doubt` row that was resolved: the gateway never charged it, and it may be charged again.
pub const NOT_CHARGED: &str = "not_charged";

/// The code of a doubt whose outcome is known and has a row that the store refuses.
pub const ROW_REFUSED: &str = "row_refused";

/// The code of a rejected transaction that nobody had asked for and that was too old to be charged.
pub const EXPIRED: &str = "expired";

/// The row in the store and the event on `tx-archived` or `tx-declined`: the same fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub event_id: EventId,
    pub fate: Fate,
    pub transaction_id: TransactionId,
    pub account_id: String,
    pub amount: Amount,
    pub currency: Currency,
    /// The gateway's own id of the charge.
    pub gateway_id: Option<String>,
    /// Why it was declined or is in doubt.
    pub code: Option<String>,
    /// Requests that this owner knows of; at least 1 where one may have left.
    pub attempts: u32,
    pub source: Place,
    pub payload_hash: PayloadHash,
    pub created_at: Wall,
    pub admitted_at: Wall,
    pub decided_at: Option<Wall>,
    pub stored_at: Option<Wall>,
}

impl Outcome {
    /// When its fate was decided; of what nobody decided, when it was taken in.
    #[must_use]
    pub fn fate_at(&self) -> Wall {
        self.decided_at.unwrap_or(self.admitted_at)
    }

    /// An `in_doubt` that a person or a lookup has since resolved as never charged.
    #[must_use]
    pub fn is_resolved_not_charged(&self) -> bool {
        self.fate == Fate::InDoubt && self.code.as_deref() == Some(NOT_CHARGED)
    }

    /// Whether this outcome takes the place of the row `stored` when both have the same id: an approval replaces
    /// anything that is not one, and an `in_doubt` resolved as not charged gives way to a new publication.
    #[must_use]
    pub fn supersedes(&self, stored: &Self) -> bool {
        let approval_over_less = self.fate == Fate::Archived && stored.fate != Fate::Archived;
        approval_over_less || (stored.is_resolved_not_charged() && stored.source != self.source)
    }
}

/// Identifies an event for ever: the same offset with the same payload always has the same one.
///
/// The first 16 bytes of SHA-256 over: the text `tollbridge-event-1`, a byte 0, the topic's name, a byte 0, the
/// partition as big-endian `i32`, the offset as big-endian `i64`, the 32 bytes of the payload hash and, for the
/// event of a resolution, the text `resolved`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    #[must_use]
    pub fn of(place: &Place, hash: &PayloadHash) -> Self {
        Self::derive(place, hash, b"")
    }

    /// The id of the event that resolves an `in_doubt`.
    #[must_use]
    pub fn of_resolution(place: &Place, hash: &PayloadHash) -> Self {
        Self::derive(place, hash, b"resolved")
    }

    fn derive(place: &Place, hash: &PayloadHash, suffix: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"tollbridge-event-1\0")
            .chain_update(place.topic.as_bytes())
            .chain_update([0])
            .chain_update(place.partition.0.to_be_bytes())
            .chain_update(place.offset.0.to_be_bytes())
            .chain_update(hash.0)
            .chain_update(suffix)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Digits<32> {
        Digits::of(&self.0)
    }

    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}
