//! The ports `Source` and `Publisher` over Kafka's adapters, on a real broker. No stand-in: librdkafka's mock
//! cluster shows aborted records and forgets offsets that were committed in a transaction.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "tests: a panic is the verdict, and they measure real time"
)]

mod asking;
mod churn;
mod committing;
mod outages;
mod reading;
mod rebalancing;
mod stage;
