//! What an error of ClickHouse or of its client means: was it done, and is it worth another try? Pure.

use std::time::Duration;

use clickhouse::error::Error;

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

/// All connections that we may have were busy for the whole limit.
pub fn all_busy(limit: Duration) -> StoreError {
    StoreError::Transient(format!("all connections to ClickHouse were busy for {limit:?}"))
}

pub fn closed() -> StoreError {
    StoreError::Permanent("the store is closed".into())
}

/// No answer to a statement within the limit.
pub fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unknown(format!("ClickHouse did not answer within {limit:?}"))
}

/// Rows of others came in between again and again, or what was written can't be seen.
pub fn outrun(times: u8) -> StoreError {
    StoreError::Unknown(format!(
        "ClickHouse: what was stored did not stand {times} times over; it has to be stored again"
    ))
}

/// An error while a statement was under way.
pub fn under_way(error: &Error) -> StoreError {
    match error {
        Error::BadResponse(text) => {
            let code = code_of(text);
            let remedy = remedy(code).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            with(class_of_code(code), format!("ClickHouse: {}{remedy}", told(text)))
        }
        Error::Network(why) if never_connected(why.as_ref()) => {
            StoreError::Transient(format!("no connection to ClickHouse: {}", root(why.as_ref())))
        }
        Error::Network(why) => StoreError::Unknown(format!(
            "the connection to ClickHouse was lost: {}",
            root(why.as_ref())
        )),
        Error::InvalidParams(why) => {
            StoreError::Permanent(format!("store.url can't be used: {why}"))
        }
        Error::SchemaMismatch(_) | Error::InvalidColumnsHeader(_) | Error::NotEnoughData => {
            StoreError::Permanent(format!("ClickHouse's tables hold what ours don't: {error}"))
        }
        other => StoreError::Unknown(format!("ClickHouse: {other}")),
    }
}

/// A question that got no answer has changed nothing, whatever became of it.
pub fn of_reading(error: StoreError) -> StoreError {
    match error {
        StoreError::Unknown(why) => StoreError::Transient(why),
        other => other,
    }
}

/// A question behind a write: nothing that is said of it means that nothing was done.
pub fn behind_a_write(error: StoreError) -> StoreError {
    match error {
        StoreError::Transient(why) => StoreError::Unknown(why),
        other => other,
    }
}

/// Whether what other statements go over may be of no more use either.
pub fn is_lost(error: &Error) -> bool {
    !matches!(error, Error::BadResponse(_))
}

fn with(class: Class, text: String) -> StoreError {
    match class {
        Class::Transient => StoreError::Transient(text),
        Class::Unknown => StoreError::Unknown(text),
        Class::Poison => StoreError::Poison(text),
        Class::Permanent => StoreError::Permanent(text),
    }
}

/// No connection, so nothing was sent.
fn never_connected(why: &(dyn std::error::Error + 'static)) -> bool {
    let client = why.downcast_ref::<hyper_util::client::legacy::Error>();
    client.is_some_and(hyper_util::client::legacy::Error::is_connect)
}

fn root<'a>(why: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut deepest = why;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest
}

/// `Code: 60. DB::Exception: …`; 0 where something else than ClickHouse answered.
fn code_of(text: &str) -> u32 {
    let behind = text.split_once("Code: ").map_or("", |(_, behind)| behind);
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// What was said, without its traces: a line, and no longer than anybody reads.
fn told(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(LONGEST).collect()
}

/// By error code (`src/Common/ErrorCodes.cpp`). A batch is one block, so one part, and what is refused before the part
/// is written surely was not done. Of all else that can't be said: the part may stand although a quorum was not reached
/// or somebody's materialised view has failed behind it.
fn class_of_code(code: u32) -> Class {
    match code {
        // A constraint, a length that is too much, a NULL where there can be none.
        131 | 349 | 469 => Class::Poison,
        // TOO_MANY_SIMULTANEOUS_QUERIES, TOO_MANY_PARTS, QUOTA_EXCEEDED, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE,
        // NO_ZOOKEEPER, TOO_FEW_LIVE_REPLICAS, UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, a replica that lags.
        201 | 202 | 225 | 242 | 243 | 252 | 285 | 286 | 289 => Class::Transient,
        // No such column, table, database, function or setting; arguments, syntax; user, password, rights, read-only.
        8
        | 10
        | 16
        | 20
        | 36
        | 46
        | 47
        | 48
        | 60
        | 62
        | 81
        | 115
        | 164
        | 192..=194
        | 452
        | 497
        | 516 => Class::Permanent,
        _ => Class::Unknown,
    }
}

fn remedy(code: u32) -> Option<&'static str> {
    match code {
        16 | 47 | 60 => Some(MIGRATE),
        81 => Some("create the database first"),
        164 | 497 => Some("grant the user SELECT and INSERT on Tollbridge's tables"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_class() {
        let table: [(Class, &[u32]); 4] = [
            (Class::Poison, &[131, 349, 469]),
            (Class::Transient, &[201, 202, 225, 242, 243, 252, 285, 286, 289]),
            (Class::Permanent, &[16, 36, 47, 60, 62, 81, 115, 164, 192, 193, 194, 497, 516]),
            // Of these nobody knows: 159 TIMEOUT_EXCEEDED, 241 MEMORY_LIMIT_EXCEEDED, 319 UNKNOWN_STATUS_OF_INSERT.
            (Class::Unknown, &[0, 33, 159, 209, 210, 241, 319, 394, 395, 999, 1001, 1002]),
        ];
        for (class, codes) in table {
            for &code in codes {
                assert_eq!(class_of_code(code), class, "{code}");
            }
        }
    }

    #[test]
    fn a_code_is_read_from_what_is_said() {
        let said = "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE)";
        assert_eq!(code_of(said), 60);
        assert_eq!(code_of("Code: 241"), 241);
        for other in ["502 Bad Gateway", "", "Code: ", "Code: x", "Code: 99999999999"] {
            assert_eq!(code_of(other), 0, "{other}");
        }
        let StoreError::Permanent(why) = under_way(&Error::BadResponse(said.into())) else {
            panic!()
        };
        assert!(why.contains("does not exist") && why.contains(MIGRATE), "{why}");
        let long = format!("Code: 241. {}\ntrace", "x".repeat(9_000));
        let why = under_way(&Error::BadResponse(long)).to_string();
        assert!(why.len() < 400 && !why.contains("trace"), "{why}");
    }

    #[test]
    fn what_got_no_answer_may_be_done() {
        let lost = || Error::Network("reset".into());
        assert!(matches!(under_way(&lost()), StoreError::Unknown(_)));
        assert!(matches!(of_reading(under_way(&lost())), StoreError::Transient(_)));
        assert!(matches!(under_way(&Error::BadResponse("502".into())), StoreError::Unknown(_)));
        assert!(matches!(under_way(&Error::SchemaMismatch("x".into())), StoreError::Permanent(_)));
        assert!(matches!(no_answer(Duration::from_secs(1)), StoreError::Unknown(_)));
        assert!(matches!(all_busy(Duration::from_secs(1)), StoreError::Transient(_)));
        assert!(is_lost(&lost()) && !is_lost(&Error::BadResponse("Code: 60".into())));
    }
}
