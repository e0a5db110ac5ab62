//! Many seeds: run on all cores, summed up, interrupted and resumed. Which seeds, and of what, is up to the tests.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::holes::{self, SEEDS_FOR_ONE};
use crate::plan::Plan;
use crate::plants::{self, Plant};
use crate::search::{commit, explain, run};

/// Failing runs that are explained; more are only counted.
const EXPLAINED_MAX: usize = 5;
/// Seeds after which it is written down how far a campaign has come.
const CHUNK: u64 = 10_000;

/// What came of many runs. The order in which they ended leaves no trace in it.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Sum {
    pub seeds: u64,
    pub steps: u64,
    pub crashes: u64,
    pub faults_landed: u64,
    /// Which of them failed.
    pub failing: Vec<u64>,
    pub landed: BTreeMap<String, u64>,
    /// By the names of the holes.
    pub met: BTreeMap<String, u64>,
}

impl Sum {
    /// Runs a plan for each number, on all cores.
    pub fn of(numbers: Range<u64>, plan: impl Fn(u64) -> Plan + Sync) -> Self {
        let next = AtomicU64::new(numbers.start);
        let work = || {
            let mut sum = Self::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return sum;
                }
                sum.join(Self::of_one(number, &plan(number)));
            }
        };
        let mut all = Self::default();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                all.join(worker.join().expect("a run that ends"));
            }
        });
        all.failing.sort_unstable();
        all
    }

    fn of_one(number: u64, plan: &Plan) -> Self {
        let ran = run(plan, false);
        Self {
            seeds: 1,
            steps: ran.steps,
            crashes: ran.crashes,
            faults_landed: ran.faults_landed,
            failing: ran.violation.map(|_| number).into_iter().collect(),
            landed: ran.landed,
            met: ran.met.into_iter().map(|(hole, n)| (hole.name().to_owned(), n)).collect(),
        }
    }

    fn join(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.faults_landed += other.faults_landed;
        self.failing.extend(other.failing);
        for (name, count) in other.landed {
            *self.landed.entry(name).or_default() += count;
        }
        for (name, count) in other.met {
            *self.met.entry(name).or_default() += count;
        }
    }

    /// Prints what came of it, and fails where a run failed.
    pub fn check(&self, plan: impl Fn(u64) -> Plan) {
        for number in self.failing.iter().take(EXPLAINED_MAX) {
            println!("{number}: {}\n", explain(&plan(*number)));
        }
        println!("{}", self.last_line());
        assert!(self.failing.is_empty(), "see above");
    }

    /// Fails where so many seeds did not meet every hole often enough.
    pub fn check_holes(&self) {
        let least = self.seeds / SEEDS_FOR_ONE;
        let count = |name: &str| self.met.get(name).copied().unwrap_or_default();
        let rare: Vec<&str> =
            holes::ALL.map(holes::Hole::name).into_iter().filter(|n| count(n) < least).collect();
        assert!(rare.is_empty(), "met less than {least} times in {} seeds: {rare:?}", self.seeds);
    }

    fn last_line(&self) -> String {
        let list = |counts: &BTreeMap<String, u64>| {
            let each: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
            each.join(", ")
        };
        let (seeds, steps, crashes) = (self.seeds, self.steps, self.crashes);
        let tenths = self.faults_landed * 10 / seeds.max(1);
        format!(
            "faults: {}\nholes: {}\n{seeds} seeds, {steps} steps, {crashes} crashes, {}.{} faults a seed, \
             {} violations",
            list(&self.landed),
            list(&self.met),
            tenths / 10,
            tenths % 10,
            self.failing.len(),
        )
    }
}

/// A campaign over seeds that may be interrupted: it goes on where it was, as long as the code is the same.
pub fn seeds(first: u64, count: u64) -> Sum {
    let end = first.saturating_add(count);
    let mut sum = if count > CHUNK { resume(first, count) } else { Sum::default() };
    while sum.seeds < count {
        let from = first + sum.seeds;
        sum.join(Sum::of(from..end.min(from.saturating_add(CHUNK)), Plan::draw));
        if count > CHUNK {
            write_down(first, &sum);
        }
    }
    sum
}

fn notebook(first: u64) -> PathBuf {
    let name = format!("simulation-{}-from-{first}.json", commit());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn resume(first: u64, count: u64) -> Sum {
    let text = fs::read(notebook(first)).ok();
    let sum = text.and_then(|t| serde_json::from_slice::<Sum>(&t).ok());
    let sum = sum.filter(|sum| sum.seeds < count).unwrap_or_default();
    if sum.seeds > 0 {
        println!("goes on at seed {}", first + sum.seeds);
    }
    sum
}

/// Of code that is not committed nothing is kept: it may be other code the next time.
fn write_down(first: u64, sum: &Sum) {
    println!("{} seeds, {} violations so far", sum.seeds, sum.failing.len());
    if !commit().ends_with("-dirty") {
        let text = serde_json::to_vec(sum).expect("a sum");
        fs::write(notebook(first), text).expect("the target folder");
    }
}

fn regressions_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sim/regressions.txt")
}

/// Seeds that once failed.
pub fn regressions() -> Vec<u64> {
    let text = fs::read_to_string(regressions_file()).expect("the list of regressions");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let seed = |line: &str| line.split_whitespace().next().and_then(|word| word.parse().ok());
    lines.map(|line| seed(line).expect("a line begins with its seed")).collect()
}

/// What has failed is run for ever after.
pub fn add_regressions(failing: &[u64]) {
    let known = regressions();
    let mut text = fs::read_to_string(regressions_file()).expect("the list of regressions");
    for seed in failing.iter().filter(|seed| !known.contains(seed)).take(EXPLAINED_MAX) {
        let violation = run(&Plan::draw(*seed), false).violation.unwrap_or_default();
        let first_line: String = violation.chars().take_while(|c| *c != '\n').take(80).collect();
        text.push_str(&format!("{seed} at {}: {first_line}\n", commit()));
    }
    if !failing.is_empty() {
        fs::write(regressions_file(), text).expect("the list of regressions");
    }
}

/// How many seeds it takes to find a planted bug, and what is then said.
pub type Found = Option<(u64, String)>;

/// Looks for every planted bug, several at a time.
pub fn find_plants(seeds: u64) -> Vec<(Plant, Found)> {
    let look = |plant: Plant| {
        let violation = |seed| {
            let plan = Plan { plant: Some(plant), ..Plan::draw(seed) };
            run(&plan, false).violation.map(|why| (seed + 1, why.chars().take(90).collect()))
        };
        (0..seeds).find_map(violation)
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let next = || plants::ALL.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(next).map(|plant| (*plant, look(*plant))).collect::<Vec<_>>()
    };
    let mut found: Vec<(Plant, Found)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("runs that end")).collect()
    });
    found.sort_by_key(|(plant, _)| plants::ALL.iter().position(|p| p == plant));
    found
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
