//! Everything but rows: the tables and their version, the store's identity, its settings, and where the source's
//! partitions began.

use std::collections::BTreeSet;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::domain::hex::unhex;
use crate::domain::id::{Offset, Partition, StoreId};
use crate::domain::time::Wall;
use crate::ports::store::{Migrated, SourceStart, StoreError, StoreHealth, StoreIdentity};

use super::{ClickhouseStore, errors};

/// The steps of the schema. The position is the version, from 1.
const STEPS: &[&str] = &[
    include_str!("../../../schemas/clickhouse/0001_transactions.sql"),
    include_str!("../../../schemas/clickhouse/0002_doubts.sql"),
];

/// The schema's version that this program writes.
pub const SCHEMA_VERSION: u32 = 2;

/// The oldest version whose programs still work with tables of [`SCHEMA_VERSION`].
const READABLE_FROM: u32 = 1;

/// The oldest server that the statements are made for: year and month.
const OLDEST_SERVER: (u32, u32) = (24, 8);

#[derive(Debug, Row, Deserialize)]
struct Meta {
    schema_version: u32,
    readable_from: u32,
    store_id: String,
    now: i64,
}

#[derive(Debug, Row, Deserialize)]
struct Server {
    version: String,
    now: i64,
}

/// A table of ours as the server describes it.
#[derive(Debug, Row, Deserialize)]
struct Table {
    name: String,
    engine: String,
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct Begun {
    consumer_group: String,
    topic: String,
    partition: i32,
    start_offset: i64,
}

impl From<&SourceStart> for Begun {
    fn from(start: &SourceStart) -> Self {
        Self {
            consumer_group: start.group.clone(),
            topic: start.topic.clone(),
            partition: start.partition.0,
            start_offset: start.start.0,
        }
    }
}

impl ClickhouseStore {
    /// Makes the tables, or brings them to [`SCHEMA_VERSION`]; does nothing where they are. The database must exist.
    ///
    /// # Errors
    /// `Permanent` where the tables are of a newer version.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let found = if self.is_made().await? { self.meta().await? } else { None };
        let from = found.as_ref().map(|meta| meta.schema_version);
        if let Some(from) = from.filter(|&from| from > SCHEMA_VERSION) {
            return Err(newer(from));
        }
        let done = usize::try_from(from.unwrap_or_default()).unwrap_or(usize::MAX);
        for statement in STEPS.iter().skip(done).flat_map(|step| statements(step)) {
            self.connections.run_unlimited(statement).await?;
        }
        let id = match found {
            Some(meta) => meta.store_id,
            None => self.new_id().await?,
        };
        if from != Some(SCHEMA_VERSION) {
            self.note_version(&id).await?;
        }
        let meta = self.meta().await?.ok_or_else(missing)?;
        // Somebody else's id: he was the first to note one.
        let from = from.or_else(|| (meta.store_id != id).then_some(meta.schema_version));
        Ok(Migrated { from, to: SCHEMA_VERSION, id: store_id(&meta.store_id)? })
    }

    /// Checks that the tables are kept as they must be. Run before the first use of a store.
    ///
    /// # Errors
    /// `Permanent` where a table is of another kind than ours or does not know a batch by its token, where it may
    /// lose what it acknowledged and that is not allowed, or where the server is too old.
    pub async fn check(&self) -> Result<StoreHealth, StoreError> {
        let question = "SELECT version() AS version, toUnixTimestamp64Micro(now64(6)) AS now";
        let server = self.connections.run(|c| c.query(question).fetch_one::<Server>());
        let server = server.await.map_err(errors::of_reading)?;
        if year_and_month(&server.version) < OLDEST_SERVER {
            let (year, month) = OLDEST_SERVER;
            let version = server.version;
            return Err(StoreError::Permanent(format!(
                "ClickHouse {version} is too old; at least {year}.{month} is needed"
            )));
        }
        let tables = include_str!("sql/tables.sql");
        let tables = self.connections.run(|c| c.query(tables).fetch_all::<Table>());
        let tables = tables.await.map_err(errors::of_reading)?;
        Ok(StoreHealth {
            product: format!("ClickHouse {}", server.version),
            now: Wall(server.now),
            lossy: lossy(&tables, self.allow_lossy)?,
        })
    }

