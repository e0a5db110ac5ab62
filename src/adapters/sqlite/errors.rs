//! What an error of SQLite or of its driver means: was it done, and is it worth another try? Pure.

use std::path::Path;
use std::time::Duration;

use sqlx::Error;

use crate::ports::store::StoreError;

/// What to do where the file or its tables are missing or of another version.
pub const MIGRATE: &str = "run `tollbridge migrate --config FILE`";

/// The kinds of [`StoreError`] that a result code can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Transient,
    Poison,
    Permanent,
}

pub fn bad_url(url: &str, why: &Error) -> StoreError {
    StoreError::Permanent(format!(
        "store.url = {url:?} can't be used: {why}; expected sqlite:tollbridge.db"
    ))
}

pub fn in_memory(url: &str) -> StoreError {
    StoreError::Permanent(format!(
        "store.url = {url:?} names a database in memory, which keeps nothing; name a file"
    ))
}

/// An error on the way to a connection: nothing can have been done.
pub fn opening(error: &Error, file: &Path) -> StoreError {
    let name = file.display();
    match error {
        Error::Database(database) if !file.exists() => StoreError::Permanent(format!(
            "there is no file {name} ({}); {MIGRATE}",
            database.message()
        )),
        Error::Database(database) => {
            let class = class_of_code(code_of(database.as_ref()));
            with(class, format!("{name} can't be opened: {database}"))
        }
        other => StoreError::Transient(format!("{name} can't be opened: {other}")),
    }
}

/// An error while the file is made or opened by a migration.
pub fn creating(error: &Error, file: &Path) -> StoreError {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        Some(folder) => StoreError::Permanent(format!(
            "{} can't be made: there is no folder {}; make it first",
            file.display(),
            folder.display()
        )),
        None => opening(error, file),
    }
}

/// The connection was not to be had within the limit.
pub fn busy(file: &Path, limit: Duration) -> StoreError {
    StoreError::Transient(format!(
        "{} was busy or could not be opened within {limit:?}",
        file.display()
    ))
}

/// No answer to a call within the limit.
pub fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unknown(format!("SQLite did not answer within {limit:?}"))
}

/// An error of a statement, before its commit.
pub fn under_way(error: &Error) -> StoreError {
    match error {
        Error::Database(database) => {
            let missing = database.message().starts_with("no such table");
            let remedy = if missing { format!("; {MIGRATE}") } else { String::new() };
            with(class_of_code(code_of(database.as_ref())), format!("SQLite: {database}{remedy}"))
        }
        Error::Decode(_) | Error::ColumnDecode { .. } | Error::ColumnIndexOutOfBounds { .. } => {
            StoreError::Permanent(format!("SQLite's tables hold what ours don't: {error}"))
        }
        other => StoreError::Unknown(format!("the connection to SQLite was lost: {other}")),
    }
}

/// An error of a commit: where the disk failed, the commit may be found there after all.
pub fn committing(error: &Error) -> StoreError {
    match error {
        Error::Database(database) if code_of(database.as_ref()) & 0xff == IOERR => {
            StoreError::Unknown(format!("SQLite, at the commit: {database}"))
        }
        other => under_way(other),
    }
}

/// A question that got no answer has changed nothing, whatever became of it.
pub fn of_reading(error: StoreError) -> StoreError {
    match error {
        StoreError::Unknown(why) => StoreError::Transient(why),
        other => other,
    }
}

fn with(class: Class, text: String) -> StoreError {
    match class {
        Class::Transient => StoreError::Transient(text),
        Class::Poison => StoreError::Poison(text),
        Class::Permanent => StoreError::Permanent(text),
    }
}

/// The extended result code; -1 where there is none.
fn code_of(error: &dyn sqlx::error::DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(-1)
}

/// Whether another connection has the lock that was asked for.
pub fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Database(database) if code_of(database.as_ref()) & 0xff == BUSY)
}

const BUSY: i32 = 5;
const IOERR: i32 = 10;

/// By primary result code, the low byte of the extended one (sqlite.org/rescode.html). A statement that fails is
/// rolled back, so an error before the commit means: not done.
fn class_of_code(extended: i32) -> Class {
    match extended & 0xff {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL (a lost race for a lock), SCHEMA.
        BUSY | 6 | 7 | 8 | 9 | IOERR | 13 | 14 | 15 | 17 => Class::Transient,
        // TOOBIG, CONSTRAINT, MISMATCH.
        18..=20 => Class::Poison,
        // ERROR (no such table), INTERNAL, PERM, CORRUPT, NOTADB, MISUSE, AUTH and the like.
        _ => Class::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_class() {
        let table: [(Class, &[i32]); 3] = [
            // With 517 BUSY_SNAPSHOT, 1032 READONLY_DBMOVED, 1034 IOERR_FSYNC, 1546 IOERR_TRUNCATE.
            (Class::Transient, &[5, 6, 7, 8, 9, 10, 13, 14, 15, 17, 517, 1032, 1034, 1546]),
            // With 275 CONSTRAINT_CHECK, 1299 …_NOTNULL, 1555 …_PRIMARYKEY, 1811 …_TRIGGER, 3091 …_DATATYPE.
            (Class::Poison, &[18, 19, 20, 275, 1299, 1555, 1811, 3091]),
            (Class::Permanent, &[-1, 1, 2, 3, 11, 12, 21, 22, 23, 25, 26]),
        ];
        for (class, codes) in table {
            for &code in codes {
                assert_eq!(class_of_code(code), class, "{code}");
            }
        }
    }

    #[test]
    fn what_got_no_answer_may_be_done() {
        assert!(matches!(under_way(&Error::WorkerCrashed), StoreError::Unknown(_)));
        assert!(matches!(of_reading(under_way(&Error::WorkerCrashed)), StoreError::Transient(_)));
        assert!(matches!(no_answer(Duration::from_secs(1)), StoreError::Unknown(_)));
        let file = Path::new("/");
        assert!(matches!(busy(file, Duration::from_secs(1)), StoreError::Transient(_)));
        assert!(matches!(under_way(&Error::Decode("x".into())), StoreError::Permanent(_)));
    }
}
