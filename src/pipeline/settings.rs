//! Every bound and interval of the pipeline, as plain values. `config` documents them and checks that they fit
//! together.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::gate::Bounds;
use crate::domain::id::{Partition, StoreId};
use crate::domain::lead::Leads;
use crate::domain::retry::{KeyLife, Lookup};

/// Where to begin on a topic that the group never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    Earliest,
    Latest,
}

/// When a first attempt has to have the store's word that the id has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskStore {
    Always,
    /// Charging goes on through an outage of the store, for offsets that nobody can have attempted before.
    WhenAvailable,
}

/// In which order first attempts leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    None,
    /// Those of one record key one after another.
    Key,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub group: Arc<str>,
    pub topic: Arc<str>,
    /// Names this process in alerts.
    pub instance: String,
    /// All partitions of the topic, for what concerns the whole group.
    pub partitions: Vec<Partition>,
    pub store: StoreId,
    pub begin: Begin,
    pub accept_offset_reset: bool,
    pub ask_store: AskStore,
    pub order: Order,
    /// Older transactions that nobody can have asked for are rejected.
    pub max_age: Option<Duration>,
    pub lookup: Lookup,
    pub key_life: KeyLife,
    /// A first attempt needs a commit that is younger than this: proof that the partition is still ours.
    pub proof_age_max: Duration,
    /// Characters that the broker keeps of an offset's metadata.
    pub metadata_chars_max: usize,
    /// Bytes that a record on the dead letter topic may have.
    pub dead_letter_bytes_max: usize,
    /// Transactions before their approval, whatever they wait for.
    pub temp_max: usize,
    /// Transactions that wait for their first request: beyond that nothing is gained by reading on.
    pub ahead_max: usize,
    /// Approved transactions, until they are deleted from Redis.
    pub archive_max: usize,
    /// Entries in one call to Redis.
    pub queue_batch_max: usize,
    /// Ids in one question to the store.
    pub ask_batch_max: usize,
    pub asks_max: usize,
    pub flush_interval: Duration,
    /// The interval is that of the whole group: a process keeps to its share by its partitions.
    pub flush_of_group: bool,
    pub flush_rows_max: usize,
    pub flush_workers: usize,
    pub sweep_interval: Duration,
    pub sweep_min_age: Duration,
    pub publish_interval: Duration,
    pub publish_events_max: usize,
    /// How far the dispatch bound is raised ahead of the first attempt that waits.
    pub leads: Leads,
    /// How often an idle partition's marks are renewed.
    pub mark_refresh: Duration,
    pub retry_base: Duration,
    pub retry_cap: Duration,
    pub shutdown_timeout: Duration,
    pub tuned: Tuned,
}

/// What may change while the pipeline runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuned {
    /// How much the gateway is asked.
    pub gate: Bounds,
    /// The emergency stop: no request leaves.
    pub pause: bool,
}
