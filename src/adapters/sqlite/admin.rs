//! Everything but rows: the file, its tables and their version, the store's identity, its settings, and where the
//! source's partitions began.

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row as _, SqliteConnection};
use tokio::time::timeout;

use crate::domain::hex::unhex;
use crate::domain::id::{Offset, Partition, StoreId};
use crate::domain::time::Wall;
use crate::ports::store::{Migrated, SourceStart, StoreError, StoreHealth, StoreIdentity};

use super::rows::to_json;
use super::slot::open;
use super::{SqliteStore, errors};

/// The steps of the schema. The position is the version, from 1.
const STEPS: &[&str] = &[
    include_str!("../../../schemas/sqlite/0001_transactions.sql"),
    include_str!("../../../schemas/sqlite/0002_doubts.sql"),
];

/// The schema's version that this program writes.
pub const SCHEMA_VERSION: u32 = 2;

impl SqliteStore {
    /// Makes the file and the tables, or brings them to [`SCHEMA_VERSION`], in one transaction; does nothing where
    /// they are. The folder must exist.
    ///
    /// # Errors
    /// `Permanent` where the tables are of a newer version.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let (options, file) = (self.options.as_ref().clone(), self.options.get_filename());
        let opened = timeout(self.timeout, open(&options.create_if_missing(true))).await;
        let opened = opened.map_err(|_| errors::busy(file, self.timeout))?;
        let mut connection = opened.map_err(|error| errors::creating(&error, file))?;
        // A large table may take a step long: no limit.
        let done = migrate(&mut connection).await;
        let closed = connection.close().await;
        let done = done?;
        closed.map_err(|error| errors::under_way(&error))?;
        Ok(done)
    }

    /// Checks that the file is kept as it must be. Run before the first use of a store.
    ///
    /// # Errors
    /// `Permanent` where there is no file, or where its file system does not allow a write-ahead log.
    pub async fn check(&self) -> Result<StoreHealth, StoreError> {
        let mut lease = self.writer.lease().await?;
        let answer = timeout(self.timeout, health(&mut lease.connection)).await;
        self.finish(lease, answer).map_err(errors::of_reading)
    }

    pub(super) async fn read_identity(&self) -> Result<StoreIdentity, StoreError> {
        let mut lease = self.reader.lease().await?;
        let answer = timeout(self.timeout, identity(&mut lease.connection)).await;
        self.finish(lease, answer).map_err(errors::of_reading)
    }

    pub(super) async fn read_sources(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<SourceStart>, StoreError> {
        let mut lease = self.reader.lease().await?;
        let question = sqlx::query_as::<_, (i32, i64)>(
            "SELECT partition, start_offset FROM sources
             WHERE consumer_group = ?1 AND topic = ?2 ORDER BY partition",
        )
        .bind(group)
        .bind(topic)
        .fetch_all(&mut lease.connection);
        let answer = timeout(self.timeout, question).await;
        let answer = answer.map(|answer| answer.map_err(|error| errors::under_way(&error)));
        let known = self.finish(lease, answer).map_err(errors::of_reading)?;
        let start = |(partition, start)| SourceStart {
            group: group.to_owned(),
            topic: topic.to_owned(),
            partition: Partition(partition),
            start: Offset(start),
        };
        Ok(known.into_iter().map(start).collect())
    }

    pub(super) async fn write_sources(&self, starts: &[SourceStart]) -> Result<(), StoreError> {
        let values: Vec<(&str, &str, i32, i64)> = starts
            .iter()
            .map(|start| (&*start.group, &*start.topic, start.partition.0, start.start.0))
            .collect();
        let mut lease = self.writer.lease().await?;
        let statement = sqlx::query(include_str!("sql/add_sources.sql"))
            .bind(to_json(&values)?)
            .execute(&mut lease.connection);
        let answer = timeout(self.timeout, statement).await;
        // A statement of its own: its commit is part of it.
        let answer = answer.map(|answer| answer.map_err(|error| errors::committing(&error)));
        self.finish(lease, answer).map(|_| ())
    }
}

fn read<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(index).map_err(|error| errors::under_way(&error))
}

async fn identity(connection: &mut SqliteConnection) -> Result<StoreIdentity, StoreError> {
    let row = sqlx::query(
        "SELECT schema_version, readable_from, store_id,
                CAST(unixepoch('subsec') * 1000000 AS INTEGER)
         FROM tollbridge_meta",
    )
    .fetch_optional(connection)
    .await
    .map_err(|error| errors::under_way(&error))?
    .ok_or_else(|| {
        StoreError::Permanent(format!("the store has no store id; {}", errors::MIGRATE))
    })?;
    let version: u32 = read(&row, 0)?;
    if version < SCHEMA_VERSION {
        return Err(StoreError::Permanent(format!(
            "the store's tables are of version {version}, this program needs {SCHEMA_VERSION}; {}",
            errors::MIGRATE
        )));
    }
    if read::<u32>(&row, 1)? > SCHEMA_VERSION {
        return Err(newer(version));
    }
    let id = store_id(&read::<String>(&row, 2)?)?;
    Ok(StoreIdentity { id, schema_version: version, now: Wall(read(&row, 3)?) })
}

fn newer(found: u32) -> StoreError {
    StoreError::Permanent(format!(
        "the store's tables are of version {found}, this program knows {SCHEMA_VERSION}; use a newer one"
    ))
}

fn store_id(text: &str) -> Result<StoreId, StoreError> {
    unhex(text)
        .map(StoreId)
        .ok_or_else(|| StoreError::Permanent(format!("the store id {text:?} is not 32 hex digits")))
}

async fn health(connection: &mut SqliteConnection) -> Result<StoreHealth, StoreError> {
    let failed = |error: sqlx::Error| errors::under_way(&error);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if mode != "wal" {
        return Err(StoreError::Permanent(format!(
            "SQLite's journal mode is {mode:?}, not \"wal\": the file system does not allow it (a network \
             one?); put the file on a local disk"
        )));
    }
    let (version, now): (String, i64) =
        sqlx::query_as("SELECT sqlite_version(), CAST(unixepoch('subsec') * 1000000 AS INTEGER)")
            .fetch_one(connection)
            .await
            .map_err(failed)?;
    Ok(StoreHealth { product: format!("SQLite {version}"), now: Wall(now), lossy: Vec::new() })
}

async fn migrate(connection: &mut SqliteConnection) -> Result<Migrated, StoreError> {
    let failed = |error: sqlx::Error| errors::under_way(&error);
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let made: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'tollbridge_meta')",
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(failed)?;
    let from: Option<u32> = if made {
        sqlx::query_scalar("SELECT schema_version FROM tollbridge_meta")
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?
    } else {
        None
    };
    if let Some(found) = from.filter(|&found| found > SCHEMA_VERSION) {
        return Err(newer(found));
    }
    let done = usize::try_from(from.unwrap_or_default()).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        sqlx::raw_sql(*step).execute(&mut *tx).await.map_err(failed)?;
    }
    let id: String =
        sqlx::query_scalar("UPDATE tollbridge_meta SET schema_version = ?1 RETURNING store_id")
            .bind(SCHEMA_VERSION)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
    tx.commit().await.map_err(|error| errors::committing(&error))?;
    Ok(Migrated { from, to: SCHEMA_VERSION, id: store_id(&id)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_counts_the_steps() {
        assert_eq!(STEPS.len(), usize::try_from(SCHEMA_VERSION).unwrap());
    }
}
