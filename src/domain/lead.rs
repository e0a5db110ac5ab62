//! How far the dispatch bound runs ahead of the first attempts, for one partition. Too little, and requests wait for a
//! commit; too much, and after a death all that was never sent counts as though it had been, and waits to age. So it
//! follows what is sent between two commits.

use super::id::Offset;

/// Between what it is kept; in offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leads {
    /// At least one.
    pub least: i64,
    /// At least `least`.
    pub most: i64,
}

/// In commits, what is sent from one to the next: one while it is on its way, one until the next begins, one while
/// that is on its way, and one that may take longer.
const COMMITS: i64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead {
    /// The first offset that waited for its first attempt when Kafka was last told.
    frontier: Offset,
    offsets: i64,
}

impl Lead {
    /// Nothing was sent yet by this owner.
    #[must_use]
    pub fn at(frontier: Offset) -> Self {
        Self { frontier, offsets: 0 }
    }

    /// With what was sent since Kafka was last told. It grows at once and falls slowly: one commit that follows another
    /// closely says little.
    #[must_use]
    pub fn next(self, frontier: Offset, leads: Leads) -> Self {
        let sent = frontier.0.saturating_sub(self.frontier.0);
        let fallen = self.offsets - self.offsets / 4;
        let offsets = sent.saturating_mul(COMMITS).max(fallen).clamp(leads.least, leads.most);
        Self { frontier, offsets }
    }

    /// Where the bound ought to stand. It is raised in steps of a quarter of the lead, lest it were told for its own
    /// sake whenever a little was sent.
    #[must_use]
    pub fn raise(self, bound: Offset) -> Offset {
        let enough = self.offsets - self.offsets / 4;
        if bound.0 < self.frontier.0.saturating_add(enough) {
            Offset(self.frontier.0.saturating_add(self.offsets))
        } else {
            bound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lead, Leads, Offset};

    const LEADS: Leads = Leads { least: 16, most: 1_000 };

    /// The bound after each of these offsets was the frontier when Kafka was told.
    fn bounds(frontiers: &[i64]) -> Vec<i64> {
        let (mut lead, mut bound) = (Lead::at(Offset(0)), Offset(0));
        let told = frontiers.iter().map(|frontier| {
            lead = lead.next(Offset(*frontier), LEADS);
            bound = lead.raise(bound);
            bound.0
        });
        told.collect()
    }

    #[test]
    fn who_sends_nothing_announces_the_least() {
        assert_eq!(bounds(&[0, 0, 0]), [16, 16, 16]);
    }

    #[test]
    fn it_is_raised_in_steps_of_a_quarter() {
        assert_eq!(bounds(&[0, 1, 2, 3, 4, 5]), [16, 16, 16, 16, 16, 21]);
    }

    #[test]
    fn who_is_held_up_by_the_bound_comes_far_within_few_commits() {
        assert_eq!(bounds(&[0, 16, 80, 336, 1_336]), [16, 80, 336, 1_336, 2_336]);
    }

    #[test]
    fn after_a_burst_it_falls_to_what_is_sent() {
        let steady: Vec<i64> = (0..200).map(|n| if n == 0 { 0 } else { 500 + n * 10 }).collect();
        let told = bounds(&steady);
        assert_eq!(told[1], 510 + 1_000);
        let last = steady[199];
        assert!((last + 30..=last + 40).contains(&told[199]), "{} above {last}", told[199]);
    }

    #[test]
    fn the_end_of_the_numbers_is_not_overrun() {
        let lead = Lead::at(Offset(0)).next(Offset(i64::MAX), LEADS);
        assert_eq!(lead.raise(Offset(0)), Offset(i64::MAX));
    }
}
