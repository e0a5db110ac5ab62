//! What the scripts' answers mean. Anything of an unexpected shape is an error, never a guess. Public because it is
//! fuzzed.

use bytes::Bytes;
use redis::Value;

use super::setup::Kind;
use crate::domain::id::{Offset, TransactionId};
use crate::domain::time::Wall;
use crate::ports::queue::{Admission, Depth, EntryKey, Moved, QueueError, QueueHealth};

/// One answer of `admit.lua` an entry.
pub fn admissions(reply: Value, count: usize) -> Result<Vec<Admission>, QueueError> {
    list(reply, count)?.into_iter().map(admission).collect()
}

fn admission(answer: Value) -> Result<Admission, QueueError> {
    let pair = match answer {
        Value::Int(0) => return Ok(Admission::New),
        Value::Array(pair) => pair,
        other => return Err(odd("an answer to admission", &other)),
    };
    match pair.as_slice() {
        [Value::Int(1), Value::BulkString(value)] => body(value).map(Admission::InTemp),
        [Value::Int(2), Value::BulkString(value)] => body(value).map(Admission::InArchive),
        [Value::Int(kind @ (3 | 4)), Value::BulkString(place)] => offset(place)
            .map(|offset| Admission::OtherPlace { offset, archived: *kind == 4 })
            .ok_or_else(|| odd("a place", &pair[1])),
        _ => Err(odd("an answer to admission", &Value::Array(pair))),
    }
}

fn body(value: &[u8]) -> Result<Bytes, QueueError> {
    value
        .get(8..)
        .map(Bytes::copy_from_slice)
        .ok_or_else(|| QueueError::Permanent("an entry is shorter than its place".into()))
}

/// The place that a value begins with.
pub fn offset(value: &[u8]) -> Option<Offset> {
    value.first_chunk().map(|first| Offset(i64::from_be_bytes(*first)))
}

/// One answer of `settle.lua` or `mark.lua` an entry.
pub fn moves(reply: Value, count: usize) -> Result<Vec<Moved>, QueueError> {
    let answers = list(reply, count)?;
    let each = answers.into_iter().map(|answer| match answer {
        Value::Int(1) => Ok(Moved::Done),
        Value::Int(0) => Ok(Moved::Missing),
        other => Err(odd("an answer to a move", &other)),
    });
    each.collect()
}

/// The keys at the positions that `missing.lua` names.
pub fn missing(reply: Value, keys: &[EntryKey]) -> Result<Vec<EntryKey>, QueueError> {
    let Value::Array(positions) = reply else { return Err(odd("a list", &reply)) };
    let each = positions.into_iter().map(|position| {
        let Value::Int(at) = position else { return Err(odd("a position", &position)) };
        let at = at.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let key = at.and_then(|at| keys.get(at));
        key.cloned().ok_or_else(|| odd("a position", &position))
    });
    each.collect()
}

/// A step of a scan: the next cursor, then the entries; an `Err` holds the name of one that can't be read.
#[derive(Debug)]
pub struct Step {
    pub cursor: u64,
    pub keys: Vec<Result<EntryKey, Vec<u8>>>,
}

/// The answer of `scan.lua`.
pub fn step(reply: Value) -> Result<Step, QueueError> {
    let Value::Array(items) = reply else { return Err(odd("a list", &reply)) };
    let mut items = items.into_iter();
    let cursor = items.next().and_then(|c| number(&c)).ok_or_else(|| broken("a cursor"))?;
    let mut keys = Vec::with_capacity(items.len() / 2);
    while let Some(name) = items.next() {
        let (Value::BulkString(name), Some(Value::BulkString(place))) = (name, items.next()) else {
            return Err(broken("an id and a place"));
        };
        keys.push(key(&name, &place).ok_or(name));
    }
    Ok(Step { cursor, keys })
}

fn key(name: &[u8], place: &[u8]) -> Option<EntryKey> {
    let id = TransactionId::parse(std::str::from_utf8(name).ok()?).ok()?;
    Some(EntryKey { id, offset: offset(place)? })
}

/// Lengths of temp and archive in turn.
pub fn depths(lengths: &[u64]) -> Vec<Depth> {
    let pairs = lengths.chunks_exact(2);
    pairs.map(|pair| Depth { temp: pair[0], archive: pair[1] }).collect()
}

/// What a server is, from the text of `INFO server`. Valkey has another name for the line.
pub(super) fn kind(info: &str) -> Kind {
    let mode = |line: &str| {
        let (name, mode) = line.split_once(':')?;
        matches!(name, "redis_mode" | "server_mode").then(|| mode.trim().to_owned())
    };
    match info.lines().find_map(mode).as_deref() {
        Some("cluster") => Kind::Node,
        Some("sentinel") => Kind::Sentinel,
        _ => Kind::Server,
    }
}

