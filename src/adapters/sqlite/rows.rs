//! Outcomes as one JSON text out, one row at a time in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeTuple, Serializer};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{StoreError, Stored};
use crate::wire::row::{BadRow, Row};

use super::errors;

/// The rows that stand under these ids.
pub async fn standing(
    connection: &mut SqliteConnection,
    ids: &[&str],
) -> Result<Vec<Outcome>, StoreError> {
    let found = sqlx::query(include_str!("sql/ask.sql"))
        .bind(to_json(&ids)?)
        .fetch_all(connection)
        .await
        .map_err(|error| errors::under_way(&error))?;
    found.iter().map(outcome).collect()
}

/// What becomes of each row of a batch, given the rows that stand, and those to be written.
pub fn meet(batch: &[Arc<Outcome>], standing: Vec<Outcome>) -> (Vec<Stored>, Vec<Given<'_>>) {
    let mut standing: BTreeMap<TransactionId, Outcome> =
        standing.into_iter().map(|old| (old.transaction_id.clone(), old)).collect();
    let mut write = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for row in batch {
        let answer = match standing.remove(&row.transaction_id).map(Box::new) {
            None => Stored::New,
            Some(old) if row.supersedes(&old) => Stored::Replaced(old),
            Some(old) => Stored::Kept(old),
        };
        if !matches!(answer, Stored::Kept(_)) {
            write.push(Given(row));
        }
        answers.push(answer);
    }
    (answers, write)
}

/// A row as a JSON array, in the table's order.
#[derive(Debug)]
pub struct Given<'a>(&'a Outcome);

impl Serialize for Given<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        let mut columns = serializer.serialize_tuple(17)?;
        columns.serialize_element(&*row.event_id.to_hex())?;
        columns.serialize_element(row.fate.as_str())?;
        columns.serialize_element(row.transaction_id.as_str())?;
        columns.serialize_element(&row.account_id)?;
        columns.serialize_element(&row.amount.minor_units())?;
        columns.serialize_element(row.currency.as_str())?;
        columns.serialize_element(&row.gateway_id)?;
        columns.serialize_element(&row.code)?;
        columns.serialize_element(&row.attempts)?;
        columns.serialize_element(&*row.source.topic)?;
        columns.serialize_element(&row.source.partition.0)?;
        columns.serialize_element(&row.source.offset.0)?;
        columns.serialize_element(&*row.payload_hash.to_hex())?;
        columns.serialize_element(&row.created_at.0)?;
        columns.serialize_element(&row.admitted_at.0)?;
        columns.serialize_element(&row.decided_at.map(|at| at.0))?;
        columns.serialize_element(&row.stored_at.map(|at| at.0))?;
        columns.end()
    }
}

/// The argument of a statement that takes many values.
pub fn to_json(values: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(values)
        .map_err(|error| StoreError::Poison(format!("a value that JSON can't hold: {error}")))
}

/// Reads the first 17 columns, in the table's order.
pub fn outcome(row: &SqliteRow) -> Result<Outcome, StoreError> {
    let columns = columns(row).map_err(|error| errors::under_way(&error))?;
    columns.try_into().map_err(|error: BadRow| StoreError::Permanent(error.to_string()))
}

fn columns(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    Ok(Row {
        event_id: row.try_get(0)?,
        fate: row.try_get(1)?,
        transaction_id: row.try_get(2)?,
        account_id: row.try_get(3)?,
        amount: row.try_get(4)?,
        currency: row.try_get(5)?,
        gateway_id: row.try_get(6)?,
        code: row.try_get(7)?,
        attempts: row.try_get(8)?,
        source_topic: row.try_get(9)?,
        source_partition: row.try_get(10)?,
        source_offset: row.try_get(11)?,
        payload_hash: row.try_get(12)?,
        created_at: row.try_get(13)?,
        admitted_at: row.try_get(14)?,
        decided_at: row.try_get(15)?,
        stored_at: row.try_get(16)?,
    })
}
