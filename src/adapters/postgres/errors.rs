//! What an error of PostgreSQL or of its driver means: was it done, and is it worth another try? Pure.

use std::time::Duration;

use sqlx::Error;

use crate::ports::store::StoreError;

/// What to do where the tables are missing or of another version.
pub const MIGRATE: &str = "run `tollbridge migrate --config FILE`";

/// The kinds of [`StoreError`], without a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Transient,
    Unknown,
    Poison,
    Permanent,
}

/// An error on the way to a connection: no statement was sent, so nothing can have been done.
pub fn connecting(error: &Error) -> StoreError {
    match error {
        Error::Configuration(why) => StoreError::Permanent(format!(
            "store.url can't be used: {why}; expected postgres://user:password@host:port/database"
        )),
        Error::Database(database) => {
            let state = database.code().unwrap_or_default();
            let class = match class_of_state(&state) {
                Class::Unknown => Class::Transient,
                class => class,
            };
            with(class, format!("no connection to PostgreSQL: {} ({state})", database.message()))
        }
        Error::PoolClosed => StoreError::Permanent("the store is closed".into()),
        other => StoreError::Transient(format!("no connection to PostgreSQL: {other}")),
    }
}

/// No connection within the limit.
pub fn no_connection(limit: Duration) -> StoreError {
    StoreError::Transient(format!(
        "no connection to PostgreSQL within {limit:?}: it does not answer, or all that we may have are busy"
    ))
}

/// No answer to a statement within the limit.
pub fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unknown(format!("PostgreSQL did not answer within {limit:?}"))
}

/// An error while a statement was under way.
pub fn under_way(error: &Error) -> StoreError {
    match error {
        Error::Database(database) => {
            let state = database.code().unwrap_or_default();
            let remedy = remedy(&state).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            let text = format!("PostgreSQL: {} ({state}){remedy}", database.message());
            with(class_of_state(&state), text)
        }
        Error::Encode(why) => {
            StoreError::Poison(format!("a value that PostgreSQL can't take: {why}"))
        }
        Error::Decode(_) | Error::ColumnDecode { .. } | Error::ColumnIndexOutOfBounds { .. } => {
            StoreError::Permanent(format!("PostgreSQL's tables hold what ours don't: {error}"))
        }
        other => StoreError::Unknown(format!("the connection to PostgreSQL was lost: {other}")),
    }
}

/// A question that got no answer has changed nothing, whatever became of it.
pub fn of_reading(error: StoreError) -> StoreError {
    match error {
        StoreError::Unknown(why) => StoreError::Transient(why),
        other => other,
    }
}

/// A row of this key is there already.
pub fn is_unique_violation(error: &Error) -> bool {
    error.as_database_error().is_some_and(|database| database.is_unique_violation())
}

/// Whether the connection is of no further use.
pub fn is_lost(error: &Error) -> bool {
    match error {
        Error::Database(database) => {
            let state = database.code().unwrap_or_default();
            // 25006, read-only: after a failover, only a new connection finds the new primary.
            state.starts_with("08") || state.starts_with("57P") || state == "25006"
        }
        Error::Encode(_) | Error::Decode(_) | Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

fn with(class: Class, text: String) -> StoreError {
    match class {
        Class::Transient => StoreError::Transient(text),
        Class::Unknown => StoreError::Unknown(text),
        Class::Poison => StoreError::Poison(text),
        Class::Permanent => StoreError::Permanent(text),
    }
}

/// By SQLSTATE (PostgreSQL manual, appendix A). Every statement here is a transaction of its own or is rolled back
/// with one, so an error that the server reports means: not done. The exceptions are states by which the server or a
/// pooler says that it does not know.
fn class_of_state(state: &str) -> Class {
    match state {
        // No connection could be made; too many; starting or stopping.
        "08001" | "08004" | "57P01" | "57P03" | "57P05" => Class::Transient,
        // A pooler's "server connection crashed" is 08P01.
        "40003" | "57P02" => Class::Unknown,
        // Read-only (a standby, or a failover in progress); idle for too long within a transaction.
        "25006" | "25P03" => Class::Transient,
        // Cancelled, also by statement_timeout.
        "57014" => Class::Transient,
        // A trigger or rule of the database's owner refuses the row.
        "P0001" => Class::Poison,
        _ => match state.get(..2).unwrap_or_default() {
            "08" => Class::Unknown,
            // Data that the table refuses, by type or by constraint.
            "22" | "23" => Class::Poison,
            // Rolled back by the server (serialisation, deadlock); out of resources; a lock not had; the disk.
            "40" | "53" | "55" | "58" => Class::Transient,
            _ => Class::Permanent,
        },
    }
}

fn remedy(state: &str) -> Option<&'static str> {
    match state {
        "42P01" | "42703" | "3F000" => Some(MIGRATE),
        "42501" => Some("grant the user SELECT, INSERT and UPDATE on Tollbridge's tables"),
        "42P05" | "26000" => Some("a pooler must be in session mode, or be left out"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_class() {
        let table = [
            (Class::Transient, "08001 08004 40001 40P01 25006 25P03 53000 53100 53200 53300 53400"),
            (Class::Transient, "55P03 55006 57014 57P01 57P03 57P05 58000 58030"),
            (Class::Unknown, "08000 08003 08006 08007 08P01 40003 57P02"),
            (Class::Poison, "22001 22003 22008 22021 22P05 23502 23505 23514 P0001"),
            (Class::Permanent, "28000 28P01 3D000 3F000 42P01 42703 42501 42P05 26000 0A000 21000"),
            (Class::Permanent, "57P04 25001 54000 XX000 XX001"),
            (Class::Permanent, ""),
        ];
        for (class, states) in table {
            for state in states.split(' ') {
                assert_eq!(class_of_state(state), class, "{state}");
            }
        }
    }

    #[test]
    fn what_was_not_sent_was_not_done() {
        let io = || Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(connecting(&io()), StoreError::Transient(_)));
        assert!(matches!(no_connection(Duration::from_secs(1)), StoreError::Transient(_)));
        assert!(matches!(connecting(&Error::PoolClosed), StoreError::Permanent(_)));
        assert!(matches!(under_way(&io()), StoreError::Unknown(_)));
        assert!(matches!(of_reading(under_way(&io())), StoreError::Transient(_)));
        assert!(matches!(no_answer(Duration::from_secs(1)), StoreError::Unknown(_)));
        assert!(matches!(under_way(&Error::Encode("x".into())), StoreError::Poison(_)));
        assert!(matches!(under_way(&Error::Decode("x".into())), StoreError::Permanent(_)));
    }
}
