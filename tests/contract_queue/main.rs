//! The contract of the queue port: one suite over the twin in memory and over a real Redis, random operations
//! with the same answers from both, and what only a real Redis can do to us. Deliberately no stand-in server.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_methods, reason = "time-outs are measured on the test's own clock")]

mod faults;
mod random;
mod refusals;
mod speed;
mod suite;
mod tls;
mod values;
mod world;
