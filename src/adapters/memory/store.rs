//! The store in memory, for the simulation and the tests: the same answers as the real ones, in a defined order.
//! It keeps nothing beyond the process.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::{Offset, Partition, StoreId, TransactionId};
use crate::domain::outcome::{Fate, Outcome};
use crate::domain::resolution::{Past, Resolution, Resolved};
use crate::domain::time::Wall;
use crate::ports::store::{
    Batch, ResolveError, SourceStart, Store, StoreError, StoreIdentity, Stored,
};
use crate::wire::row;

/// The schema's version that the twin claims to have.
pub const SCHEMA_VERSION: u32 = 1;

/// Which row of an id stands, the highest, where there are no keys: as `version` in `schemas/clickhouse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_archived: bool,
    generation: u32,
    came: Reverse<Wall>,
}

impl Rank {
    fn of(row: &Outcome, generation: u32, now: Wall) -> Self {
        Self { is_archived: row.fate == Fate::Archived, generation, came: Reverse(now) }
    }
}

/// The tables, with a method for each of the port's, without waiting and without a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTables {
    pub id: StoreId,
    /// What the store's clock shows; whoever drives it moves it.
    pub now: Wall,
    rows: BTreeMap<TransactionId, Outcome>,
    /// Where rows come in as blocks.
    ranks: BTreeMap<TransactionId, Rank>,
    /// Of the blocks that came in last.
    tokens: VecDeque<String>,
    /// So many of them are known.
    pub tokens_max: usize,
    resolutions: Vec<Past>,
    /// By group, topic and partition.
    sources: BTreeMap<(String, String, Partition), Offset>,
}

impl StoreTables {
    #[must_use]
    pub fn new(id: StoreId) -> Self {
        Self {
            id,
            now: Wall::default(),
            rows: BTreeMap::new(),
            ranks: BTreeMap::new(),
            tokens: VecDeque::new(),
            tokens_max: 1_000,
            resolutions: Vec::new(),
            sources: BTreeMap::new(),
        }
    }

    /// Every row, in the order of the ids.
    pub fn rows(&self) -> impl Iterator<Item = &Outcome> {
        self.rows.values()
    }

    /// Every line of the audit, the oldest first.
    #[must_use]
    pub fn resolutions(&self) -> &[Past] {
        &self.resolutions
    }

    #[must_use]
    pub fn ask(&self, ids: &[TransactionId]) -> Vec<Outcome> {
        ids.iter().filter_map(|id| self.rows.get(id)).cloned().collect()
    }

    /// # Errors
    /// `Poison`, with nothing stored, where the batch breaks a rule of every store.
    pub fn store(&mut self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        row::check_batch(&batch.rows).map_err(|error| StoreError::Poison(error.to_string()))?;
        Ok(batch.rows.iter().map(|row| self.put(row)).collect())
    }

    fn put(&mut self, row: &Outcome) -> Stored {
        match self.rows.get(&row.transaction_id) {
            Some(old) if !row.supersedes(old) => Stored::Kept(Box::new(old.clone())),
            _ => match self.rows.insert(row.transaction_id.clone(), row.clone()) {
                Some(old) => Stored::Replaced(Box::new(old)),
                None => Stored::New,
            },
        }
    }

    /// What stands under an id, and its generation, where there are no keys (`adapters::clickhouse`).
    #[must_use]
    pub fn standing(&self, id: &TransactionId) -> Option<(&Outcome, u32)> {
        self.rows.get(id).map(|row| (row, self.generation(id)))
    }

    fn generation(&self, id: &TransactionId) -> u32 {
        self.ranks.get(id).map_or(0, |rank| rank.generation)
    }

    /// One block of rows there, each with its generation. `false`: its token was given before, and it leaves nothing.
    pub fn write(&mut self, token: &str, rows: impl IntoIterator<Item = (Outcome, u32)>) -> bool {
        if self.tokens.iter().any(|known| known == token) {
            return false;
        }
        self.tokens.push_back(token.to_owned());
        if self.tokens.len() > self.tokens_max {
            self.tokens.pop_front();
        }
        for (row, generation) in rows {
            let rank = Rank::of(&row, generation, self.now);
            // Of two that are equal nobody knows which one stands.
            if self.ranks.get(&row.transaction_id).is_none_or(|stands| *stands <= rank) {
                self.ranks.insert(row.transaction_id.clone(), rank);
                self.rows.insert(row.transaction_id.clone(), row);
            }
        }
        true
    }

    #[must_use]
    pub fn identity(&self) -> StoreIdentity {
        StoreIdentity { id: self.id, schema_version: SCHEMA_VERSION, now: self.now }
    }

    #[must_use]
    pub fn sources(&self, group: &str, topic: &str) -> Vec<SourceStart> {
        self.sources
            .iter()
            .filter(|((g, t, _), _)| g == group && t == topic)
            .map(|((group, topic, partition), start)| SourceStart {
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
                start: *start,
            })
            .collect()
    }

    pub fn add_sources(&mut self, starts: &[SourceStart]) {
        for start in starts {
            let key = (start.group.clone(), start.topic.clone(), start.partition);
            self.sources.entry(key).or_insert(start.start);
        }
    }

    /// # Errors
    /// `Refused` where the row is no open `in_doubt`.
    pub fn resolve(&mut self, resolution: &Resolution) -> Result<Resolved, ResolveError> {
        let past = self.resolutions.iter().rev().find(|past| past.resolution.id == resolution.id);
        let resolved = resolution.decide(self.rows.get(&resolution.id), past)?;
        if !resolved.repeated {
            let generation = self.generation(&resolution.id).saturating_add(1);
            let rank = Rank::of(&resolved.after, generation, self.now);
            self.ranks.insert(resolution.id.clone(), rank);
            self.rows.insert(resolution.id.clone(), resolved.after.clone());
            self.resolutions.push(resolution.past(&resolved.before));
        }
        Ok(resolved)
    }

    /// At most `limit` rows of a topic, in the order of their ids, after `after`.
    #[must_use]
    pub fn page(&self, topic: &str, after: Option<&TransactionId>, limit: u32) -> Vec<Outcome> {
        self.rows
            .values()
            .filter(|row| &*row.source.topic == topic)
            .filter(|row| after.is_none_or(|after| row.transaction_id > *after))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }
}

/// The tables behind the port. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    tables: Arc<Mutex<StoreTables>>,
}

impl MemoryStore {
    #[must_use]
    pub fn new(id: StoreId) -> Self {
        Self { tables: Arc::new(Mutex::new(StoreTables::new(id))) }
    }

    /// The tables themselves, for whoever drives or checks them. Not to be held across an await.
    pub fn tables(&self) -> MutexGuard<'_, StoreTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn ask(&self, ids: &[TransactionId]) -> Result<Vec<Outcome>, StoreError> {
        Ok(self.tables().ask(ids))
    }

    async fn store(&self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        self.tables().store(batch)
    }

    async fn identity(&self) -> Result<StoreIdentity, StoreError> {
        Ok(self.tables().identity())
    }

    async fn sources(&self, group: &str, topic: &str) -> Result<Vec<SourceStart>, StoreError> {
        Ok(self.tables().sources(group, topic))
    }

    async fn add_sources(&self, starts: &[SourceStart]) -> Result<(), StoreError> {
        self.tables().add_sources(starts);
        Ok(())
    }
}
