//! Demand: how many more records may come. This is all of back-pressure: what is not asked for stays in Kafka.

use super::engine::Engine;
use super::message::Effect;
use super::owned::Phase;
use crate::domain::id::Partition;

/// The most records asked for at once.
const CHUNK_MAX: usize = 1024;

/// Why nothing more is asked for; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pause {
    TempFull,
    ArchiveFull,
    RedisFull,
    Claiming,
    Refused,
    Stopping,
}

impl Pause {
    pub const ALL: [Self; 6] = [
        Self::TempFull,
        Self::ArchiveFull,
        Self::RedisFull,
        Self::Claiming,
        Self::Refused,
        Self::Stopping,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TempFull => "temp_full",
            Self::ArchiveFull => "archive_full",
            Self::RedisFull => "redis_full",
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
        let owned = self.owned.len().max(1);
        let chunk = (self.set.temp_max / (2 * owned)).clamp(1, CHUNK_MAX);
        self.shorten_demands(chunk);
        let open: usize = self.owned.values().map(|p| p.demanded).sum();
        // One record a partition must always be possible: one that is idle keeps its demand open for ever.
        let most = self.set.temp_max.max(owned);
        let mut room = most.saturating_sub(self.entries_len() - self.archived() + open);
        let hungry: Vec<Partition> = self
            .running()
            .filter(|p| p.demanded == 0 && p.stopped.is_none())
            .map(|p| p.partition)
            .collect();
        for partition in hungry {
            let records = chunk.min(room);
            if records == 0 {
                self.gauges.pauses.insert(Pause::TempFull);
                return;
            }
            room -= records;
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
        self.approved.saturating_sub(held_back)
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
