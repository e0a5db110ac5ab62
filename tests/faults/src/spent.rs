//! How much of a processor this process has used, with all that it started and that has ended since.

use std::time::Duration;

use tollbridge_rig::cpu::cpu_time;

/// Seconds, over all processors; 0 where the kernel does not tell.
#[must_use]
pub fn processor_seconds() -> f64 {
    cpu_time(std::process::id(), true).as_ref().map_or(0.0, Duration::as_secs_f64)
}
