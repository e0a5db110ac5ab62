//! What operators see: the names of metrics, and the log.

pub mod log;
