//! The temp queue and the archive queue. Each operation is one step for many transactions of one partition:
//! it validates, adds, then deletes; it is idempotent and may be run again; it checks the owner's epoch.

use bytes::Bytes;

use crate::domain::id::{Epoch, Offset, Partition, TransactionId};
use crate::domain::time::Wall;

/// Names an entry: the id under which it is kept, and the place that must match.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    pub id: TransactionId,
    pub offset: Offset,
}

/// An entry for a queue: its body is opaque to the queue (`wire::queue_entry`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: EntryKey,
    pub body: Bytes,
}

/// What admission found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It was in neither queue; it is in the temp queue now.
    New,
    /// It was already in the temp queue, with this body (which may carry a mark); left as it is.
    InTemp(Bytes),
    /// It is already in the archive queue, with this body; the temp queue was left alone.
    InArchive(Bytes),
    /// The id stands in one of the queues with another offset of this partition; nothing was written. `archived`
    /// tells which queue.
    OtherPlace { offset: Offset, archived: bool },
}

/// How a move or a mark ended, for one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is now (or was already) where it should be.
    Done,
    /// The temp queue has no such entry, or one of another place; nothing was written for it.
    Missing,
}

/// An entry met while scanning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub key: EntryKey,
    pub archived: bool,
}

/// One page of a scan. A `next` of `None` ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub found: Vec<Found>,
    pub next: Option<u64>,
}

/// How many entries a partition's queues hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    pub temp: u64,
    pub archive: u64,
}

/// What the queue's server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHealth {
    /// `7.0.15`
    pub version: String,
    /// Anything but `noeviction` loses entries.
    pub eviction_policy: String,
    pub used_memory_bytes: u64,
    /// 0 = unlimited.
    pub max_memory_bytes: u64,
    pub now: Wall,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// No answer or a passing condition (loading, failing over, busy): it may have been done; run it again.
    #[error("redis: {0}")]
    Transient(String),
    /// Out of memory; only admission can meet it.
    #[error("redis is out of memory: {0}")]
    Full(String),
    /// The epoch key is missing or is not ours: Redis was wiped, or someone else owns the partition.
    #[error("redis has epoch {found:?} for the partition")]
    Epoch { found: Option<Epoch> },
    /// Asking again won't help: wrong type, no permission, an entry that can't be read.
    #[error("redis: {0}")]
    Permanent(String),
}

pub trait Queue {
    /// Writes the owner's epoch unless a higher one stands there (`QueueError::Epoch` names it).
    fn claim(
        &self,
        partition: Partition,
        epoch: Epoch,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
    /// Puts entries in the temp queue, where they are in neither queue. One answer an entry, in order.
    fn admit(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> impl Future<Output = Result<Vec<Admission>, QueueError>> + Send;
    /// Moves entries from temp to archive; the body given replaces the one in temp. Runs out of memory or not.
    fn settle(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> impl Future<Output = Result<Vec<Moved>, QueueError>> + Send;
    /// Replaces the bodies of temp entries (declined, in doubt). Runs out of memory or not.
    fn mark(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> impl Future<Output = Result<Vec<Moved>, QueueError>> + Send;
    /// Deletes entries from both queues where the place matches; absent ones are fine.
    fn remove(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
    /// Of these keys, those that stand in neither queue (with that place).
    fn missing(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> impl Future<Output = Result<Vec<EntryKey>, QueueError>> + Send;
    /// One page of both queues; start with `None`. Entries may be met twice, or once where they move meanwhile.
    fn scan(
        &self,
        partition: Partition,
        cursor: Option<u64>,
    ) -> impl Future<Output = Result<Page, QueueError>> + Send;
    /// One answer a partition, in order.
    fn depths(
        &self,
        partitions: &[Partition],
    ) -> impl Future<Output = Result<Vec<Depth>, QueueError>> + Send;
    fn health(&self) -> impl Future<Output = Result<QueueHealth, QueueError>> + Send;
}
