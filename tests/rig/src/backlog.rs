//! What a group has still to do. It believes the brokers alone.

use crate::error::{Error, Result};
use crate::stack::{GROUP, Stack, TRANSACTIONS};
use crate::wait::wait_until;
use std::time::Duration;

/// Waits until the group has committed the end of every partition.
///
/// # Errors
/// When it has not within `limit`; names what is left of each partition.
pub fn wait_worked_off(stack: &Stack, limit: Duration) -> Result<()> {
    let lag = || backlog(stack);
    let waited = wait_until("the backlog to be worked off", limit, || {
        lag().is_ok_and(|lag| lag.iter().all(|left| *left == 0))
    });
    waited.map_err(|e| match lag() {
        Ok(lag) => Error::new(format!("{e}; left in each partition: {lag:?}")),
        Err(why) => Error::new(format!("{e}: {why}")),
    })
}

/// Records of each partition at or above the group's committed offset.
///
/// # Errors
/// When the broker does not answer.
pub fn backlog(stack: &Stack) -> Result<Vec<i64>> {
    let ends = stack.kafka.end_offsets(TRANSACTIONS, stack.partitions())?;
    let done = stack.kafka.group_offsets(GROUP, TRANSACTIONS, stack.partitions())?;
    Ok(ends.iter().zip(done).map(|(end, done)| end - done.max(0)).collect())
}
