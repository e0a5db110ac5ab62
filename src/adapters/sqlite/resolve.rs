//! Resolving an `in_doubt`, and reading every row of a topic: what the commands ask, not the pipeline.

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row as _, SqliteConnection};
use tokio::time::timeout;

use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::resolution::{Finding, Past, Resolution, Resolved};
use crate::domain::time::Wall;
use crate::ports::store::{ResolveError, StoreError};

use super::rows::{outcome, standing};
use super::{SqliteStore, errors};

impl SqliteStore {
    /// Writes a person's finding about an `in_doubt` to its row and to the audit, in one transaction.
    pub async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ResolveError> {
        let mut lease = self.writer.lease().await?;
        let answer = timeout(self.timeout, resolve(&mut lease.connection, resolution)).await;
        let answer = answer.unwrap_or_else(|_| Err(errors::no_answer(self.timeout).into()));
        if !matches!(answer, Err(ResolveError::Store(StoreError::Unknown(_)))) {
            lease.keep();
        }
        answer
    }

    /// At most `limit` rows of a topic, in the order of their ids, after `after`.
    pub async fn page(
        &self,
        topic: &str,
        after: Option<&TransactionId>,
        limit: u32,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut lease = self.reader.lease().await?;
        let question = sqlx::query(include_str!("sql/page.sql"))
            .bind(topic)
            .bind(after.map_or("", TransactionId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&mut lease.connection);
        let answer = timeout(self.timeout, question).await;
        let answer = answer.map(|answer| answer.map_err(|error| errors::under_way(&error)));
        let found = self.finish(lease, answer).map_err(errors::of_reading)?;
        found.iter().map(outcome).collect()
    }
}

async fn resolve(
    connection: &mut SqliteConnection,
    resolution: &Resolution,
) -> Result<Resolved, ResolveError> {
    let failed = |error: sqlx::Error| errors::under_way(&error);
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let row = standing(&mut tx, &[resolution.id.as_str()]).await?.pop();
    let past = sqlx::query(include_str!("sql/last_resolution.sql"))
        .bind(resolution.id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    let past = past.map(|line| past_of(&resolution.id, &line)).transpose().map_err(failed)?;
    let resolved = resolution.decide(row.as_ref(), past.as_ref())?;
    if !resolved.repeated {
        write(&mut tx, resolution, &resolved).await.map_err(failed)?;
    }
    tx.commit().await.map_err(|error| errors::committing(&error))?;
    Ok(resolved)
}

async fn write(
    connection: &mut SqliteConnection,
    resolution: &Resolution,
    resolved: &Resolved,
) -> Result<(), sqlx::Error> {
    let after = &resolved.after;
    sqlx::query(include_str!("sql/resolve.sql"))
        .bind(after.transaction_id.as_str())
        .bind(after.fate.as_str())
        .bind(after.gateway_id.as_deref())
        .bind(after.code.as_deref())
        .bind(after.decided_at.map(|at| at.0))
        .execute(&mut *connection)
        .await?;
    let line = resolution.past(&resolved.before);
    sqlx::query(include_str!("sql/add_resolution.sql"))
        .bind(resolution.id.as_str())
        .bind(resolution.finding.as_str())
        .bind(resolution.finding.gateway_id())
        .bind(&resolution.by)
        .bind(resolution.at.0)
        .bind(&*line.source.topic)
        .bind(line.source.partition.0)
        .bind(line.source.offset.0)
        .bind(line.before_gateway_id)
        .bind(line.before_code)
        .bind(line.before_decided_at.map(|at| at.0))
        .execute(connection)
        .await?;
    Ok(())
}

fn past_of(id: &TransactionId, line: &SqliteRow) -> Result<Past, sqlx::Error> {
    let finding: String = line.try_get(0)?;
    let gateway_id: Option<String> = line.try_get(1)?;
    let finding = match (finding.as_str(), gateway_id) {
        ("charged", Some(gateway_id)) => Finding::Charged { gateway_id },
        _ => Finding::NotCharged,
    };
    let topic: String = line.try_get(4)?;
    Ok(Past {
        resolution: Resolution {
            id: id.clone(),
            finding,
            by: line.try_get(2)?,
            at: Wall(line.try_get(3)?),
        },
        source: Place {
            topic: topic.into(),
            partition: Partition(line.try_get(5)?),
            offset: Offset(line.try_get(6)?),
        },
        before_gateway_id: line.try_get(7)?,
        before_code: line.try_get(8)?,
        before_decided_at: line.try_get::<Option<i64>, _>(9)?.map(Wall),
    })
}
