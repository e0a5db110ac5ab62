//! Outcomes as parameters of a statement out, one row at a time in.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite};

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
pub fn meet(batch: &[Arc<Outcome>], standing: Vec<Outcome>) -> (Vec<Stored>, Vec<&Outcome>) {
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
            write.push(&**row);
        }
        answers.push(answer);
    }
    (answers, write)
}

/// How many rows a statement takes: as many as fit the largest go with it, then as many as fit the next. Each is a trip
/// to the connection's thread, and SQLite takes 32,766 parameters at most.
const SIZES: [usize; 4] = [1_000, 100, 10, 1];

static STATEMENTS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| SIZES.map(statement));

fn statement(rows: usize) -> String {
    let places = format!("({})", ["?"; COLUMNS].join(", "));
    let all = vec![places.as_str(); rows].join(",\n");
    include_str!("sql/store.sql").replace("VALUES (?)", &format!("VALUES {all}"))
}

/// Writes rows that may be written: which may replace another was decided before, under the same lock.
pub async fn write(
    connection: &mut SqliteConnection,
    rows: &[&Outcome],
) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    for (size, statement) in SIZES.iter().zip(&*STATEMENTS) {
        while let Some((these, others)) = rest.split_at_checked(*size) {
            let query = sqlx::query(statement.as_str());
            these
                .iter()
                .fold(query, |query, row| bind(query, row))
                .execute(&mut *connection)
                .await?;
            rest = others;
        }
    }
    Ok(())
}

const COLUMNS: usize = 17;

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// In the order of the statement's columns.
fn bind<'q>(query: Query<'q>, row: &'q Outcome) -> Query<'q> {
    query
        .bind(row.event_id.to_hex().to_string())
        .bind(row.fate.as_str())
        .bind(row.transaction_id.as_str())
        .bind(row.account_id.as_str())
        .bind(row.amount.minor_units())
        .bind(row.currency.as_str())
        .bind(row.gateway_id.as_deref())
        .bind(row.code.as_deref())
        .bind(row.attempts)
        .bind(&*row.source.topic)
        .bind(row.source.partition.0)
        .bind(row.source.offset.0)
        .bind(row.payload_hash.to_hex().to_string())
        .bind(row.created_at.0)
        .bind(row.admitted_at.0)
        .bind(row.decided_at.map(|at| at.0))
        .bind(row.stored_at.map(|at| at.0))
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
