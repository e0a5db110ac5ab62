//! An owner of partitions as the pipeline is one: what it holds in memory is the truth, Redis is told of it, and what
//! Redis turns out to have lost is put back. It goes on through whatever happens, and counts what did.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tollbridge::adapters::redis::RedisQueue;
use tollbridge::domain::id::Partition;
use tollbridge::ports::queue::{Entry, EntryKey, Queue, QueueError};

use crate::values::{E, entry, keys, scan_all};
use crate::world::PATIENCE;

/// Entries of one round and partition.
const ROUND: i64 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// What happened to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    pub rounds: usize,
    /// Calls that were refused for now.
    pub refused: usize,
    /// The longest time without any call that was carried out.
    pub stood_still: Duration,
    /// Epochs that were gone.
    pub reclaimed: usize,
    /// Entries that were gone.
    pub refilled: usize,
}

pub struct Owner<'a> {
    queue: &'a RedisQueue,
    held: BTreeMap<Partition, Vec<Entry>>,
    next: i64,
    worked: Instant,
    pub met: Met,
}

impl<'a> Owner<'a> {
    pub async fn of(queue: &'a RedisQueue, partitions: i32) -> Self {
        let held = (0..partitions).map(|number| (Partition(number), Vec::new())).collect();
        let mut owner = Self { queue, held, next: 0, worked: Instant::now(), met: Met::default() };
        owner.settle_down().await;
        owner.met = Met::default();
        owner
    }

    /// Some entries come to each partition, some move on, and some leave.
    pub async fn round(&mut self) {
        let partitions: Vec<Partition> = self.held.keys().copied().collect();
        for partition in partitions {
            let more: Vec<Entry> = (0..ROUND).map(|i| named(self.next + i)).collect();
            self.next += ROUND;
            let held = self.held.entry(partition).or_default();
            held.extend(more.clone());
            let leave = held.len().saturating_sub(60);
            let gone = keys(&held.drain(..leave).collect::<Vec<_>>());
            let move_on = held.iter().take(20).cloned().collect::<Vec<_>>();
            let queue = self.queue;
            let admitted = queue.admit(partition, E, &more).await;
            self.heed(partition, admitted).await;
            let settled = queue.settle(partition, E, &move_on).await;
            self.heed(partition, settled).await;
            let removed = queue.remove(partition, E, &gone).await;
            if self.heed(partition, removed).await.is_none() {
                // To be removed once it works again.
                self.held.entry(partition).or_default().splice(..0, gone.into_iter().map(bare));
            }
        }
        self.met.rounds += 1;
        tokio::time::sleep(PAUSE).await;
    }

    /// Rounds until that is over, and at least so many.
    pub async fn rounds_until(&mut self, least: usize, mut is_over: impl FnMut() -> bool) {
        let begun = self.met.rounds;
        let start = Instant::now();
        while self.met.rounds - begun < least || !is_over() {
            self.round().await;
            assert!(start.elapsed() < 3 * PATIENCE, "it isn't over: {:?}", self.met);
        }
    }

    /// What is asked again is a matter of time, a lost epoch is claimed, and nothing else may come.
    async fn heed<T>(&mut self, partition: Partition, answer: Result<T, QueueError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.met.stood_still = self.met.stood_still.max(self.worked.elapsed());
                self.worked = Instant::now();
                return Some(answer);
            }
            Err(QueueError::Transient(_)) => self.met.refused += 1,
            Err(QueueError::Epoch { .. }) => {
                self.met.reclaimed += 1;
                if let Err(error) = self.queue.claim(partition, E).await {
                    assert!(matches!(error, QueueError::Transient(_)), "{error}");
                }
            }
            Err(error) => panic!("{partition}: {error}"),
        }
        None
    }

    /// Puts back what is gone, until nothing is.
    pub async fn settle_down(&mut self) {
        let start = Instant::now();
        let mut partitions: Vec<Partition> = self.held.keys().copied().collect();
        while let Some(partition) = partitions.last().copied() {
            assert!(start.elapsed() < 2 * PATIENCE, "it doesn't work again: {:?}", self.met);
            if self.put_back(partition).await == Some(0) {
                partitions.pop();
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// How many entries were gone; nothing where that can't be told yet.
    async fn put_back(&mut self, partition: Partition) -> Option<usize> {
        let queue = self.queue;
        let held = self.held[&partition].clone();
        if held.is_empty() {
            let claimed = queue.claim(partition, E).await;
            return self.heed(partition, claimed).await.map(|()| 0);
        }
        let missing = queue.missing(partition, E, &keys(&held)).await;
        let missing: Vec<EntryKey> = self.heed(partition, missing).await?;
        let lost: Vec<Entry> = held.into_iter().filter(|e| missing.contains(&e.key)).collect();
        let put = queue.admit(partition, E, &lost).await;
        self.heed(partition, put).await?;
        self.met.refilled += lost.len();
        Some(lost.len())
    }

    /// In the end Redis holds what is held, and nothing else, but for what came back of what had left.
    pub async fn check(&mut self) {
        self.settle_down().await;
        for (partition, held) in &self.held {
            let found: Vec<String> =
                scan_all(self.queue, *partition).await.into_iter().map(|(id, ..)| id).collect();
            for entry in held {
                assert!(found.contains(&entry.key.id.to_string()), "{partition}: {:?}", entry.key);
            }
        }
    }
}

fn named(number: i64) -> Entry {
    entry(&format!("tx-{number:07}"), number, "body")
}

fn bare(key: EntryKey) -> Entry {
    Entry { key, body: bytes::Bytes::from_static(b"body") }
}
