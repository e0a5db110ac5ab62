//! The brokers: source logs, committed offsets, and transactions, as a real broker has them for a classic group,
//! what it lets pass included. The group itself is in `group`; how a producer goes through a transaction is in
//! `transact`.

use std::collections::BTreeMap;

use tollbridge::domain::id::{Offset, Partition, TopicHash};
use tollbridge::domain::record::Record;
use tollbridge::ports::publisher::{CommitPoint, Message};
use tollbridge::ports::source::Committed;

use crate::group::Coordinator;

#[derive(Debug, Default)]
pub struct Brokers {
    pub logs: BTreeMap<Partition, Log>,
    pub offsets: BTreeMap<Partition, Point>,
    producers: BTreeMap<String, Producer>,
    pub group: Coordinator,
    /// Counts offset commits, so that an older one never overwrites a younger one.
    written: u64,
    transactions: u64,
}

#[derive(Debug, Default)]
pub struct Log {
    pub records: BTreeMap<Offset, Record>,
    pub end: i64,
    /// The first offset that is still there.
    pub low: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub watermark: Offset,
    pub metadata: String,
    pub written: u64,
}

/// A transactional id.
#[derive(Debug, Default)]
struct Producer {
    epoch: u32,
    open: Option<Transaction>,
    /// How the last one ended; a repeated request to end it so is let pass.
    ended: Option<bool>,
}

#[derive(Debug, Default)]
struct Transaction {
    number: u64,
    /// Each with when it was written: what was written later by others stays.
    points: Vec<(CommitPoint, u64)>,
    messages: Vec<Message>,
    /// Its end is decided and written: it will take effect.
    prepared: bool,
}

/// Who commits, and as what.
#[derive(Debug, Clone)]
pub struct Committer {
    pub transactional_id: String,
    pub producer_epoch: u32,
    pub generation: i32,
    pub member_id: String,
}

/// What took effect together.
#[derive(Debug)]
pub struct Effective {
    pub points: Vec<CommitPoint>,
    pub messages: Vec<Message>,
}

/// Half of the brokers give topics ids; none is made anew.
pub fn topic_of(partition: Partition) -> Option<TopicHash> {
    (partition.0 % 2 == 0).then_some(TopicHash(0xFEED_F00D))
}

impl Brokers {
    pub fn new(partitions: Vec<Partition>) -> Self {
        Self { group: Coordinator::new(partitions), ..Self::default() }
    }

    /// The producer's open transaction; it begins with the first request that belongs to one.
    fn open(&mut self, who: &Committer) -> Result<&mut Transaction, String> {
        let producer = self.producers.entry(who.transactional_id.clone()).or_default();
        if producer.epoch != who.producer_epoch {
            return Err("this producer is fenced".to_owned());
        }
        if producer.open.as_ref().is_some_and(|open| open.prepared) {
            return Err("concurrent transactions".to_owned());
        }
        let number = &mut self.transactions;
        Ok(producer.open.get_or_insert_with(|| {
            *number += 1;
            Transaction { number: *number, ..Transaction::default() }
        }))
    }

    /// Messages are written. Returns the transaction's number.
    pub fn produce(&mut self, who: &Committer, messages: Vec<Message>) -> Result<u64, String> {
        let open = self.open(who)?;
        open.messages.extend(messages);
        Ok(open.number)
    }

    /// Offsets join the transaction. `metadata_chars_max`: as `offset.metadata.max.bytes`, which counts characters.
    pub fn add_offsets(
        &mut self,
        who: &Committer,
        points: Vec<CommitPoint>,
        metadata_chars_max: usize,
    ) -> Result<u64, String> {
        let too_large = |point: &&CommitPoint| point.metadata.chars().count() > metadata_chars_max;
        if let Some(point) = points.iter().find(too_large) {
            return Err(format!("offset metadata too large: {point:?}"));
        }
        self.group.check(who.generation, &who.member_id)?;
        self.written += 1;
        let written = self.written;
        let open = self.open(who)?;
        open.points.extend(points.into_iter().map(|point| (point, written)));
        Ok(open.number)
    }

    /// An offset commit outside any transaction. A group that has members lets only them commit so; nobody asks who
    /// owns the partitions, and an open transaction on the same ones is no obstacle: it is hidden by what is younger.
    pub fn commit_plainly(
        &mut self,
        who: &Committer,
        points: Vec<CommitPoint>,
    ) -> Option<Effective> {
        let is_nobody = who.generation < 0 && who.member_id.is_empty();
        if is_nobody && !self.group.members.is_empty() {
            return None;
        }
        self.group.check(who.generation, &who.member_id).ok()?;
        self.written += 1;
        let points = points.into_iter().map(|point| (point, self.written)).collect();
        let open = Transaction { points, ..Transaction::default() };
        Some(self.take_effect(open))
    }

