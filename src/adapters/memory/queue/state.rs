//! What the memory queue holds, and how its writes are kept so that they can be undone. Knows nothing of what an
//! operation means.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::domain::id::{Epoch, Offset, Partition, TransactionId};
use crate::domain::time::Wall;
use crate::ports::queue::{EntryKey, QueueError};

/// So many writes can be undone; older ones count as safe.
pub const WRITES_KEPT_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct State {
    pub partitions: BTreeMap<Partition, Part>,
    /// What each write changed, newest last: what stood there before.
    undo: VecDeque<Vec<Change>>,
    pub full: bool,
    pub now: Wall,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Part {
    pub epoch: Option<Epoch>,
    pub temp: Hash,
    pub archive: Hash,
}

pub(super) type Hash = BTreeMap<TransactionId, Held>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub offset: Offset,
    pub body: Bytes,
}

#[derive(Clone, Copy)]
pub(super) enum Which {
    Temp,
    Archive,
}

pub(super) enum Change {
    Epoch(Partition, Option<Epoch>),
    Entry(Partition, Which, TransactionId, Option<Held>),
}

impl State {
    pub(super) fn part(&mut self, partition: Partition) -> &mut Part {
        self.partitions.entry(partition).or_default()
    }

    /// Checks the epoch, does the lines one after the other, and keeps what they changed. The epoch isn't looked at
    /// for no lines at all.
    pub(super) fn write<L, A>(
        &mut self,
        partition: Partition,
        epoch: Epoch,
        lines: &[L],
        mut each: impl FnMut(&mut Writer<'_>, &L) -> A,
    ) -> Result<Vec<A>, QueueError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let part = self.part(partition);
        if part.epoch != Some(epoch) {
            return Err(QueueError::Epoch { found: part.epoch });
        }
        let mut writer =
            Writer { temp: &mut part.temp, archive: &mut part.archive, partition, undo: vec![] };
        let answers = lines.iter().map(|line| each(&mut writer, line)).collect();
        let changes = writer.undo;
        self.log(changes);
        Ok(answers)
    }

    pub(super) fn log(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        if self.undo.len() == WRITES_KEPT_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back(changes);
    }

    #[cfg(test)]
    pub(super) fn writes_kept(&self) -> usize {
        self.undo.len()
    }

    /// Undoes the newest writes; returns how many there were to undo.
    pub(super) fn lose_newest(&mut self, writes: usize) -> usize {
        let lost = writes.min(self.undo.len());
        for _ in 0..lost {
            for change in self.undo.pop_back().into_iter().flatten().rev() {
                self.take_back(change);
            }
        }
        lost
    }

    pub(super) fn wipe(&mut self) {
        self.partitions.clear();
        self.undo.clear();
    }

    fn take_back(&mut self, change: Change) {
        match change {
            Change::Epoch(partition, before) => self.part(partition).epoch = before,
            Change::Entry(partition, which, id, before) => {
                let part = self.part(partition);
                let hash = match which {
                    Which::Temp => &mut part.temp,
                    Which::Archive => &mut part.archive,
                };
                match before {
                    Some(held) => hash.insert(id, held),
                    None => hash.remove(&id),
                };
            }
        }
    }
}

/// A partition's hashes while one operation writes to them.
pub(super) struct Writer<'a> {
    pub temp: &'a mut Hash,
    pub archive: &'a mut Hash,
    partition: Partition,
    undo: Vec<Change>,
}

impl Writer<'_> {
    pub(super) fn hash(&mut self, which: Which) -> &mut Hash {
        match which {
            Which::Temp => self.temp,
            Which::Archive => self.archive,
        }
    }

    pub(super) fn holds(&mut self, which: Which, key: &EntryKey) -> bool {
        self.hash(which).get(&key.id).is_some_and(|held| held.offset == key.offset)
    }

    pub(super) fn put(&mut self, which: Which, id: &TransactionId, new: Option<(Offset, &Bytes)>) {
        let hash = self.hash(which);
        let before = match new {
            Some((offset, body)) => hash.insert(id.clone(), Held { offset, body: body.clone() }),
            None => hash.remove(id),
        };
        self.undo.push(Change::Entry(self.partition, which, id.clone(), before));
    }
}
