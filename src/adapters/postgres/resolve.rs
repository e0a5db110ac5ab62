//! Counting and resolving what is `in_doubt`, and reading every row of a topic: what is asked beside the pipeline.

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row as _};
use tokio::time::timeout;

use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::resolution::{Finding, Past, Resolution, Resolved};
use crate::ports::store::{ResolveError, Rows, StoreError};

use super::rows::{Stamp, outcome};
use super::{PostgresStore, errors};

impl PostgresStore {
    /// Writes a person's finding about an `in_doubt` to its row and to the audit, in one transaction.
    pub async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ResolveError> {
        let mut lease = self.connections.lease().await?;
        let work = resolve(&mut lease.connection, resolution);
        let answer = timeout(self.timeout, work).await;
        let resolved = answer.unwrap_or_else(|_| Err(errors::no_answer(self.timeout).into()))?;
        lease.keep();
        Ok(resolved)
    }

    /// How many doubts are open.
    pub async fn count_doubts(&self) -> Result<u64, StoreError> {
        let mut lease = self.connections.lease().await?;
        let question = sqlx::query_scalar(
            "SELECT count(*) FROM transactions WHERE fate = 'in_doubt' AND code <> 'not_charged'",
        );
        let answer = timeout(self.timeout, question.fetch_one(&mut lease.connection)).await;
        let count: i64 = self.finish(lease, answer).map_err(errors::of_reading)?;
        Ok(u64::try_from(count).unwrap_or_default())
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
        let mut lease = self.connections.lease().await?;
        let question = sqlx::query(question)
            .bind(topic)
            .bind(after.map_or("", TransactionId::as_str))
            .bind(i64::from(limit));
        let answer = timeout(self.timeout, question.fetch_all(&mut lease.connection)).await;
        let found = self.finish(lease, answer).map_err(errors::of_reading)?;
        found.iter().map(outcome).collect()
    }

    /// Resolutions by `by` of a topic's rows whose event was not noted as told.
    pub async fn untold(&self, by: &str, topic: &str) -> Result<Vec<Resolution>, StoreError> {
        let mut lease = self.connections.lease().await?;
        let question = sqlx::query(include_str!("sql/untold.sql")).bind(by).bind(topic);
        let answer = timeout(self.timeout, question.fetch_all(&mut lease.connection)).await;
        let lines = self.finish(lease, answer).map_err(errors::of_reading)?;
        let read = lines.iter().map(untold_of).collect::<Result<_, _>>();
        read.map_err(|error| errors::under_way(&error))
    }

    /// Notes that the event of a resolution stands on Kafka.
    pub async fn note_told(&self, resolution: &Resolution) -> Result<(), StoreError> {
        let mut lease = self.connections.lease().await?;
        let statement = sqlx::query(
            "INSERT INTO told_resolutions (transaction_id, resolved_at) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
        )
        .bind(resolution.id.as_str())
        .bind(Stamp(resolution.at));
        let answer = timeout(self.timeout, statement.execute(&mut lease.connection)).await;
        self.finish(lease, answer).map(|_| ())
    }
}

async fn resolve(
    connection: &mut PgConnection,
    resolution: &Resolution,
) -> Result<Resolved, ResolveError> {
    let failed = |error: sqlx::Error| errors::under_way(&error);
    let mut tx = connection.begin().await.map_err(failed)?;
    let row = sqlx::query(include_str!("sql/lock.sql"))
        .bind(resolution.id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    let row = row.as_ref().map(outcome).transpose()?;
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
    tx.commit().await.map_err(failed)?;
    Ok(resolved)
}

async fn write(
    connection: &mut PgConnection,
    resolution: &Resolution,
    resolved: &Resolved,
) -> Result<(), sqlx::Error> {
    let after = &resolved.after;
    sqlx::query(include_str!("sql/resolve.sql"))
        .bind(after.transaction_id.as_str())
        .bind(after.fate.as_str())
        .bind(after.gateway_id.as_deref())
        .bind(after.code.as_deref())
        .bind(after.decided_at.map(Stamp))
        .execute(&mut *connection)
        .await?;
    let line = resolution.past(&resolved.before);
    sqlx::query(include_str!("sql/add_resolution.sql"))
        .bind(resolution.id.as_str())
        .bind(resolution.finding.as_str())
        .bind(resolution.finding.gateway_id())
        .bind(&resolution.by)
        .bind(Stamp(resolution.at))
        .bind(&*line.source.topic)
        .bind(line.source.partition.0)
        .bind(line.source.offset.0)
        .bind(line.before_gateway_id)
        .bind(line.before_code)
        .bind(line.before_decided_at.map(Stamp))
        .execute(connection)
        .await?;
    Ok(())
}

fn past_of(id: &TransactionId, line: &PgRow) -> Result<Past, sqlx::Error> {
    let finding = Finding::of(line.try_get(0)?, line.try_get(1)?);
    let Stamp(at) = line.try_get(3)?;
    let topic: String = line.try_get(4)?;
    Ok(Past {
        resolution: Resolution { id: id.clone(), finding, by: line.try_get(2)?, at },
        source: Place {
            topic: topic.into(),
            partition: Partition(line.try_get(5)?),
            offset: Offset(line.try_get(6)?),
        },
        before_gateway_id: line.try_get(7)?,
        before_code: line.try_get(8)?,
        before_decided_at: line.try_get::<Option<Stamp>, _>(9)?.map(|Stamp(at)| at),
    })
}

fn untold_of(line: &PgRow) -> Result<Resolution, sqlx::Error> {
    let id: String = line.try_get(0)?;
    let Stamp(at) = line.try_get(4)?;
    Ok(Resolution {
        id: TransactionId::parse(&id).map_err(|error| sqlx::Error::Decode(error.into()))?,
        finding: Finding::of(line.try_get(1)?, line.try_get(2)?),
        by: line.try_get(3)?,
        at,
    })
}
