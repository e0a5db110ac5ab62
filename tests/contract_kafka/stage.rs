//! What the tests stand on: topics and a group of their own, members of it, and patience with a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tollbridge::adapters::kafka::{
    Feed, Feeder, KafkaPublisher, KafkaSource, Protocol, Reader, Settings, Topics, connect,
};
use tollbridge::domain::id::{Offset, Partition, Version};
use tollbridge::domain::record::Record;
use tollbridge::ports::publisher::{CommitPoint, Membership, Message, Publisher, Topic};
use tollbridge::ports::source::{Source, SourceEvent, Start, Ticket};
use tollbridge_rig::{Kafka, shared_kafka};

/// How long anything may take on a busy machine before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(90);
pub const BOTH: [Protocol; 2] = [Protocol::Classic, Protocol::Consumer];

/// Topics and a group of their own.
#[derive(Clone)]
pub struct Stage {
    pub settings: Settings,
}

impl Stage {
    pub fn new(protocol: Protocol, partitions: u32) -> Self {
        let kafka = shared_kafka();
        Self::on(kafka, kafka.bootstrap(), protocol, partitions)
    }

    pub fn on(kafka: &Kafka, brokers: String, protocol: Protocol, partitions: u32) -> Self {
        let number = next_number();
        let name = |what: &str| format!("{what}-{number}");
        let topics = Topics {
            transactions: name("transactions"),
            archived: name("tx-archived"),
            declined: name("tx-declined"),
            dead_letter: name("tx-dead-letter"),
            alerts: name("tx-alerts"),
        };
        kafka.create_topic(&topics.transactions, partitions).unwrap();
        for topic in [&topics.archived, &topics.declined, &topics.alerts] {
            kafka.create_topic(topic, 1).unwrap();
        }
        kafka.create_topic_with(&topics.dead_letter, 1, &[("max.message.bytes", "2000")]).unwrap();
        let settings = Settings {
            brokers,
            group_id: name("group"),
            client_id: "contract".into(),
            instance_id: None,
            transactional_id: name("member-0"),
            protocol,
            topics,
            // Longer than a busy machine takes; tests of what happens then have their own.
            session_timeout: Duration::from_secs(30),
            transaction_timeout: Duration::from_secs(24),
            request_timeout: Duration::from_secs(20),
            properties: BTreeMap::new(),
        };
        Self { settings }
    }

    pub fn topic(&self) -> &str {
        &self.settings.topics.transactions
    }

    /// Another member of the same group.
    pub fn member(&self) -> Member {
        let mut settings = self.settings.clone();
        settings.transactional_id = format!("{}-{}", settings.transactional_id, next_number());
        Member::new(settings)
    }

    pub fn reader(&self) -> Reader {
        Reader::new(Arc::new(self.settings.clone())).unwrap()
    }

    /// Appends records `values` to a partition.
    pub fn feed(&self, partition: i32, values: impl IntoIterator<Item = String>) {
        self.feed_by(&Feeder::new(&self.settings).unwrap(), partition, values);
    }

    pub fn feed_by(
        &self,
        feeder: &Feeder,
        partition: i32,
        values: impl IntoIterator<Item = String>,
    ) {
        values.into_iter().for_each(|value| self.send_by(feeder, partition, &value));
        feeder.flush().unwrap();
    }

    /// Hands one record over, and does not wait until it is there.
    pub fn send_by(&self, feeder: &Feeder, partition: i32, value: &str) {
        let feed = Feed {
            topic: self.topic(),
            partition: Some(Partition(partition)),
            key: None,
            value: Some(value.as_bytes()),
            headers: &[],
            timestamp_ms: None,
        };
        feeder.send(&feed).unwrap();
    }
}

/// Starts at one, so that names can be sorted.
pub fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed) + 1
}

/// A member of the group, and what it was told.
pub struct Member {
    pub source: KafkaSource,
    pub publisher: KafkaPublisher,
    events: UnboundedReceiver<SourceEvent>,
}

impl Member {
    pub fn new(settings: Settings) -> Self {
        let (sender, events) = unbounded_channel();
        let (source, publisher) = connect(settings, sender).unwrap();
        Self { source, publisher, events }
    }

