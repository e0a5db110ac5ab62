//! The connections to one database: at most so many, kept open between statements. Not sqlx's pool, which asks for
//! a sign of life after every use, keeps a slot for as long as that takes, and hides why it could not connect.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::ports::store::StoreError;

use super::errors;

/// A connection that was not used for so long is asked for a sign of life before it gets a statement.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Connections {
    options: Arc<PgConnectOptions>,
    /// What each session is told first.
    setup: Arc<str>,
    limit: Duration,
    slots: Arc<Semaphore>,
    /// The one used last is used first; the others may be given up by the server.
    idle: Arc<Mutex<Vec<Idle>>>,
}

struct Idle {
    connection: PgConnection,
    since: Instant,
}

/// A connection in use. Dropping it cuts it: whatever it was doing, nobody else gets it.
pub struct Lease {
    pub connection: PgConnection,
    idle: Arc<Mutex<Vec<Idle>>>,
    _slot: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `max` connections, each to be had within `limit`.
    pub fn new(options: PgConnectOptions, setup: &str, max: usize, limit: Duration) -> Self {
        Self {
            options: Arc::new(options.disable_statement_logging()),
            setup: setup.into(),
            limit,
            slots: Arc::new(Semaphore::new(max)),
            idle: Arc::default(),
        }
    }

    /// A connection that answered within the last second, or a new one.
    pub async fn lease(&self) -> Result<Lease, StoreError> {
        match timeout(self.limit, self.next()).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => Err(errors::connecting(&error)),
            Err(_) => Err(errors::no_connection(self.limit)),
        }
    }

    async fn next(&self) -> Result<Lease, sqlx::Error> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.living().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Lease { connection, idle: Arc::clone(&self.idle), _slot: slot })
    }

    async fn living(&self) -> Option<PgConnection> {
        loop {
            let Idle { mut connection, since } = lock(&self.idle).pop()?;
            if since.elapsed() < IDLE_BEFORE_PING || connection.ping().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let setup = sqlx::AssertSqlSafe(Arc::clone(&self.setup));
        connection.execute(sqlx::raw_sql(setup)).await?;
        Ok(connection)
    }

    /// Takes leave of the server on every idle connection, and gives out no more.
    pub async fn close(&self) {
        self.slots.close();
        loop {
            let Some(idle) = lock(&self.idle).pop() else { return };
            // The server is told as a courtesy; where it can't be, the connection is gone as well.
            timeout(self.limit, idle.connection.close()).await.ok();
        }
    }
}

impl Lease {
    /// Gives it back: its last statement was answered.
    pub fn keep(self) {
        lock(&self.idle).push(Idle { connection: self.connection, since: Instant::now() });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Connections {
    /// Leaves out the options, which hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("idle", &lock(&self.idle).len()).finish_non_exhaustive()
    }
}
