//! PostgreSQL: a batch is one statement in one round trip, and a second where ids of it had rows. It decides nothing
//! and repeats nothing: an error says whether the statement may have been carried out, and the pipeline runs it again.

mod admin;
mod connections;
mod errors;
mod resolve;
mod rows;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgRow};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{Batch, SourceStart, Store, StoreError, StoreIdentity, Stored};
use crate::wire::row;

use connections::{Connections, Lease};

/// Where the database is, and how long to wait for it.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=…`
    pub url: String,
    /// At least 1. Batches, questions and commands share these.
    pub max_connections: u32,
    /// To a connection (a free one of the pool's or a new one), and again to the answer. The server is told nine tenths
    /// of it for each statement, so that it normally ends one itself and says so.
    pub timeout: Duration,
    /// Go on with a server that may lose what it acknowledged.
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
pub struct PostgresStore {
    connections: Connections,
    timeout: Duration,
    allow_lossy: bool,
    /// Whether rows stood where the last batch came.
    has_met_rows: Arc<AtomicBool>,
}

impl PostgresStore {
    /// Reads the url; connects only when something is asked of it.
    ///
    /// # Errors
    /// `Permanent` where the url can't be read.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|error| errors::connecting(&error))?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("tollbridge"),
        };
        let setup = session_setup(settings.timeout);
        let max = usize::try_from(settings.max_connections.max(1)).unwrap_or(usize::MAX);
        Ok(Self {
            connections: Connections::new(options, &setup, max, settings.timeout),
            timeout: settings.timeout,
            allow_lossy: settings.allow_lossy,
            has_met_rows: Arc::default(),
        })
    }

    /// Takes leave of the server.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    /// The rows that stood there before, none where all are new. Where the last batch met rows, this one is likely to,
    /// too, and what would fail is not tried.
    async fn put(
        &self,
        connection: &mut PgConnection,
        in_order: &[&Outcome],
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if !self.has_met_rows.load(Ordering::Relaxed) {
            let add = rows::bind(sqlx::query(include_str!("sql/add.sql")), in_order);
            match add.execute(&mut *connection).await {
                Err(error) if errors::is_unique_violation(&error) => {}
                added => return added.map(|_| Vec::new()),
            }
        }
        let store = rows::bind(sqlx::query(include_str!("sql/store.sql")), in_order);
        let met = store.fetch_all(connection).await?;
        self.has_met_rows.store(!met.is_empty(), Ordering::Relaxed);
        Ok(met)
    }

    /// Ends the use of a connection: one that may be in the middle of something is cut, not given back.
    fn finish<T>(
        &self,
        lease: Lease,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        match answer {
            Ok(Ok(value)) => {
                lease.keep();
                Ok(value)
            }
            Ok(Err(error)) => {
                if !errors::is_lost(&error) {
                    lease.keep();
                }
                Err(errors::under_way(&error))
            }
            Err(_) => Err(errors::no_answer(self.timeout)),
        }
    }
}

/// What each session is told first. Isolation: see `sql/store.sql`. The planner: each statement names its rows by
/// primary key, and a plan made while the table was empty must not become a scan of what it has grown to.
fn session_setup(timeout: Duration) -> String {
    let limit_ms = (timeout * 9 / 10).as_millis().max(1);
    format!(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ;
         SET statement_timeout = {limit_ms};
         SET idle_in_transaction_session_timeout = {limit_ms};
         SET enable_seqscan = off;"
    )
}

impl Store for PostgresStore {
    async fn ask(&self, ids: &[TransactionId]) -> Result<Vec<Outcome>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = ids.iter().map(TransactionId::as_str).collect();
        let mut lease = self.connections.lease().await?;
        let question = sqlx::query(include_str!("sql/ask.sql")).bind(ids);
        let answer = timeout(self.timeout, question.fetch_all(&mut lease.connection)).await;
        let found = self.finish(lease, answer).map_err(errors::of_reading)?;
        found.iter().map(rows::outcome).collect()
    }

    async fn store(&self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        if batch.rows.is_empty() {
            return Ok(Vec::new());
        }
        row::check_batch(&batch.rows).map_err(|error| StoreError::Poison(error.to_string()))?;
        let mut in_order: Vec<&Outcome> = batch.rows.iter().map(AsRef::as_ref).collect();
        // Two batches that share ids then lock them in the same order, and can't deadlock.
        in_order.sort_unstable_by(|a, b| a.transaction_id.cmp(&b.transaction_id));
        let mut lease = self.connections.lease().await?;
        let answer = timeout(self.timeout, self.put(&mut lease.connection, &in_order)).await;
        let met = self.finish(lease, answer)?;
        rows::stored(&batch.rows, &met)
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
