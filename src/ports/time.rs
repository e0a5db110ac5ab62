//! The clock.

use crate::domain::time::Now;

/// Reads both clocks. The only implementation that asks the system is `adapters::system`.
pub trait Clock {
    fn now(&self) -> Now;
}
