//! Tollbridge stands between a Kafka topic and a payment gateway: each transaction is charged once,
//! stored once and reported once, whatever dies.
//!
//! The modules in reading order:

/// One room for each outside thing; rooms never import each other.
pub mod adapters;
/// Builds the adapters, runs the pipeline, serves health and metrics.
pub mod app;
/// The commands.
pub mod cli;
/// The configuration file: keys, defaults, origins, and the inequalities that must hold.
pub mod config;
/// What the business is about, as values: identifiers, money, transactions, fates, and every decision. No I/O.
pub mod domain;
/// The route: admit, charge, flush, publish, and sweep. A state machine that is told the time.
pub mod pipeline;
/// What the pipeline asks of the outside world: small traits, plain messages and their errors.
pub mod ports;
/// Names of metrics, the log set-up.
pub mod telemetry;
/// Whom clients of ours trust.
mod tls;
/// Bytes to domain and back: topics, offset metadata, queue entries, the gateway's JSON. No I/O.
pub mod wire;
