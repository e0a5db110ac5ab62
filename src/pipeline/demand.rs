//! Demand: how many more records may come. This is all of back-pressure: what is not asked for stays in Kafka.

use super::engine::Engine;
use super::message::Effect;
use super::owned::{Owned, Phase};
use crate::domain::id::Partition;

/// The most records asked for at once.
const CHUNK_MAX: usize = 1024;

/// Why nothing more is asked for; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pause {
    /// Enough waits for its first request.
    AheadFull,
    TempFull,
    ArchiveFull,
    RedisFull,
    /// Only single requests try the gateway, and there are enough of them.
    GatewayAway,
    /// The emergency stop.
    Told,
    Claiming,
    /// A partition that nobody may work on, or that can't be read on.
    Refused,
    Stopping,
}

impl Pause {
    pub const ALL: [Self; 9] = [
        Self::AheadFull,
        Self::TempFull,
        Self::ArchiveFull,
        Self::RedisFull,
        Self::GatewayAway,
        Self::Told,
        Self::Claiming,
        Self::Refused,
        Self::Stopping,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AheadFull => "ahead_full",
            Self::TempFull => "temp_full",
            Self::ArchiveFull => "archive_full",
            Self::RedisFull => "redis_full",
            Self::GatewayAway => "gateway_away",
            Self::Told => "told",
            Self::Claiming => "claiming",
            Self::Refused => "refused",
            Self::Stopping => "stopping",
        }
    }
}

impl Engine {
    /// Asks for more of every partition whose last demand has come, while there is room.
    pub(super) fn pump_demand(&mut self) {
        self.gauges.pauses.clear();
        if self.is_stopping() {
            self.gauges.pauses.insert(Pause::Stopping);
            return;
        }
        if self.gauges.redis_full {
            self.gauges.pauses.insert(Pause::RedisFull);
        }
        for p in self.owned.values() {
            match p.phase {
                Phase::Refused(_) => self.gauges.pauses.insert(Pause::Refused),
                Phase::Running if p.stopped.is_some() => self.gauges.pauses.insert(Pause::Refused),
                Phase::Running => false,
                Phase::Reading | Phase::Claiming | Phase::Entering => {
                    self.gauges.pauses.insert(Pause::Claiming)
                }
            };
        }
        if self.archived() >= self.set.archive_max {
            self.gauges.pauses.insert(Pause::ArchiveFull);
            return;
        }
        // Without a first attempt to try it with it would be tried with what it never answers, for ever.
        if self.gate.is_open() && self.ahead() > 0 {
            self.gauges.pauses.insert(Pause::GatewayAway);
            return;
        }
        if self.set.tuned.pause {
            self.gauges.pauses.insert(Pause::Told);
            return;
        }
        let owned = self.owned.len().max(1);
        let ahead_max = self.set.ahead_max;
        let chunk = (self.set.temp_max.min(ahead_max) / (2 * owned)).clamp(1, CHUNK_MAX);
        self.shorten_demands(chunk);
        let open: usize = self.owned.values().map(|p| p.demanded).sum();
        // One record a partition must always be possible: one that is idle keeps its demand open for ever.
        let most = self.set.temp_max.max(owned);
        // What was left to age has room of its own, as much again: it may be asked for only after `sweep.min_age`, and
        // must not keep from being charged what nobody can have asked for.
        let aging = self.held.left_to_age.min(self.set.temp_max);
        let mut room = most.saturating_sub(self.held.all - self.archived() - aging + open);
        // Whole chunks only: what leaves one by one would else be asked for one by one.
        let mut chunks = ahead_max.max(2 * owned).saturating_sub(self.ahead() + open) / chunk;
        for partition in self.hungry() {
            if chunks == 0 {
                self.gauges.pauses.insert(Pause::AheadFull);
                return;
            }
            chunks -= 1;
            let records = chunk.min(room);
            if records == 0 {
                self.gauges.pauses.insert(Pause::TempFull);
                return;
            }
            room -= records;
            self.next_fed = Partition(partition.0 + 1);
            let Some(p) = self.owned.get_mut(&partition) else { continue };
            p.demanded = records;
            let version = p.version;
            self.out.push(Effect::Demand { partition, version, records });
        }
    }

    /// What counts to the archive queue's bound. What is held back leaves only once something below it is finished, so
    /// it must not keep that from being charged: like all that Kafka was not told of, it counts to the temp queue's.
    pub(super) fn archived(&self) -> usize {
        let held_back = self.owned.values().map(|p| p.held_back).sum();
        self.held.approved.saturating_sub(held_back)
    }

    /// Partitions whose last demand has come, in turn: where there is not room for all, each has its day.
    fn hungry(&self) -> Vec<Partition> {
        let wants = |p: &&Owned| p.demanded == 0 && p.stopped.is_none();
        let mut hungry: Vec<Partition> =
            self.running().filter(wants).map(|p| p.partition).collect();
        let first = hungry.partition_point(|partition| *partition < self.next_fed);
        hungry.rotate_left(first);
        hungry
    }

    /// What waits for its first request, or for what has to come before it; without what Redis or the store is being
    /// asked about.
    fn ahead(&self) -> usize {
        let of = |p: &Owned| p.to_admit.len() + p.fresh.len();
        self.owned.values().map(of).sum::<usize>() + self.to_ask.len()
    }

    /// Where more partitions have come, those that were there before give up what they asked for beyond their share:
    /// while they are idle nothing else would make room.
    fn shorten_demands(&mut self, chunk: usize) {
        for p in self.owned.values_mut().filter(|p| p.is_running() && p.demanded > chunk) {
            p.demanded = chunk;
            let (partition, version) = (p.partition, p.version);
            self.out.push(Effect::Demand { partition, version, records: chunk });
        }
    }
}
