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

/// The period of who owns so many of all partitions, where the group together is to have one batch a period: what
/// arrives at the store is then as often with many processes as with one.
#[must_use]
pub fn share_of_period(interval: Duration, owned: usize, all: usize) -> Duration {
    let whole = u32::try_from(all.max(1)).unwrap_or(u32::MAX);
    let part = u32::try_from(owned.clamp(1, all.max(1))).unwrap_or(u32::MAX);
    interval.saturating_mul(whole) / part
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
    fn however_many_processes_share_the_partitions_the_group_has_one_batch_a_period() {
        let second = Duration::from_secs(1);
        for processes in [vec![6], vec![3, 3], vec![2, 2, 2], vec![1, 5], vec![1; 6]] {
            let each = processes.iter().map(|owned| share_of_period(second, *owned, 6));
            let a_second: f64 = each.map(|period| 1.0 / period.as_secs_f64()).sum();
            assert!((a_second - 1.0).abs() < 1e-6, "{processes:?}: {a_second}");
        }
        assert_eq!(share_of_period(second, 0, 0), second);
        assert_eq!(share_of_period(second, 0, 4), second * 4, "who owns nothing has nothing");
    }

    #[test]
    fn busy_workers_bound_it() {
        assert_eq!([due(99, 100, 0), due(99, 100, 2), due(99, 100, 3)], [3, 1, 0]);
    }
}
