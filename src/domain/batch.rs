//! When the archive queue is flushed, and in how many batches.

use std::time::Duration;

use super::time::Boot;

/// `flush.interval`, `flush.max_rows`, `flush.workers`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushLimits {
    pub interval: Duration,
    pub rows_max: usize,
    pub workers: usize,
}

/// How many batches to take now. Every period everything that waits goes, as many batches as that takes; a full
/// batch goes before the period ends; an empty queue is left alone. Workers that are busy bound it.
#[must_use]
pub fn batches_due(
    waiting: usize,
    last: Boot,
    busy: usize,
    limits: &FlushLimits,
    now: Boot,
) -> usize {
    let period_is_over = now.since(last) >= limits.interval;
    let batches =
        if period_is_over { waiting.div_ceil(limits.rows_max) } else { waiting / limits.rows_max };
    batches.min(limits.workers.saturating_sub(busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FlushLimits =
        FlushLimits { interval: Duration::from_millis(100), rows_max: 10, workers: 3 };

    fn due(waiting: usize, ms: u64, busy: usize) -> usize {
        batches_due(waiting, Boot(0), busy, &LIMITS, Boot(ms * 1000))
    }

    #[test]
    fn an_empty_queue_issues_nothing() {
        assert_eq!(due(0, 1_000, 0), 0);
    }

    #[test]
    fn a_full_batch_goes_before_the_period_ends_and_the_rest_with_it() {
        assert_eq!([due(9, 50, 0), due(10, 50, 0), due(25, 50, 0)], [0, 1, 2]);
        assert_eq!([due(9, 100, 0), due(10, 100, 0), due(25, 100, 0)], [1, 1, 3]);
    }

    #[test]
    fn busy_workers_bound_it() {
        assert_eq!([due(99, 100, 0), due(99, 100, 2), due(99, 100, 3)], [3, 1, 0]);
    }
}
