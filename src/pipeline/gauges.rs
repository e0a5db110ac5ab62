//! What the pipeline counts. Plain numbers that it adds up by itself; whoever shows them takes the differences, so
//! that no transaction costs a look-up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::demand::Pause;
use super::engine::Engine;
use super::entry::{Entry, Finish, InQueue, Step};
use super::owned::{Owned, Phase};
use crate::domain::classify::Verdict;
use crate::domain::gate::Stand;
use crate::domain::id::{Offset, Partition};
use crate::domain::outcome::Fate;
use crate::domain::time::Boot;
use crate::ports::queue::Depth;

/// Answers by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    pub approved: u64,
    pub declined: u64,
    pub unknown: u64,
    pub not_sent: u64,
    pub not_taken: u64,
    pub still_running: u64,
    pub doubtful_decline: u64,
    pub mismatch: u64,
    pub never_seen: u64,
}

impl Answers {
    pub(super) fn count(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Approved { .. } => &mut self.approved,
            Verdict::Declined { .. } => &mut self.declined,
            Verdict::Unknown { .. } => &mut self.unknown,
            Verdict::NotSent { .. } => &mut self.not_sent,
            Verdict::NotTaken { .. } => &mut self.not_taken,
            Verdict::StillRunning { .. } => &mut self.still_running,
            Verdict::Unconfirmed { .. }
            | Verdict::NeedsLookup { .. }
            | Verdict::DuplicateCode { .. } => &mut self.doubtful_decline,
            Verdict::Mismatch { .. } => &mut self.mismatch,
            Verdict::NeverSeen => &mut self.never_seen,
        };
        *counter += 1;
    }

    /// Label and count.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 9] {
        [
            ("approved", self.approved),
            ("declined", self.declined),
            ("unknown", self.unknown),
            ("not_sent", self.not_sent),
            ("not_taken", self.not_taken),
            ("still_running", self.still_running),
            ("doubtful_decline", self.doubtful_decline),
            ("mismatch", self.mismatch),
            ("never_seen", self.never_seen),
        ]
    }
}

/// What is wrong with the others at the moment; `None` where nothing is known to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    pub kafka: Option<String>,
    pub redis: Option<String>,
    pub store: Option<String>,
    pub gateway: Option<String>,
}

/// One owned partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionGauges {
    /// `running`, `claiming`, …; a refusal or stop with its reason.
    pub phase: String,
    pub is_healthy: bool,
    pub watermark: Offset,
    pub cut: Offset,
    pub position: Offset,
    pub bound: Offset,
    pub unfinished: usize,
    pub fresh: usize,
    /// Age of the lowest unfinished transaction.
    pub watermark_age: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct Gauges {
    // Counters.
    pub records_consumed: u64,
    pub admitted: u64,
    pub charges: u64,
    pub lookups: u64,
    pub answers: Answers,
    pub rows_stored: u64,
    pub batches_retried: u64,
    pub commits: u64,
    pub unclear_commits: u64,
    pub producers: u64,
    pub rebalances: u64,
    pub reclaims: u64,
    pub refilled: u64,
    pub sweeps: u64,
    pub swept: u64,
    pub parked: u64,
    pub alerts: u64,
    pub fates: BTreeMap<Fate, u64>,
    // Gauges.
    pub gate: Stand,
    /// Held before their approval, and after it until they are published.
    pub held_temp: usize,
    pub held_archive: usize,
    /// Oldest entry of each queue that we hold.
    pub temp_age: Duration,
    pub archive_age: Duration,
    /// As Redis counts: of our partitions; for the whole group where we own partition 0.
    pub depth: Depth,
    /// The same where it is for the whole group and Redis has just said so.
    pub group_depth: Option<Depth>,
    pub redis_full: bool,
    pub pauses: BTreeSet<Pause>,
    pub trouble: Trouble,
    pub partitions: BTreeMap<Partition, PartitionGauges>,
    /// From record read to fate published, one for each transaction finished since it was last taken.
    pub finished_after: Vec<Duration>,
}

impl Gauges {
    pub(super) fn finished(&mut self, entry: &Entry, now: Boot) {
        let fate = match &entry.step {
            Step::Ready(Finish::Row(row)) => row.fate,
            Step::Ready(Finish::Duplicate { .. }) => Fate::Duplicate,
            Step::Ready(Finish::Rejected { .. }) => Fate::Rejected,
            // Kafka turned out to know it already.
            _ => return,
        };
        *self.fates.entry(fate).or_default() += 1;
        self.finished_after.push(now.since(entry.read_at));
    }
}

impl Engine {
    /// Brings what is not counted as it happens up to date.
    pub(super) fn take_gauges(&mut self) {
        let now = self.now.boot;
        self.gauges.gate = self.gate.stand();
        self.gauges.held_archive = self.held.approved;
        self.gauges.held_temp = self.held.all - self.held.approved;
        let oldest = |archive: bool| {
            let is_there = |e: &Entry| e.is_approved() == archive && e.queue != InQueue::Nowhere;
            // They were read in the order of their offsets.
            let first = |p: &Owned| p.entries.values().find(|e| is_there(e)).map(|e| e.read_at);
            let read_at = self.owned.values().filter_map(first).min();
            read_at.map_or(Duration::ZERO, |at| now.since(at))
        };
        self.gauges.temp_age = oldest(false);
        self.gauges.archive_age = oldest(true);
        self.gauges.partitions = self.owned.iter().map(|(p, o)| (*p, gauges_of(o, now))).collect();
    }
}

fn gauges_of(p: &Owned, now: Boot) -> PartitionGauges {
    let phase = match (&p.phase, &p.stopped) {
        (Phase::Refused(why), _) => format!("refused: {why}"),
        (_, Some(why)) => format!("stopped: {why}"),
        (Phase::Reading, _) => "reading".to_owned(),
        (Phase::Claiming, _) => "claiming".to_owned(),
        (Phase::Entering, _) => "entering".to_owned(),
        (Phase::Running, _) => "running".to_owned(),
    };
    let first = p.entries.values().next();
    PartitionGauges {
        is_healthy: p.phase == Phase::Running && p.stopped.is_none(),
        phase,
        watermark: p.tracker.watermark(),
        cut: p.tracker.told().cut,
        position: p.tracker.position(),
        bound: p.tracker.told().bound,
        unfinished: p.tracker.unfinished_len(),
        fresh: p.fresh.len(),
        watermark_age: first.map_or(Duration::ZERO, |e| now.since(e.read_at)),
    }
}
