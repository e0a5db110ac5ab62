//! The gate: every transaction has exactly one charge, one row and one event, and nothing else is there. It reads
//! with other means than the product: the stub's own book, psql, and a plain read_committed consumer.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde::Deserialize;
use tollbridge_rig::stack::{OUTCOMES, Stack};
use tollbridge_rig::{Error, Result};

use super::input;
use super::stub::Stub;

const READ_LIMIT: Duration = Duration::from_secs(30);
/// Ten million rows at the most.
const ROWS_LIMIT: Duration = Duration::from_secs(300);
const ROWS: &str = "SELECT transaction_id FROM transactions WHERE fate = 'archived'";
const OTHER_ROWS: &str = "SELECT count(*) FROM transactions WHERE fate <> 'archived'";

/// How often each transaction was met.
struct Met {
    counts: Vec<u32>,
    strangers: u64,
}

impl Met {
    fn none(count: u32) -> Self {
        Self { counts: (0..count).map(|_| 0).collect(), strangers: 0 }
    }

    fn note(&mut self, id: &str, times: u32) {
        let place = input::number(id).and_then(|number| usize::try_from(number).ok());
        match place.and_then(|place| self.counts.get_mut(place)) {
            Some(count) => *count += times,
            None => self.strangers += 1,
        }
    }

    /// Exactly once each, but for so many that may be there more than once.
    fn judge(&self, what: &str, repeats_max: usize) -> Result<()> {
        let missing = self.counts.iter().filter(|count| **count == 0).count();
        let repeated = self.counts.iter().filter(|count| **count > 1).count();
        if (missing, self.strangers) == (0, 0) && repeated <= repeats_max {
            return Ok(());
        }
        let strangers = self.strangers;
        Err(Error::new(format!(
            "{what}: {missing} transactions without, {repeated} with more than one, {strangers} foreign"
        )))
    }
}

/// Fails where a transaction was not charged, stored and reported exactly once. When each was reported, in milliseconds
/// since 1970.
pub fn exactly_once(stack: &Stack, stub: &Stub, count: u32) -> Result<Vec<u64>> {
    once_but_for_repeats(stack, stub, count, 0)
}

/// The same where processes were killed: so many may have been asked for again, with the same key.
pub fn once_but_for_repeats(
    stack: &Stack,
    stub: &Stub,
    count: u32,
    repeats_max: usize,
) -> Result<Vec<u64>> {
    let mut charges = Met::none(count);
    for line in stub.charges()?.lines() {
        let (id, times) = line.split_once(' ').unwrap_or((line, ""));
        charges.note(id, times.parse().unwrap_or(0));
    }
    charges.judge("requests at the gateway", repeats_max)?;

    let postgres = stack.postgres.as_ref().ok_or_else(|| Error::new("no Postgres"))?;
    let mut rows = Met::none(count);
    postgres.psql_within(ROWS, ROWS_LIMIT)?.lines().for_each(|id| rows.note(id, 1));
    rows.judge("rows", 0)?;
    nothing_else(&postgres.psql_within(OTHER_ROWS, ROWS_LIMIT)?, "rows that are not archived")?;

    // Alerts are no outcomes: a queue may well become deep.
    let [archived, others @ .., _alerts] = OUTCOMES;
    let mut events = Met::none(count);
    let mut reported = Vec::with_capacity(count as usize);
    read_committed(stack, archived, |value, at_ms| {
        reported.push(at_ms);
        let event: Event = serde_json::from_slice(value).unwrap_or_default();
        let id = if event.fate == "archived" { event.transaction_id } else { "" };
        events.note(id, 1);
    })?;
    events.judge("events", 0)?;
    for topic in others {
        let mut records = 0_u64;
        read_committed(stack, topic, |_, _| records += 1)?;
        nothing_else(&records.to_string(), topic)?;
    }
    nothing_in_redis(stack)?;
    Ok(reported)
}

fn nothing_else(count: &str, what: &str) -> Result<()> {
    if count == "0" { Ok(()) } else { Err(Error::new(format!("{what}: {count}"))) }
}

/// Queues that are empty have no key.
fn nothing_in_redis(stack: &Stack) -> Result<()> {
    for queue in ["*:temp", "*:archive"] {
        let left = stack.redis.command(&["KEYS", queue])?.text();
        if !left.is_empty() {
            return Err(Error::new(format!("Redis still has the queue {left}")));
        }
    }
    Ok(())
}

#[derive(Default, Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    fate: &'a str,
    #[serde(borrow, default)]
    transaction_id: &'a str,
}

/// A read_committed consumer of all partitions from their beginning, which is told where each ends.
pub fn reader(stack: &Stack, topic: &str) -> Result<BaseConsumer> {
    let failed = |e: KafkaError| Error::new(format!("read {topic}: {e}"));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka.bootstrap())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .map_err(failed)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..stack.partitions() {
        let added = list.add_partition_offset(topic, partition.cast_signed(), Offset::Beginning);
        added.map_err(failed)?;
    }
    consumer.assign(&list).map_err(failed)?;
    Ok(consumer)
}

/// Every record that a read_committed consumer sees, to the end of each partition.
fn read_committed(stack: &Stack, topic: &str, mut each: impl FnMut(&[u8], u64)) -> Result<()> {
    let failed = |e: KafkaError| Error::new(format!("read {topic}: {e}"));
    let consumer = reader(stack, topic)?;
    let mut open = stack.partitions();
    while open > 0 {
        match consumer.poll(READ_LIMIT) {
            None => return Err(Error::new(format!("read {topic}: nothing for {READ_LIMIT:?}"))),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(message)) => {
                let at_ms = message.timestamp().to_millis().unwrap_or_default();
                each(message.payload().unwrap_or_default(), at_ms.cast_unsigned());
            }
        }
    }
    Ok(())
}
