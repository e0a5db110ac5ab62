//! Short ways to write entries, and to look at a whole queue.

use std::collections::BTreeSet;

use bytes::Bytes;
use tollbridge::domain::id::{Epoch, Offset, Partition, TransactionId};
use tollbridge::ports::queue::{Admission, Entry, EntryKey, Queue, QueueError};

pub const P: Partition = Partition(3);
pub const E: Epoch = Epoch(7);

pub fn key(id: &str, offset: i64) -> EntryKey {
    EntryKey { id: TransactionId::parse(id).unwrap(), offset: Offset(offset) }
}

pub fn entry(id: &str, offset: i64, body: &'static str) -> Entry {
    Entry { key: key(id, offset), body: body.into() }
}

pub fn many(count: usize) -> Vec<Entry> {
    let body = Bytes::from(vec![0xA5; 200]);
    let one = |i| Entry {
        key: key(&format!("tx-{i:06}"), i64::try_from(i).unwrap()),
        body: body.clone(),
    };
    (0..count).map(one).collect()
}

pub fn keys(entries: &[Entry]) -> Vec<EntryKey> {
    entries.iter().map(|e| e.key.clone()).collect()
}

pub fn in_temp(body: &'static str) -> Admission {
    Admission::InTemp(body.into())
}

pub fn in_archive(body: &'static str) -> Admission {
    Admission::InArchive(body.into())
}

pub fn elsewhere(offset: i64, archived: bool) -> Admission {
    Admission::OtherPlace { offset: Offset(offset), archived }
}

/// All that a scan finds, as (id, offset, archived); a scan that doesn't end fails the test.
pub async fn scan_all(queue: &impl Queue, partition: Partition) -> BTreeSet<(String, i64, bool)> {
    let mut all = BTreeSet::new();
    let mut cursor = None;
    for _ in 0..10_000 {
        let page = queue.scan(partition, cursor).await.unwrap();
        let found = page.found.into_iter();
        all.extend(found.map(|f| (f.key.id.to_string(), f.key.offset.0, f.archived)));
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
    panic!("the scan doesn't end");
}

/// The found epoch of an error that must be about epochs.
pub fn epoch_of<T: std::fmt::Debug>(answer: Result<T, QueueError>) -> Option<Epoch> {
    match answer {
        Err(QueueError::Epoch { found }) => found,
        other => panic!("no epoch error: {other:?}"),
    }
}

/// The class of an answer, for what has no other equality.
pub fn class<T>(answer: &Result<T, QueueError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(QueueError::Transient(_)) => "transient",
        Err(QueueError::Full(_)) => "full",
        Err(QueueError::Epoch { .. }) => "epoch",
        Err(QueueError::Permanent(_)) => "permanent",
    }
}
