//! One service of each kind per test binary, started by the first test that needs it. They live in
//! statics, which Rust never drops: the kernel ends the processes with us, and the temporary folders'
//! shell removes their data. It is deliberately not for tests that kill or pause a service.

use crate::{Clickhouse, Cluster, Kafka, Postgres, Redis, RedisOptions, Registry, Sentinels};
use std::sync::OnceLock;

/// The test binary's broker. Tests keep apart by topic and group names.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn shared_kafka() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(|| Kafka::start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's Redis. Tests keep apart by [`Redis::fresh_url`] or by prefix.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn shared_redis() -> &'static Redis {
    static REDIS: OnceLock<Redis> = OnceLock::new();
    REDIS.get_or_init(|| Redis::start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's PostgreSQL. Tests keep apart by [`Postgres::fresh_url`].
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn shared_postgres() -> &'static Postgres {
    static POSTGRES: OnceLock<Postgres> = OnceLock::new();
    POSTGRES.get_or_init(|| Postgres::start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's ClickHouse. Tests keep apart by [`Clickhouse::fresh_url`].
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn shared_clickhouse() -> &'static Clickhouse {
    static CLICKHOUSE: OnceLock<Clickhouse> = OnceLock::new();
    CLICKHOUSE.get_or_init(|| Clickhouse::start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's schema registry. Tests keep apart by subjects.
///
/// # Panics
/// When it cannot be fetched or started.
#[must_use]
pub fn shared_registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's Valkey. Tests keep apart as on [`shared_redis`].
///
/// # Panics
/// When it cannot be fetched or started.
#[must_use]
pub fn shared_valkey() -> &'static Redis {
    static VALKEY: OnceLock<Redis> = OnceLock::new();
    let start = || RedisOptions::valkey().and_then(Redis::start_with);
    VALKEY.get_or_init(|| start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's servers under Sentinels. Tests keep apart by prefix.
///
/// # Panics
/// When they cannot be started.
#[must_use]
pub fn shared_sentinels() -> &'static Sentinels {
    static SENTINELS: OnceLock<Sentinels> = OnceLock::new();
    SENTINELS.get_or_init(|| Sentinels::start().unwrap_or_else(|e| panic!("{e}")))
}

/// The test binary's cluster. Tests keep apart by prefix.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn shared_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start().unwrap_or_else(|e| panic!("{e}")))
}
