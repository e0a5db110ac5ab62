//! Outcomes as columns, what becomes of a row where another stands, and the token of what is written.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::hex::{Digits, hex};
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{StoreError, Stored};
use crate::wire::row::{self, BadRow};

/// A row as it is read: the columns of `transactions` that are written.
#[derive(Debug, Row, Deserialize)]
pub struct Found {
    event_id: String,
    fate: String,
    transaction_id: String,
    account_id: String,
    amount: i64,
    currency: String,
    gateway_id: Option<String>,
    code: Option<String>,
    attempts: u32,
    source_topic: String,
    source_partition: i32,
    source_offset: i64,
    payload_hash: String,
    created_at: i64,
    admitted_at: i64,
    decided_at: Option<i64>,
    stored_at: Option<i64>,
    generation: u32,
}

/// The row of an id that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub row: Outcome,
    pub generation: u32,
}

impl TryFrom<Found> for Standing {
    type Error = StoreError;

    fn try_from(found: Found) -> Result<Self, StoreError> {
        let generation = found.generation;
        let columns = row::Row {
            event_id: found.event_id,
            fate: found.fate,
            transaction_id: found.transaction_id,
            account_id: found.account_id,
            amount: found.amount,
            currency: found.currency,
            gateway_id: found.gateway_id,
            code: found.code,
            attempts: found.attempts.into(),
            source_topic: found.source_topic,
            source_partition: found.source_partition,
            source_offset: found.source_offset,
            payload_hash: found.payload_hash,
            created_at: found.created_at,
            admitted_at: found.admitted_at,
            decided_at: found.decided_at,
            stored_at: found.stored_at,
        };
        let row = columns.try_into();
        let row = row.map_err(|error: BadRow| StoreError::Permanent(error.to_string()))?;
        Ok(Self { row, generation })
    }
}

/// A row as it is written.
#[derive(Debug, Row, Serialize)]
pub struct Given<'a> {
    event_id: &'a str,
    fate: &'static str,
    transaction_id: &'a str,
    account_id: &'a str,
    amount: i64,
    currency: &'a str,
    gateway_id: Option<&'a str>,
    code: Option<&'a str>,
    attempts: u32,
    source_topic: &'a str,
    source_partition: i32,
    source_offset: i64,
    payload_hash: &'a str,
    created_at: i64,
    admitted_at: i64,
    decided_at: Option<i64>,
    stored_at: Option<i64>,
    generation: u32,
}

/// A row that is to be written, and what it is to replace.
#[derive(Debug)]
pub struct Written<'a> {
    pub row: &'a Outcome,
    pub replaces: Option<Box<Standing>>,
}

/// The digits of a row, which [`Given`] borrows.
pub struct Hexed {
    event_id: Digits<32>,
    payload_hash: Digits<64>,
}

impl<'a> Written<'a> {
    pub fn generation(&self) -> u32 {
        self.replaces.as_ref().map_or(0, |old| old.generation.saturating_add(1))
    }

    pub fn hexed(&self) -> Hexed {
        Hexed { event_id: self.row.event_id.to_hex(), payload_hash: self.row.payload_hash.to_hex() }
    }

    pub fn given(&self, hexed: &'a Hexed) -> Given<'a> {
        let row = self.row;
        Given {
            event_id: &hexed.event_id,
            fate: row.fate.as_str(),
            transaction_id: row.transaction_id.as_str(),
            account_id: &row.account_id,
            amount: row.amount.minor_units(),
            currency: row.currency.as_str(),
            gateway_id: row.gateway_id.as_deref(),
            code: row.code.as_deref(),
            attempts: row.attempts,
            source_topic: &row.source.topic,
            source_partition: row.source.partition.0,
            source_offset: row.source.offset.0,
            payload_hash: &hexed.payload_hash,
            created_at: row.created_at.0,
            admitted_at: row.admitted_at.0,
            decided_at: row.decided_at.map(|at| at.0),
            stored_at: row.stored_at.map(|at| at.0),
            generation: self.generation(),
        }
    }
}

/// What stands, by id.
pub type Stand = BTreeMap<TransactionId, Standing>;
/// What became of a row, by id.
pub type Answers = BTreeMap<TransactionId, Stored>;

/// Which of these rows are to be written, given those that stand; the others are answered.
pub fn meet<'a>(
    rows: Vec<&'a Outcome>,
    mut stand: Stand,
    answers: &mut Answers,
) -> Vec<Written<'a>> {
    let mut write = Vec::with_capacity(rows.len());
    for row in rows {
        match stand.remove(&row.transaction_id) {
            Some(old) if !row.supersedes(&old.row) => {
                answers.insert(row.transaction_id.clone(), Stored::Kept(Box::new(old.row)));
            }
            old => write.push(Written { row, replaces: old.map(Box::new) }),
        }
    }
    write
}

/// What became of rows that were written, given those that stand now. Left are rows that lost against one that they
/// come before: it came in between.
pub fn settle<'a>(
    written: Vec<Written<'a>>,
    mut stand: Stand,
    answers: &mut Answers,
) -> Result<Vec<&'a Outcome>, StoreError> {
    let mut again = Vec::new();
    for Written { row, replaces } in written {
        let id = &row.transaction_id;
        let Some(Standing { row: standing, .. }) = stand.remove(id) else {
            let text = format!("ClickHouse: the row of {id} is not there although it was stored");
            return Err(StoreError::Unknown(text));
        };
        if standing == *row {
            let stored = replaces.map_or(Stored::New, |old| Stored::Replaced(Box::new(old.row)));
            answers.insert(id.clone(), stored);
        } else if row.supersedes(&standing) {
            again.push(row);
        } else {
            answers.insert(id.clone(), Stored::Kept(Box::new(standing)));
        }
    }
    Ok(again)
}

/// Names what is written: the same members, with the same word on each and over the same rows, have the same token,
/// today and after a crash, though they are stored at another time then. More or other ones have another.
pub fn token(batch: &str, written: &[Written<'_>]) -> String {
    let mut hash = Sha256::new_with_prefix("tollbridge batch 1\0");
    hash.update(batch);
    for written in written {
        let row = written.row;
        hash.update(row.event_id.0);
        hash.update(written.generation().to_be_bytes());
        for text in [Some(row.fate.as_str()), row.code.as_deref(), row.gateway_id.as_deref()] {
            // No text holds a NUL, so each ends where it seems to.
            hash.update(text.map_or("", |_| "+"));
            hash.update(text.unwrap_or_default());
            hash.update("\0");
        }
    }
    hex(&hash.finalize()[..16])
}
