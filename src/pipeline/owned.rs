//! One partition as its owner sees it. Data and look-ups; the stages move it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::entry::Entry;
use super::line::Line;
use super::message::Slot;
use crate::domain::id::{Epoch, Offset, Partition, TopicHash, Version};
use crate::domain::offsets::Tracker;
use crate::domain::time::Boot;
use crate::domain::window::{Offsets, Window};
use crate::ports::queue::EntryKey;

/// How far the take-over has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Committed offsets, store and queue are being asked.
    Reading,
    /// A claim goes out with the next publish.
    Claiming,
    /// The claim is committed; the epoch goes to Redis, the first offset to the store.
    Entering,
    Running,
    /// It can't be worked on, and this is why. Nothing of it is dropped.
    Refused(String),
}

/// Kinds of calls to Redis of which one at a time is under way for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    Admit,
    Settle,
    Mark,
    Remove,
    Audit,
    Scan,
    Enter,
}

#[derive(Debug)]
pub struct Owned {
    pub partition: Partition,
    pub version: Version,
    pub phase: Phase,
    /// Taken away: nothing may be published for it any more; its state goes once the open transaction has ended.
    pub leaving: bool,
    /// It can't be read on, and this is why; what was read is finished all the same.
    pub stopped: Option<String>,
    pub tracker: Tracker,
    pub epoch: Epoch,
    /// Which topic of its name it belongs to, as far as the brokers tell.
    pub topic: Option<TopicHash>,
    /// As whom we were given it.
    pub member: Arc<str>,
    /// The body recipe of the owner before us is ours too.
    pub same_recipe: bool,
    /// Boxed: the map moves its values about.
    pub entries: Window<Offset, Box<Entry>>,
    /// The undecided of each record key, where their order counts.
    pub lines: BTreeMap<Bytes, Line>,
    /// Waiting for their first attempt.
    pub fresh: Offsets,
    /// The lowest that is due to be asked for and still lies above the dispatch bound.
    pub short_of_bound: Option<Offset>,
    /// Their fate is safe; to be published.
    pub ready: Offsets,
    /// Approved ones of `ready` that can't be told yet: the list of what is unfinished below them is full.
    pub held_back: usize,
    pub to_admit: Offsets,
    pub to_settle: Offsets,
    pub to_mark: Offsets,
    pub to_remove: Vec<EntryKey>,
    /// Admitted again once nothing is left to remove: another place of their id stands in their way.
    pub blocked: Vec<Offset>,
    pub to_audit: Vec<EntryKey>,
    /// Where the scan for leftovers goes on; `None` once it is through.
    pub scan: Option<Option<u64>>,
    /// Redis holds more than we do: looked through at the next sweep.
    pub has_leftovers: bool,
    pub busy: BTreeSet<Lane>,
    pub queue_retry_at: Boot,
    pub queue_tries: u32,
    /// Records that were asked for and did not come yet.
    pub demanded: usize,
    /// When it began to be ours; the age of what was taken over counts from here.
    pub taken_over: Boot,
    /// When to ask where the topic ends, because from then on nobody before us can send any more; `None` once asked.
    pub alone_at: Option<Boot>,
    /// The store knows our first offset.
    pub source_known: bool,
    /// The epoch stands in Redis.
    pub epoch_written: bool,
    /// Something changed that Kafka wasn't told.
    pub stale: bool,
    pub told_at: Boot,
}

impl Owned {
    #[must_use]
    pub fn slot(&self, offset: Offset) -> Slot {
        Slot { partition: self.partition, version: self.version, offset }
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running && !self.leaving
    }

    /// Whether something may be committed for it.
    #[must_use]
    pub fn is_publishable(&self) -> bool {
        !self.leaving && matches!(self.phase, Phase::Claiming | Phase::Entering | Phase::Running)
    }

    /// Counts what a plan leaves above a cut that the list of unfinished offsets keeps from rising.
    pub fn hold_back(&mut self, cut: Offset) {
        let is_full = cut < self.tracker.position();
        let above = is_full.then(|| self.ready.from(cut)).into_iter().flatten();
        let is_approved = |o: &Offset| self.entries.get(o).is_some_and(|e| e.is_approved());
        self.held_back = above.filter(is_approved).count();
    }

    /// A request that a dead connection delivered late can bring back what was deleted.
    pub fn notice_leftovers(&mut self, held_by_redis: u64) {
        let is_still = self.to_remove.is_empty() && !self.busy.contains(&Lane::Remove);
        self.has_leftovers |= is_still && held_by_redis > self.entries.len() as u64;
    }

    /// The first offset that waits for its first request by us, as far as is known; else the next one to be read. Those
    /// that wait for others of their id or key don't count: what they wait for may be what the bound has to rise over.
    #[must_use]
    pub fn frontier(&self) -> Offset {
        let waiting = self.fresh.first().into_iter().chain(self.short_of_bound).min();
        waiting.unwrap_or_else(|| self.tracker.frontier())
    }
}
