//! Reads what brokers hold without being a member of the group: committed offsets, the bounds of logs, whole
//! topics. Every call blocks, for a bounded time; none belongs on the engine's thread. It commits nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset as Raw, TopicPartitionList};

use super::context::QuietContext;
use super::errors::{AskError, ConnectError, Reading, reading};
use super::ffi::{self, Item, PartitionQueue};
use super::settings::{Role, Settings};
use super::stopwatch;
use crate::domain::id::{Offset, Partition, TopicHash};
use crate::domain::record::Record;
use crate::ports::source::Committed;

/// A client for questions. Clones share it.
#[derive(Clone)]
pub struct Reader {
    consumer: Arc<BaseConsumer<QuietContext>>,
    settings: Arc<Settings>,
    /// One topic is read at a time.
    reading: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("brokers", &self.settings.brokers).finish_non_exhaustive()
    }
}

impl Reader {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// A property that librdkafka does not accept.
    pub fn new(settings: Arc<Settings>) -> Result<Self, ConnectError> {
        let client = settings.client(Role::Reader);
        let consumer = Arc::new(client.create_with_context(QuietContext)?);
        Ok(Self { consumer, settings, reading: Arc::default() })
    }

    /// Offsets and metadata that the group has committed for partitions of `topic`, after every pending
    /// transaction has ended, and the bounds of their logs. In the order asked.
    ///
    /// # Errors
    /// The brokers don't answer in time, refuse, or don't know the topic.
    pub fn committed(
        &self,
        topic: &str,
        partitions: &[Partition],
    ) -> Result<Vec<Committed>, AskError> {
        // Before the offsets: a topic that is made anew in between has lost them, or is found out next time.
        let id = self.topic_hash(topic)?;
        let points = self.group_offsets(topic, partitions)?;
        let with_bounds = |(partition, point)| {
            let (low, high) = self.watermarks(topic, partition)?;
            Ok(Committed { partition, point, low, high, topic: id })
        };
        points.into_iter().map(with_bounds).collect()
    }

    /// Which topic of this name there is; `None` where the brokers give topics no ids.
    ///
    /// # Errors
    /// As for [`Reader::committed`].
    pub(super) fn topic_hash(&self, topic: &str) -> Result<Option<TopicHash>, AskError> {
        let (timeout, client) = (self.settings.request_timeout, self.consumer.client());
        // Asked first whether there is a broker at all: while librdkafka waits to put the other question to brokers
        // that are all away, it connects to them without a pause and takes a whole core.
        let id = client.fetch_metadata(Some(topic), timeout);
        let id = id.and_then(|_| ffi::topic_id(client, topic, timeout));
        let id = id.map_err(|e| AskError::of(&format!("the id of {topic}"), &e))?;
        Ok(id.map(TopicHash::of))
    }