    pub(super) async fn read_identity(&self) -> Result<StoreIdentity, StoreError> {
        let meta = self.meta().await?.ok_or_else(missing)?;
        let version = meta.schema_version;
        if version < SCHEMA_VERSION {
            return Err(StoreError::Permanent(format!(
                "the store's tables are of version {version}, this program needs {SCHEMA_VERSION}; {}",
                errors::MIGRATE
            )));
        }
        if meta.readable_from > SCHEMA_VERSION {
            return Err(newer(version));
        }
        let id = store_id(&meta.store_id)?;
        Ok(StoreIdentity { id, schema_version: version, now: Wall(meta.now) })
    }

    pub(super) async fn read_sources(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<Vec<SourceStart>, StoreError> {
        let question = include_str!("sql/sources.sql");
        let known = self
            .connections
            .run(|client| client.query(question).bind(group).bind(topic).fetch_all::<Begun>());
        let start = |begun: Begun| SourceStart {
            group: begun.consumer_group,
            topic: begun.topic,
            partition: Partition(begun.partition),
            start: Offset(begun.start_offset),
        };
        Ok(known.await.map_err(errors::of_reading)?.into_iter().map(start).collect())
    }

    /// What is known already is left out; of two who write the same partition at the same time the first one stands.
    pub(super) async fn write_sources(&self, starts: &[SourceStart]) -> Result<(), StoreError> {
        let topics: BTreeSet<(&str, &str)> =
            starts.iter().map(|start| (&*start.group, &*start.topic)).collect();
        let mut known = BTreeSet::new();
        for (group, topic) in topics {
            let begun = self.read_sources(group, topic).await?;
            known
                .extend(begun.into_iter().map(|start| (start.group, start.topic, start.partition)));
        }
        let key = |start: &SourceStart| (start.group.clone(), start.topic.clone(), start.partition);
        let new = starts.iter().filter(|start| known.insert(key(start)));
        let new: Vec<Begun> = new.map(Begun::from).collect();
        if new.is_empty() {
            return Ok(());
        }
        let insert = async |client: clickhouse::Client| {
            let mut insert = client.insert::<Begun>("sources").await?;
            for begun in &new {
                insert.write(begun).await?;
            }
            insert.end().await
        };
        self.connections.run(insert).await
    }

    async fn is_made(&self) -> Result<bool, StoreError> {
        let exists = "EXISTS TABLE tollbridge_meta";
        let made = self.connections.run(|client| client.query(exists).fetch_one::<u8>());
        Ok(made.await.map_err(errors::of_reading)? == 1)
    }

    async fn meta(&self) -> Result<Option<Meta>, StoreError> {
        let question = include_str!("sql/meta.sql");
        let meta = self.connections.run(|client| client.query(question).fetch_optional::<Meta>());
        meta.await.map_err(errors::of_reading)
    }

    async fn new_id(&self) -> Result<String, StoreError> {
        let question = "SELECT replaceAll(toString(generateUUIDv4()), '-', '')";
        let id = self.connections.run(|client| client.query(question).fetch_one::<String>());
        id.await.map_err(errors::of_reading)
    }

    /// Whoever comes second gives the same token, and his row goes nowhere.
    async fn note_version(&self, id: &str) -> Result<(), StoreError> {
        let statement =
            "INSERT INTO tollbridge_meta (schema_version, readable_from, store_id) SELECT ?, ?, ?";
        let noted = self.connections.run(|client| {
            let token = format!("tollbridge version {SCHEMA_VERSION}");
            let statement =
                client.query(statement).bind(SCHEMA_VERSION).bind(READABLE_FROM).bind(id);
            statement.with_setting("insert_deduplication_token", token).execute()
        });
        noted.await
    }
}

/// The statements of a step: over HTTP each goes alone.
fn statements(step: &str) -> impl Iterator<Item = &str> {
    step.split(";\n").filter(|statement| !statement.trim().is_empty())
}

fn missing() -> StoreError {
    StoreError::Permanent(format!("the store has no store id; {}", errors::MIGRATE))
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

fn year_and_month(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// What may be lost, from how the tables were made. A cloud's tables (`Shared…`) are kept by its object storage.
fn lossy(tables: &[Table], allow_lossy: bool) -> Result<Vec<String>, StoreError> {
    let mut lossy = Vec::new();
    for Table { name, engine } in tables {
        let (kind, settings) = engine.split_once(" ORDER BY ").unwrap_or((engine, ""));
        let is = |setting: &str| settings.contains(setting);
        if name == "transactions"
            && !(kind.contains("ReplacingMergeTree(") && kind.ends_with("version)"))
        {
            return Err(StoreError::Permanent(format!(
                "table transactions is {kind}, which keeps more than one row an id; it must be a \
                 ReplacingMergeTree(version)"
            )));
        }
        if kind.starts_with("Shared") {
            continue;
        }
        let is_replicated = kind.starts_with("Replicated");
        let window = "non_replicated_deduplication_window = ";
        if name == "transactions" && !is_replicated && (!is(window) || is(&format!("{window}0"))) {
            return Err(StoreError::Permanent(
                "table transactions does not know a batch that is stored again; ALTER TABLE transactions MODIFY \
                 SETTING non_replicated_deduplication_window = 1000"
                    .into(),
            ));
        }
        if is("fsync_after_insert = 1") && is("fsync_part_directory = 1") {
            continue;
        }
        if !allow_lossy {
            return Err(StoreError::Permanent(format!(
                "table {name} may lose rows that were acknowledged; ALTER TABLE {name} MODIFY SETTING \
                 fsync_after_insert = 1, fsync_part_directory = 1, or set store.allow_lossy = true"
            )));
        }
        lossy.push(format!("{name}: fsync_after_insert or fsync_part_directory = 0"));
    }
    Ok(lossy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_counts_the_steps() {
        assert_eq!(STEPS.len(), usize::try_from(SCHEMA_VERSION).unwrap());
    }

    #[test]
    fn a_step_is_taken_apart_into_its_statements() {
        let all: Vec<&str> = STEPS.iter().flat_map(|step| statements(step)).collect();
        assert_eq!(all.iter().filter(|one| one.contains("CREATE TABLE IF NOT EXISTS")).count(), 5);
        assert_eq!(all.iter().filter(|one| one.contains("CREATE VIEW IF NOT EXISTS")).count(), 3);
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn a_version_is_compared_by_year_and_month() {
        assert_eq!(year_and_month("26.9.2.1"), (26, 9));
        assert!(
            year_and_month("24.10.1.1") > OLDEST_SERVER && year_and_month("24.3") < OLDEST_SERVER
        );
        assert_eq!(year_and_month("odd"), (0, 0));
    }

    fn judged(engine: &str, allow_lossy: bool) -> Result<Vec<String>, StoreError> {
        lossy(&[Table { name: "transactions".into(), engine: engine.into() }], allow_lossy)
    }

    #[test]
    fn tables_that_keep_less_than_they_must_are_refused() {
        let kept = "fsync_after_insert = 1, fsync_part_directory = 1";
        let made = |kind: &str, settings: &str| {
            format!("{kind} ORDER BY transaction_id SETTINGS {settings}")
        };
        let windowed = format!("{kept}, non_replicated_deduplication_window = 1000");
        let replicated = "ReplicatedReplacingMergeTree('/tables/{uuid}', '{replica}', version)";
        for (engine, fine) in [
            (made("ReplacingMergeTree(version)", &windowed), true),
            (made(replicated, kept), true),
            (
                made("SharedReplacingMergeTree('/t', '{r}', version)", "index_granularity = 8192"),
                true,
            ),
            (made("MergeTree", &windowed), false),
            (made("ReplacingMergeTree", &windowed), false),
            (made("ReplacingMergeTree(stored_at)", &windowed), false),
            (made("ReplacingMergeTree(version)", kept), false),
            (made("ReplacingMergeTree(version)", &windowed.replace("1000", "0")), false),
            (
                made("ReplacingMergeTree(version)", &windowed.replace("insert = 1", "insert = 0")),
                false,
            ),
            (made(replicated, "fsync_after_insert = 1"), false),
        ] {
            assert_eq!(judged(&engine, false).is_ok(), fine, "{engine}");
        }
        let unsafe_disk = made(replicated, "fsync_after_insert = 1");
        assert_eq!(judged(&unsafe_disk, true).unwrap().len(), 1);
    }
}
