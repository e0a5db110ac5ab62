//! The simulation: the real pipeline over simulated brokers, Redis, store, gateway and clocks. One seed draws the
//! workload, the settings and everything that goes wrong, and the run is the same each time.
//!
//! ```text
//! make sim SEEDS=10000                       as many seeds, optimised; SEED_START=n begins there
//! SEED=7 cargo test --test sim one -- --nocapture        one seed, told step by step
//! ```
//!
//! A seed that fails prints the shortest list of faults that still fails, and belongs into `regressions.txt`.
//! Not simulated: the adapters. Their contracts are tested against the real services.

mod calls;
mod ending;
mod faults;
mod group;
mod kafka;
mod life;
mod member;
mod oracle;
mod plan;
mod plants;
mod process;
mod search;
mod services;
mod strikes;
mod transact;
mod verdict;
mod workload;
mod world;

use faults::{Fault, Kind, Stage};
use plan::Plan;
use search::{Sum, run};

/// Seeds of an ordinary test run; `SEEDS` asks for more.
const SEEDS: u64 = 100;
/// Seeds within which every planted bug has to be found.
const PLANT_SEEDS: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "a test asks for its seeds")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).and_then(|text| text.parse().ok())
}

#[test]
fn seeds() {
    let (first, count) = (number("SEED_START").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS));
    let mut sum = Sum::default();
    for seed in first..first + count {
        sum.add(&Plan::draw(seed));
    }
    sum.check();
    assert!(sum.crashes > 0 || count < SEEDS, "nothing went wrong: nothing was tested");
}

/// Seeds that once failed.
#[test]
fn regressions() {
    let mut sum = Sum::default();
    for line in include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().and_then(|word| word.parse().ok());
        sum.add(&Plan::draw(seed.expect("a line begins with its seed")));
    }
    sum.check();
}

/// One seed, told step by step where `SEED` names it.
#[test]
fn one() {
    let named = number("SEED");
    let plan = Plan::draw(named.unwrap_or(0));
    if named.is_some() {
        println!("{plan:#?}");
    }
    let ran = run(&plan, named.is_some());
    assert_eq!(ran.violation, None);
}

#[test]
fn a_seed_is_one_course_of_events() {
    for seed in 0..3 {
        let plan = Plan::draw(seed);
        assert_eq!(run(&plan, false).hash, run(&plan, false).hash, "seed {seed}");
    }
}

/// A small run without faults, in which a process then dies at every stage of every call, one a run.
#[test]
fn every_single_crash() {
    let mut plan = Plan::draw(0);
    plan.faults.clear();
    plan.shape.transactions = 8;
    plan.shape.load_ends = plan::S;
    let calls = run(&plan, false).calls;
    let mut sum = Sum::default();
    for call in 1..=calls {
        for stage in [Stage::Issue, Stage::Apply, Stage::Reply] {
            let kind = Kind::CrashAtCall(call, stage);
            let fault = Fault { at: 0, lasting: 30 * plan::S, chance: 100, kind };
            sum.add(&Plan { faults: vec![fault], ..plan.clone() });
        }
    }
    sum.check();
    assert!(sum.crashes > calls, "too few of {calls} calls were reached");
}

/// Each of the planted bugs must be found, or the oracle is no oracle.
#[test]
fn planted_bugs_are_found() {
    let most = number("PLANT_SEEDS").unwrap_or(PLANT_SEEDS);
    let mut missed = Vec::new();
    for plant in plants::ALL {
        let found = (0..most).find(|seed| {
            let plan = Plan { plant: Some(plant), ..Plan::draw(*seed) };
            run(&plan, false).violation.is_some()
        });
        println!("{plant:?}: {found:?}");
        if found.is_none() {
            missed.push(plant);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
