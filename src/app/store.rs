//! Which store: the one choice that is made at run time. Everything here hands on to the chosen one.

use std::time::Duration;

use crate::adapters::clickhouse::{self, ClickhouseStore};
use crate::adapters::postgres::{self, PostgresStore};
use crate::adapters::sqlite::{self, SqliteStore};
use crate::config;
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::domain::resolution::{Resolution, Resolved};
use crate::ports::store::{
    Batch, Migrated, ResolveError, Rows, SourceStart, Store, StoreError, StoreHealth,
    StoreIdentity, Stored,
};

/// What any store needs to be told.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Batches and questions at a time (`flush.workers` and some); SQLite has one writer, always.
    pub max_connections: u32,
    /// To a connection, and again to the answer of one statement.
    pub timeout: Duration,
    /// Go on with a store that may lose what it acknowledged.
    pub allow_lossy: bool,
}

impl From<&config::store::Store> for StoreSettings {
    fn from(config: &config::store::Store) -> Self {
        Self {
            max_connections: config.max_connections,
            timeout: config.timeout,
            allow_lossy: config.allow_lossy,
        }
    }
}

/// The store that the url names.
#[derive(Debug, Clone)]
pub enum AnyStore {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    Clickhouse(ClickhouseStore),
}

/// Rows that are read at a time while all of them are read.
const PAGE_ROWS: u32 = 5_000;

impl AnyStore {
    /// The one that the configuration names.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub fn of(config: &config::store::Store) -> Result<Self, StoreError> {
        Self::connect(config.url.expose(), &config.into())
    }

    /// The same with a connection of its own, for who asks beside the route.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub fn beside(config: &config::store::Store) -> Result<Self, StoreError> {
        let settings = StoreSettings { max_connections: 1, ..config.into() };
        Self::connect(config.url.expose(), &settings)
    }

    /// By the scheme of the url: `sqlite:`, `postgres://` or `clickhouse://`. Connects only when something is asked of
    /// it.
    ///
    /// # Errors
    /// `Permanent` where the url can't be read or names another store.
    pub fn connect(url: &str, settings: &StoreSettings) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite(SqliteStore::new(&sqlite::Settings {
                url: url.to_owned(),
                timeout: settings.timeout,
                max_pages: None,
            })?)),
            Some("postgres" | "postgresql") => {
                Ok(Self::Postgres(PostgresStore::new(&postgres::Settings {
                    url: url.to_owned(),
                    max_connections: settings.max_connections,
                    timeout: settings.timeout,
                    allow_lossy: settings.allow_lossy,
                })?))
            }
            Some("clickhouse") => {
                Ok(Self::Clickhouse(ClickhouseStore::new(&clickhouse::Settings {
                    url: url.to_owned(),
                    max_connections: settings.max_connections,
                    timeout: settings.timeout,
                    allow_lossy: settings.allow_lossy,
                })?))
            }
            scheme => Err(StoreError::Permanent(format!(
                "store.url has the scheme {:?}; expected sqlite:FILE, postgres://… or clickhouse://…",
                scheme.unwrap_or_default()
            ))),
        }
    }

    /// Makes the tables, or brings them up to date.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        match self {
            Self::Sqlite(store) => store.migrate().await,
            Self::Postgres(store) => store.migrate().await,
            Self::Clickhouse(store) => store.migrate().await,
        }
    }

    /// Whether the store keeps what it acknowledges; at start and by `check-config`.
    pub async fn check(&self) -> Result<StoreHealth, StoreError> {
        match self {
            Self::Sqlite(store) => store.check().await,
            Self::Postgres(store) => store.check().await,
            Self::Clickhouse(store) => store.check().await,
        }
    }

    /// Writes a person's finding about an `in_doubt` to its row and to the audit, in one transaction.
    pub async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ResolveError> {
        match self {
            Self::Sqlite(store) => store.resolve(resolution).await,
            Self::Postgres(store) => store.resolve(resolution).await,
            Self::Clickhouse(store) => store.resolve(resolution).await,
        }
    }

    /// How many doubts are open, of whatever topic.
    pub async fn count_doubts(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.count_doubts().await,
            Self::Postgres(store) => store.count_doubts().await,
            Self::Clickhouse(store) => store.count_doubts().await,
        }
    }

    /// Resolutions by `by` of a topic's rows whose event was not noted as told, the oldest first.
    pub async fn untold(&self, by: &str, topic: &str) -> Result<Vec<Resolution>, StoreError> {
        match self {
            Self::Sqlite(store) => store.untold(by, topic).await,
            Self::Postgres(store) => store.untold(by, topic).await,
            Self::Clickhouse(store) => store.untold(by, topic).await,
        }
    }

    /// Notes that the event of a resolution stands on Kafka.
    pub async fn note_told(&self, resolution: &Resolution) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.note_told(resolution).await,
            Self::Postgres(store) => store.note_told(resolution).await,
            Self::Clickhouse(store) => store.note_told(resolution).await,
        }
    }

    /// Hands rows of a topic to `each`, in the order of the ids. Not one snapshot: a row that is stored meanwhile may
    /// or may not be among them.
    pub async fn rows(
        &self,
        rows: Rows,
        topic: &str,
        mut each: impl FnMut(Outcome),
    ) -> Result<(), StoreError> {
        let mut after: Option<TransactionId> = None;
        loop {
            let page = self.page(rows, topic, after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.transaction_id.clone());
            page.into_iter().for_each(&mut each);
        }
    }

    /// Some of them, after `after`; none: there are no more.
    pub async fn page(
        &self,
        rows: Rows,
        topic: &str,
        after: Option<&TransactionId>,
    ) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Sqlite(store) => store.page(rows, topic, after, PAGE_ROWS).await,
            Self::Postgres(store) => store.page(rows, topic, after, PAGE_ROWS).await,
            Self::Clickhouse(store) => store.page(rows, topic, after, PAGE_ROWS).await,
        }
    }

    /// Closes the connections, in order.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
            Self::Clickhouse(store) => store.close().await,
        }
    }
}

impl Store for AnyStore {
    async fn ask(&self, ids: &[TransactionId]) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Sqlite(store) => store.ask(ids).await,
            Self::Postgres(store) => store.ask(ids).await,
            Self::Clickhouse(store) => store.ask(ids).await,
        }
    }

    async fn store(&self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        match self {
            Self::Sqlite(store) => store.store(batch).await,
            Self::Postgres(store) => store.store(batch).await,
            Self::Clickhouse(store) => store.store(batch).await,
        }
    }

    async fn identity(&self) -> Result<StoreIdentity, StoreError> {
        match self {
            Self::Sqlite(store) => store.identity().await,
            Self::Postgres(store) => store.identity().await,
            Self::Clickhouse(store) => store.identity().await,
        }
    }

    async fn sources(&self, group: &str, topic: &str) -> Result<Vec<SourceStart>, StoreError> {
        match self {
            Self::Sqlite(store) => store.sources(group, topic).await,
            Self::Postgres(store) => store.sources(group, topic).await,
            Self::Clickhouse(store) => store.sources(group, topic).await,
        }
    }

    async fn add_sources(&self, starts: &[SourceStart]) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.add_sources(starts).await,
            Self::Postgres(store) => store.add_sources(starts).await,
            Self::Clickhouse(store) => store.add_sources(starts).await,
        }
    }
}
