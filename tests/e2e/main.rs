//! The whole, as real processes on a real Kafka, Redis, PostgreSQL or SQLite and the gateway simulator: one test for
//! each claim of the method (`claim_…`), and one or more for each point on which the promise rests (`point_…`).
//! Nothing of the product is called but its commands; what a test asserts it observes from outside.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]
#![allow(dead_code, reason = "tests to come use it")]

mod claims_flush;
mod claims_queues;
mod sight;
mod topics;
mod world;
