//! Running seeds: one by one, many on all cores, and a failing one with fewer and fewer faults. What many seeds come
//! to is in `campaign`.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::LazyLock;

use crate::faults::Stage;
use crate::holes::Met;
use crate::plan::Plan;
use crate::world::World;

/// What came of one run.
#[derive(Debug)]
pub struct Ran {
    pub violation: Option<String>,
    pub steps: u64,
    pub crashes: u64,
    /// Every moment at which a process might have died: the effect's number, and its stage.
    pub moments: Vec<(u64, Stage)>,
    /// How often each kind of fault struck.
    pub landed: BTreeMap<String, u64>,
    /// Faults of the plan that struck at least once.
    pub faults_landed: u64,
    pub met: Met,
    pub hash: u64,
}

pub fn run(plan: &Plan, talks: bool) -> Ran {
    let mut world = World::new(plan.clone(), talks);
    world.run();
    Ran {
        violation: world.oracle.violations.first().cloned(),
        steps: world.steps,
        crashes: world.crashes,
        moments: world.moments,
        hash: world.hash.finish(),
        faults_landed: world.faults_landed.len() as u64,
        landed: world.landed,
        met: world.oracle.met,
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
        "seed {} at {}: {violation}\nthe faults it takes, {} of {}:\n{}\n\
         again: SEED={} cargo test --test sim one -- --nocapture",
        plan.seed,
        commit(),
        shortest.faults.len(),
        plan.faults.len(),
        faults.join("\n"),
        plan.seed,
    )
}

/// Of what a seed is a run: the same seed means something else in another state of the code. Asked for once, before
/// the tests change a file themselves.
static COMMIT: LazyLock<String> = LazyLock::new(|| {
    let mut git = std::process::Command::new("git");
    let described = git.args(["describe", "--always", "--dirty"]).output();
    let text = described.ok().filter(|output| output.status.success());
    let text = text.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or("an unknown commit".to_owned(), |text| text.trim().to_owned())
});

pub fn commit() -> &'static str {
    &COMMIT
}