    /// The committed offset and metadata of each partition, `None` where the group never committed.
    ///
    /// # Errors
    /// As for [`Reader::committed`].
    #[expect(clippy::type_complexity, reason = "a pair of the partition asked for and its point")]
    pub fn group_offsets(
        &self,
        topic: &str,
        partitions: &[Partition],
    ) -> Result<Vec<(Partition, Option<(Offset, String)>)>, AskError> {
        self.serve();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(topic, partition.0);
        }
        let answer = self.consumer.committed_offsets(list, self.settings.request_timeout);
        let answer = answer.map_err(|e| AskError::of("committed offsets", &e))?;
        let point = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let partition = Partition(element.partition());
            let what = format!("committed offset of partition {partition}");
            element.error().map_err(|e| AskError::of(&what, &e))?;
            let point = match element.offset() {
                Raw::Offset(offset) => Some((Offset(offset), element.metadata().to_owned())),
                _ => None,
            };
            Ok((partition, point))
        };
        answer.elements().into_iter().map(point).collect()
    }

    /// The first offset that the log still has, and its end as `read_committed` readers see it.
    ///
    /// # Errors
    /// As for [`Reader::committed`].
    pub fn watermarks(
        &self,
        topic: &str,
        partition: Partition,
    ) -> Result<(Offset, Offset), AskError> {
        let timeout = self.settings.request_timeout;
        let (low, high) = self
            .consumer
            .fetch_watermarks(topic, partition.0, timeout)
            .map_err(|e| AskError::of(&format!("bounds of {topic}/{partition}"), &e))?;
        Ok((Offset(low), Offset(high)))
    }

    /// The end of each partition's log, with what open transactions hold back from `read_committed` readers.
    ///
    /// # Errors
    /// As for [`Reader::committed`].
    pub fn log_ends(&self, topic: &str) -> Result<Vec<(Partition, Offset)>, AskError> {
        let mut client = self.settings.client(Role::Reader);
        client.set("isolation.level", "read_uncommitted");
        let consumer: BaseConsumer<QuietContext> = client
            .create_with_context(QuietContext)
            .map_err(|e| AskError::of(&format!("bounds of {topic}"), &e))?;
        let end = |partition: Partition| {
            let bounds =
                consumer.fetch_watermarks(topic, partition.0, self.settings.request_timeout);
            let (_, end) =
                bounds.map_err(|e| AskError::of(&format!("bounds of {topic}/{partition}"), &e))?;
            Ok((partition, Offset(end)))
        };
        self.partitions(topic)?.into_iter().map(end).collect()
    }

    /// The partitions of a topic in their order.
    ///
    /// # Errors
    /// The brokers don't answer in time, or the topic does not exist (permanent).
    pub fn partitions(&self, topic: &str) -> Result<Vec<Partition>, AskError> {
        self.serve();
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), self.settings.request_timeout)
            .map_err(|e| AskError::of(&format!("topic {topic}"), &e))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
            return Err(AskError::Permanent(format!("topic {topic}: unknown")));
        };
        if let Some(error) = found.error() {
            let error = rdkafka::error::KafkaError::MetadataFetch(error.into());
            return Err(AskError::of(&format!("topic {topic}"), &error));
        }
        let mut partitions: Vec<_> =
            found.partitions().iter().map(|partition| Partition(partition.id())).collect();
        partitions.sort();
        Ok(partitions)
    }

    /// Reads what stands committed on a topic when called, from each log's beginning to its end then, in offset
    /// order within a partition. `each` is called as records come, and may break off.
    ///
    /// # Errors
    /// The brokers don't answer, or nothing more comes for six request timeouts although the end is not reached.
    pub fn read_topic(
        &self,
        topic: &str,
        mut each: impl FnMut(Partition, Record) -> ControlFlow<()>,
    ) -> Result<(), AskError> {
        let mut ends = BTreeMap::new();
        for partition in self.partitions(topic)? {
            let (low, high) = self.watermarks(topic, partition)?;
            if low < high {
                ends.insert(partition, (low, high));
            }
        }
        self.read_between(topic, ends, &mut each)
    }

    /// The record at this offset; `None` where the topic has none there, or no longer.
    ///
    /// # Errors
    /// As for [`Reader::read_topic`].
    pub fn record(
        &self,
        topic: &str,
        partition: Partition,
        offset: Offset,
    ) -> Result<Option<Record>, AskError> {
        let mut found = None;
        self.read_part(topic, partition, (offset, offset.next()), |record| {
            found = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Reads what a partition still has from one offset on to before another, in its order. `each` may break off.
    ///
    /// # Errors
    /// As for [`Reader::read_topic`].
    pub fn read_part(
        &self,
        topic: &str,
        partition: Partition,
        (from, to): (Offset, Offset),
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), AskError> {
        let (low, high) = self.watermarks(topic, partition)?;
        let (from, to) = (from.max(low), to.min(high));
        if from >= to {
            return Ok(());
        }
        let only = BTreeMap::from([(partition, (from, to))]);
        self.read_between(topic, only, &mut |_, record| each(record))
    }

    fn read_between(
        &self,
        topic: &str,
        ends: BTreeMap<Partition, (Offset, Offset)>,
        each: &mut impl FnMut(Partition, Record) -> ControlFlow<()>,
    ) -> Result<(), AskError> {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = TopicPartitionList::new();
        let mut open = Vec::new();
        for (partition, (low, high)) in ends {
            list.add_partition_offset(topic, partition.0, Raw::Offset(low.0))
                .map_err(|e| AskError::of("reading", &e))?;
            let wake = std::thread::current();
            let queue = PartitionQueue::take(&self.consumer, topic, partition.0, wake);
            let queue =
                queue.ok_or_else(|| AskError::Permanent(format!("topic {topic}: bad name")))?;
            open.push(Log { partition, end: high, queue });
        }
        self.consumer.assign(&list).map_err(|e| AskError::of("reading", &e))?;
        let outcome = self.drain(topic, open, each);
        // The queues are gone by now; what was prefetched goes with the assignment.
        let none = self.consumer.unassign().map_err(|e| AskError::of("reading", &e));
        outcome.and(none)
    }

    fn drain(
        &self,
        topic: &str,
        mut open: Vec<Log>,
        each: &mut impl FnMut(Partition, Record) -> ControlFlow<()>,
    ) -> Result<(), AskError> {
        let patience = self.settings.request_timeout * 6;
        let mut last = stopwatch();
        while !open.is_empty() {
            self.serve();
            let mut progress = false;
            let mut unfinished = Vec::with_capacity(open.len());
            for log in open {
                match log.read(topic, each)? {
                    Progress::Broken => return Ok(()),
                    Progress::Finished => progress = true,
                    Progress::Some => {
                        progress = true;
                        unfinished.push(log);
                    }
                    Progress::None => unfinished.push(log),
                }
            }
            open = unfinished;
            if progress {
                last = stopwatch();
            } else if last.elapsed() > patience {
                let why = format!("topic {topic}: no record came for {patience:?}");
                return Err(AskError::Transient(why));
            } else {
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Whether a broker answers.
    pub(super) fn answers(&self, timeout: Duration) -> bool {
        self.serve();
        let topic = Some(self.settings.topics.transactions.as_str());
        self.consumer.fetch_metadata(topic, timeout).is_ok()
    }

    /// Hands log lines on, which would pile up otherwise.
    pub(super) fn serve(&self) {
        for _ in 0..SERVED_MAX {
            // What it returns are errors, and those have reached the context.
            drop(self.consumer.poll(Duration::ZERO));
        }
    }
}

/// The most callbacks that one call serves.
const SERVED_MAX: usize = 8;

/// A partition that is being read to an end.
struct Log {
    partition: Partition,
    end: Offset,
    queue: PartitionQueue<QuietContext>,
}

enum Progress {
    None,
    Some,
    Finished,
    /// The caller has seen enough.
    Broken,
}

impl Log {
    fn read(
        &self,
        topic: &str,
        each: &mut impl FnMut(Partition, Record) -> ControlFlow<()>,
    ) -> Result<Progress, AskError> {
        let mut progress = Progress::None;
        while let Some(item) = self.queue.next() {
            progress = Progress::Some;
            let position = match item {
                Item::End(position) => position,
                Item::Failed(number, _) if reading(number) == Reading::GoesOn => continue,
                Item::Failed(_, why) => {
                    let text = format!("{topic}/{}: {why}", self.partition);
                    return Err(AskError::Permanent(text));
                }
                Item::Record(record) if record.offset >= self.end => record.offset,
                Item::Record(record) => {
                    let position = record.offset.next();
                    if each(self.partition, record).is_break() {
                        return Ok(Progress::Broken);
                    }
                    position
                }
            };
            if position >= self.end {
                return Ok(Progress::Finished);
            }
        }
        Ok(progress)
    }
}
