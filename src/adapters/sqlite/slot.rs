//! One connection to the file, for one user at a time, kept open between calls. Not sqlx's pool, which crosses to
//! the connection's thread once more after every use.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use crate::ports::store::StoreError;

use super::errors;

/// Pause between two tries to open the file while another process switches its journal mode.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Opens the file, waiting as long as it is locked; the caller sets the limit. SQLite waits for most locks by itself,
/// but not for the one under which a file is switched to a write-ahead log: of two processes that open a new file
/// at once, one is refused at once.
pub async fn open(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    loop {
        match options.connect().await {
            Err(error) if errors::is_busy(&error) => sleep(TRY_EVERY).await,
            opened => return opened,
        }
    }
}

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
                None => open(&self.options).await?,
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
