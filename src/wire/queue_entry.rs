//! What Redis holds for a transaction: everything that is needed to go on with it, and to store it, without
//! reading its record again. The offset is not in here; the queue keeps it beside the body.
//!
//! Version 1; numbers as in [`varint`], texts and lists behind their length:
//!
//! ```text
//! version 1  state 1  epoch  attempts  recipe 4 (big-endian)  admitted_at (signed)  payload hash 32
//! id  account_id  amount  currency 3  payment_method  created_at (signed)
//! description: 0, or 1 and the text    metadata: count, then name, value in the order of names
//! waiting (0):  nothing
//! approved (1): gateway_id  decided_at (signed)
//! declined (2): code (0, or 1 and the text)  gateway_id (likewise)  decided_at (signed)
//! in doubt (3): code  decided_at (signed)
//! ```
//!
//! The payload hash is over the transaction's fields, so reading it back also proves that they are the ones that
//! were admitted.

use std::sync::Arc;

use bytes::Bytes;

use super::varint;
use crate::domain::id::{Epoch, RecipeHash, TransactionId};
use crate::domain::labels::Labels;
use crate::domain::money::{Amount, Currency};
use crate::domain::time::Wall;
use crate::domain::transaction::{PayloadHash, Transaction};

const VERSION: u8 = 1;
/// The shortest metadata entry: two empty texts.
const METADATA_ENTRY_BYTES_MIN: usize = 2;

/// The body of an entry of the temp or the archive queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    pub transaction: Arc<Transaction>,
    pub payload_hash: PayloadHash,
    pub admitted_at: Wall,
    /// Under which body recipe it may have been attempted.
    pub recipe: RecipeHash,
    /// The owner that wrote this body.
    pub epoch: Epoch,
    /// Requests that may have left.
    pub attempts: u32,
    pub state: EntryState,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// For the gateway's word.
    Waiting,
    Approved {
        gateway_id: String,
        decided_at: Wall,
    },
    Declined {
        code: Option<String>,
        gateway_id: Option<String>,
        decided_at: Wall,
    },
    InDoubt {
        code: String,
        decided_at: Wall,
    },
}

/// Why a body can't be read. It says nothing of the content, which is not for logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    #[error("the queue entry has version {0}, this program reads 1: a newer Tollbridge wrote it")]
    Version(u8),
    #[error("the queue entry is malformed: {0}")]
    Malformed(&'static str),
    #[error("the queue entry is not the transaction that was admitted: its payload hash differs")]
    Hash,
}

impl QueueEntry {
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let tx = &self.transaction;
        let mut out = Vec::with_capacity(384);
        out.extend_from_slice(&[VERSION, self.state.tag()]);
        varint::put(&mut out, self.epoch.0);
        varint::put(&mut out, self.attempts.into());
        out.extend_from_slice(&self.recipe.0.to_be_bytes());
        varint::put_signed(&mut out, self.admitted_at.0);
        out.extend_from_slice(&self.payload_hash.0);
        put_text(&mut out, tx.id.as_str());
        put_text(&mut out, &tx.account_id);
        varint::put(&mut out, tx.amount.minor_units().unsigned_abs());
        out.extend_from_slice(tx.currency.as_str().as_bytes());
        put_text(&mut out, &tx.payment_method);
        varint::put_signed(&mut out, tx.created_at.0);
        put_optional(&mut out, tx.description.as_deref());
        varint::put(&mut out, tx.metadata.len() as u64);
        for (name, value) in &tx.metadata {
            put_text(&mut out, name);
            put_text(&mut out, value);
        }
        self.state.put(&mut out);
        out.into()
    }

    /// Reads what [`Self::encode`] wrote. Any bytes are safe to give; none may be left over.
    pub fn decode(body: &[u8]) -> Result<Self, BadEntry> {
        let mut rest = match body.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((version, _)) => return Err(BadEntry::Version(*version)),
            None => return Err(BadEntry::Malformed("it is empty")),
        };
        let entry = take_entry(&mut rest).map_err(BadEntry::Malformed)?;
        if !rest.is_empty() {
            return Err(BadEntry::Malformed("bytes are left over"));
        }
        if PayloadHash::of(&entry.transaction) != entry.payload_hash {
            return Err(BadEntry::Hash);
        }
        Ok(entry)
    }
}

