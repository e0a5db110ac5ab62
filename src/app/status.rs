//! How the process is, written by the running route and read by those who ask over HTTP. Holds no history and
//! decides nothing about the route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::id::Partition;
use crate::domain::time::Boot;
use crate::telemetry::text::PartitionView;

/// Without a beat of the route's loop for this long, the process counts as dead.
pub const BEAT_MAX: Duration = Duration::from_secs(30);

/// The parts that readiness is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Kafka,
    Redis,
    Store,
    Gateway,
    /// Whether no record waits for it; fine where there is none.
    SchemaRegistry,
    /// Whether every partition that the group gave us is being worked on; having none is fine.
    Partitions,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Kafka,
        Self::Redis,
        Self::Store,
        Self::Gateway,
        Self::SchemaRegistry,
        Self::Partitions,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Redis => "redis",
            Self::Store => "store",
            Self::Gateway => "gateway",
            Self::SchemaRegistry => "schema_registry",
            Self::Partitions => "partitions",
        }
    }
}

/// Shared between the route and the HTTP server.
#[derive(Debug)]
pub struct Status {
    /// Boot microseconds of the last beat.
    beat: AtomicU64,
    /// What is wrong with each part; all are wrong at first.
    wrong: Mutex<BTreeMap<Part, String>>,
    partitions: Mutex<BTreeMap<Partition, PartitionView>>,
}

impl Status {
    /// A process that starts now: alive, and not ready until every part has been said to be fine.
    #[must_use]
    pub fn new(now: Boot) -> Self {
        let wrong = Part::ALL.map(|part| (part, "not there yet".to_owned()));
        Self {
            beat: AtomicU64::new(now.0),
            wrong: Mutex::new(BTreeMap::from(wrong)),
            partitions: Mutex::default(),
        }
    }

    /// The loop goes round. To be called at least every few seconds.
    pub fn beat(&self, now: Boot) {
        self.beat.store(now.0, Ordering::Relaxed);
    }

    /// The part works.
    pub fn fine(&self, part: Part) {
        lock(&self.wrong).remove(&part);
    }

    /// The part doesn't work, and why; without secrets.
    pub fn wrong(&self, part: Part, why: impl Into<String>) {
        lock(&self.wrong).insert(part, why.into());
    }

    /// Replaces what is known of the owned partitions; those that are absent are no longer owned.
    pub fn set_partitions(&self, views: BTreeMap<Partition, PartitionView>) {
        *lock(&self.partitions) = views;
    }

    #[must_use]
    pub fn partitions(&self) -> BTreeMap<Partition, PartitionView> {
        lock(&self.partitions).clone()
    }

    #[must_use]
    pub fn owned(&self) -> BTreeSet<Partition> {
        lock(&self.partitions).keys().copied().collect()
    }

    /// `None` while the loop beats, else how long it has been silent.
    #[must_use]
    pub fn silent_for(&self, now: Boot) -> Option<Duration> {
        let since = now.since(Boot(self.beat.load(Ordering::Relaxed)));
        (since > BEAT_MAX).then_some(since)
    }

    /// What is wrong, part by part; empty means ready.
    #[must_use]
    pub fn problems(&self) -> BTreeMap<Part, String> {
        lock(&self.wrong).clone()
    }
}

/// A writer that panicked has left whole values behind: each is replaced in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
