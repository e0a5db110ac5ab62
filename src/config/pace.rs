//! `[flush]`, `[sweep]` and `[publish]`: how often each stage runs, and how much it takes at a time.

use std::time::Duration;

use super::reader::Reader;
use super::units::Periods;

/// Storing what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flush {
    /// The archive queue is counted this often.
    pub interval: Duration,
    /// The interval is that of the whole group, not of each process.
    pub of_group: bool,
    /// Rows a batch.
    pub max_rows: usize,
    /// Batches at the same time.
    pub workers: usize,
}

/// Asking again for what has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The temp queue is counted this often.
    pub interval: Duration,
    /// An entry is asked for again once its last attempt is this long ago.
    pub min_age: Duration,
    /// How old a doubt is at each look, where the gateway has lookups; the last one over and over. Empty: never.
    pub doubts: Vec<Duration>,
}

/// Kafka transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// One begins this often, where there is something to say.
    pub interval: Duration,
}

impl Flush {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self {
            interval: r.period("flush.interval", "50ms", ["1ms", "1m"]),
            of_group: r.choice("flush.interval_of", false, &[("process", false), ("group", true)]),
            max_rows: r.within("flush.max_rows", 1_000, 1..=10_000),
            workers: r.within("flush.workers", 2, 1..=64),
        }
    }
}

impl Sweep {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self {
            interval: r.period("sweep.interval", "5s", ["50ms", "10m"]),
            min_age: r.period("sweep.min_age", "30s", ["50ms", "1d"]),
            doubts: doubts(r),
        }
    }
}

fn doubts(r: &mut Reader<'_>) -> Vec<Duration> {
    const KEY: &str = "sweep.doubts";
    let Periods(ages) = r.or(KEY, Periods(DOUBTS.map(Duration::from_secs).to_vec()));
    if !ages.is_sorted_by(|one, next| one < next) || ages.first().is_some_and(Duration::is_zero) {
        let problem = "each age must be above the one before, and the first above 0";
        r.refuse(KEY, problem, "Write for example \"5m, 1h, 1d\", or \"off\".");
    }
    ages
}

/// Seconds: five minutes, an hour, a day.
const DOUBTS: [u64; 3] = [300, 3_600, 86_400];

impl Publish {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self { interval: r.period("publish.interval", "50ms", ["1ms", "10s"]) }
    }
}
