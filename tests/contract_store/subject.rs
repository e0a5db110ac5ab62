//! The stores under test, each empty and migrated, and one way to speak to them all.

use std::time::Duration;

use tempfile::TempDir;
use tollbridge::adapters::clickhouse::steps::{self, Table};
use tollbridge::adapters::clickhouse::{Standing, Written};
use tollbridge::adapters::memory::store::MemoryStore;
use tollbridge::app::store::{AnyStore, StoreSettings};
use tollbridge::domain::id::{StoreId, TransactionId};
use tollbridge::domain::outcome::Outcome;
use tollbridge::domain::resolution::{Resolution, Resolved};
use tollbridge::ports::store::{
    Batch, ResolveError, Rows, SourceStart, Store, StoreError, StoreIdentity, Stored,
};
use tollbridge_rig::{shared_clickhouse, shared_postgres};

/// A store under test.
#[derive(Debug)]
pub enum Subject {
    Memory(MemoryStore),
    /// As ClickHouse stores: what the simulation has in its place.
    InSteps(InSteps),
    Sqlite(AnyStore, #[expect(dead_code, reason = "removed when dropped")] TempDir),
    Postgres(AnyStore),
    Clickhouse(AnyStore),
}

/// The memory's tables, filled as ClickHouse's are.
#[derive(Debug)]
pub struct InSteps(MemoryStore);

impl Table for InSteps {
    async fn standing(&self, ids: &[&str]) -> Result<Vec<Standing>, StoreError> {
        let tables = self.0.tables();
        let ids = ids.iter().map(|id| TransactionId::parse(id).unwrap());
        let standing = |id| {
            let (row, generation) = tables.standing(&id)?;
            Some(Standing { row: row.clone(), generation })
        };
        Ok(ids.filter_map(standing).collect())
    }

    async fn write(&self, token: &str, rows: &[Written<'_>]) -> Result<(), StoreError> {
        let each = rows.iter().map(|written| (written.row.clone(), written.generation()));
        self.0.tables().write(token, each);
        Ok(())
    }
}

/// How long anything may take on a busy machine before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub fn settings() -> StoreSettings {
    StoreSettings { max_connections: 4, timeout: PATIENCE, allow_lossy: false }
}

/// An address in an empty folder.
pub fn sqlite_url(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("store.db").display())
}

/// One of each kind.
pub async fn all() -> Vec<Subject> {
    vec![memory(), in_steps(), sqlite().await, postgres().await, clickhouse().await]
}

pub fn memory() -> Subject {
    Subject::Memory(MemoryStore::new(StoreId([7; 16])))
}

pub fn in_steps() -> Subject {
    Subject::InSteps(InSteps(MemoryStore::new(StoreId([7; 16]))))
}

pub async fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = AnyStore::connect(&sqlite_url(&folder), &settings()).unwrap();
    store.migrate().await.unwrap();
    Subject::Sqlite(store, folder)
}

pub async fn postgres() -> Subject {
    let store = AnyStore::connect(&shared_postgres().fresh_url().unwrap(), &settings()).unwrap();
    store.migrate().await.unwrap();
    Subject::Postgres(store)
}

pub async fn clickhouse() -> Subject {
    let store = AnyStore::connect(&shared_clickhouse().fresh_url().unwrap(), &settings()).unwrap();
    store.migrate().await.unwrap();
    Subject::Clickhouse(store)
}

impl Subject {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::InSteps(_) => "memory, in steps",
            Self::Sqlite(..) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Clickhouse(_) => "clickhouse",
        }
    }

    /// The store, where it outlives the process.
    pub fn real(&self) -> Option<&AnyStore> {
        match self {
            Self::Memory(_) | Self::InSteps(_) => None,
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => Some(store),
        }
    }

    pub async fn ask(&self, ids: &[TransactionId]) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Memory(store) | Self::InSteps(InSteps(store)) => store.ask(ids).await,
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                store.ask(ids).await
            }
        }
    }

    /// The rows under these ids in the order of the ids, so that stores can be compared.
    pub async fn ask_in_order(&self, ids: &[TransactionId]) -> Vec<Outcome> {
        let mut rows = self.ask(ids).await.unwrap();
        rows.sort_by(|a, b| a.transaction_id.cmp(&b.transaction_id));
        rows
    }

    pub async fn store(&self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        match self {
            Self::Memory(store) => store.store(batch).await,
            Self::InSteps(table) => steps::store(table, batch).await,
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                store.store(batch).await
            }
        }
    }

    pub async fn identity(&self) -> Result<StoreIdentity, StoreError> {
        match self {
            Self::Memory(store) | Self::InSteps(InSteps(store)) => store.identity().await,
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                store.identity().await
            }
        }
    }

    pub async fn sources(&self, group: &str, topic: &str) -> Vec<SourceStart> {
        match self {
            Self::Memory(store) | Self::InSteps(InSteps(store)) => {
                store.sources(group, topic).await.unwrap()
            }
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                store.sources(group, topic).await.unwrap()
            }
        }
    }

    pub async fn add_sources(&self, starts: &[SourceStart]) {
        match self {
            Self::Memory(store) | Self::InSteps(InSteps(store)) => {
                store.add_sources(starts).await.unwrap()
            }
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                store.add_sources(starts).await.unwrap();
            }
        }
    }

    pub async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ResolveError> {
        match self {
            Self::Memory(store) | Self::InSteps(InSteps(store)) => {
                store.tables().resolve(resolution)
            }
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                store.resolve(resolution).await
            }
        }
    }

    pub async fn rows(&self, topic: &str) -> Vec<Outcome> {
        match self {
            Self::Memory(store) | Self::InSteps(InSteps(store)) => {
                store.tables().page(topic, None, u32::MAX)
            }
            Self::Sqlite(store, _) | Self::Postgres(store) | Self::Clickhouse(store) => {
                let mut rows = Vec::new();
                store.rows(Rows::All, topic, |row| rows.push(row)).await.unwrap();
                rows
            }
        }
    }
}
