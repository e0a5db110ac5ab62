//! A test's own hands on Kafka: it publishes transactions, reads what `read_committed` consumers see, and commits
//! offsets as a careless operator would.

use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer,
};
use rdkafka::{Offset, TopicPartitionList};

use crate::sight::wait;
use crate::world::{LIMIT, World};

/// A transaction as JSON: 12.50 EUR for a good card.
pub fn transaction(id: &str) -> String {
    transaction_of(id, 1250, "pm_card")
}

pub fn transaction_of(id: &str, amount: i64, payment_method: &str) -> String {
    format!(
        "{{\"transaction_id\":\"{id}\",\"account_id\":\"acc-1\",\"amount\":{amount},\"currency\":\"EUR\",\
         \"payment_method\":\"{payment_method}\",\"created_at\":1700000000000000}}"
    )
}

/// Ids `prefix-000` and on.
pub fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:03}")).collect()
}

/// A producer's transaction that has not ended.
pub struct Begun(BaseProducer);

impl Begun {
    pub fn commit(self) {
        self.0.commit_transaction(LIMIT).unwrap();
    }

    pub fn abort(self) {
        self.0.abort_transaction(LIMIT).unwrap();
    }
}

/// A record to be published.
#[derive(Debug, Clone, Default)]
pub struct Written<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
    /// Milliseconds since 1970; `None`: now.
    pub timestamp_ms: Option<i64>,
}

impl<'a> Written<'a> {
    pub fn of(value: &'a [u8]) -> Self {
        Self { value: Some(value), ..Self::default() }
    }
}

/// A record as read.
#[derive(Debug, Clone)]
pub struct Read {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// When it was produced, milliseconds since 1970.
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    /// Empty for a tombstone.
    pub value: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

impl Read {
    /// The last header of this name; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().rfind(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

impl World {
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka().bootstrap());
        config
    }

    /// Publishes one good transaction for each id.
    pub fn publish<S: AsRef<str>>(&self, partition: u32, ids: &[S]) {
        let values: Vec<String> = ids.iter().map(|id| transaction(id.as_ref())).collect();
        self.publish_values(partition, &values);
    }

    /// Publishes values as they are, in order.
    pub fn publish_values<S: AsRef<str>>(&self, partition: u32, values: &[S]) {
        let records: Vec<Written<'_>> =
            values.iter().map(|value| Written::of(value.as_ref().as_bytes())).collect();
        self.publish_records(partition, &records);
    }

    /// Begins a producer's transaction with these in it, which no reader sees before it ends.
    pub fn begin<S: AsRef<str>>(&self, partition: u32, ids: &[S]) -> Begun {
        let name = format!("{}-shop", self.topic("transactions"));
        let producer: BaseProducer = self.client().set("transactional.id", name).create().unwrap();
        producer.init_transactions(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        let topic = self.topic("transactions");
        for id in ids {
            let value = transaction(id.as_ref());
            let partition = i32::try_from(partition).unwrap();
            let record: BaseRecord<'_, (), String> =
                BaseRecord::to(&topic).partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LIMIT).unwrap();
        Begun(producer)
    }

    /// Publishes whole records, in order.
    pub fn publish_records(&self, partition: u32, records: &[Written<'_>]) {
        let producer = producer(self);
        let topic = self.topic("transactions");
        for written in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &written.headers {
                headers = headers.insert(Header { key, value: *value });
            }
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic)
                .partition(i32::try_from(partition).unwrap())
                .headers(headers);
            (record.key, record.payload) = (written.key, written.value);
            record.timestamp = written.timestamp_ms;
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LIMIT).unwrap();
    }

    /// Everything on these topics, as a `read_committed` consumer sees it.
    pub fn read(&self, topics: &[&str]) -> Vec<Read> {
        let consumer = self.reader.get_or_init(|| self.new_reader());
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let partitions = if *topic == "transactions" { self.partitions() } else { 1 };
            for partition in 0..i32::try_from(partitions).unwrap() {
                list.add_partition_offset(&self.topic(topic), partition, Offset::Beginning)
                    .unwrap();
            }
        }
        consumer.assign(&list).unwrap();
        let mut open = list.count();
        let mut read = Vec::new();
        while open > 0 {
            match consumer.poll(LIMIT).expect("the broker is silent") {
                Ok(message) => read.push(of(&message)),
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                // Passing trouble, which the client gets over by itself.
                Err(_) => {}
            }
        }
        consumer.unassign().unwrap();
        read
    }

    fn new_reader(&self) -> BaseConsumer {
        self.client()
            .set("group.id", "e2e-reader")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20")
            .create()
            .unwrap()
    }

    /// Sets the group's offset and metadata of a partition; the group must have no member.
    pub fn commit(&self, partition: u32, offset: i64, metadata: &str) {
        let consumer: BaseConsumer = self.client().set("group.id", self.group()).create().unwrap();
        let (topic, partition) = (self.topic("transactions"), i32::try_from(partition).unwrap());
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, partition, Offset::Offset(offset)).unwrap();
        list.find_partition(&topic, partition).unwrap().set_metadata(metadata);
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }

    /// Deletes the source topic and makes another of the same name.
    pub fn make_anew(&self) {
        let topic = self.topic("transactions");
        self.kafka().delete_topic(&topic).unwrap();
        // It is refused for as long as the old one is still being deleted.
        wait("the topic anew", || self.kafka().create_topic(&topic, self.partitions()).is_ok());
    }

    /// Makes Kafka forget the group's offsets, as it does by itself after a week without members.
    pub fn delete_offsets(&self) {
        let admin: AdminClient<_> = self.client().create().unwrap();
        let delete = admin.delete_groups(&[&self.group()], &AdminOptions::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let deleted = runtime.block_on(delete).unwrap();
        assert_eq!(deleted, [Ok(self.group())]);
    }

    /// The group's offset and metadata of a partition.
    pub fn committed(&self, partition: u32) -> Option<(i64, String)> {
        let consumer: BaseConsumer = self.client().set("group.id", self.group()).create().unwrap();
        let (topic, partition) = (self.topic("transactions"), i32::try_from(partition).unwrap());
        let mut list = TopicPartitionList::new();
        list.add_partition(&topic, partition);
        let found = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
        let found = found.find_partition(&topic, partition).unwrap();
        match found.offset() {
            Offset::Offset(offset) => Some((offset, found.metadata().to_owned())),
            _ => None,
        }
    }
}

/// One for all tests: a new one takes half a second until it may send.
fn producer(world: &World) -> &'static ThreadedProducer<DefaultProducerContext> {
    static PRODUCER: OnceLock<ThreadedProducer<DefaultProducerContext>> = OnceLock::new();
    PRODUCER.get_or_init(|| {
        world.client().set("enable.idempotence", "true").set("linger.ms", "1").create().unwrap()
    })
}

fn of(message: &impl Message) -> Read {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Read {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().unwrap_or_default().to_vec(),
        headers: headers
            .map(|h| {
                let value = String::from_utf8_lossy(h.value.unwrap_or_default()).into_owned();
                (h.key.to_owned(), value)
            })
            .collect(),
    }
}
