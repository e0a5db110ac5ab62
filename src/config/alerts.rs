//! `[alerts]`: for each rule the value that raises it, the one that clears it, and how long it must last.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::domain::alerts::{Levels, Rule, Side};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Of every rule that is told; in the rule's unit.
    pub levels: BTreeMap<Rule, Levels>,
}

/// What a rule has where nothing is set.
enum Preset {
    /// Counts; cleared at a third.
    Count {
        raise: u64,
        lasting: &'static str,
    },
    Percent {
        raise: u64,
        clear: u64,
        lasting: &'static str,
    },
    /// Durations.
    Seconds {
        raise: &'static str,
        clear: &'static str,
        lasting: &'static str,
    },
}

impl Alerts {
    /// Depths are counted over the whole group, so that a level may well be above the limits of one process; unset, a
    /// rule is raised at three quarters of this process's limit and cleared at a quarter.
    pub(super) fn read(r: &mut Reader<'_>, max_temp: usize, max_archive: usize) -> Self {
        let off = off(r);
        let mut levels = BTreeMap::new();
        for rule in Rule::ALL {
            let of_rule = read_levels(r, rule, preset(rule, max_temp, max_archive));
            if !off.contains(&rule) {
                levels.insert(rule, of_rule);
            }
        }
        Self { levels }
    }
}

fn off(r: &mut Reader<'_>) -> Vec<Rule> {
    const KEY: &str = "alerts.off";
    let names: Vec<String> = r.maybe(KEY).unwrap_or_default();
    let mut off = Vec::new();
    for name in names {
        match Rule::ALL.into_iter().find(|rule| rule.key() == name) {
            Some(rule) => off.push(rule),
            None => {
                let known = Rule::ALL.map(Rule::key).join(", ");
                r.refuse(
                    KEY,
                    format!("there is no rule {name}"),
                    &format!("Choose among {known}."),
                );
            }
        }
    }
    off
}

fn preset(rule: Rule, max_temp: usize, max_archive: usize) -> Preset {
    let depth =
        |limit: usize| Preset::Count { raise: (limit as u64 * 3 / 4).max(1), lasting: "10s" };
    match rule {
        Rule::TempDepth => depth(max_temp),
        Rule::ArchiveDepth => depth(max_archive),
        Rule::TempAge | Rule::ArchiveAge => {
            Preset::Seconds { raise: "5m", clear: "1m", lasting: "1m" }
        }
        Rule::WatermarkRetention => Preset::Percent { raise: 50, clear: 25, lasting: "1m" },
        Rule::ConsumerLag => Preset::Count { raise: 100_000, lasting: "5m" },
        Rule::BreakerOpen | Rule::StoreFailing => {
            Preset::Seconds { raise: "1m", clear: "0s", lasting: "0s" }
        }
        Rule::SuccessRate => Preset::Percent { raise: 50, clear: 70, lasting: "5m" },
        Rule::DoubtsOpen | Rule::BalanceBroken => Preset::Count { raise: 1, lasting: "0s" },
        Rule::RedisMemory => Preset::Percent { raise: 80, clear: 70, lasting: "1m" },
    }
}

fn read_levels(r: &mut Reader<'_>, rule: Rule, preset: Preset) -> Levels {
    const AGES: [&str; 2] = ["0s", "30d"];
    let key = |part: &str| format!("alerts.{}.{part}", rule.key());
    let [raise_key, clear_key] = ["raise", "clear"].map(key);
    let (raise, clear, lasting) = match preset {
        Preset::Count { raise, lasting } => {
            let raise = r.or(&raise_key, raise);
            (raise, r.or(&clear_key, raise / 3), lasting)
        }
        Preset::Percent { raise, clear, lasting } => {
            (r.within(&raise_key, raise, 0..=100), r.within(&clear_key, clear, 0..=100), lasting)
        }
        Preset::Seconds { raise, clear, lasting } => {
            let raise = r.period(&raise_key, raise, AGES).as_secs();
            (raise, r.period(&clear_key, clear, AGES).as_secs(), lasting)
        }
    };
    let lasting = r.period(&key("for"), lasting, ["0s", "1d"]);
    let levels = Levels { raise, clear, lasting };
    check(r, rule.side(), &levels, [&raise_key, &clear_key]);
    levels
}

/// Both at once would be raised and cleared by the same reading; a level of nothing would always be reached.
fn check(r: &mut Reader<'_>, side: Side, levels: &Levels, [raise_key, clear_key]: [&str; 2]) {
    let Levels { raise, clear, .. } = *levels;
    if side == Side::Above && raise == 0 {
        let problem = "it would be raised with nothing to tell";
        return r.refuse(raise_key, problem, "Choose a value above 0.");
    }
    if side.is_beyond(clear, raise) {
        let (wanted, remedy) = match side {
            Side::Above => ("below", "Choose a lower value."),
            Side::Below => ("above", "Choose a higher value."),
        };
        r.refuse(clear_key, format!("{clear} is not {wanted} {raise_key} ({raise})"), remedy);
    }
}
