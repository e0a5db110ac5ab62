//! The database: one row an id, over every fate that may have reached the gateway.

use std::sync::Arc;

use crate::domain::id::{Offset, Partition, StoreId, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::resolution::Refusal;
use crate::domain::time::Wall;

/// Rows that go to the store together. Its members and its id stay the same while it is retried. No id twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Names the batch to stores that deduplicate by token.
    pub token: String,
    pub rows: Vec<Arc<Outcome>>,
}

/// What the store did with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is in: there was none of that id.
    New,
    /// It is in, in place of this one (`Outcome::supersedes`).
    Replaced(Box<Outcome>),
    /// There is a row of that id already, and it stays: our own replay where the place is ours, else a duplicate.
    Kept(Box<Outcome>),
}

/// What the store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    pub id: StoreId,
    pub schema_version: u32,
    pub now: Wall,
}

/// From where a group first read a partition; written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStart {
    pub group: String,
    pub topic: String,
    pub partition: Partition,
    pub start: Offset,
}

/// Which rows of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    All,
    OpenDoubts,
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; `None` where there were no tables.
    pub from: Option<u32>,
    pub to: u32,
    pub id: StoreId,
}

/// What the store's server or library says of itself, once it is known to keep what it acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// `PostgreSQL 15.18`
    pub product: String,
    pub now: Wall,
    /// Settings that lose acknowledged rows and were allowed: `fsync = off`.
    pub lossy: Vec<String>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ResolveError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Surely not done, and it may work later: no connection, serialisation failure, read-only, full.
    #[error("store: {0}")]
    Transient(String),
    /// It may have been done: the connection was lost in between. Run it again, it is idempotent.
    #[error("store: {0}")]
    Unknown(String),
    /// Surely not done, and a row is to blame: a value that the table refuses.
    #[error("store: {0}")]
    Poison(String),
    /// Surely not done, and it won't work later: no such table, no permission.
    #[error("store: {0}")]
    Permanent(String),
}

pub trait Store {
    /// The rows that stand under these ids, in any order. One query.
    fn ask(
        &self,
        ids: &[TransactionId],
    ) -> impl Future<Output = Result<Vec<Outcome>, StoreError>> + Send;
    /// Stores a batch in one transaction: all or none. One answer a row, in order. A row with a fate that leaves
    /// none, with a NUL character, or with an id twice is `Poison` for every store (`wire::row::check_batch`).
    fn store(&self, batch: &Batch) -> impl Future<Output = Result<Vec<Stored>, StoreError>> + Send;
    /// `Permanent`, with the remedy, where the tables are missing or of a version that this program can't use.
    fn identity(&self) -> impl Future<Output = Result<StoreIdentity, StoreError>> + Send;
    /// What the `sources` table knows of a group and topic.
    fn sources(
        &self,
        group: &str,
        topic: &str,
    ) -> impl Future<Output = Result<Vec<SourceStart>, StoreError>> + Send;
    /// Writes first offsets, once: those that are known already are left as they are.
    fn add_sources(
        &self,
        starts: &[SourceStart],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
