//! What is measured, by the names under which the results stand.

mod calls;
mod full;
mod limit;
mod naive;

use tollbridge_rig::{Error, Result};

use super::bare::{self, Bare};
use super::delay::Delay;
use super::findings::{Finding, Report, Target};
use super::input::Format;
use super::pairs::{Pairs, interleaved};
use super::route::{self, Run, Setup};

/// How much of everything: all, or a little, which shows that it works and gives no figures.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    Full,
    Look,
}

impl Size {
    fn count(self, count: u32) -> u32 {
        match self {
            Self::Full => count,
            Self::Look => (count / 40).max(2_000),
        }
    }

    fn pairs(self, count: usize) -> usize {
        match self {
            Self::Full => count,
            Self::Look => 1,
        }
    }
}

pub struct Item {
    pub name: &'static str,
    pub what: &'static str,
    /// Whether `make bench` without a name runs it.
    pub usual: bool,
    pub measure: fn(Size) -> Result<Report>,
}

pub const ITEMS: [Item; 9] = [
    Item {
        name: "stub",
        what: "what the gateway stub itself costs",
        usual: true,
        measure: full::stub,
    },
    Item {
        name: "a1",
        what: "at the limit of 256 calls of 50 ms",
        usual: true,
        measure: limit::a1,
    },
    Item { name: "a1-1024", what: "at that of 1,024 calls", usual: false, measure: limit::a1_1024 },
    Item {
        name: "a2",
        what: "a gateway that answers at once: rate, c0 to c3",
        usual: true,
        measure: full::a2,
    },
    Item { name: "a2-avro", what: "Avro against JSON", usual: false, measure: full::avro },
    Item { name: "a3", what: "4,096 calls of 500 ms and more", usual: false, measure: limit::a3 },
    Item {
        name: "b5",
        what: "a task a message, without protection",
        usual: false,
        measure: naive::spawning,
    },
    Item {
        name: "b5-each",
        what: "one message at a time",
        usual: false,
        measure: naive::one_at_a_time,
    },
    Item { name: "c4", what: "system calls, and calls of Redis", usual: true, measure: calls::c4 },
];

/// A2's load: the gateway answers at once, and everything shares the machine.
fn at_once(transactions: u32) -> Setup {
    Setup {
        transactions,
        partitions: 4,
        in_flight: 256,
        delay: Delay::None,
        format: Format::Json,
        more: Vec::new(),
    }
}

/// The bare loop and the route in turn.
fn against_bare(pairs: usize, requests: u32, setup: &Setup) -> Result<Pairs<Bare, Run>> {
    interleaved(pairs, || bare::run(requests, setup.in_flight, setup.delay), || route::run(setup))
}

/// The rate of the route over that of the bare loop, and what both came to.
fn rates(report: &mut Report, pairs: &Pairs<Bare, Run>, target: Target) -> Result<()> {
    let (bare, route) = (|bare: &Bare| bare.rate, |run: &Run| run.rate);
    let mut add = |finding: Result<Finding>| finding.map(|finding| report.findings.push(finding));
    add(Finding::new("route / bare loop", pairs.ratio(bare, route), "", target))?;
    add(Finding::new("route", pairs.of_b(route), "tx/s", Target::Told))?;
    add(Finding::new("bare loop", pairs.of_a(bare), "/s", Target::Told))?;
    if let Some(same) = pairs.same(bare, route) {
        add(Finding::new("the same side again / before", Some(same), "", Target::Told))?;
    }
    add(Finding::new("others had of the CPU", pairs.of_b(Run::others), "%", Target::Told))
}

fn note_run(report: &mut Report, setup: &Setup, pairs: &Pairs<Bare, Run>) -> Result<()> {
    let (_, run) = pairs.pairs.first().ok_or_else(|| Error::new("no pair was run"))?;
    report.notes.push(format!(
        "{} pairs, {} transactions each, {} partitions, {} in flight; the gateway {}",
        pairs.pairs.len(),
        setup.transactions,
        setup.partitions,
        setup.in_flight,
        setup.delay.words()
    ));
    report.notes.push("every transaction charged, stored and reported exactly once".to_owned());
    report.notes.push(format!("differs from the README's example: {}", run.differs.join("; ")));
    Ok(())
}
