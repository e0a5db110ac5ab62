//! The contract of the queue port: one suite over the twin in memory and over a real Redis, random operations
//! with the same answers from both, and what only a real Redis can do to us. Deliberately no stand-in server.

mod faults;
mod random;
mod refusals;
mod speed;
mod suite;
mod values;
mod world;
