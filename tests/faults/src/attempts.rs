//! What the gateway itself wrote down: its ledger, and each request that reached it, with its time.

use crate::world::failed;
use serde_json::Value;
use std::fs;
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

/// A file's lines, each of them JSON. One that was torn by a kill of its writer cannot be read, and is passed over.
///
/// # Errors
/// When the file can't be read.
pub fn lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).map_err(|e| failed("read the gateway's file", e))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
