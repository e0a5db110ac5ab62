//! The row of a store, as plain columns, and back. What a store's driver binds and reads; no SQL. An event about the
//! row has the same fields (`outcome`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::money::{Amount, Currency};
use crate::domain::outcome::{EventId, Fate, Outcome};
use crate::domain::time::Wall;
use crate::domain::transaction::PayloadHash;

/// The columns of `transactions`, in the table's order. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// As the record in the events' schema is named.
#[serde(rename = "Outcome")]
pub struct Row<Text = String> {
    pub event_id: Text,
    pub fate: Text,
    pub transaction_id: Text,
    pub account_id: Text,
    pub amount: i64,
    pub currency: Text,
    pub gateway_id: Option<Text>,
    pub code: Option<Text>,
    pub attempts: i64,
    pub source_topic: Text,
    pub source_partition: i32,
    pub source_offset: i64,
    pub payload_hash: Text,
    pub created_at: i64,
    pub admitted_at: i64,
    pub decided_at: Option<i64>,
    pub stored_at: Option<i64>,
}

/// A column that holds what no outcome can: someone else wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the row of {transaction_id:?} has {value:?} in column {column}, which Tollbridge never writes"
)]
pub struct BadRow {
    pub transaction_id: String,
    pub column: &'static str,
    pub value: String,
}

/// An outcome that no store takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    #[error("{id}: fate {fate} leaves no row, only archived, declined and in_doubt do")]
    Fate { id: TransactionId, fate: Fate },
    #[error("{id}: {column} holds a NUL character, which not every store can keep")]
    Nul { id: TransactionId, column: &'static str },
    #[error("{0} stands in the batch twice")]
    Twice(TransactionId),
}

/// Whether every store can keep this batch: each of its rows, and no id twice.
pub fn check_batch(rows: &[Arc<Outcome>]) -> Result<(), Unstorable> {
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        check(row)?;
        ids.push(&row.transaction_id);
    }
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(Unstorable::Twice(twice[0].clone())),
        None => Ok(()),
    }
}

fn check(outcome: &Outcome) -> Result<(), Unstorable> {
    let id = || outcome.transaction_id.clone();
    if matches!(outcome.fate, Fate::Duplicate | Fate::Rejected) {
        return Err(Unstorable::Fate { id: id(), fate: outcome.fate });
    }
    let texts = [
        ("account_id", Some(outcome.account_id.as_str())),
        ("gateway_id", outcome.gateway_id.as_deref()),
        ("code", outcome.code.as_deref()),
        ("source_topic", Some(&*outcome.source.topic)),
    ];
    match texts.iter().find(|(_, text)| text.is_some_and(|text| text.contains('\0'))) {
        Some((column, _)) => Err(Unstorable::Nul { id: id(), column }),
        None => Ok(()),
    }
}

impl TryFrom<Row> for Outcome {
    type Error = BadRow;

    fn try_from(row: Row) -> Result<Self, BadRow> {
        let id = row.transaction_id;
        let bad = |column, value: &dyn ToString| BadRow {
            transaction_id: id.clone(),
            column,
            value: value.to_string(),
        };
        Ok(Self {
            event_id: EventId::from_hex(&row.event_id)
                .ok_or_else(|| bad("event_id", &row.event_id))?,
            fate: Fate::parse(&row.fate).ok_or_else(|| bad("fate", &row.fate))?,
            transaction_id: TransactionId::parse(&id).map_err(|_| bad("transaction_id", &id))?,
            amount: Amount::new(row.amount).map_err(|_| bad("amount", &row.amount))?,
            currency: Currency::parse(&row.currency)
                .ok_or_else(|| bad("currency", &row.currency))?,
            attempts: u32::try_from(row.attempts).map_err(|_| bad("attempts", &row.attempts))?,
            payload_hash: PayloadHash::from_hex(&row.payload_hash)
                .ok_or_else(|| bad("payload_hash", &row.payload_hash))?,
            account_id: row.account_id,
            gateway_id: row.gateway_id,
            code: row.code,
            source: Place {
                topic: Arc::from(row.source_topic),
                partition: Partition(row.source_partition),
                offset: Offset(row.source_offset),
            },
            created_at: Wall(row.created_at),
            admitted_at: Wall(row.admitted_at),
            decided_at: row.decided_at.map(Wall),
            stored_at: row.stored_at.map(Wall),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            event_id: "00112233445566778899aabbccddeeff".into(),
            fate: "archived".into(),
            transaction_id: "t-1".into(),
            account_id: "a".into(),
            amount: 100,
            currency: "EUR".into(),
            gateway_id: Some("ch_1".into()),
            code: None,
            attempts: 1,
            source_topic: "transactions".into(),
            source_partition: 3,
            source_offset: 7,
            payload_hash: "ab".repeat(32),
            created_at: 1,
            admitted_at: 2,
            decided_at: Some(3),
            stored_at: None,
        }
    }

    #[test]
    fn a_column_that_we_never_write_is_named() {
        assert!(Outcome::try_from(row()).is_ok());
        let spoil: [(_, fn(&mut Row)); 7] = [
            ("event_id", |row| row.event_id = "00".into()),
            ("fate", |row| row.fate = "lost".into()),
            ("transaction_id", |row| row.transaction_id = "-".into()),
            ("amount", |row| row.amount = 0),
            ("currency", |row| row.currency = "eur".into()),
            ("attempts", |row| row.attempts = -1),
            ("payload_hash", |row| row.payload_hash = "AB".repeat(32)),
        ];
        for (column, spoil) in spoil {
            let mut row = row();
            spoil(&mut row);
            assert_eq!(Outcome::try_from(row).unwrap_err().column, column);
        }
    }

    #[test]
    fn what_no_store_keeps_is_refused() {
        let good = Outcome::try_from(row()).unwrap();
        let two = [Arc::new(good.clone()), Arc::new(good.clone())];
        assert_eq!(check_batch(&two[..1]), Ok(()));
        assert_eq!(check_batch(&two), Err(Unstorable::Twice(good.transaction_id.clone())));
        for fate in [Fate::Duplicate, Fate::Rejected] {
            let bad = Outcome { fate, ..good.clone() };
            assert!(matches!(check(&bad), Err(Unstorable::Fate { .. })));
        }
        let column = |bad: &Outcome| match check(bad) {
            Err(Unstorable::Nul { column, .. }) => column,
            other => panic!("{other:?}"),
        };
        let nul = Some("x\0".to_owned());
        assert_eq!(column(&Outcome { account_id: "\0".into(), ..good.clone() }), "account_id");
        assert_eq!(column(&Outcome { gateway_id: nul.clone(), ..good.clone() }), "gateway_id");
        assert_eq!(column(&Outcome { code: nul, ..good }), "code");
    }
}
