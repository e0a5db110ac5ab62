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
pub(super) struct Given<'a> {
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
pub(super) struct Hexed {
    event_id: Digits<32>,
    payload_hash: Digits<64>,
}

impl<'a> Written<'a> {
    pub fn generation(&self) -> u32 {
        self.replaces.as_ref().map_or(0, |old| old.generation.saturating_add(1))
    }

    pub(super) fn hexed(&self) -> Hexed {
        Hexed { event_id: self.row.event_id.to_hex(), payload_hash: self.row.payload_hash.to_hex() }
    }

    pub(super) fn given(&self, hexed: &'a Hexed) -> Given<'a> {
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
/// come before, as it came in between, and rows that are not there: their token is remembered of rows that somebody
/// has deleted since.
pub fn settle<'a>(
    written: Vec<Written<'a>>,
    mut stand: Stand,
    answers: &mut Answers,
) -> Vec<&'a Outcome> {
    let mut again = Vec::new();
    for Written { row, replaces } in written {
        let answer = match stand.remove(&row.transaction_id).map(|standing| standing.row) {
            Some(standing) if standing == *row => {
                replaces.map_or(Stored::New, |old| Stored::Replaced(Box::new(old.row)))
            }
            Some(standing) if !row.supersedes(&standing) => Stored::Kept(Box::new(standing)),
            _ => {
                again.push(row);
                continue;
            }
        };
        answers.insert(row.transaction_id.clone(), answer);
    }
    again
}

/// Names what is written: the same members, with the same word on each and over the same rows, have the same token,
/// today and after a crash, though they are stored at another time then. More or other ones have another, and so has
/// another round of bringing in what was seen to be missing.
pub fn token(batch: &str, written: &[Written<'_>], round: u8) -> String {
    let mut hash = Sha256::new_with_prefix("tollbridge batch 1\0");
    hash.update(batch);
    hash.update([0, round]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Offset, Partition, Place};
    use crate::domain::money::{Amount, Currency};
    use crate::domain::outcome::{EventId, Fate, NOT_CHARGED};
    use crate::domain::time::Wall;
    use crate::domain::transaction::PayloadHash;

    fn outcome(fate: Fate, offset: i64) -> Outcome {
        let source = Place { topic: "t".into(), partition: Partition(0), offset: Offset(offset) };
        let payload_hash = PayloadHash::of_bytes(None);
        Outcome {
            event_id: EventId::of(&source, &payload_hash),
            fate,
            transaction_id: TransactionId::parse("a").unwrap(),
            account_id: "b".into(),
            amount: Amount::new(1).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            gateway_id: None,
            code: None,
            attempts: 1,
            source,
            payload_hash,
            created_at: Wall(0),
            admitted_at: Wall(0),
            decided_at: None,
            stored_at: Some(Wall(offset)),
        }
    }

    fn stand(row: &Outcome) -> Stand {
        let standing = Standing { row: row.clone(), generation: 3 };
        [(row.transaction_id.clone(), standing)].into()
    }

    /// What becomes of `row`, which met `before` and finds `after` behind its insert; `None`: it is brought in again.
    fn becomes(row: &Outcome, before: Option<&Outcome>, after: Option<&Outcome>) -> Option<Stored> {
        let mut answers = Answers::new();
        let written = meet(vec![row], before.map(stand).unwrap_or_default(), &mut answers);
        let again = settle(written, after.map(stand).unwrap_or_default(), &mut answers);
        assert_eq!(again.len() + answers.len(), 1);
        answers.into_values().next()
    }

    #[test]
    fn an_answer_is_what_stands_behind_the_insert() {
        let approved = outcome(Fate::Archived, 1);
        let other = outcome(Fate::Archived, 2);
        let declined = outcome(Fate::Declined, 3);
        let kept = |row: &Outcome| Some(Stored::Kept(Box::new(row.clone())));
        let replaced = Some(Stored::Replaced(Box::new(declined.clone())));
        assert_eq!(becomes(&approved, None, Some(&approved)), Some(Stored::New));
        assert_eq!(becomes(&approved, Some(&declined), Some(&approved)), replaced);
        // Written by none: it met what stays.
        assert_eq!(becomes(&declined, Some(&approved), None), kept(&approved));
        // Another came in between, and stays; or does not.
        assert_eq!(becomes(&approved, None, Some(&other)), kept(&other));
        assert_eq!(becomes(&declined, None, Some(&approved)), kept(&approved));
        assert_eq!(becomes(&approved, None, Some(&declined)), None);
        let open = Outcome { code: Some(NOT_CHARGED.into()), ..outcome(Fate::InDoubt, 4) };
        assert_eq!(becomes(&declined, None, Some(&open)), None);
        // Nothing is there.
        assert_eq!(becomes(&approved, None, None), None);
    }

    #[test]
    fn the_token_follows_from_what_is_written_and_not_from_when() {
        let row = outcome(Fate::Archived, 1);
        let later = Outcome { stored_at: None, ..row.clone() };
        let written = |row, replaces: Option<&Outcome>| Written {
            row,
            replaces: replaces.map(|old| Box::new(Standing { row: old.clone(), generation: 0 })),
        };
        let of = |row, replaces| token("b", &[written(row, replaces)], 0);
        let first = of(&row, None);
        assert_eq!(of(&later, None), first);
        let declined = Outcome { fate: Fate::Declined, ..row.clone() };
        let coded = Outcome { code: Some("x".into()), ..row.clone() };
        let elsewhere = outcome(Fate::Archived, 2);
        let others = [
            of(&declined, None),
            of(&coded, None),
            of(&elsewhere, None),
            of(&row, Some(&declined)),
            token("c", &[written(&row, None)], 0),
            token("b", &[written(&row, None)], 1),
            token("b", &[written(&row, None), written(&elsewhere, None)], 0),
        ];
        assert!(others.iter().all(|other| *other != first), "{first} {others:?}");
    }
}
