//! One connection to the file, for one user at a time, kept open between calls. Not sqlx's pool, which crosses to
//! the connection's thread once more after every use.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::ports::store::StoreError;

use super::errors;

#[derive(Debug, Clone)]
pub struct Slot {
    options: Arc<SqliteConnectOptions>,
    limit: Duration,
    connection: Arc<Mutex<Option<SqliteConnection>>>,
}

/// The connection in use. Dropping it closes it: whatever it was doing is rolled back or ends first.
#[derive(Debug)]
pub struct Lease {
    pub connection: SqliteConnection,
    slot: OwnedMutexGuard<Option<SqliteConnection>>,
}

impl Slot {
    pub fn new(options: SqliteConnectOptions, limit: Duration) -> Self {
        Self { options: Arc::new(options), limit, connection: Arc::default() }
    }

    /// The connection, once nobody else uses it; opened where it is not.
    pub async fn lease(&self) -> Result<Lease, StoreError> {
        let file = self.options.get_filename();
        let waiting = async {
            let mut slot = Arc::clone(&self.connection).lock_owned().await;
            let connection = match slot.take() {
                Some(connection) => connection,
                None => self.options.connect().await?,
            };
            Ok(Lease { connection, slot })
        };
        match timeout(self.limit, waiting).await {
            Ok(lease) => lease.map_err(|error| errors::opening(&error, file)),
            Err(_) => Err(errors::busy(file, self.limit)),
        }
    }

    /// Closes the connection where it is open.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            // Only tidies up: every commit is on disk already.
            connection.close().await.ok();
        }
    }
}

impl Lease {
    /// Gives it back: its last statement was answered.
    pub fn keep(mut self) {
        *self.slot = Some(self.connection);
    }
}
