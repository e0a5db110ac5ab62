//! What the ledger still lacks: which run is made next, and what may be said of those that were made. Deliberately
//! every line counts, whatever its result: nothing is made again because it was not `ok`.

use crate::book::{Entry, Verdict};
use crate::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// Runs of each scenario at least.
const EACH: usize = 5;
/// Runs of everything at once at least, over all its variants.
const AT_ONCE: usize = 60;
const AT_ONCE_NAMES: &str = "everything-at-once";
/// Of a whole run.
const TRANSACTIONS_MIN: usize = 2000;
const LANDINGS_MIN: usize = 5;

/// Which runs there are, made or under way.
#[derive(Debug, Default)]
pub struct Made {
    counts: BTreeMap<String, usize>,
    seeds: BTreeSet<(String, u64)>,
}

impl Made {
    /// `of_this_core`: those that count.
    #[must_use]
    pub fn of(all: &[Entry], of_this_core: &[&Entry]) -> Self {
        let mut counts = BTreeMap::new();
        for entry in of_this_core {
            *counts.entry(entry.scenario.clone()).or_default() += 1;
        }
        let seeds = all.iter().map(|entry| (entry.scenario.clone(), entry.seed)).collect();
        Self { counts, seeds }
    }

    fn count(&self, scenario: &Scenario) -> usize {
        self.counts.get(scenario.name).copied().unwrap_or(0)
    }

    /// The next one: of what lacks most of what it needs, and where nothing lacks anything, of what there is least. Its
    /// seed is the first from `seed` on that was never used for it. Nothing where there is nothing to choose from.
    pub fn take(
        &mut self,
        among: &[&'static Scenario],
        seed: u64,
    ) -> Option<(&'static Scenario, u64)> {
        let lacks = |scenario: &&&'static Scenario| {
            let (need, count) = (need(scenario), self.count(scenario));
            // In thousandths of what is needed; the first of equals.
            let share = need.saturating_sub(count) * 1000 / need;
            (std::cmp::Reverse(share), count * usize::from(share == 0))
        };
        let scenario = *among.iter().min_by_key(lacks)?;
        let name = || scenario.name.to_owned();
        let seed = (seed..).find(|seed| !self.seeds.contains(&(name(), *seed)))?;
        self.seeds.insert((name(), seed));
        *self.counts.entry(name()).or_default() += 1;
        Some((scenario, seed))
    }
}

fn is_at_once(scenario: &Scenario) -> bool {
    scenario.name.starts_with(AT_ONCE_NAMES)
}

fn need(scenario: &Scenario) -> usize {
    let variants = || crate::scenario::SCENARIOS.iter().filter(|s| is_at_once(s)).count().max(1);
    if is_at_once(scenario) { AT_ONCE.div_ceil(variants()) } else { EACH }
}

/// What these runs show. The rule of three: where no failure was seen in so many runs, the rate is below 3/n with 95 %
/// confidence; runs that came to nothing show nothing, and neither do those of which `readme`, which explains whatever
/// was not `ok`, says that the suite judged wrongly.
#[must_use]
pub fn claim(commit: &str, runs: &[&Entry], readme: &str) -> String {
    let of = |verdict| runs.iter().filter(move |run| run.verdict == verdict);
    let mistakes = of(Verdict::Violation).filter(|run| was_the_suite(readme, run)).count();
    let violations = of(Verdict::Violation).count() - mistakes;
    let errors = of(Verdict::Error).count();
    let transactions: usize = runs.iter().map(|run| run.transactions).sum();
    let landed: usize = runs.iter().map(|run| run.landed).sum();
    let mut said = format!(
        "commit {commit}: {} runs, {transactions} transactions, {landed} faults landed, {violations} violations of \
         I1–I9",
        runs.len()
    );
    if errors > 0 {
        said += &format!(", {errors} runs that came to nothing");
    }
    if mistakes > 0 {
        said += &format!(
            ", {mistakes} that the suite judged wrongly, as tests/faults/README.md explains"
        );
    }
    let judged = runs.len() - errors - mistakes;
    if violations == 0 && judged > 0 {
        said += &format!(
            "; zero failures in {judged} runs bounds the failure rate at 3/{judged} = {:.4}",
            3.0 / f64::from(u32::try_from(judged).unwrap_or(u32::MAX))
        );
    }
    let poor = |run: &&&Entry| {
        run.verdict != Verdict::Error
            && (run.transactions < TRANSACTIONS_MIN || run.landed < LANDINGS_MIN)
    };
    let poor = runs.iter().filter(poor).count();
    if poor > 0 {
        said += &format!(
            "; {poor} of them with fewer than {TRANSACTIONS_MIN} transactions or {LANDINGS_MIN} landed faults"
        );
    }
    said
}

