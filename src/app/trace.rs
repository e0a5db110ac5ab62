//! Everything that is known of one transaction, wherever it is written: the source topic, the queues, the store, the
//! events. It only reads, and judges nothing; a queue or store that does not answer is named, and the rest is told.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::reconcile::{ToldEvent, Watch, each_event, kafka_gone, patiently, reader, span, tell};
use super::schemas::SourceDecoder;
use super::settings;
use super::store::AnyStore;
use crate::adapters::kafka::{Reader, Settings};
use crate::adapters::redis::RedisQueue;
use crate::config::Config;
use crate::domain::balance::{Money, Spot};
use crate::domain::id::{Offset, Partition, TransactionId};
use crate::domain::offsets::Told;
use crate::domain::outcome::Outcome;
use crate::ports::store::Store;
use crate::wire::metadata::Metadata;
use crate::wire::queue_entry::QueueEntry;

/// The life of one transaction.
#[derive(Debug)]
pub struct Life {
    pub sources: Vec<AtSource>,
    pub queued: Vec<Queued>,
    pub row: Option<Outcome>,
    pub events: Vec<Reported>,
    /// What did not answer or can't be read, a sentence each.
    pub unknown: Vec<String>,
}

impl Life {
    /// Nothing anywhere knows the id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
            && self.queued.is_empty()
            && self.row.is_none()
            && self.events.is_empty()
    }
}

/// A record on the source topic.
#[derive(Debug)]
pub struct AtSource {
    pub spot: Spot,
    /// Milliseconds since 1970.
    pub published_ms: Option<i64>,
    pub money: Money,
    pub state: State,
}

/// What the committed offsets say of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its fate is on Kafka.
    Finished,
    /// Below the cut and in the list of what is not finished.
    Unfinished,
    /// At or above the cut; `attempted`: below the dispatch bound, so that a request may have been sent.
    Waiting { attempted: bool },
    /// Nothing was committed, or it can't be read.
    Untold,
}

impl State {
    fn of(told: Option<&Told>, offset: Offset) -> Self {
        match told {
            None => Self::Untold,
            Some(told) if told.is_finished(offset) => Self::Finished,
            Some(told) if offset < told.cut => Self::Unfinished,
            Some(told) => Self::Waiting { attempted: offset < told.bound },
        }
    }
}

/// An entry of a queue.
#[derive(Debug)]
pub struct Queued {
    pub spot: Spot,
    /// In the archive queue, else in the temp queue.
    pub archived: bool,
    pub entry: QueueEntry,
}

/// An event about it.
#[derive(Debug)]
pub struct Reported {
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
    pub told: ToldEvent,
}

/// Looks everywhere.
///
/// # Errors
/// `Exit::Unavailable` where Kafka does not answer.
pub async fn trace(
    config: &Config,
    id: &TransactionId,
    watch: &mut impl Watch,
) -> anyhow::Result<Life> {
    let (settings, reader) = reader(config)?;
    let topic = &settings.topics.transactions;
    let partitions = patiently(&settings, || reader.partitions(topic))?;
    let mut life = Life {
        sources: Vec::new(),
        queued: Vec::new(),
        row: None,
        events: Vec::new(),
        unknown: Vec::new(),
    };
    find_queued(config, &partitions, id, &mut life).await;
    find_row(config, id, &mut life).await;
    find_sources(config, (&reader, &settings), &partitions, id, (&mut life, watch))?;
    find_events((&reader, &settings), id, (&mut life, watch))?;
    Ok(life)
}

async fn find_queued(
    config: &Config,
    partitions: &[Partition],
    id: &TransactionId,
    life: &mut Life,
) {
    let found = match RedisQueue::new(&settings::redis(config)) {
        Ok(queue) => queue.find(partitions, id).await,
        Err(error) => Err(error),
    };
    let found = found.unwrap_or_else(|error| {
        life.unknown.push(format!("the queues: {error}"));
        Vec::new()
    });
    for standing in found {
        let spot = Spot { partition: standing.partition, offset: standing.offset };
        let archived = standing.archived;
        match QueueEntry::decode(&standing.body) {
            Ok(entry) => life.queued.push(Queued { spot, archived, entry }),
            Err(why) => life.unknown.push(format!("the queue entry of {spot}: {why}")),
        }
    }
}

async fn find_row(config: &Config, id: &TransactionId, life: &mut Life) {
    let asked = match AnyStore::of(&config.store) {
        Ok(store) => {
            let asked = store.ask(std::slice::from_ref(id)).await;
            store.close().await;
            asked
        }
        Err(error) => Err(error),
    };
    match asked {
        Ok(rows) => life.row = rows.into_iter().next(),
        Err(error) => life.unknown.push(format!("the row: {error}")),
    }
}

fn find_sources(
    config: &Config,
    (reader, settings): (&Reader, &Settings),
    partitions: &[Partition],
    id: &TransactionId,
    (life, watch): (&mut Life, &mut impl Watch),
) -> anyhow::Result<()> {
    let decoder = SourceDecoder::of(config)?;
    let topic = &settings.topics.transactions;
    let committed = patiently(settings, || reader.committed(topic, partitions))?;
    watch.begin("reading transactions", committed.iter().map(|c| span(c.low, c.high)).sum());
    let mut told: BTreeMap<Partition, Told> = BTreeMap::new();
    for partition in committed {
        let Some((watermark, text)) = &partition.point else { continue };
        match Metadata::decode(*watermark, text) {
            Ok(metadata) => drop(told.insert(partition.partition, metadata.told(*watermark))),
            Err(why) => {
                life.unknown
                    .push(format!("the offsets of partition {}: {why}", partition.partition));
            }
        }
    }
    let read = reader.read_topic(topic, |partition, record| {
        watch.add(1);
        if let Ok(tx) = decoder.decode(&record)
            && tx.id == *id
        {
            life.sources.push(AtSource {
                spot: Spot { partition, offset: record.offset },
                published_ms: record.timestamp_ms,
                money: Money { minor_units: tx.amount.minor_units(), currency: tx.currency },
                state: State::of(told.get(&partition), record.offset),
            });
        }
        ControlFlow::Continue(())
    });
    life.sources.sort_by_key(|source| (source.published_ms, source.spot));
    read.map_err(kafka_gone)?;
    decoder.check()
}

fn find_events(
    (reader, settings): (&Reader, &Settings),
    id: &TransactionId,
    (life, watch): (&mut Life, &mut impl Watch),
) -> anyhow::Result<()> {
    each_event(reader, &settings.topics, watch, |topic, partition, record| {
        // What can't be read tells of nobody; `reconcile` names it.
        if let Ok(told) = tell(&record)
            && told.id() == Some(id)
        {
            let (topic, offset) = (topic.clone(), record.offset);
            life.events.push(Reported { topic, partition, offset, told });
        }
    })
}