    /// The next event, whatever it is.
    pub async fn event(&mut self) -> SourceEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("no event came").expect("the consumer is gone")
    }

    /// The next event that is not of the passing kind.
    pub async fn next(&mut self) -> SourceEvent {
        loop {
            match self.event().await {
                SourceEvent::Trouble(_) => {}
                SourceEvent::Fatal(why) => panic!("fatal: {why}"),
                event => return event,
            }
        }
    }

    /// That nothing comes for a while.
    pub async fn silence(&mut self, time: Duration) {
        if let Ok(event) = tokio::time::timeout(time, self.next()).await {
            panic!("nothing should have come: {event:?}");
        }
    }

    pub async fn assigned(&mut self) -> (Ticket, Vec<Partition>) {
        loop {
            match self.next().await {
                SourceEvent::Assigned { ticket, mut partitions, .. } => {
                    partitions.sort();
                    return (ticket, partitions);
                }
                SourceEvent::End { .. } => {}
                event => panic!("not an assignment: {event:?}"),
            }
        }
    }

    pub async fn revoked(&mut self) -> (Ticket, Vec<Partition>, bool) {
        loop {
            match self.next().await {
                SourceEvent::Revoked { ticket, mut partitions, lost } => {
                    partitions.sort();
                    return (ticket, partitions, lost);
                }
                SourceEvent::End { .. } => {}
                event => panic!("not a revocation: {event:?}"),
            }
        }
    }

    /// Takes an assignment and starts every partition at its first record.
    pub async fn take_all(&mut self, version: u64) -> Vec<Partition> {
        let (ticket, partitions) = self.assigned().await;
        let starts = partitions.iter().map(|p| start(p.0, version, 0)).collect();
        self.source.assign(ticket, starts);
        partitions
    }

    /// Answers a rebalance at once, and keeps account of what is owned.
    pub fn follow(&self, owned: &mut BTreeSet<i32>, event: SourceEvent) {
        match event {
            SourceEvent::Assigned { ticket, partitions, .. } => {
                owned.extend(partitions.iter().map(|p| p.0));
                self.source.assign(ticket, partitions.iter().map(|p| start(p.0, 1, 0)).collect());
            }
            SourceEvent::Revoked { ticket, partitions, .. } => {
                owned.retain(|owned| !partitions.contains(&Partition(*owned)));
                self.source.release(ticket);
            }
            SourceEvent::End { .. } => {}
            event => panic!("no rebalance: {event:?}"),
        }
    }

    /// Takes records of one partition until `count` are there; ends in between are passed over.
    pub async fn records(&mut self, partition: i32, version: u64, count: usize) -> Vec<Record> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                SourceEvent::Records { partition: of, version: under, records } => {
                    assert_eq!((of, under), (Partition(partition), Version(version)));
                    all.extend(records);
                }
                SourceEvent::End { .. } => {}
                event => panic!("not records: {event:?}"),
            }
        }
        assert_eq!(all.len(), count, "more than were asked for");
        all
    }

    /// Waits for the end of a partition.
    pub async fn end(&mut self, partition: i32) -> Offset {
        loop {
            if let SourceEvent::End { partition: of, position, .. } = self.next().await
                && of == Partition(partition)
            {
                return position;
            }
        }
    }

    pub fn demand(&self, partition: i32, version: u64, records: usize) {
        self.source.demand(Partition(partition), Version(version), records);
    }

    /// Renews the producer, as often as it takes: a broker that has just started, or was cut off, is not ready yet.
    pub async fn renewed(&self) {
        let renewed = async {
            while self.publisher.renew().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, renewed).await.expect("never renewed");
    }

    pub async fn membership(&self) -> Membership {
        self.publisher.membership().await.unwrap()
    }
}

pub fn start(partition: i32, version: u64, offset: i64) -> Start {
    let (partition, version, offset) = (Partition(partition), Version(version), Offset(offset));
    Start { partition, version, offset, topic: None }
}

pub fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.offset.0).collect()
}

pub fn point(partition: i32, watermark: i64, metadata: &str) -> CommitPoint {
    CommitPoint {
        partition: Partition(partition),
        watermark: Offset(watermark),
        metadata: metadata.into(),
    }
}

pub fn message(topic: Topic, value: impl Into<Bytes>) -> Message {
    Message { topic, key: None, value: Some(value.into()), headers: Vec::new() }
}

pub fn numbers(from: u32, below: u32) -> impl Iterator<Item = String> {
    (from..below).map(|number| number.to_string())
}

/// What `read_committed` readers see on a topic, as text.
pub fn values(stage: &Stage, topic: &str) -> Vec<String> {
    let mut values = Vec::new();
    let reader = stage.reader();
    reader
        .read_topic(topic, |_, record| {
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    values
}
