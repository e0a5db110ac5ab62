//! What others do to the topic and to the group's offsets, and how an operator puts it right: metadata that is damaged
//! or another program's, offsets that are reset or have expired, records that retention deletes too early.

use std::collections::BTreeSet;

use tollbridge::domain::id::{Offset, Partition, StoreId, TransactionId};
use tollbridge::wire::metadata::Metadata;

use crate::faults::Kind;
use crate::holes::Hole;
use crate::kafka::Point;
use crate::oracle::At;
use crate::plan::{GROUP, MS, S, TOPIC};
use crate::world::{Happening, World};

/// What becomes of a committed offset. Each leaves a partition that must not be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// A character of the metadata is another one.
    Damaged,
    /// Another program commits for the group.
    Foreign,
    /// The offset is another one, beside the metadata of the former.
    Moved,
    /// It was processed with another store.
    OtherStore,
    /// Set by hand: an offset without metadata.
    Reset,
    /// Kafka holds nothing any more.
    Expired,
}

impl Tampering {
    pub const ALL: [Self; 6] =
        [Self::Damaged, Self::Foreign, Self::Moved, Self::OtherStore, Self::Reset, Self::Expired];

    fn of(self, point: &Point) -> Option<Point> {
        let watermark = point.watermark;
        let with = |metadata: String| Some(Point { metadata, ..point.clone() });
        match self {
            Self::Damaged => {
                let other = |c: char| if c == '\u{4e00}' { '\u{4e01}' } else { '\u{4e00}' };
                let at = point.metadata.chars().count() / 2;
                let each = point.metadata.chars().enumerate();
                with(each.map(|(i, c)| if i == at { other(c) } else { c }).collect())
            }
            Self::Foreign => with("{\"lag\":0}".to_owned()),
            Self::Moved => Some(Point { watermark: watermark.next(), ..point.clone() }),
            Self::OtherStore => {
                let mut metadata = Metadata::decode(watermark, &point.metadata).ok()?;
                metadata.store = StoreId([9; 16]);
                with(metadata.encode(watermark))
            }
            Self::Reset => with(String::new()),
            Self::Expired => None,
        }
    }
}

impl World {
    /// Every process dies, and something is done once the group is empty: while it has members nobody else may commit
    /// for it.
    pub fn with_an_empty_group(&mut self, what: Happening) {
        let session = self.plan.shape.session;
        self.held_until = self.held_until.max(self.now + session + 2 * S);
        for process in 0..self.processes.len() {
            self.crash_process(process, self.held_until);
        }
        self.after(session + S, what);
    }

    pub fn tamper(&mut self, i: usize) {
        let Kind::Tampered(partition, how) = self.plan.faults[i].kind else { return };
        let sources = self.store.sources(GROUP, TOPIC);
        let is_begun = sources.iter().any(|source| source.partition == partition);
        let is_free = self.brokers.group.members.is_empty();
        if !is_begun || !is_free || self.tampered.contains_key(&partition) {
            return;
        }
        let Some(point) = self.brokers.offsets.get(&partition).cloned() else { return };
        match how.of(&point) {
            Some(other) => self.brokers.offsets.insert(partition, other),
            None => self.brokers.offsets.remove(&partition),
        };
        self.say(|| format!("=== {how:?}: the offset of {partition}"));
        self.tampered.insert(partition, point);
        self.oracle.distrusted.insert(partition);
        self.count(i);
    }

    /// The operator brings back what stood there.
    pub fn mend(&mut self, partition: Partition) {
        if !self.tampered.contains_key(&partition) {
            return;
        }
        if !self.brokers.group.members.is_empty() {
            return self.with_an_empty_group(Happening::Mend(partition));
        }
        let Some(point) = self.tampered.remove(&partition) else { return };
        self.brokers.offsets.insert(partition, point);
        self.oracle.distrusted.remove(&partition);
        self.mended_at = self.now;
    }

    /// The operator sets an offset, and starts every process with the word that this is meant so.
    pub fn reset_offset(&mut self, i: usize) {
        let Kind::OffsetsReset(partition, by) = self.plan.faults[i].kind else { return };
        let Some(log) = self.brokers.logs.get(&partition) else { return };
        let sources = self.store.sources(GROUP, TOPIC);
        let is_begun = sources.iter().any(|source| source.partition == partition);
        if !is_begun || !self.brokers.group.members.is_empty() {
            return;
        }
        let to = Offset((self.oracle.watermark(partition).0 + by).clamp(log.low, log.end));
        let Some(point) = self.brokers.offsets.get_mut(&partition) else { return };
        (point.watermark, point.metadata) = (to, String::new());
        self.say(|| format!("=== {partition} is set to {to}"));
        self.accepts_reset = true;
        let rows: BTreeSet<_> = self.store.rows().map(|row| row.transaction_id.clone()).collect();
        let (queue, is_whole) = (&self.queue, self.redis_lost_at == 0);
        let is_queued = |place: At, id: &TransactionId| {
            is_whole && queue.find(place.0, id).is_some_and(|(offset, _)| offset == place.1)
        };
        self.oracle.reset(partition, to, |id| rows.contains(id), is_queued);
        self.oracle.meets(Hole::OffsetsMoved);
        self.count(i);
    }

    /// The topic's retention deletes what is finished, and so many records that are not.
    pub fn delete_records(&mut self, partition: Partition, unfinished: usize) {
        let watermark = self.oracle.watermark(partition);
        let Some(log) = self.brokers.logs.get_mut(&partition) else { return };
        let open = log.records.keys().filter(|o| !self.oracle.is_told(&(partition, **o)));
        let open: Vec<Offset> = open.take(unfinished).copied().collect();
        let low = open.last().map_or(watermark, |last| last.next());
        if low.0 <= log.low {
            return;
        }
        log.low = low.0;
        log.records.retain(|offset, _| *offset >= low);
        if !open.is_empty() {
            self.oracle.meets(Hole::RecordsDeleted);
        }
        let places: Vec<At> = open.into_iter().map(|offset| (partition, offset)).collect();
        self.oracle.lose(partition, &places);
        for life in self.lives() {
            self.after(MS, Happening::Fetch(life, partition));
        }
    }

    /// The operator has seen what is lost, and says that it goes on without it.
    pub fn accept_losses(&mut self) {
        if self.oracle.meddling.lost.is_empty() {
            return;
        }
        self.accepts_reset = true;
        self.oracle.accept_losses();
        for process in 0..self.processes.len() {
            self.crash_process(process, self.now + 200 * MS);
        }
    }
}