    /// A request to end whatever this producer has open.
    pub fn end(&mut self, who: &Committer, commit: bool) -> Result<Option<Effective>, String> {
        let producer = self.producers.entry(who.transactional_id.clone()).or_default();
        if producer.epoch != who.producer_epoch {
            return Err("this producer is fenced".to_owned());
        }
        let Some(open) = producer.open.take() else {
            let repeated = producer.ended == Some(commit);
            return if repeated { Ok(None) } else { Err("invalid transaction state".to_owned()) };
        };
        let commits = commit || open.prepared;
        producer.ended = Some(commits);
        Ok(commits.then(|| self.take_effect(open)))
    }

    /// The end of the open transaction is decided, and not carried out yet.
    pub fn prepare(&mut self, who: &Committer) -> Result<u64, String> {
        let open = self.open(who)?;
        open.prepared = true;
        Ok(open.number)
    }

    pub fn is_open(&self, transactional_id: &str, number: u64) -> bool {
        let producer = self.producers.get(transactional_id);
        let open = producer.and_then(|producer| producer.open.as_ref());
        open.is_some_and(|open| open.number == number)
    }

    /// The broker itself ends a transaction: a prepared one is carried out, another one is too old and aborted.
    pub fn end_by_itself(&mut self, transactional_id: &str, number: u64) -> Option<Effective> {
        let producer = self.producers.get_mut(transactional_id)?;
        let open = producer.open.take_if(|open| open.number == number)?;
        producer.ended = Some(open.prepared);
        if open.prepared {
            return Some(self.take_effect(open));
        }
        // Whoever had it open is fenced.
        producer.epoch += 1;
        None
    }

    /// `init_transactions`: a higher epoch; what is open ends. Returns the epoch.
    pub fn renew(&mut self, transactional_id: &str) -> (u32, Option<Effective>) {
        let producer = self.producers.entry(transactional_id.to_owned()).or_default();
        producer.epoch += 1;
        producer.ended = None;
        let (epoch, open) = (producer.epoch, producer.open.take());
        let effective = open.filter(|open| open.prepared).map(|open| self.take_effect(open));
        (epoch, effective)
    }

    fn take_effect(&mut self, open: Transaction) -> Effective {
        let Transaction { points, messages, .. } = open;
        for (point, written) in &points {
            let (written, stands) = (*written, self.offsets.get(&point.partition));
            if stands.is_none_or(|stands| stands.written <= written) {
                let CommitPoint { watermark, metadata, .. } = point.clone();
                self.offsets.insert(point.partition, Point { watermark, metadata, written });
            }
        }
        Effective { points: points.into_iter().map(|(point, _)| point).collect(), messages }
    }

    /// A stable read: `None` while a transaction on one of these partitions is open.
    pub fn committed_stably(&self, partitions: &[Partition]) -> Option<Vec<Committed>> {
        let open = self.producers.values().filter_map(|producer| producer.open.as_ref());
        let mut points = open.flat_map(|open| &open.points);
        if points.any(|(point, _)| partitions.contains(&point.partition)) {
            return None;
        }
        Some(self.committed(partitions))
    }

    /// What stands now, whatever is open.
    pub fn committed(&self, partitions: &[Partition]) -> Vec<Committed> {
        let committed = |partition: &Partition| {
            let point = self.offsets.get(partition);
            Committed {
                partition: *partition,
                point: point.map(|point| (point.watermark, point.metadata.clone())),
                low: Offset(self.logs.get(partition).map_or(0, |log| log.low)),
                high: Offset(self.logs.get(partition).map_or(0, |log| log.end)),
                topic: topic_of(*partition),
            }
        };
        partitions.iter().map(committed).collect()
    }

    pub fn append(&mut self, partition: Partition, record: Record) {
        let log = self.logs.entry(partition).or_default();
        log.end = record.offset.0 + 1;
        log.records.insert(record.offset, record);
    }
}

impl Log {
    /// Up to `most` records from a position on, and the position after them; gaps are passed.
    pub fn fetch(&self, from: Offset, most: usize) -> (Vec<Record>, Offset) {
        let records: Vec<Record> =
            self.records.range(from..).take(most).map(|(_, record)| record.clone()).collect();
        let position = match records.last() {
            Some(last) if records.len() == most => last.offset.next(),
            _ => Offset(self.end.max(from.0)),
        };
        (records, position)
    }
}
