//! The slow schedule on which a gateway is asked what became of a doubt, and when its answer ends it.

use std::time::Duration;

use super::classify::Verdict;
use super::resolution::Finding;
use super::retry::Lookup;
use super::time::{Boot, Now, Wall};

/// What a process has seen of one doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    given_up_at: Wall,
    since: Boot,
    looks: u128,
}

impl Seen {
    /// A doubt of this time is open now. What was seen before counts only if it was this one, not an earlier one of the
    /// same id.
    #[must_use]
    pub fn of(given_up_at: Wall, before: Option<Self>, now: Now) -> Self {
        let new = Self { given_up_at, since: now.boot, looks: 0 };
        before.filter(|before| before.given_up_at == given_up_at).unwrap_or(new)
    }

    #[must_use]
    pub fn is_due(&self, schedule: &[Duration], now: Now) -> bool {
        looks_due(self.age(now), schedule) > self.looks
    }

    /// It was looked up.
    pub fn looked(&mut self, schedule: &[Duration], now: Now) {
        self.looks = looks_due(self.age(now), schedule);
    }

    /// Since it was given up, by the clocks of who did that and of who asks.
    fn age(&self, now: Now) -> Duration {
        let micros = now.wall.0.saturating_sub(self.given_up_at.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }
}

/// When an answer is believed.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Ages at which a doubt is looked up.
    pub schedule: &'a [Duration],
    pub lookup: Lookup,
    /// Whether a decline is the gateway's last word: where not, a later request may have charged, and not show yet.
    pub keeps_declines: bool,
    /// For no longer than this a request is on its way.
    pub margin: Duration,
}

/// How many looks at a doubt of this age are due so far: one at each age of the schedule, then one each time that its
/// last one has passed again.
fn looks_due(age: Duration, schedule: &[Duration]) -> u128 {
    let reached = schedule.iter().filter(|at| age >= **at).count() as u128;
    match schedule.last() {
        Some(last) if reached == schedule.len() as u128 => {
            reached + age.as_micros() / last.as_micros().max(1) - 1
        }
        _ => reached,
    }
}

/// What a lookup's answer ends a doubt with. That the gateway never saw it is believed of a lookup that surely shows
/// what there is, and only once every look of the schedule has come: a request that lay about somewhere for that long
/// is beyond what anybody promises. A clock that was set makes a doubt a day old in a moment, so this process must have
/// seen it for as long as a request may take, and a lookup to show it.
#[must_use]
pub fn finding(verdict: &Verdict, seen: &Seen, terms: Terms<'_>, now: Now) -> Option<Finding> {
    match (verdict, terms.lookup) {
        (Verdict::Approved { gateway_id }, _) => {
            Some(Finding::Charged { gateway_id: gateway_id.clone() })
        }
        (Verdict::Declined { .. }, _) if terms.keeps_declines => Some(Finding::NotCharged),
        (Verdict::Declined { .. } | Verdict::NeverSeen, Lookup::Settles(after)) => {
            let last = *terms.schedule.last()?;
            let is_old = seen.age(now) >= last + after;
            let was_watched = now.boot.since(seen.since) >= terms.margin + after;
            (is_old && was_watched).then_some(Finding::NotCharged)
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

    const TERMS: Terms<'static> = Terms {
        schedule: &SCHEDULE,
        lookup: Lookup::NeverSettles,
        keeps_declines: true,
        margin: Duration::from_secs(2 * HOUR),
    };

    fn at(seconds: u64) -> Now {
        let micros = seconds * 1_000_000;
        Now { boot: Boot(micros), wall: Wall(i64::try_from(micros).unwrap()) }
    }

    #[test]
    fn only_a_clear_answer_ends_a_doubt() {
        let seen = Seen::of(at(0).wall, None, at(0));
        let finding = |seconds, verdict: &Verdict, lookup| {
            let terms = Terms { lookup, ..TERMS };
            finding(verdict, &seen, terms, at(seconds))
        };
        let soon = Lookup::Settles(Duration::from_secs(60));
        let approved = Verdict::Approved { gateway_id: "ch_1".into() };
        let charged = Some(Finding::Charged { gateway_id: "ch_1".into() });
        assert_eq!(finding(0, &approved, Lookup::NeverSettles), charged);
        let declined = Verdict::Declined { code: "no_funds".into(), gateway_id: None };
        assert_eq!(finding(0, &declined, soon), Some(Finding::NotCharged));
        assert_eq!(finding(DAY + 59, &Verdict::NeverSeen, soon), None);
        assert_eq!(finding(DAY + 60, &Verdict::NeverSeen, soon), Some(Finding::NotCharged));
        assert_eq!(finding(9 * DAY, &Verdict::NeverSeen, Lookup::NeverSettles), None);
        let running = Verdict::StillRunning { retry_after: None };
        assert_eq!(finding(9 * DAY, &running, soon), None);
    }

    #[test]
    fn a_clock_that_was_set_makes_nobody_believe_that_it_was_never_seen() {
        let lookup = Lookup::Settles(Duration::from_secs(60));
        let terms = Terms { lookup, ..TERMS };
        // Seen since a moment ago, and two days old by the wall clock.
        let seen = Seen::of(at(0).wall, None, at(2 * DAY));
        let after = |seconds| finding(&Verdict::NeverSeen, &seen, terms, at(2 * DAY + seconds));
        assert_eq!(after(0), None);
        assert_eq!(after(2 * HOUR + 59), None);
        assert_eq!(after(2 * HOUR + 60), Some(Finding::NotCharged));
    }

    #[test]
    fn a_decline_that_is_not_the_last_word_is_believed_once_a_later_charge_would_show() {
        let seen = Seen::of(at(0).wall, None, at(0));
        let declined = Verdict::Declined { code: "no_funds".into(), gateway_id: None };
        let finding = |seconds, lookup| {
            let terms = Terms { lookup, keeps_declines: false, ..TERMS };
            finding(&declined, &seen, terms, at(seconds))
        };
        let soon = Lookup::Settles(Duration::from_secs(60));
        assert_eq!(finding(DAY + 59, soon), None);
        assert_eq!(finding(DAY + 60, soon), Some(Finding::NotCharged));
        assert_eq!(finding(9 * DAY, Lookup::NeverSettles), None);
    }

    #[test]
    fn another_doubt_of_the_same_id_is_seen_anew() {
        let mut seen = Seen::of(at(0).wall, None, at(DAY));
        assert!(seen.is_due(&SCHEDULE, at(DAY)));
        seen.looked(&SCHEDULE, at(DAY));
        assert!(!seen.is_due(&SCHEDULE, at(DAY)));
        assert_eq!(Seen::of(at(0).wall, Some(seen), at(2 * DAY)), seen);
        let anew = Seen::of(at(9).wall, Some(seen), at(2 * DAY));
        assert_eq!((anew.since, anew.looks), (at(2 * DAY).boot, 0));
    }
}
