//! What Redis answers to our scripts, from the bytes of its protocol on. An answer of another shape than was asked for
//! is an error, and names nothing that was not asked about.

use std::sync::LazyLock;

use redis::Value;
use tollbridge::adapters::redis::answers;
use tollbridge::domain::id::{Offset, TransactionId};
use tollbridge::ports::queue::{Admission, EntryKey, QueueError};
use tollbridge::wire::queue_entry::QueueEntry;

use super::Input;

/// What was asked about.
static KEYS: LazyLock<Vec<EntryKey>> = LazyLock::new(|| {
    let key = |at| EntryKey {
        id: TransactionId::parse(&format!("tx-{at}")).unwrap(),
        offset: Offset(at),
    };
    (0..8).map(key).collect()
});

/// A digit for the script, one for how many entries it was asked about, then the answer.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (script, count) = (input.byte(), usize::from(input.byte()) % 8);
    if script % 8 == 7 {
        return health(input.0);
    }
    let Ok(reply) = redis::parse_redis_value(input.0) else { return };
    match script % 4 {
        0 => admissions(reply, count),
        1 => {
            if let Ok(moves) = answers::moves(reply, count) {
                assert_eq!(moves.len(), count);
            }
        }
        2 => {
            if let Ok(missing) = answers::missing(reply, &KEYS[..count]) {
                assert!(missing.iter().all(|key| KEYS[..count].contains(key)));
            }
        }
        _ => step(reply),
    }
}

fn admissions(reply: Value, count: usize) {
    let admissions = match answers::admissions(reply, count) {
        Ok(admissions) => admissions,
        Err(why) => return assert!(matches!(why, QueueError::Permanent(text) if text.len() < 200)),
    };
    assert_eq!(admissions.len(), count);
    for admission in admissions {
        if let Admission::InTemp(body) | Admission::InArchive(body) = admission
            && let Ok(entry) = QueueEntry::decode(&body)
        {
            assert_eq!(entry.encode(), body);
        }
    }
}

fn step(reply: Value) {
    let entries =
        if let Value::Array(items) = &reply { items.len().saturating_sub(1) / 2 } else { 0 };
    if let Ok(step) = answers::step(reply) {
        assert_eq!(step.keys.len(), entries);
    }
}

fn health(info: &[u8]) {
    let info = String::from_utf8_lossy(info);
    if let Ok(health) = answers::health(&info, (i64::MAX, i64::MAX)) {
        assert!(info.contains(&health.version) && info.contains(&health.eviction_policy));
    }
}