impl EntryState {
    fn tag(&self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Approved { .. } => 1,
            Self::Declined { .. } => 2,
            Self::InDoubt { .. } => 3,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Waiting => {}
            Self::Approved { gateway_id, decided_at } => {
                put_text(out, gateway_id);
                varint::put_signed(out, decided_at.0);
            }
            Self::Declined { code, gateway_id, decided_at } => {
                put_optional(out, code.as_deref());
                put_optional(out, gateway_id.as_deref());
                varint::put_signed(out, decided_at.0);
            }
            Self::InDoubt { code, decided_at } => {
                put_text(out, code);
                varint::put_signed(out, decided_at.0);
            }
        }
    }

    fn take(tag: u8, rest: &mut &[u8]) -> Result<Self, &'static str> {
        Ok(match tag {
            0 => Self::Waiting,
            1 => {
                let gateway_id = take_text(rest).ok_or("gateway_id")?;
                Self::Approved { gateway_id, decided_at: take_wall(rest).ok_or("decided_at")? }
            }
            2 => {
                let code = take_optional(rest).ok_or("code")?;
                let gateway_id = take_optional(rest).ok_or("gateway_id")?;
                let decided_at = take_wall(rest).ok_or("decided_at")?;
                Self::Declined { code, gateway_id, decided_at }
            }
            3 => {
                let code = take_text(rest).ok_or("code")?;
                Self::InDoubt { code, decided_at: take_wall(rest).ok_or("decided_at")? }
            }
            _ => return Err("state"),
        })
    }
}

fn take_entry(rest: &mut &[u8]) -> Result<QueueEntry, &'static str> {
    let [tag] = varint::take_array(rest).ok_or("state")?;
    let epoch = Epoch(varint::take(rest).ok_or("epoch")?);
    let attempts = varint::take(rest).and_then(|n| u32::try_from(n).ok()).ok_or("attempts")?;
    let recipe = RecipeHash(u32::from_be_bytes(varint::take_array(rest).ok_or("recipe")?));
    let admitted_at = take_wall(rest).ok_or("admitted_at")?;
    let payload_hash = PayloadHash(varint::take_array(rest).ok_or("payload hash")?);
    let transaction = Arc::new(take_transaction(rest)?);
    let state = EntryState::take(tag, rest)?;
    Ok(QueueEntry { transaction, payload_hash, admitted_at, recipe, epoch, attempts, state })
}

fn take_transaction(rest: &mut &[u8]) -> Result<Transaction, &'static str> {
    let id = take_text(rest).and_then(|id| TransactionId::parse(&id).ok()).ok_or("id")?;
    let account_id = take_text(rest).ok_or("account_id")?;
    let amount = varint::take(rest).and_then(|units| i64::try_from(units).ok());
    let amount = amount.and_then(|units| Amount::new(units).ok()).ok_or("amount")?;
    let currency: [u8; 3] = varint::take_array(rest).ok_or("currency")?;
    let currency = std::str::from_utf8(&currency).ok().and_then(Currency::parse);
    let currency = currency.ok_or("currency")?;
    let payment_method = take_text(rest).ok_or("payment method")?;
    let created_at = take_wall(rest).ok_or("created_at")?;
    let description = take_optional(rest).ok_or("description")?;
    let metadata = take_metadata(rest).ok_or("metadata")?;
    Ok(Transaction {
        id,
        account_id,
        amount,
        currency,
        payment_method,
        created_at,
        description,
        metadata,
    })
}

fn take_metadata(rest: &mut &[u8]) -> Option<Labels> {
    let count = usize::try_from(varint::take(rest)?).ok()?;
    if count > rest.len() / METADATA_ENTRY_BYTES_MIN {
        return None;
    }
    let mut metadata: Vec<(String, String)> = Vec::new();
    for _ in 0..count {
        let name = take_text(rest)?;
        if metadata.last().is_some_and(|(last, _)| *last >= name) {
            return None;
        }
        metadata.push((name, take_text(rest)?));
    }
    Some(metadata.into_iter().collect())
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Claims no more memory than there are bytes: a text is copied only where all of it is there.
fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(varint::take(rest)?).ok()?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    out.push(text.is_some().into());
    if let Some(text) = text {
        put_text(out, text);
    }
}

fn take_optional(rest: &mut &[u8]) -> Option<Option<String>> {
    match varint::take_array(rest)? {
        [0] => Some(None),
        [1] => take_text(rest).map(Some),
        _ => None,
    }
}

fn take_wall(rest: &mut &[u8]) -> Option<Wall> {
    varint::take_signed(rest).map(Wall)
}

#[cfg(test)]
mod tests;
