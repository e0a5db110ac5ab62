//! Counting and resolving what is `in_doubt`, and reading every row of a topic: what is asked beside the pipeline.

use clickhouse::Row;
use serde::Deserialize;

use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::resolution::{Finding, Past, Resolution, Resolved};
use crate::domain::time::Wall;
use crate::ports::store::{ResolveError, Rows, StoreError};

use super::rows::{Found, Standing, Written, token};
use super::steps::{ROUNDS, Table};
use super::{ClickhouseStore, errors};

/// A line of the audit.
#[derive(Debug, Row, Deserialize)]
struct Line {
    finding: String,
    gateway_id: Option<String>,
    resolved_by: String,
    resolved_at: i64,
    source_topic: String,
    source_partition: i32,
    source_offset: i64,
    before_gateway_id: Option<String>,
    before_code: Option<String>,
    before_decided_at: Option<i64>,
}

/// A line of the audit whose event may be missing.
#[derive(Debug, Row, Deserialize)]
struct Untold {
    transaction_id: String,
    finding: String,
    gateway_id: Option<String>,
    resolved_by: String,
    resolved_at: i64,
}

impl TryFrom<Untold> for Resolution {
    type Error = StoreError;

    fn try_from(line: Untold) -> Result<Self, StoreError> {
        let id = TransactionId::parse(&line.transaction_id);
        Ok(Self {
            id: id.map_err(|error| StoreError::Permanent(error.to_string()))?,
            finding: Finding::of(&line.finding, line.gateway_id),
            by: line.resolved_by,
            at: Wall(line.resolved_at),
        })
    }
}

impl ClickhouseStore {
    /// Writes a person's finding about an `in_doubt` to the audit, then to its row. Cut short in between, the line of
    /// the audit has changed nothing, and the next try writes another. Of two at the same time one wins, and the other
    /// is refused.
    pub async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ResolveError> {
        for round in 0..ROUNDS {
            let standing = self.standing(&[resolution.id.as_str()]).await;
            let standing = standing.map_err(errors::of_reading)?.pop();
            let row = standing.as_ref().map(|standing| &standing.row);
            let past = self.last_resolution(&resolution.id, row).await?;
            let resolved = resolution.decide(row, past.as_ref())?;
            if resolved.repeated {
                return Ok(resolved);
            }
            self.add_line(resolution, &resolution.past(&resolved.before)).await?;
            let replaces = standing.map(Box::new);
            let written = [Written { row: &resolved.after, replaces }];
            self.write(&token("tollbridge resolve", &written, round), &written).await?;
            let after = self.standing(&[resolution.id.as_str()]).await;
            let after = after.map_err(errors::behind_a_write)?;
            if after.iter().any(|standing| standing.row == resolved.after) {
                return Ok(resolved);
            }
        }
        Err(errors::outrun(ROUNDS).into())
    }

    /// How many doubts are open.
    pub async fn count_doubts(&self) -> Result<u64, StoreError> {
        let question = include_str!("sql/count_doubts.sql");
        let count = self.connections.run(|client| client.query(question).fetch_one::<u64>());
        count.await.map_err(errors::of_reading)
    }

    /// At most `limit` rows of a topic, in the order of their ids, after `after`.
    pub async fn page(
        &self,
        rows: Rows,
        topic: &str,
        after: Option<&TransactionId>,
        limit: u32,
    ) -> Result<Vec<Outcome>, StoreError> {
        let question = match rows {
            Rows::All => include_str!("sql/page.sql"),
            Rows::OpenDoubts => include_str!("sql/doubts.sql"),
        };
        let after = after.map_or("", TransactionId::as_str);
        let found = self.connections.run(|client| {
            client.query(question).bind(topic).bind(after).bind(limit).fetch_all::<Found>()
        });
        let found = found.await.map_err(errors::of_reading)?;
        found.into_iter().map(|found| Ok(Standing::try_from(found)?.row)).collect()
    }

    /// Resolutions by `by` of a topic's rows whose event was not noted as told.
    pub async fn untold(&self, by: &str, topic: &str) -> Result<Vec<Resolution>, StoreError> {
        let question = include_str!("sql/untold.sql");
        let lines = self
            .connections
            .run(|client| client.query(question).bind(by).bind(topic).fetch_all::<Untold>());
        let lines = lines.await.map_err(errors::of_reading)?;
        lines.into_iter().map(Resolution::try_from).collect()
    }

    /// Notes that the event of a resolution stands on Kafka.
    pub async fn note_told(&self, resolution: &Resolution) -> Result<(), StoreError> {
        const STATEMENT: &str = "INSERT INTO told_resolutions (transaction_id, resolved_at)
             SELECT ?, fromUnixTimestamp64Micro(?, 'UTC')";
        let (id, at) = (resolution.id.as_str(), resolution.at.0);
        self.connections.run(|client| client.query(STATEMENT).bind(id).bind(at).execute()).await
    }

    /// The resolution that made the row what it is, else the last one.
    async fn last_resolution(
        &self,
        id: &TransactionId,
        row: Option<&Outcome>,
    ) -> Result<Option<Past>, StoreError> {
        let decided_at = row.and_then(|row| row.decided_at).map_or(0, |at| at.0);
        let question = include_str!("sql/last_resolution.sql");
        let line = self.connections.run(|client| {
            client.query(question).bind(id.as_str()).bind(decided_at).fetch_optional::<Line>()
        });
        let line = line.await.map_err(errors::of_reading)?;
        Ok(line.map(|line| past_of(id, line)))
    }

    async fn add_line(&self, resolution: &Resolution, line: &Past) -> Result<(), StoreError> {
        let statement = include_str!("sql/add_resolution.sql");
        let added = self.connections.run(|client| {
            client
                .query(statement)
                .bind(resolution.id.as_str())
                .bind(resolution.finding.as_str())
                .bind(resolution.finding.gateway_id())
                .bind(&resolution.by)
                .bind(resolution.at.0)
                .bind(&*line.source.topic)
                .bind(line.source.partition.0)
                .bind(line.source.offset.0)
                .bind(line.before_gateway_id.as_deref())
                .bind(line.before_code.as_deref())
                .bind(line.before_decided_at.map(|at| at.0))
                .execute()
        });
        added.await
    }
}

fn past_of(id: &TransactionId, line: Line) -> Past {
    let finding = Finding::of(&line.finding, line.gateway_id);
    Past {
        resolution: Resolution {
            id: id.clone(),
            finding,
            by: line.resolved_by,
            at: Wall(line.resolved_at),
        },
        source: Place {
            topic: line.source_topic.into(),
            partition: Partition(line.source_partition),
            offset: Offset(line.source_offset),
        },
        before_gateway_id: line.before_gateway_id,
        before_code: line.before_code,
        before_decided_at: line.before_decided_at.map(Wall),
    }
}
