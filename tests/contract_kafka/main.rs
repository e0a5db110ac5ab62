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
mod transactions;

#[path = "../sim/group.rs"]
#[allow(
    dead_code,
    reason = "the simulation's group; here a part of it is held against the real one"
)]
mod group;
#[path = "../sim/kafka.rs"]
#[allow(
    dead_code,
    reason = "the simulation's brokers; here a part of them is held against real ones"
)]
mod kafka;

/// What the simulation's group names its members by.
mod process {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Life {
        pub process: usize,
        pub number: u32,
    }
}
