//! How a batch is stored where there are neither transactions nor keys: what stands is asked for, what is to stand is
//! written, and it is asked again what stands now; what lost against a row that it comes before goes through it once
//! more. Which table that is, and how it is reached, is the caller's: the simulation goes through the same steps with
//! whatever may come in between.

use std::sync::Arc;

use super::errors;
use super::rows::{self, Answers, Stand, Standing, Written};
use crate::domain::outcome::Outcome;
use crate::ports::store::{Batch, StoreError, Stored};
use crate::wire::row;

/// So often what is not in is brought in again: rows that it comes before came in between, or its token was known.
pub(super) const ROUNDS: u8 = 5;

/// The table of transactions.
pub trait Table {
    /// The rows that stand under these ids, in any order.
    fn standing(
        &self,
        ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Standing>, StoreError>> + Send;
    /// One insert of one block. A token that was given before within the table's window leaves nothing.
    fn write(
        &self,
        token: &str,
        rows: &[Written<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// [`Store::store`](crate::ports::store::Store::store) in steps.
///
/// # Errors
/// Of the table's, with what an error of a question means behind a write; `Unknown` where others came in between again
/// and again.
pub async fn store<T: Table + Sync>(table: &T, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
    if batch.rows.is_empty() {
        return Ok(Vec::new());
    }
    row::check_batch(&batch.rows).map_err(|error| StoreError::Poison(error.to_string()))?;
    let mut open: Vec<&Outcome> = batch.rows.iter().map(AsRef::as_ref).collect();
    let mut answers = Answers::new();
    for round in 0..ROUNDS {
        let before = stand(table, open.iter().copied()).await;
        // Of the first round nothing is in yet.
        let before = if round == 0 { before.map_err(errors::of_reading) } else { before };
        let write = rows::meet(open, before?, &mut answers);
        if !write.is_empty() {
            table.write(&rows::token(&batch.token, &write, round), &write).await?;
        }
        let after = stand(table, write.iter().map(|written| written.row)).await;
        open = rows::settle(write, after.map_err(errors::behind_a_write)?, &mut answers);
        if open.is_empty() {
            return in_order(batch, answers);
        }
    }
    Err(errors::outrun(ROUNDS))
}

async fn stand<'a, T: Table + Sync>(
    table: &T,
    rows: impl Iterator<Item = &'a Outcome>,
) -> Result<Stand, StoreError> {
    let ids: Vec<&str> = rows.map(|row| row.transaction_id.as_str()).collect();
    let standing = table.standing(&ids).await?;
    Ok(standing.into_iter().map(|old| (old.row.transaction_id.clone(), old)).collect())
}

/// One answer a row, in the order of the batch.
fn in_order(batch: &Batch, mut answers: Answers) -> Result<Vec<Stored>, StoreError> {
    let answer = |row: &Arc<Outcome>| {
        let answer = answers.remove(&row.transaction_id);
        answer.ok_or_else(|| StoreError::Unknown(format!("no answer on {}", row.transaction_id)))
    };
    batch.rows.iter().map(answer).collect()
}
