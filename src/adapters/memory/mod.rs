//! In-memory twins of the outside things, for the simulation and for the suites that compare them with the real
//! ones.

pub mod gateway;
pub mod queue;
pub mod store;
