//! The contract of the store's port, over every implementation: in memory, a real SQLite file, a real
//! PostgreSQL, the real engine of ClickHouse.
//! What only one of them can do (a full disk, a killed server) stands in a file of its own.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends here")]

mod clickhouse;
mod concurrent;
mod outcomes;
mod postgres;
mod recorder;
mod resolve;
mod rules;
mod sequences;
mod speed;
mod sqlite;
mod subject;
