//! SQLite: the store within the process, one file that the processes of one host may share. It repeats nothing:
//! an error says whether the statement may have been carried out, and the pipeline runs it again.

mod admin;
mod errors;
mod resolve;
mod rows;
mod slot;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{Batch, SourceStart, Store, StoreError, StoreIdentity, Stored};
use crate::wire::row;

use slot::{Lease, Slot};

/// Where the file is, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite:tollbridge.db`, `sqlite:///var/lib/tollbridge/tollbridge.db`
    pub url: String,
    /// To the answer of one call, waiting for other processes included.
    pub timeout: Duration,
    /// How large the file may grow, in pages of 4 KiB; beyond, storing is `Transient` until there is room.
    pub max_pages: Option<u32>,
}

/// One file. Clones share the connections: one that writes, one that reads.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// For migrations, which may make the file.
    options: Arc<SqliteConnectOptions>,
    writer: Slot,
    reader: Slot,
    timeout: Duration,
}

impl SqliteStore {
    /// Reads the url; opens the file only when something is asked of it, and creates it only in
    /// [`SqliteStore::migrate`].
    ///
    /// # Errors
    /// `Permanent` where the url can't be read or names a database in memory.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(&settings.url)
            .map_err(|error| errors::bad_url(&settings.url, &error))?;
        if settings.url.contains(":memory:") || settings.url.contains("mode=memory") {
            return Err(errors::in_memory(&settings.url));
        }
        let mut options = options
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on disk before it is acknowledged; with NORMAL, power loss may take the last ones back.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // It counts the pauses that it means to make, not the longer ones that a busy machine makes of them; past
            // our own limit, nobody could say any more whether the lock was had.
            .busy_timeout(settings.timeout * 2 / 3)
            .disable_statement_logging();
        if let Some(pages) = settings.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        Ok(Self {
            writer: Slot::new(options.clone(), settings.timeout),
            reader: Slot::new(options.clone().pragma("query_only", "on"), settings.timeout),
            options: Arc::new(options),
            timeout: settings.timeout,
        })
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Ends the use of a connection: one that may be in the middle of something is not given back.
    fn finish<T>(
        &self,
        lease: Lease,
        answer: Result<Result<T, StoreError>, Elapsed>,
    ) -> Result<T, StoreError> {
        let answer = answer.unwrap_or_else(|_| Err(errors::no_answer(self.timeout)));
        if !matches!(answer, Err(StoreError::Unknown(_))) {
            lease.keep();
        }
        answer
    }
}

impl Store for SqliteStore {
    async fn ask(&self, ids: &[TransactionId]) -> Result<Vec<Outcome>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut lease = self.reader.lease().await?;
        let ids: Vec<&str> = ids.iter().map(TransactionId::as_str).collect();
        let answer = timeout(self.timeout, rows::standing(&mut lease.connection, &ids)).await;
        self.finish(lease, answer).map_err(errors::of_reading)
    }

    async fn store(&self, batch: &Batch) -> Result<Vec<Stored>, StoreError> {
        if batch.rows.is_empty() {
            return Ok(Vec::new());
        }
        row::check_batch(&batch.rows).map_err(|error| StoreError::Poison(error.to_string()))?;
        let mut lease = self.writer.lease().await?;
        let answer = timeout(self.timeout, store(&mut lease.connection, batch)).await;
        self.finish(lease, answer)
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

/// The file's write lock is taken first, so what is read here still holds when it is written: the rule about which
/// row replaces which stays in `domain`.
async fn store(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<Vec<Stored>, StoreError> {
    let failed = |error: sqlx::Error| errors::under_way(&error);
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let ids: Vec<&str> = batch.rows.iter().map(|row| row.transaction_id.as_str()).collect();
    let standing = rows::standing(&mut tx, &ids).await?;
    let (answers, write) = rows::meet(&batch.rows, standing);
    if write.is_empty() {
        tx.rollback().await.map_err(failed)?;
        return Ok(answers);
    }
    rows::write(&mut tx, &write).await.map_err(failed)?;
    tx.commit().await.map_err(|error| errors::committing(&error))?;
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_connections_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/store.db", folder.path().display());
        let settings = Settings { url, timeout: Duration::from_secs(5), max_pages: None };
        let store = SqliteStore::new(&settings).unwrap();
        store.migrate().await.unwrap();
        for slot in [&store.writer, &store.reader] {
            let mut lease = slot.lease().await.unwrap();
            let ask = sqlx::query_as("SELECT * FROM pragma_synchronous, pragma_journal_mode");
            let set: (i64, String) = ask.fetch_one(&mut lease.connection).await.unwrap();
            assert_eq!(set, (2, "wal".into()), "2 is FULL");
        }
    }
}
