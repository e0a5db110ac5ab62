//! What the gateway itself noted of the requests that reached it: each one, with its time.

use crate::audit::lines;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tollbridge_rig::{Result, Stack};

/// All of them, in the order in which they came.
///
/// # Errors
/// When the file can't be read.
pub fn all(stack: &Stack) -> Result<Vec<Value>> {
    let mut beside = stack.ledger().into_os_string();
    beside.push(".attempts");
    lines(Path::new(&beside))
}

/// How many came since.
///
/// # Errors
/// When the file can't be read.
pub fn since(stack: &Stack, moment: SystemTime) -> Result<usize> {
    let moment = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros();
    let came = |line: &Value| line["at"].as_u64().is_some_and(|at| u128::from(at) >= moment);
    Ok(all(stack)?.iter().filter(|line| came(line)).count())
}
