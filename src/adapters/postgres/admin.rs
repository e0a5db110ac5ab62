//! Everything but rows: the tables and their version, the store's identity, its settings, and where the source's
//! partitions began.

use sqlx::postgres::PgRow;
use sqlx::{Connection, Executor, Row as _};
use tokio::time::timeout;

use crate::domain::hex::unhex;
use crate::domain::id::{Offset, Partition, StoreId};
use crate::ports::store::{Migrated, SourceStart, StoreError, StoreHealth, StoreIdentity};

use super::rows::Stamp;
use super::{PostgresStore, errors};

/// The steps of the schema. The position is the version, from 1.
const STEPS: &[&str] = &[
    include_str!("../../../schemas/postgres/0001_transactions.sql"),
    include_str!("../../../schemas/postgres/0002_doubts.sql"),
];

/// The schema's version that this program writes.
pub const SCHEMA_VERSION: u32 = 2;

/// The oldest server that the statements work with.
const OLDEST_SERVER: i32 = 130_000;

/// Names the lock under which one process at a time migrates: `tollbrdg`, as a number.
const MIGRATION_LOCK: i64 = 0x746f_6c6c_6272_6467;

impl PostgresStore {
    /// Makes the tables, or brings them to [`SCHEMA_VERSION`], in one transaction; does nothing where they are.
    ///
    /// # Errors
    /// `Permanent` where the tables are of a newer version.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let mut lease = self.connections.lease().await?;
        // A large table may take a step long; neither we nor the server limit the time.
        let done = migrate(&mut lease.connection).await?;
        lease.keep();
        Ok(done)
    }

    /// Checks that the server is one that keeps what it acknowledges. Run before the first use of a store.
    ///
    /// # Errors
    /// `Permanent` where `fsync` or `synchronous_commit` is off and that is not allowed, where the server is
    /// too old, or the database is not in UTF-8; `Transient` where it is read-only at the moment.
    pub async fn check(&self) -> Result<StoreHealth, StoreError> {
        let settings = self.one(include_str!("sql/settings.sql")).await?;
        health(&settings.ok_or_else(missing)?, self.allow_lossy)
    }

    pub(super) async fn read_identity(&self) -> Result<StoreIdentity, StoreError> {
        let row = self
            .one(
                "SELECT schema_version, readable_from, store_id, clock_timestamp()
                 FROM tollbridge_meta",
            )
            .await?;
        identity(&row.ok_or_else(missing)?)
    }

    pub(super) async fn read_sources(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<SourceStart>, StoreError> {
        let mut lease = self.connections.lease().await?;
        let question = sqlx::query_as::<_, (i32, i64)>(
            "SELECT partition, start_offset FROM sources
             WHERE consumer_group = $1 AND topic = $2 ORDER BY partition",
        )
        .bind(group)
        .bind(topic);
        let answer = timeout(self.timeout, question.fetch_all(&mut lease.connection)).await;
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
        let mut lease = self.connections.lease().await?;
        let statement = sqlx::query(include_str!("sql/add_sources.sql"))
            .bind(starts.iter().map(|start| start.group.as_str()).collect::<Vec<_>>())
            .bind(starts.iter().map(|start| start.topic.as_str()).collect::<Vec<_>>())
            .bind(starts.iter().map(|start| start.partition.0).collect::<Vec<_>>())
            .bind(starts.iter().map(|start| start.start.0).collect::<Vec<_>>());
        let answer = timeout(self.timeout, statement.execute(&mut lease.connection)).await;
        self.finish(lease, answer).map(|_| ())
    }

    async fn one(&self, question: &'static str) -> Result<Option<PgRow>, StoreError> {
        let mut lease = self.connections.lease().await?;
        let question = sqlx::query(question).fetch_optional(&mut lease.connection);
        let answer = timeout(self.timeout, question).await;
        self.finish(lease, answer).map_err(errors::of_reading)
    }
}

fn missing() -> StoreError {
    StoreError::Permanent(format!(
        "the store's tables are empty of a store id; {}",
        errors::MIGRATE
    ))
}