/// How many slots the ranges of `CLUSTER SLOTS` hold.
pub(super) fn covered(ranges: &[Value]) -> u32 {
    let count = |range: &Value| match range {
        Value::Array(range) => match range.as_slice() {
            [Value::Int(first), Value::Int(last), _, ..] => u32::try_from(last - first + 1).ok(),
            _ => None,
        },
        _ => None,
    };
    ranges.iter().filter_map(count).sum()
}

/// Of several servers, all of which are needed: the oldest version, a policy that evicts, the fullest memory, and the
/// clock that is furthest from the middle one. `None` of none.
pub(super) fn worst(mut each: Vec<QueueHealth>) -> Option<QueueHealth> {
    let major = |h: &QueueHealth| h.version.split('.').next().and_then(|n| n.parse::<u32>().ok());
    let room = |h: &QueueHealth| match h.max_memory_bytes {
        0 => u64::MAX,
        most => most.saturating_sub(h.used_memory_bytes),
    };
    each.sort_by_key(|h| h.now);
    let middle = each.get(each.len() / 2)?.now;
    let now = each.iter().map(|h| h.now).max_by_key(|now| now.0.abs_diff(middle.0))?;
    let version = each.iter().min_by_key(|h| major(h))?.version.clone();
    let evicts = each.iter().find(|h| h.eviction_policy != "noeviction");
    let eviction_policy = evicts.or(each.first())?.eviction_policy.clone();
    let fullest = each.into_iter().min_by_key(room)?;
    Some(QueueHealth { version, eviction_policy, now, ..fullest })
}

/// From the text of `INFO` and the answer to `TIME`.
pub fn health(info: &str, time: (i64, i64)) -> Result<QueueHealth, QueueError> {
    let line = |name: &str| {
        let found = info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim).ok_or_else(|| broken(&format!("a line {name} in INFO")))
    };
    let bytes = |name: &str| {
        line(name)?.parse().map_err(|_| broken(&format!("a number at {name} in INFO")))
    };
    Ok(QueueHealth {
        version: line("redis_version")?.to_owned(),
        eviction_policy: line("maxmemory_policy")?.to_owned(),
        used_memory_bytes: bytes("used_memory")?,
        max_memory_bytes: bytes("maxmemory")?,
        now: Wall(time.0.saturating_mul(1_000_000).saturating_add(time.1)),
    })
}

fn list(reply: Value, count: usize) -> Result<Vec<Value>, QueueError> {
    match reply {
        Value::Array(answers) if answers.len() == count => Ok(answers),
        other => Err(odd(&format!("{count} answers"), &other)),
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        Value::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

fn broken(expected: &str) -> QueueError {
    QueueError::Permanent(format!("the reply lacks {expected}"))
}

/// Names the shape alone: the value may hold a payload.
fn odd(expected: &str, found: &Value) -> QueueError {
    let shape = match found {
        Value::Nil => "nothing".to_owned(),
        Value::Int(n) => format!("the number {n}"),
        Value::BulkString(s) => format!("{} bytes", s.len()),
        Value::Array(a) => format!("a list of {}", a.len()),
        _ => "something else".to_owned(),
    };
    QueueError::Permanent(format!("the reply has {shape} in place of {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_servers_counts() {
        let one = |version: &str, eviction: &str, (used, max), now| QueueHealth {
            version: version.into(),
            eviction_policy: eviction.into(),
            used_memory_bytes: used,
            max_memory_bytes: max,
            now: Wall(now),
        };
        let each = vec![
            one("8.1.8", "noeviction", (90, 100), 1_000),
            one("7.2.4", "allkeys-lru", (1_000, 0), 1_001),
            one("10.0.0", "noeviction", (10, 100), 0),
        ];
        assert_eq!(worst(each), Some(one("7.2.4", "allkeys-lru", (90, 100), 0)));
        assert_eq!(worst(Vec::new()), None);
    }

    #[test]
    fn what_a_server_is_and_the_slots_that_are_served() {
        assert_eq!(kind("# Server\r\nredis_mode:cluster\r\n"), Kind::Node);
        assert_eq!(kind("server_mode:sentinel\r\n"), Kind::Sentinel);
        assert_eq!(kind("redis_mode:standalone\r\n"), Kind::Server);
        let node = || Value::Array(Vec::new());
        let range = |first, last| Value::Array(vec![Value::Int(first), Value::Int(last), node()]);
        assert_eq!(covered(&[range(0, 5_460), range(5_461, 16_383)]), 16_384);
        assert_eq!(covered(&[range(7, 7), Value::Nil, Value::Array(vec![Value::Int(1)])]), 1);
    }

    #[test]
    fn positions_that_nobody_asked_about_are_refused() {
        let keys = [EntryKey { id: TransactionId::parse("a").unwrap(), offset: Offset(1) }];
        let ask = |at| missing(Value::Array(vec![Value::Int(at)]), &keys);
        assert_eq!(ask(1).unwrap(), keys);
        for at in [0, 2, -1, i64::MIN, i64::MAX] {
            assert!(ask(at).is_err(), "{at}");
        }
    }
}
