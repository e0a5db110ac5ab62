//! The slow schedule on which a gateway is asked what became of a doubt, and when its answer ends it.

use std::time::Duration;

use super::classify::Verdict;
use super::resolution::Finding;
use super::retry::Lookup;

/// How many looks at a doubt of this age are due so far: one at each age of the schedule, then one each time that its
/// last one has passed again.
#[must_use]
pub fn looks_due(age: Duration, schedule: &[Duration]) -> u128 {
    let reached = schedule.iter().filter(|at| age >= **at).count() as u128;
    match schedule.last() {
        Some(last) if reached == schedule.len() as u128 => {
            reached + age.as_micros() / last.as_micros().max(1) - 1
        }
        _ => reached,
    }
}

/// What a lookup's answer about a doubt of this age ends it with. That the gateway never saw it is believed of a lookup
/// that surely shows what there is, and only once every look of the schedule has come: a request that lay about
/// somewhere for that long is beyond what anybody promises.
#[must_use]
pub fn finding(
    verdict: &Verdict,
    age: Duration,
    schedule: &[Duration],
    lookup: Lookup,
) -> Option<Finding> {
    match (verdict, lookup) {
        (Verdict::Approved { gateway_id }, _) => {
            Some(Finding::Charged { gateway_id: gateway_id.clone() })
        }
        (Verdict::Declined { .. }, _) => Some(Finding::NotCharged),
        (Verdict::NeverSeen, Lookup::Settles(after)) => {
            let last = schedule.last()?;
            (age >= *last + after).then_some(Finding::NotCharged)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const SCHEDULE: [Duration; 3] =
        [Duration::from_secs(5 * MINUTE), Duration::from_secs(HOUR), Duration::from_secs(DAY)];

    #[test]
    fn looks_come_at_each_age_and_then_daily() {
        let due = |seconds| looks_due(Duration::from_secs(seconds), &SCHEDULE);
        assert_eq!([0, 5 * MINUTE - 1, 5 * MINUTE].map(due), [0, 0, 1]);
        assert_eq!([HOUR - 1, HOUR, DAY - 1, DAY].map(due), [1, 2, 2, 3]);
        assert_eq!([2 * DAY - 1, 2 * DAY, 9 * DAY].map(due), [3, 4, 11]);
        assert_eq!(looks_due(Duration::from_secs(DAY), &[]), 0);
    }

    #[test]
    fn only_a_clear_answer_ends_a_doubt() {
        let at = |seconds, verdict: &Verdict, lookup| {
            finding(verdict, Duration::from_secs(seconds), &SCHEDULE, lookup)
        };
        let soon = Lookup::Settles(Duration::from_secs(60));
        let approved = Verdict::Approved { gateway_id: "ch_1".into() };
        let charged = Some(Finding::Charged { gateway_id: "ch_1".into() });
        assert_eq!(at(0, &approved, Lookup::NeverSettles), charged);
        let declined = Verdict::Declined { code: "no_funds".into(), gateway_id: None };
        assert_eq!(at(0, &declined, soon), Some(Finding::NotCharged));
        assert_eq!(at(DAY + 59, &Verdict::NeverSeen, soon), None);
        assert_eq!(at(DAY + 60, &Verdict::NeverSeen, soon), Some(Finding::NotCharged));
        assert_eq!(at(9 * DAY, &Verdict::NeverSeen, Lookup::NeverSettles), None);
        let running = Verdict::StillRunning { retry_after: None };
        assert_eq!(at(9 * DAY, &running, soon), None);
    }
}
