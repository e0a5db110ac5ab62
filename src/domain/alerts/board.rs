//! All rules of the group, and what was told of each.

use std::collections::BTreeMap;

use super::rule::Rule;
use super::watch::{Change, Levels, Watch};
use crate::domain::alert::{Alert, AlertState};
use crate::domain::time::{Now, Wall};

/// Who tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The consumer group.
    pub group: String,
    /// The process.
    pub instance: String,
}

/// The rules, by what was told of them last.
#[derive(Debug, Clone, Default)]
pub struct Board(BTreeMap<Rule, Watch>);

impl Board {
    /// As the alerts that were told so far leave it. Of each rule the last one counts; alerts of other groups, and of
    /// what is no rule, are passed over.
    pub fn restored(group: &str, told: impl IntoIterator<Item = Alert>) -> Self {
        let mut board = BTreeMap::new();
        for alert in told {
            let Some(rule) = Rule::parse(&alert.rule) else { continue };
            if alert.alert_id != alert_id(group, rule, alert.since) {
                continue;
            }
            match alert.state {
                AlertState::Raised => board.insert(rule, Watch::Raised(alert.since)),
                AlertState::Cleared => board.remove(&rule),
            };
        }
        Self(board)
    }

    /// Takes note of a reading; what has to be told of it.
    pub fn observe(
        &mut self,
        rule: Rule,
        reading: u64,
        levels: &Levels,
        now: Now,
        speaker: &Speaker,
    ) -> Option<Alert> {
        let watch = self.0.entry(rule).or_default();
        let change = watch.observe(reading, rule.side(), levels, now)?;
        Some(told(rule, change, reading, levels, now.wall, speaker))
    }

    #[must_use]
    pub fn is_raised(&self, rule: Rule) -> bool {
        self.0.get(&rule).is_some_and(Watch::is_raised)
    }
}

fn alert_id(group: &str, rule: Rule, since: Wall) -> String {
    format!("{group}:{}:{}", rule.name(), since.0)
}

fn told(
    rule: Rule,
    change: Change,
    reading: u64,
    levels: &Levels,
    at: Wall,
    speaker: &Speaker,
) -> Alert {
    let (what, unit) = (rule.what(), rule.unit());
    let (state, since, threshold, message) = match change {
        Change::Raised(since) => {
            let seconds = at.0.saturating_sub(since.0) / 1_000_000;
            let (raise, advice) = (levels.raise, rule.advice());
            let message = format!(
                "{what}: {reading} {unit}, {raise} is the level, for {seconds} s; {advice}"
            );
            (AlertState::Raised, since, raise, message)
        }
        Change::Cleared(since) => {
            let message = format!("{what}: {reading} {unit}");
            (AlertState::Cleared, since, levels.clear, message)
        }
    };
    Alert {
        alert_id: alert_id(&speaker.group, rule, since),
        rule: rule.name().to_owned(),
        state,
        severity: rule.severity(),
        observed: reading,
        threshold,
        unit: unit.to_owned(),
        instance: speaker.instance.clone(),
        since,
        at,
        message,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::time::Boot;

    const LEVELS: Levels = Levels { raise: 10, clear: 5, lasting: Duration::from_secs(2) };

    fn now(second: i64) -> Now {
        Now {
            boot: Boot(u64::try_from(second).unwrap() * 1_000_000),
            wall: Wall(second * 1_000_000),
        }
    }

    fn speaker(instance: &str) -> Speaker {
        Speaker { group: "a:b".to_owned(), instance: instance.to_owned() }
    }

    fn raised_at(board: &mut Board, from: i64) -> Alert {
        let mut told = (from..from + 3)
            .filter_map(|s| board.observe(Rule::TempDepth, 12, &LEVELS, now(s), &speaker("one")));
        let alert = told.next().expect("it has lasted");
        assert_eq!(told.next(), None);
        alert
    }

    #[test]
    fn it_says_what_how_much_since_when_and_what_to_do() {
        let mut board = Board::default();
        let alert = raised_at(&mut board, 4);
        assert!(board.is_raised(Rule::TempDepth) && !board.is_raised(Rule::ArchiveDepth));
        assert_eq!(
            (alert.state, alert.since, alert.at),
            (AlertState::Raised, now(4).wall, now(6).wall)
        );
        assert_eq!(
            (alert.observed, alert.threshold, alert.unit.as_str()),
            (12, 10, "transactions")
        );
        assert_eq!(
            alert.message,
            "transactions that wait for their approval: 12 transactions, 10 is the level, for 2 s; look at the \
             gateway: it is down or slow, or more comes in than it takes"
        );
    }

    #[test]
    fn the_next_one_to_speak_raises_nothing_twice_and_clears_what_was_raised() {
        let raised = raised_at(&mut Board::default(), 0);
        let mut next = Board::restored("a:b", [raised.clone()]);
        assert!(next.is_raised(Rule::TempDepth));
        let mut say = |reading, second| {
            next.observe(Rule::TempDepth, reading, &LEVELS, now(second), &speaker("two"))
        };
        for second in 10..20 {
            assert_eq!(say(12, second), None);
        }
        let cleared = say(5, 20).expect("it is over");
        assert_eq!(
            (cleared.alert_id.as_str(), cleared.since),
            (raised.alert_id.as_str(), raised.since)
        );
        assert_eq!((cleared.state, cleared.instance.as_str()), (AlertState::Cleared, "two"));

        let after = Board::restored("a:b", [raised.clone(), cleared]);
        assert!(!after.is_raised(Rule::TempDepth));
        let of_another_group = Board::restored("a", [raised.clone()]);
        assert!(!of_another_group.is_raised(Rule::TempDepth));
        let of_no_rule = Alert { rule: "other_payload".to_owned(), ..raised };
        assert!(Board::restored("a:b", [of_no_rule]).0.is_empty());
    }

    #[test]
    fn a_second_raise_is_another_alert() {
        let mut board = Board::default();
        let first = raised_at(&mut board, 0);
        assert!(board.observe(Rule::TempDepth, 0, &LEVELS, now(5), &speaker("one")).is_some());
        let second = raised_at(&mut board, 6);
        assert_ne!(first.alert_id, second.alert_id);
    }
}
