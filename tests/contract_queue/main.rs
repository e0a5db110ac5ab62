//! The contract of the queue port: one suite over the twin in memory, a real Redis (7.0 or newer), Valkey 8.1, servers
//! under Sentinels and a cluster; random operations with the same answers from memory and Redis; and what only real
//! servers can do to us. Deliberately no stand-in server.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_methods, reason = "time-outs are measured on the test's own clock")]

mod faults;
mod make;
mod owner;
mod random;
mod refusals;
mod rights;
mod speed;
mod suite;
mod tls;
mod together;
mod values;
mod world;