/// Whether a line of the table of what was not `ok` names this run and begins its reason with the suite.
fn was_the_suite(readme: &str, run: &Entry) -> bool {
    let name = format!("`{}` ", run.scenario);
    let seed = run.seed.to_string();
    readme.lines().any(|line| {
        let mut cells = line.split(" | ");
        let (runs, why) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let mut words = runs.split([' ', ',']);
        runs.contains(&name)
            && words.clone().any(|word| word == seed)
            && words.any(|word| word == run.commit)
            && why.starts_with("the suite")
    })
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, EACH, Made, claim, is_at_once};
    use crate::book::{Entry, Verdict};
    use crate::scenario::{SCENARIOS, Scenario, named};
    use std::collections::BTreeMap;

    fn ran(scenario: &str, seed: u64, verdict: Verdict) -> Entry {
        let scenario = scenario.to_owned();
        Entry { scenario, seed, verdict, transactions: 2500, landed: 6, ..Entry::default() }
    }

    #[test]
    fn what_lacks_most_comes_first_and_none_is_made_twice() {
        let all: Vec<&'static Scenario> = SCENARIOS.iter().collect();
        let others = all.iter().filter(|scenario| !is_at_once(scenario)).count();
        let mut made = Made::default();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..AT_ONCE + others * EACH {
            let (scenario, seed) = made.take(&all, 7).unwrap();
            assert!(seed >= 7 && seen.insert((scenario.name, seed)));
            *counts.entry(scenario.name).or_default() += 1;
        }
        assert_eq!(counts.len(), all.len());
        let at_once = |name: &&str| name.starts_with("everything-at-once");
        assert_eq!(
            counts.iter().filter(|(name, _)| at_once(name)).map(|(_, n)| n).sum::<usize>(),
            60
        );
        assert!(counts.iter().filter(|(name, _)| !at_once(name)).all(|(_, n)| *n == EACH));
        // Then even: of those that there are five of.
        let (scenario, _) = made.take(&all, 7).unwrap();
        assert!(!is_at_once(scenario));
    }

    #[test]
    fn only_some_count_but_no_seed_is_used_again() {
        let (wiped, killed) = (named("redis-wiped").unwrap(), named("redis-killed").unwrap());
        let lines = [ran(wiped.name, 1, Verdict::Error), ran(killed.name, 1, Verdict::Ok)];
        let mut made = Made::of(&lines, &[&lines[1]]);
        assert_eq!(
            made.take(&[killed, wiped], 1).map(|(s, seed)| (s.name, seed)),
            Some((wiped.name, 2))
        );
        assert_eq!(made.take(&[killed], 1).map(|(s, seed)| (s.name, seed)), Some((killed.name, 2)));
        assert!(made.take(&[], 1).is_none());
    }

    #[test]
    fn only_what_is_true_is_claimed() {
        let runs =
            [ran("a", 1, Verdict::Ok), ran("a", 2, Verdict::Ok), ran("a", 3, Verdict::Error)];
        let [first, second, third] = &runs;
        assert_eq!(
            claim("abc", &[first, second], ""),
            "commit abc: 2 runs, 5000 transactions, 12 faults landed, 0 violations of I1–I9; zero failures in 2 runs \
             bounds the failure rate at 3/2 = 1.5000"
        );
        let said = claim("abc", &[first, third], "");
        assert!(said.contains("1 runs that came to nothing; zero failures in 1 runs"), "{said}");
        let bad = ran("a", 4, Verdict::Violation);
        let said = claim("abc", &[first, &bad], "");
        assert!(said.contains("1 violations") && !said.contains("zero failures"), "{said}");
        let poor = Entry { landed: 4, ..ran("a", 5, Verdict::Ok) };
        assert!(claim("abc", &[&poor], "").contains("1 of them with fewer than"));
        assert!(!claim("abc", &[], "").contains("zero failures"));
    }

    #[test]
    fn what_the_suite_judged_wrongly_is_told_apart() {
        let commit = "abc".to_owned();
        let bad = Entry { commit, ..ran("a", 4, Verdict::Violation) };
        let good = ran("a", 5, Verdict::Ok);
        let claimed = |readme: &str| claim("abc", &[&bad, &good], readme);
        let said = claimed("| `a` 3 and 4 at abc | the suite, which |");
        assert!(
            said.contains("0 violations") && said.contains("1 that the suite judged"),
            "{said}"
        );
        assert!(said.contains("zero failures in 1 runs"), "{said}");
        for other in [
            "| `a` 4 at abc | **the product** |",
            "| `a` 4 at abcd | the suite |",
            "| `a` 44 at abc | the suite |",
            "| `b` 4 at abc | the suite |",
            "",
        ] {
            assert!(claimed(other).contains("1 violations"), "{other}");
        }
    }
}
