//! A partition as the consumer's thread reads it: as far as was demanded, from its start on, until it is closed. When
//! it is fetched and when no longer is decided elsewhere.

use tokio::sync::mpsc::UnboundedSender;

use super::context::MemberContext;
use super::errors::{Reading, reading};
use super::ffi::{Item, PartitionQueue};
use super::succession::Seen;
use super::trouble::Trouble;
use crate::domain::id::{Offset, Partition, TopicHash, Version};
use crate::domain::record::Record;
use crate::ports::source::{SourceEvent, Start};

/// The most records of one event.
const BATCH_MAX: usize = 1024;

/// A partition that librdkafka fetches.
pub(super) struct Fetched {
    pub(super) queue: PartitionQueue<MemberContext>,
    pub(super) version: Version,
    /// Whose offsets these are, and what was seen of the topic when that was said.
    pub(super) topic: Option<TopicHash>,
    pub(super) since: Seen,
    /// The lowest offset that was not delivered yet.
    pub(super) position: Offset,
    pub(super) demand: usize,
    /// Being revoked, or beyond an error: nothing is delivered.
    pub(super) closed: bool,
}

impl Fetched {
    pub(super) fn new(queue: PartitionQueue<MemberContext>, start: &Start, since: Seen) -> Self {
        let Start { version, offset, topic, .. } = *start;
        Self { queue, version, topic, since, position: offset, demand: 0, closed: false }
    }

    /// What is to be said once the topic is another of the same name: its offsets are others.
    pub(super) fn succeeded(&mut self, partition: Partition, now: Seen) -> Option<SourceEvent> {
        if self.closed || !now.is_other(self.topic?, self.since) {
            return None;
        }
        self.closed = true;
        let why = "its topic was deleted and made anew".to_owned();
        Some(SourceEvent::Stopped { partition, version: self.version, why })
    }

    pub(super) fn deliver(
        &mut self,
        partition: Partition,
        events: &UnboundedSender<SourceEvent>,
        trouble: &mut Trouble,
    ) -> bool {
        let version = self.version;
        let mut records: Vec<Record> = Vec::new();
        let mut last = None;
        while records.len() < self.demand.min(BATCH_MAX) {
            match self.queue.next() {
                None => break,
                // Just before a rebalance a record can be handed out and still be fetched again afterwards.
                Some(Item::Record(record)) if record.offset < self.position => {}
                Some(Item::Record(record)) => {
                    self.position = record.offset.next();
                    records.push(record);
                }
                Some(Item::End(position)) if position < self.position => {}
                Some(Item::End(position)) => {
                    self.position = position;
                    last = Some(SourceEvent::End { partition, version, position });
                    break;
                }
                Some(Item::Failed(number, why)) if reading(number) == Reading::GoesOn => {
                    trouble.raise(format!("partition {partition}: {why}"), events);
                }
                Some(Item::Failed(_, why)) => {
                    self.closed = true;
                    let why = format!("at offset {}: {why}", self.position);
                    last = Some(SourceEvent::Stopped { partition, version, why });
                    break;
                }
            }
        }
        let any = !records.is_empty() || last.is_some();
        if !records.is_empty() {
            self.demand -= records.len();
            drop(events.send(SourceEvent::Records { partition, version, records }));
        }
        if let Some(event) = last {
            drop(events.send(event));
        }
        any
    }
}
