//! Outcomes as columns: one array a column out, one row at a time in.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgHasArrayType, PgRow, PgTypeInfo, PgValueRef,
};
use sqlx::{Decode, Encode, Postgres, Row as _, Type};

use crate::domain::hex::Digits;
use crate::domain::outcome::Outcome;
use crate::domain::time::Wall;
use crate::ports::store::{StoreError, Stored};
use crate::wire::row::Row;

use super::errors;

/// A `timestamptz`, which counts microseconds as we do, but from the year 2000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub Wall);

const Y2000_US: i64 = 946_684_800_000_000;
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let since_2000 = self.0.0.checked_sub(Y2000_US).ok_or("a time before all times")?;
        buffer.extend_from_slice(&since_2000.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let since_2000 = <i64 as Decode<Postgres>>::decode(value)?;
        let since_1970 = since_2000.checked_add(Y2000_US).ok_or("a time after all times")?;
        Ok(Self(Wall(since_1970)))
    }
}

/// Digits as `text`.
#[derive(Debug, Clone, Copy)]
struct Text<const N: usize>(Digits<N>);

impl<const N: usize> Type<Postgres> for Text<N> {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
}

impl<const N: usize> PgHasArrayType for Text<N> {
    fn array_type_info() -> PgTypeInfo {
        <&str as PgHasArrayType>::array_type_info()
    }
}

impl<const N: usize> Encode<'_, Postgres> for Text<N> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'_, Postgres>>::encode(&self.0, buffer)
    }
}

/// A query with its arguments.
pub type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// Binds `$1` to `$17`, one array a column.
pub fn bind<'q>(query: Query<'q>, rows: &[&'q Outcome]) -> Query<'q> {
    query
        .bind(column(rows, |row| Text(row.event_id.to_hex())))
        .bind(column(rows, |row| row.fate.as_str()))
        .bind(column(rows, |row| row.transaction_id.as_str()))
        .bind(column(rows, |row| row.account_id.as_str()))
        .bind(column(rows, |row| row.amount.minor_units()))
        .bind(column(rows, |row| row.currency.as_str()))
        .bind(column(rows, |row| row.gateway_id.as_deref()))
        .bind(column(rows, |row| row.code.as_deref()))
        .bind(column(rows, |row| i64::from(row.attempts)))
        .bind(column(rows, |row| &*row.source.topic))
        .bind(column(rows, |row| row.source.partition.0))
        .bind(column(rows, |row| row.source.offset.0))
        .bind(column(rows, |row| Text(row.payload_hash.to_hex())))
        .bind(column(rows, |row| Stamp(row.created_at)))
        .bind(column(rows, |row| Stamp(row.admitted_at)))
        .bind(column(rows, |row| row.decided_at.map(Stamp)))
        .bind(column(rows, |row| row.stored_at.map(Stamp)))
}

fn column<'q, T>(rows: &[&'q Outcome], of: impl Fn(&'q Outcome) -> T) -> Vec<T> {
    rows.iter().map(|row| of(row)).collect()
}

/// Reads the first 17 columns, in the table's order.
pub fn outcome(row: &PgRow) -> Result<Outcome, StoreError> {
    let columns = columns(row).map_err(|error| errors::under_way(&error))?;
    columns
        .try_into()
        .map_err(|error: crate::wire::row::BadRow| StoreError::Permanent(error.to_string()))
}

fn columns(row: &PgRow) -> Result<Row, sqlx::Error> {
    let wall = |Stamp(Wall(us))| us;
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
        created_at: wall(row.try_get(13)?),
        admitted_at: wall(row.try_get(14)?),
        decided_at: row.try_get::<Option<Stamp>, _>(15)?.map(wall),
        stored_at: row.try_get::<Option<Stamp>, _>(16)?.map(wall),
    })
}

/// One answer a row of the batch, from the rows that were there before (`sql/store.sql`).
pub fn stored(batch: &[Arc<Outcome>], met: &[PgRow]) -> Result<Vec<Stored>, StoreError> {
    if met.is_empty() {
        return Ok(vec![Stored::New; batch.len()]);
    }
    let mut answers = BTreeMap::new();
    for row in met {
        let old = Box::new(outcome(row)?);
        let replaced: bool = row.try_get(17).map_err(|error| errors::under_way(&error))?;
        let id = old.transaction_id.clone();
        answers.insert(id, if replaced { Stored::Replaced(old) } else { Stored::Kept(old) });
    }
    let answer = |row: &Arc<Outcome>| answers.remove(&row.transaction_id).unwrap_or(Stored::New);
    Ok(batch.iter().map(answer).collect())
}
