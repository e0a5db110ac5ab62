//! Running seeds: one by one, many, and a failing one with fewer and fewer faults. What the tests of this binary are.

use std::collections::BTreeMap;
use std::hash::Hasher;

use crate::plan::Plan;
use crate::world::World;

/// What came of one run.
#[derive(Debug)]
pub struct Ran {
    pub violation: Option<String>,
    pub steps: u64,
    pub crashes: u64,
    pub calls: u64,
    pub landed: BTreeMap<String, u64>,
    pub hash: u64,
}

pub fn run(plan: &Plan, talks: bool) -> Ran {
    let mut world = World::new(plan.clone(), talks);
    world.run();
    Ran {
        violation: world.oracle.violations.first().cloned(),
        steps: world.steps,
        crashes: world.crashes,
        calls: world.calls,
        hash: world.hash.finish(),
        landed: world.landed,
    }
}

/// The shortest list of faults that still fails, found by taking out one after the other.
pub fn shortest(plan: &Plan) -> Plan {
    let mut shortest = plan.clone();
    let mut i = 0;
    while i < shortest.faults.len() {
        let mut without = shortest.clone();
        without.faults.remove(i);
        if run(&without, false).violation.is_some() {
            shortest = without;
            i = 0;
        } else {
            i += 1;
        }
    }
    shortest
}

/// What to print of a seed that fails.
pub fn explain(plan: &Plan) -> String {
    let shortest = shortest(plan);
    let violation = run(&shortest, false).violation.unwrap_or_default();
    let faults: Vec<String> = shortest.faults.iter().map(|f| format!("  {f:?}")).collect();
    format!(
        "seed {}: {violation}\nthe faults it takes, {} of {}:\n{}\nagain: SEED={} cargo test --test sim one -- --nocapture",
        plan.seed,
        shortest.faults.len(),
        plan.faults.len(),
        faults.join("\n"),
        plan.seed,
    )
}

#[derive(Debug, Default)]
pub struct Sum {
    pub seeds: u64,
    pub steps: u64,
    pub crashes: u64,
    pub violations: u64,
    pub landed: BTreeMap<String, u64>,
    pub explained: Vec<String>,
}

/// Failing seeds that are explained; more are only counted.
const EXPLAINED_MAX: usize = 5;

impl Sum {
    pub fn add(&mut self, plan: &Plan) {
        let ran = run(plan, false);
        self.seeds += 1;
        self.steps += ran.steps;
        self.crashes += ran.crashes;
        for (name, count) in ran.landed {
            *self.landed.entry(name).or_default() += count;
        }
        if ran.violation.is_some() {
            self.violations += 1;
            if self.explained.len() < EXPLAINED_MAX {
                self.explained.push(explain(plan));
            }
        }
    }

    /// Prints what came of it, and fails where a seed failed.
    pub fn check(&self) {
        for explained in &self.explained {
            println!("{explained}\n");
        }
        println!("{}", self.last_line());
        assert_eq!(self.violations, 0, "see above");
    }

    fn last_line(&self) -> String {
        let landed: Vec<String> = self.landed.iter().map(|(k, n)| format!("{k} {n}")).collect();
        format!(
            "{} seeds, {} steps, {} crashes, {} violations; landed: {}",
            self.seeds,
            self.steps,
            self.crashes,
            self.violations,
            landed.join(", ")
        )
    }
}
