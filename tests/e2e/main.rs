//! The whole, as real processes on a real Kafka, Redis, PostgreSQL or SQLite and the gateway simulator, or a gateway
//! that nobody here wrote: one test for each claim of the method (`claim_…`), and one or more for each point on which
//! the promise rests (`point_…`). Nothing of the product is called but its commands; what a test asserts it observes
//! from outside.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod alerts;
mod bad_inputs;
mod charging;
mod claims_flush;
mod claims_queues;
mod clients;
mod dead_letters;
mod ending;
mod evolution;
mod foreign;
mod formats;
mod governors;
mod offset_log;
mod operating;
mod points_commits;
mod points_doubt;
mod points_fates;
mod points_gateway;
mod points_metadata;
mod points_order;
mod points_redis;
mod processor;
mod profiles;
mod registry;
mod reloading;
mod sight;
mod subjects;
mod topics;
mod world;
