//! Whether the suite would find bugs: each of those that can be planted in the real program, in the scenario that is
//! most apt to show it, seed after seed until the oracle finds something. These runs deliberately leave no line in
//! the ledger: they say something of the suite, nothing of the product.

use crate::book::{Entry, Verdict};
use crate::run::{Plan, run};
use crate::scenario::named;
use std::path::Path;

/// A suite that needs more is blind.
const RUNS_MAX: u64 = 10;

/// Bugs by the name that the program knows, and scenarios. What each bug is, is told where it is planted.
const PLANTS: [(&str, &str); 10] = [
    ("OffsetsOutside", "killed-at-a-failpoint"),
    ("NoBarrier", "held-at-a-failpoint"),
    ("UnclearIsClean", "broker-cut-or-silent"),
    ("NotReadAgain", "broker-cut-or-silent"),
    ("WatermarkIsLast", "kill-with-calls-in-flight"),
    ("StoreNotAsked", "published-again-after-keys"),
    ("RepeatedDeclineBelieved", "gateway-hears-late"),
    ("KeyPerAttempt", "gateway-hears-late"),
    ("StoredTooEarly", "store-slow-locked-or-restarted"),
    ("BodyChanges", "gateway-hears-late"),
];

/// What became of a planted bug.
#[derive(Debug)]
pub struct Found {
    plant: &'static str,
    scenario: &'static str,
    /// The runs that were made, the last of which found it, if any did.
    runs: Vec<Entry>,
}

impl Found {
    /// Whether the last run was a violation.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.runs.last().is_some_and(|entry| entry.verdict == Verdict::Violation)
    }

    fn line(&self) -> String {
        let Self { plant, scenario, runs } = self;
        let seconds: u64 = runs.iter().map(|entry| entry.seconds).sum();
        let within = if self.is_found() { "found within" } else { "NOT found within" };
        let cause = runs.last().map_or("", |entry| entry.cause.as_str());
        let count = runs.len();
        format!("{plant:24} {scenario:28} {within} {count} ({seconds} s): {cause}\n")
    }
}

/// Looks for each of these names, or for all where there are none, from this seed on, with a build with failpoints.
#[must_use]
pub fn find(tollbridge: &Path, first: u64, names: &[&str]) -> Vec<Found> {
    let asked = PLANTS.iter().filter(|(plant, _)| names.is_empty() || names.contains(plant));
    asked.map(|(plant, scenario)| find_one(tollbridge, plant, scenario, first)).collect()
}

fn find_one(tollbridge: &Path, plant: &'static str, scenario: &'static str, first: u64) -> Found {
    let mut found = Found { plant, scenario, runs: Vec::new() };
    let Some(stage) = named(scenario) else { return found };
    for seed in first..first + RUNS_MAX {
        println!("{plant} is planted");
        found.runs.push(run(&Plan::planted(stage, seed, tollbridge.to_owned(), plant)));
        if found.is_found() {
            break;
        }
    }
    found
}

/// A line for each.
#[must_use]
pub fn table(found: &[Found]) -> String {
    found.iter().map(Found::line).collect()
}

#[cfg(test)]
mod tests {
    use super::PLANTS;
    use crate::scenario::named;

    #[test]
    fn every_bug_has_a_scenario() {
        for (plant, scenario) in PLANTS {
            assert!(named(scenario).is_some(), "{plant}: {scenario}");
        }
    }
}
