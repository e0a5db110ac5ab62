//! The queues in memory: the same answers as `adapters::redis`, without Redis. What Redis may do to us can be done
//! here on purpose: it can be wiped, lose its newest writes, lose an epoch, run full.
//!
//! Not for production: nothing outlives the process. Deterministic: ordered maps, no clock, no chance.

mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::{Epoch, Offset, Partition, TransactionId};
use crate::domain::time::Wall;
use crate::ports::queue::{
    Admission, Depth, Entry, EntryKey, Found, Moved, Page, Queue, QueueError, QueueHealth,
};
pub use state::WRITES_KEPT_MAX;
use state::{Change, State, Which};

/// So many entries make a page of a scan, or a few more where their ids' hashes are alike.
const ENTRIES_PER_PAGE: usize = 8;

/// A handle; its clones share the queues. The methods that bear a port operation's name are that operation,
/// without the waiting.
#[derive(Clone, Default)]
pub struct MemoryQueue {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue").field("full", &self.state().full).finish_non_exhaustive()
    }
}

/// What may happen to a Redis.
impl MemoryQueue {
    /// Loses everything, epochs too.
    pub fn wipe(&self) {
        self.state().wipe();
    }

    /// Loses the newest writes, as a replica that takes over does. A write is an operation that changed something,
    /// whole. Returns how many were lost: fewer than asked for where there were not so many.
    pub fn lose_newest(&self, writes: usize) -> usize {
        self.state().lose_newest(writes)
    }

    /// Loses a partition's epoch and nothing else.
    pub fn lose_epoch(&self, partition: Partition) {
        self.state().part(partition).epoch = None;
    }

    /// Loses one entry, wherever it is.
    pub fn lose_entry(&self, partition: Partition, id: &TransactionId) {
        let mut state = self.state();
        let part = state.part(partition);
        part.temp.remove(id);
        part.archive.remove(id);
    }

    /// Begins to move an entry, and fails: it is added where it should be, and not deleted where it was.
    ///
    /// # Errors
    /// As the port.
    pub fn settle_half(
        &self,
        partition: Partition,
        epoch: Epoch,
        entry: &Entry,
    ) -> Result<(), QueueError> {
        let lines = std::slice::from_ref(entry);
        let each = self.state().write(partition, epoch, lines, |part, Entry { key, body }| {
            if part.holds(Which::Temp, key) {
                part.put(Which::Archive, &key.id, Some((key.offset, body)));
            }
        });
        each.map(drop)
    }

    /// Where an id stands, and whether in the archive queue.
    #[must_use]
    pub fn find(&self, partition: Partition, id: &TransactionId) -> Option<(Offset, bool)> {
        let mut state = self.state();
        let part = state.part(partition);
        let archived = part.archive.get(id).map(|held| (held.offset, true));
        archived.or_else(|| part.temp.get(id).map(|held| (held.offset, false)))
    }

    /// The epoch that stands.
    #[must_use]
    pub fn epoch(&self, partition: Partition) -> Option<Epoch> {
        self.state().part(partition).epoch
    }

