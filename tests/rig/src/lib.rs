//! Starts the real services and processes that Tollbridge's tests and demo run against: Kafka, Redis,
//! PostgreSQL, ClickHouse, child processes, and a TCP proxy that holds bytes back. It is deliberately not
//! part of the product and imports nothing of it, so that what it observes can be trusted as a second
//! opinion.
//!
//! In reading order:
//! - [`error`]: the one error type, a sentence that names what failed.
//! - [`wait`]: polling with a deadline.
//! - [`seed`]: what random tests begin with.
//! - [`ports`]: loopback ports that nobody else takes, also while a service is down.
//! - [`temp`]: folders that vanish with the process, however it ends.
//! - [`process`]: child processes that never outlive their parent.
//! - [`proxy`]: a TCP proxy that passes, holds, delays, swallows or cuts.
//! - [`kafka`], [`redis`], [`postgres`], [`clickhouse`]: the services; [`sentinels`] and [`cluster`]: several of Redis
//!   together; [`gateways`]: payment gateways that nobody here wrote.
//! - [`shared`]: one service of each kind per test binary.
//! - [`oracle`]: a second opinion on what they did together.
//! - [`store`]: which of the stores.
//! - [`stack`]: all of them with the gateway simulator and [`processor`]s; [`http`]: what those serve; [`queues`]: the
//!   servers of its queues; [`backlog`]: what is still to do.

pub mod backlog;
pub mod cache;
pub mod certificate;
pub mod clickhouse;
pub mod cluster;
pub mod cpu;
pub mod disk;
pub mod error;
pub mod gateways;
pub mod http;
pub mod kafka;
pub mod oracle;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod processor;
pub mod proxy;
pub mod queues;
pub mod redis;
pub mod registry;
mod seed;
pub mod sentinels;
pub mod shared;
pub mod stack;
pub mod store;
pub mod temp;
pub mod wait;

pub use certificate::Tls;
pub use clickhouse::Clickhouse;
pub use cluster::Cluster;
pub use error::{Error, Result};
pub use gateways::Foreign;
pub use kafka::{Kafka, KafkaOptions, Operation, Resource, Right, Secured};
pub use ports::free_port;
pub use postgres::Postgres;
pub use process::{Launch, Process, Signal};
pub use processor::Processor;
pub use proxy::{Direction, Proxy};
pub use queues::{Queues, Together};
pub use redis::{Redis, RedisOptions, Reply};
pub use registry::Registry;
pub use seed::{seed, seed_bytes};
pub use sentinels::Sentinels;
pub use shared::{
    shared_clickhouse, shared_cluster, shared_kafka, shared_postgres, shared_redis,
    shared_registry, shared_sentinels, shared_valkey,
};
pub use stack::{Stack, StackOptions};
pub use store::Store;
pub use temp::TempDir;
pub use wait::wait_until;
