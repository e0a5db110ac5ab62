//! PostgreSQL: a batch is one statement in one round trip. It decides nothing and repeats nothing: an error says
//! whether the statement may have been carried out, and the pipeline runs it again.

mod admin;
mod errors;
mod resolve;
mod rows;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, Postgres};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{Batch, SourceStart, Store, StoreError, StoreIdentity, Stored};
use crate::wire::row;

/// Where the database is, and how long to wait for it.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=…`
    pub url: String,
    /// At least 1. Batches, questions and commands share these.
    pub max_connections: u32,
    /// To a connection (a free one of the pool's or a new one), and again to the answer of one statement. The server
    /// is told nine tenths of it, so that it normally ends the statement itself and says so.
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
    pool: PgPool,
    timeout: Duration,
    allow_lossy: bool,
}

/// A connection that was not used for so long is asked for a sign of life before it gets a statement.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Reads the url; connects only when something is asked of it. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// `Permanent` where the url can't be read.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|error| errors::connecting(&error))?
            .disable_statement_logging();
        let setup = session_setup(settings.timeout);
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections.max(1))
            .acquire_timeout(settings.timeout)
            .test_before_acquire(false)
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for >= IDLE_BEFORE_PING {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |conn, _| {
                let setup = setup.clone();
                Box::pin(async move {
                    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(setup))).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, timeout: settings.timeout, allow_lossy: settings.allow_lossy })
    }

    /// Closes every connection, in order.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        // The pool's own limit does not hold while a new connection's greeting hangs.
        match timeout(self.timeout, self.pool.acquire()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(errors::connecting(&error)),
            Err(_) => Err(errors::no_connection(self.timeout)),
        }
    }

    /// Ends the use of a connection: one that may be in the middle of something is cut, not given back.
    fn finish<T>(
        &self,
        connection: PoolConnection<Postgres>,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if errors::is_lost(&error) {
                    drop(connection.detach());
                }
                Err(errors::under_way(&error))
            }
            Err(_) => {
                drop(connection.detach());
                Err(errors::no_answer(self.timeout))
            }
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
        let mut connection = self.connection().await.map_err(errors::of_reading)?;
        let question = sqlx::query(include_str!("sql/ask.sql")).bind(ids);
        let answer = timeout(self.timeout, question.fetch_all(&mut *connection)).await;
        let found = self.finish(connection, answer).map_err(errors::of_reading)?;
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
        let mut connection = self.connection().await?;
        let statement = rows::bind(sqlx::query(include_str!("sql/store.sql")), &in_order);
        let answer = timeout(self.timeout, statement.fetch_all(&mut *connection)).await;
        let met = self.finish(connection, answer)?;
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
