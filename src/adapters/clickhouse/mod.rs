//! ClickHouse: a batch is one block in one insert, between two questions of what stands under its ids. There are no
//! transactions here and no primary key, so which row stands is decided by a version that the server gives each
//! (`schemas/clickhouse`), and an answer is what was read after the insert. It repeats nothing that may have been done:
//! the pipeline stores the batch again, under the same token.

mod address;
mod admin;
mod connections;
mod errors;
mod resolve;
mod rows;
pub mod steps;

use std::fmt;
use std::time::Duration;

use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{Batch, SourceStart, Store, StoreError, StoreIdentity, Stored};

use address::Address;
use connections::Connections;
use rows::{Found, Given};
pub use rows::{Standing, Written};
use steps::Table;

/// Where the database is, and how long to wait for it.
#[derive(Clone)]
pub struct Settings {
    /// `clickhouse://user:password@host:port/database?secure=true&setting=value`
    pub url: String,
    /// At least 1. Batches, questions and commands share these.
    pub max_connections: u32,
    /// To a free connection, and again to the answer of one statement. The server is told nine tenths of it.
    pub timeout: Duration,
    /// Go on with tables that may lose what was acknowledged.
    pub allow_lossy: bool,
}

impl fmt::Debug for Settings {
    /// Leaves out the url, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("max_connections", &self.max_connections)
            .field("timeout", &self.timeout)
            .field("allow_lossy", &self.allow_lossy)
            .finish_non_exhaustive()
    }
}

/// One database. Clones share the connections.
#[derive(Debug, Clone)]
pub struct ClickhouseStore {
    connections: Connections,
    timeout: Duration,
    allow_lossy: bool,
}

impl ClickhouseStore {
    /// Reads the url; connects only when something is asked of it.
    ///
    /// # Errors
    /// `Permanent` where the url can't be read.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let address = Address::parse(&settings.url)?;
        let max = usize::try_from(settings.max_connections.max(1)).unwrap_or(usize::MAX);
        Ok(Self {
            connections: Connections::new(address, max, settings.timeout),
            timeout: settings.timeout,
            allow_lossy: settings.allow_lossy,
        })
    }

    /// Lets no more statements begin. Idle connections need no leave.
    pub async fn close(&self) {
        self.connections.close();
    }
}

impl Table for ClickhouseStore {
    async fn standing(&self, ids: &[&str]) -> Result<Vec<Standing>, StoreError> {
        let question = include_str!("sql/ask.sql");
        let found = self.connections.run(|c| c.query(question).bind(ids).fetch_all::<Found>());
        found.await?.into_iter().map(Standing::try_from).collect()
    }

    async fn write(&self, token: &str, rows: &[Written<'_>]) -> Result<(), StoreError> {
        // Before our own limit, which would leave its connection to itself.
        let limit = Some(self.timeout * 9 / 10);
        let insert = async |client: clickhouse::Client| {
            let insert = client.insert::<Given<'_>>("transactions").await?;
            let insert = insert.with_setting("insert_deduplication_token", token);
            let mut insert = insert.with_timeouts(limit, limit);
            for row in rows {
                insert.write(&row.given(&row.hexed())).await?;
            }
            insert.end().await
        };
        self.connections.run(insert).await
    }
}

impl Store for ClickhouseStore {
    async fn ask(&self, ids: &[TransactionId]) -> Result<Vec<Outcome>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = ids.iter().map(TransactionId::as_str).collect();
        let standing = self.standing(&ids).await.map_err(errors::of_reading)?;
        Ok(standing.into_iter().map(|standing| standing.row).collect())
    }

    async fn store(&self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        steps::store(self, batch).await
    }

    async fn identity(&self) -> Result<StoreIdentity, StoreError> {
        self.read_identity().await
    }

    async fn sources(&self, group: &str, topic: &str) -> Result<Vec<SourceStart>, StoreError> {
        self.read_sources(group, topic).await
    }

    async fn add_sources(&self, starts: &[SourceStart]) -> Result<(), StoreError> {
        self.write_sources(starts).await
    }
}
