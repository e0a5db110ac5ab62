//! What the route shows of itself, as far as the rules want to know.

use crate::domain::alerts::Rule;
use crate::domain::id::Partition;
use crate::pipeline::gauges::Gauges;
use crate::ports::queue::Depth;

#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// It owns partition 0.
    pub speaks: bool,
    /// Of the whole group; `None` where Redis has not said so.
    depth: Option<Depth>,
    /// Seconds.
    temp_age: u64,
    archive_age: u64,
    /// The gateway is only tried with single requests.
    pub is_open: bool,
    pub store_fails: bool,
    /// Approvals so far, and all answers that are a decision or should have been one.
    pub answered: (u64, u64),
}

impl Sight {
    #[must_use]
    pub fn of(gauges: &Gauges) -> Self {
        let a = &gauges.answers;
        let undecided = a.unknown + a.not_sent + a.not_taken + a.doubtful_decline + a.mismatch;
        Self {
            speaks: gauges.partitions.contains_key(&Partition(0)),
            depth: gauges.group_depth,
            temp_age: gauges.temp_age.as_secs(),
            archive_age: gauges.archive_age.as_secs(),
            is_open: gauges.gate.is_open,
            store_fails: gauges.trouble.store.is_some(),
            answered: (a.approved, a.approved + a.declined + undecided),
        }
    }

    pub(super) fn readings(&self) -> impl Iterator<Item = (Rule, u64)> {
        let depths = |d: Depth| [(Rule::TempDepth, d.temp), (Rule::ArchiveDepth, d.archive)];
        let ages = [(Rule::TempAge, self.temp_age), (Rule::ArchiveAge, self.archive_age)];
        self.depth.map(depths).into_iter().flatten().chain(ages)
    }
}
