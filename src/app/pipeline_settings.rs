//! From the configuration, and what was found at the start, to the bounds of the pipeline. What has no key is decided
//! here, with its reason.

use std::sync::Arc;
use std::time::Duration;

use super::run::{Found, RunOptions};
use crate::adapters::kafka;
use crate::config::Config;
use crate::config::charge::{AskStore as AskStoreKey, Order as OrderKey};
use crate::config::gateway::Concurrency;
use crate::config::kafka::StartAt;
use crate::domain::gate::Bounds;
use crate::domain::lead::Leads;
use crate::pipeline::{AskStore, Begin, Order, Settings, Tuned};
use crate::wire::events::DEAD_LETTER_BYTES_MIN;
use crate::wire::gateway::Profile;

/// What a broker keeps of an offset's metadata unless it says otherwise.
const METADATA_CHARS_DEFAULT: usize = 4096;
/// What a topic accepts unless it says otherwise: librdkafka's and Kafka's default.
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;
/// How far the dispatch bound may run ahead, in offsets of a partition. It is also how many never attempted
/// transactions may count as attempted after a crash.
const LEAD_MAX: i64 = 4096;
/// What is read ahead of the gateway, in calls that may be in flight, and at least: enough for the time that Redis
/// and the store take to take it in. More would only lie about until it is cold.
const CALLS_AHEAD: usize = 4;
const AHEAD_MIN: usize = 2048;

pub(super) fn of(
    config: &Config,
    options: RunOptions,
    found: &Found,
    profile: &Profile,
    kafka: &kafka::Settings,
) -> Settings {
    let key_life = config.gateway.key_life();
    let dead_letter = found.brokers.dead_letter_bytes_max.unwrap_or(MESSAGE_BYTES_DEFAULT);
    Settings {
        group: Arc::from(config.kafka.group_id.as_str()),
        topic: Arc::from(config.kafka.topics.transactions.as_str()),
        instance: config
            .kafka
            .instance_id
            .clone()
            .unwrap_or_else(|| kafka.transactional_id.clone()),
        partitions: found.brokers.partitions.clone(),
        store: found.store.id,
        begin: match config.kafka.start {
            StartAt::Earliest => Begin::Earliest,
            StartAt::Latest => Begin::Latest,
        },
        accept_offset_reset: options.accept_offset_reset,
        ask_store: match config.charge.ask_store {
            AskStoreKey::Always => AskStore::Always,
            AskStoreKey::WhenAvailable => AskStore::WhenAvailable,
        },
        order: match config.charge.order {
            OrderKey::None => Order::None,
            OrderKey::Key => Order::Key,
        },
        max_age: config.charge.max_age,
        lookup: profile.lookup,
        key_life,
        // Long enough for a commit to come round, short enough that a process that was frozen asks first.
        proof_age_max: (config.kafka.session_timeout * 2).min(key_life.usable()),
        metadata_chars_max: found.brokers.metadata_chars_max.unwrap_or(METADATA_CHARS_DEFAULT),
        dead_letter_bytes_max: dead_letter.clamp(DEAD_LETTER_BYTES_MIN, MESSAGE_BYTES_DEFAULT),
        temp_max: config.redis.max_temp,
        ahead_max: (config.gateway.max_in_flight * CALLS_AHEAD).max(AHEAD_MIN),
        archive_max: config.redis.max_archive,
        queue_batch_max: 500,
        ask_batch_max: 1000,
        // The pool of the store has one connection for it beside those of the workers.
        asks_max: 1,
        flush_interval: config.flush.interval,
        flush_of_group: config.flush.of_group,
        flush_rows_max: config.flush.max_rows,
        flush_workers: config.flush.workers,
        sweep_interval: config.sweep.interval,
        sweep_min_age: config.sweep.min_age,
        publish_interval: config.publish.interval,
        publish_events_max: 10_000,
        leads: leads(config),
        mark_refresh: (config.gateway.key_ttl / 20)
            .clamp(Duration::from_secs(1), Duration::from_secs(300)),
        retry_base: Duration::from_millis(50),
        retry_cap: Duration::from_secs(5),
        shutdown_timeout: config.shutdown.timeout,
        tuned: tuned(config),
    }
}

/// At least what may be in flight, as all of it may be of one partition. No more than the temp queue holds: what is
/// left to age has as much room again, and must not fill both.
fn leads(config: &Config) -> Leads {
    let offsets = |n: usize| i64::try_from(n).unwrap_or(i64::MAX).min(LEAD_MAX);
    let least = offsets(config.gateway.max_in_flight);
    Leads { least, most: offsets(config.redis.max_temp).max(least) }
}

/// What may change later.
pub(super) fn tuned(config: &Config) -> Tuned {
    let g = &config.gateway;
    Tuned {
        gate: Bounds {
            in_flight_max: g.max_in_flight,
            is_adaptive: g.concurrency == Concurrency::Adaptive,
            rate_limit: g.rate_limit,
            retry_percent: g.retry_budget,
            failures_max: g.breaker,
        },
        pause: config.charge.pause,
    }
}