    /// While full, admission is refused, even of what is there already; all else goes on.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// What `health` gives as the server's clock.
    pub fn set_now(&self, now: Wall) {
        self.state().now = now;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port's operations, at once.
impl MemoryQueue {
    /// # Errors
    /// As the port.
    pub fn claim(&self, partition: Partition, epoch: Epoch) -> Result<(), QueueError> {
        let mut state = self.state();
        let stands = state.part(partition).epoch;
        if stands > Some(epoch) {
            return Err(QueueError::Epoch { found: stands });
        }
        if stands != Some(epoch) {
            state.part(partition).epoch = Some(epoch);
            state.log(vec![Change::Epoch(partition, stands)]);
        }
        Ok(())
    }

    /// # Errors
    /// As the port.
    pub fn admit(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Admission>, QueueError> {
        let mut state = self.state();
        if state.full && !entries.is_empty() {
            return Err(QueueError::Full("the memory queue was told to be full".into()));
        }
        state.write(partition, epoch, entries, |part, entry| {
            let Entry { key: EntryKey { id, offset }, body } = entry;
            let (temp, archive) = (part.temp.get(id), part.archive.get(id));
            match (temp, archive) {
                (_, Some(a)) if a.offset == *offset => Admission::InArchive(a.body.clone()),
                (Some(t), _) if t.offset == *offset => Admission::InTemp(t.body.clone()),
                (_, Some(a)) => Admission::OtherPlace { offset: a.offset, archived: true },
                (Some(t), _) => Admission::OtherPlace { offset: t.offset, archived: false },
                (None, None) => {
                    part.put(Which::Temp, id, Some((*offset, body)));
                    Admission::New
                }
            }
        })
    }

    /// # Errors
    /// As the port.
    pub fn settle(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Moved>, QueueError> {
        self.state().write(partition, epoch, entries, |part, Entry { key, body }| {
            if part.holds(Which::Temp, key) {
                part.put(Which::Archive, &key.id, Some((key.offset, body)));
                part.put(Which::Temp, &key.id, None);
                return Moved::Done;
            }
            if part.holds(Which::Archive, key) { Moved::Done } else { Moved::Missing }
        })
    }

    /// # Errors
    /// As the port.
    pub fn mark(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Moved>, QueueError> {
        self.state().write(partition, epoch, entries, |part, Entry { key, body }| {
            if !part.holds(Which::Temp, key) {
                return Moved::Missing;
            }
            part.put(Which::Temp, &key.id, Some((key.offset, body)));
            Moved::Done
        })
    }

    /// # Errors
    /// As the port.
    pub fn remove(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> Result<(), QueueError> {
        let each = self.state().write(partition, epoch, keys, |part, key| {
            for which in [Which::Temp, Which::Archive] {
                if part.holds(which, key) {
                    part.put(which, &key.id, None);
                }
            }
        });
        each.map(drop)
    }

    /// # Errors
    /// As the port.
    pub fn missing(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> Result<Vec<EntryKey>, QueueError> {
        let each = self.state().write(partition, epoch, keys, |part, key| {
            let held = part.holds(Which::Temp, key) || part.holds(Which::Archive, key);
            (!held).then(|| key.clone())
        });
        Ok(each?.into_iter().flatten().collect())
    }

    /// Pages go by the hash of the id, as in Redis, so that what comes or goes between two pages hides nothing else.
    #[must_use]
    pub fn scan(&self, partition: Partition, cursor: Option<u64>) -> Page {
        let cursor = cursor.unwrap_or(0);
        let archived = cursor & 1 == 1;
        let mut state = self.state();
        let part = state.part(partition);
        let hash = if archived { &part.archive } else { &part.temp };
        let mut all: Vec<(u64, &TransactionId, Offset)> =
            hash.iter().map(|(id, held)| (position(id), id, held.offset)).collect();
        all.sort_unstable();
        let from = all.partition_point(|(at, ..)| *at < cursor >> 1);
        let rest = &all[from..];
        let ends = rest.get(ENTRIES_PER_PAGE - 1).map(|(last, ..)| *last);
        let page = rest.iter().take_while(|(at, ..)| ends.is_none_or(|last| *at <= last));
        let found: Vec<Found> = page
            .map(|(_, id, offset)| Found {
                key: EntryKey { id: (*id).clone(), offset: *offset },
                archived,
            })
            .collect();
        let next = match (rest.get(found.len()), archived) {
            (Some((at, ..)), _) => Some(at << 1 | u64::from(archived)),
            (None, false) => Some(1),
            (None, true) => None,
        };
        Page { found, next }
    }

    #[must_use]
    pub fn depths(&self, partitions: &[Partition]) -> Vec<Depth> {
        let mut state = self.state();
        let depth = |partition: &Partition| {
            let part = state.part(*partition);
            Depth { temp: part.temp.len() as u64, archive: part.archive.len() as u64 }
        };
        partitions.iter().map(depth).collect()
    }

    #[must_use]
    pub fn health(&self) -> QueueHealth {
        let state = self.state();
        let hashes = state.partitions.values().flat_map(|p| [&p.temp, &p.archive]);
        let entries = hashes.flat_map(|hash| hash.iter());
        let used = entries.map(|(id, held)| (id.as_str().len() + 8 + held.body.len()) as u64).sum();
        QueueHealth {
            version: "7.0.0".into(),
            eviction_policy: "noeviction".into(),
            used_memory_bytes: used,
            max_memory_bytes: if state.full { used } else { 0 },
            now: state.now,
        }
    }
}

/// FNV-1a in 63 bits: leaves room for the cursor's lowest bit, which tells the hash.
fn position(id: &TransactionId) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    let all = id
        .as_str()
        .bytes()
        .fold(start, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    all >> 1
}

impl Queue for MemoryQueue {
    async fn claim(&self, partition: Partition, epoch: Epoch) -> Result<(), QueueError> {
        self.claim(partition, epoch)
    }

    async fn admit(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Admission>, QueueError> {
        self.admit(partition, epoch, entries)
    }

    async fn settle(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Moved>, QueueError> {
        self.settle(partition, epoch, entries)
    }

    async fn mark(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Moved>, QueueError> {
        self.mark(partition, epoch, entries)
    }

    async fn remove(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> Result<(), QueueError> {
        self.remove(partition, epoch, keys)
    }

    async fn missing(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> Result<Vec<EntryKey>, QueueError> {
        self.missing(partition, epoch, keys)
    }

    async fn scan(&self, partition: Partition, cursor: Option<u64>) -> Result<Page, QueueError> {
        Ok(self.scan(partition, cursor))
    }

    async fn depths(&self, partitions: &[Partition]) -> Result<Vec<Depth>, QueueError> {
        Ok(self.depths(partitions))
    }

    async fn health(&self) -> Result<QueueHealth, QueueError> {
        Ok(self.health())
    }
}
