//! Whether what Kafka says is finished is there: the last records below each watermark are read again, partition by
//! partition, and each must have a row. It trusts no counter. What it finds missing is looked for again until it is
//! there; all of a topic, events and money too, is what `reconcile` is for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::super::schemas::SourceDecoder;
use super::super::store::AnyStore;
use super::{Asking, Parts};
use crate::adapters::kafka::{Reader, Settings};
use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::domain::alerts::Rule;
use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::time::Wall;
use crate::ports::store::Store;
use crate::ports::time::Clock;

/// One partition each time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Offsets below the watermark that are looked at: what was finished last, which is where something would be missing.
const RECORDS: i64 = 500;

pub(super) struct SpotCheck {
    config: Config,
    kafka: Arc<Settings>,
    store: Arc<AnyStore>,
    partitions: Vec<Partition>,
    /// Once they are needed.
    clients: Option<(Reader, Arc<SourceDecoder>)>,
    next: usize,
    /// Finished and without a row.
    missing: BTreeMap<TransactionId, Place>,
}

/// A record that should have a row.
struct Owed {
    id: TransactionId,
    place: Place,
    created_at: Wall,
}

impl SpotCheck {
    pub(super) fn new(config: Config, parts: &Parts) -> Self {
        Self {
            config,
            kafka: Arc::clone(&parts.kafka),
            store: Arc::clone(&parts.store),
            partitions: parts.partitions.clone(),
            clients: None,
            next: 0,
            missing: BTreeMap::new(),
        }
    }

    /// Looks now and then while this process speaks.
    pub(super) async fn follow(mut self, mut asking: Asking) {
        while asking.is_wanted().await {
            if asking.is_on(Rule::BalanceBroken) {
                let looked = self.look().await;
                if let Err(error) = &looked {
                    tracing::debug!("no spot check: {error:#}");
                }
                asking.set(Rule::BalanceBroken, looked.ok());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&mut self) -> anyhow::Result<u64> {
        let Some(partition) = self.partitions.get(self.next % self.partitions.len().max(1)) else {
            return Ok(0);
        };
        self.next += 1;
        let topic = self.kafka.topics.transactions.clone();
        let sources = self.store.sources(&self.kafka.group_id, &topic).await?;
        let start = sources.iter().find(|source| source.partition == *partition);
        let Some(start) = start.map(|source| source.start) else { return self.count().await };
        let partition = *partition;
        let (reader, decoder) = self.clients()?;
        let owed = move || owed(&reader, &decoder, &topic, partition, start);
        let owed = tokio::task::spawn_blocking(owed).await??;
        let now = SystemClock.now().wall;
        let max_age = self.config.charge.max_age;
        // Those may have been rejected for their age, which leaves no row.
        let owed = owed.into_iter().filter(|o| max_age.is_none_or(|age| now <= o.created_at + age));
        let candidates: BTreeMap<_, _> = owed.map(|o| (o.id, o.place)).collect();
        for (id, place) in self.without_row(candidates).await? {
            tracing::error!("{place} is finished, and transaction {id} has no row");
            self.missing.insert(id, place);
        }
        self.count().await
    }

    fn clients(&mut self) -> anyhow::Result<(Reader, Arc<SourceDecoder>)> {
        if self.clients.is_none() {
            let reader = Reader::new(Arc::clone(&self.kafka))?;
            self.clients = Some((reader, Arc::new(SourceDecoder::of(&self.config)?)));
        }
        self.clients.clone().ok_or_else(|| anyhow!("no client"))
    }

    /// How many are missing still.
    async fn count(&mut self) -> anyhow::Result<u64> {
        if !self.missing.is_empty() {
            self.missing = self.without_row(self.missing.clone()).await?;
        }
        Ok(self.missing.len() as u64)
    }

    async fn without_row(
        &self,
        mut of: BTreeMap<TransactionId, Place>,
    ) -> anyhow::Result<BTreeMap<TransactionId, Place>> {
        let ids: Vec<TransactionId> = of.keys().cloned().collect();
        for row in self.store.ask(&ids).await? {
            of.remove(&row.transaction_id);
        }
        Ok(of)
    }
}

/// The last records of a partition that are finished and are transactions; those that can't be read were rejected.
/// Blocks.
fn owed(
    reader: &Reader,
    decoder: &SourceDecoder,
    topic: &str,
    partition: Partition,
    start: Offset,
) -> anyhow::Result<Vec<Owed>> {
    let committed = reader.committed(topic, &[partition])?;
    let point = committed.into_iter().next().and_then(|c| c.point);
    let (watermark, _) = point.ok_or_else(|| anyhow!("nothing is committed"))?;
    let from = Offset(watermark.0 - RECORDS).max(start);
    let mut owed = Vec::new();
    reader.read_part(topic, partition, (from, watermark), |record| {
        if let Ok(transaction) = decoder.decode(&record) {
            let place = Place { topic: topic.into(), partition, offset: record.offset };
            owed.push(Owed { id: transaction.id, place, created_at: transaction.created_at });
        }
        ControlFlow::Continue(())
    })?;
    decoder.check()?;
    Ok(owed)
}