fn read<'r, T>(row: &'r PgRow, index: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index).map_err(|error| errors::under_way(&error))
}

fn identity(row: &PgRow) -> Result<StoreIdentity, StoreError> {
    let found: i32 = read(row, 0)?;
    let readable_from: i32 = read(row, 1)?;
    let version = u32::try_from(found).unwrap_or_default();
    if version < SCHEMA_VERSION {
        return Err(StoreError::Permanent(format!(
            "the store's tables are of version {found}, this program needs {SCHEMA_VERSION}; {}",
            errors::MIGRATE
        )));
    }
    if u32::try_from(readable_from).unwrap_or(u32::MAX) > SCHEMA_VERSION {
        return Err(newer(found));
    }
    let Stamp(now) = read(row, 3)?;
    Ok(StoreIdentity { id: store_id(&read::<String>(row, 2)?)?, schema_version: version, now })
}

fn newer(found: i32) -> StoreError {
    StoreError::Permanent(format!(
        "the store's tables are of version {found}, this program knows {SCHEMA_VERSION}; use a newer one"
    ))
}

fn store_id(text: &str) -> Result<StoreId, StoreError> {
    unhex(text)
        .map(StoreId)
        .ok_or_else(|| StoreError::Permanent(format!("the store id {text:?} is not 32 hex digits")))
}

fn health(row: &PgRow, allow_lossy: bool) -> Result<StoreHealth, StoreError> {
    let version: String = read(row, 0)?;
    let Stamp(now) = read(row, 2)?;
    if read::<i32>(row, 1)? < OLDEST_SERVER {
        return Err(StoreError::Permanent(format!(
            "PostgreSQL {version} is too old; at least 13 is needed"
        )));
    }
    let encoding: String = read(row, 5)?;
    if encoding != "UTF8" {
        return Err(StoreError::Permanent(format!(
            "the database is in {encoding}, which can't hold every text; make one with encoding UTF8"
        )));
    }
    let mut lossy = Vec::new();
    for (name, index) in [("fsync", 3), ("synchronous_commit", 4)] {
        if read::<String>(row, index)? != "off" {
            continue;
        }
        if !allow_lossy {
            return Err(StoreError::Permanent(format!(
                "{name} is off: PostgreSQL may lose rows that it acknowledged; turn it on, or set \
                 store.allow_lossy = true"
            )));
        }
        lossy.push(format!("{name} = off"));
    }
    if read::<bool>(row, 6)? {
        return Err(StoreError::Transient("PostgreSQL is read-only (a standby?)".into()));
    }
    Ok(StoreHealth { product: format!("PostgreSQL {version}"), now, lossy })
}

async fn migrate(connection: &mut sqlx::PgConnection) -> Result<Migrated, StoreError> {
    let failed = |error: sqlx::Error| errors::under_way(&error);
    let mut tx = connection.begin().await.map_err(failed)?;
    // READ COMMITTED: what another migration did while we waited for its lock must be seen.
    tx.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.map_err(failed)?;
    tx.execute("SET LOCAL statement_timeout = 0").await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let made: bool = sqlx::query_scalar("SELECT to_regclass('tollbridge_meta') IS NOT NULL")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    let found: Option<i32> = if made {
        sqlx::query_scalar("SELECT schema_version FROM tollbridge_meta")
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?
    } else {
        None
    };
    let from = found.map(|found| u32::try_from(found).map_err(|_| newer(found))).transpose()?;
    if from.is_some_and(|from| from > SCHEMA_VERSION) {
        return Err(newer(found.unwrap_or_default()));
    }
    let done = usize::try_from(from.unwrap_or_default()).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        tx.execute(sqlx::raw_sql(*step)).await.map_err(failed)?;
    }
    let id: String =
        sqlx::query_scalar("UPDATE tollbridge_meta SET schema_version = $1 RETURNING store_id")
            .bind(i32::try_from(SCHEMA_VERSION).unwrap_or(i32::MAX))
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
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
