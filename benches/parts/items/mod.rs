//! What is measured, by the names under which the results stand.

mod calls;
mod change;
mod flush;
mod full;
mod late;
mod limit;
mod memory;
mod naive;
mod spread;

use tollbridge_rig::{Error, Result};

use super::bare::{self, Bare};
use super::findings::{Finding, Report, Target};
use super::pairs::{Pairs, interleaved};
use super::route::{self, Run, Setup};

const MIB: f64 = 1_048_576.0;
/// Where the processor's cost or lateness beside a broker is measured, the broker has worked off so many before.
const WARM: u32 = 1_000_000;

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

const fn usual(
    name: &'static str,
    what: &'static str,
    measure: fn(Size) -> Result<Report>,
) -> Item {
    Item { name, what, usual: true, measure }
}

const fn more(name: &'static str, what: &'static str, measure: fn(Size) -> Result<Report>) -> Item {
    Item { name, what, usual: false, measure }
}

pub const ITEMS: [Item; 19] = [
    usual("stub", "what the gateway stub itself costs", full::stub),
    usual("a1", "at the limit of 256 calls of 50 ms", limit::a1),
    more("a1-1024", "at that of 1,024 calls", limit::a1_1024),
    usual("a2", "a gateway that answers at once: rate, c0 to c3", full::a2),
    more("a2-avro", "Avro against JSON", full::avro),
    more("a3", "4,096 calls of 500 ms and more", limit::a3),
    more("b5", "a task a message, without protection", naive::spawning),
    more("b5-each", "one message at a time, without protection", naive::one_at_a_time),
    more("python", "a service in Python, without protection", naive::python),
    usual("c4", "system calls, and calls of Redis", calls::c4),
    more("d", "how late gateway, row and event are: d1, d2", late::late),
    more("e1", "one partition against sixteen", spread::e1),
    more("e2", "four processes against one", spread::e2),
    more("e3", "a process joins and leaves", change::e3),
    more("f1", "memory over a backlog of ten million", memory::f1),
    more("g1", "a process is killed and comes back", change::g1),
    more("h1", "flushing to PostgreSQL against psql \\copy", flush::h1),
    more("h2-sqlite", "flushing to SQLite against sqlite3 .import", flush::h2_sqlite),
    more("h2-clickhouse", "flushing to ClickHouse against its client alone", flush::h2_clickhouse),
];

/// The bare loop and the route in turn.
fn against_bare(pairs: usize, requests: u32, setup: &Setup) -> Result<Pairs<Bare, Run>> {
    interleaved(pairs, || bare::run(requests, setup.in_flight, setup.delay), || route::run(setup))
}

/// The rate of the route over that of the bare loop, and what both came to.
fn rates(report: &mut Report, pairs: &Pairs<Bare, Run>, target: Target) -> Result<()> {
    let figures = (|bare: &Bare| bare.rate, |run: &Run| run.rate);
    let names = ("bare loop", "route", "a second");
    report.findings.extend(sides(pairs, figures, ("route / bare loop", target), names)?);
    let others = Finding::new("others had of the CPU", pairs.of_b(Run::others), "%", Target::Told)?;
    report.findings.push(others);
    Ok(())
}

/// The ratio of B to A, what both came to, and what neighbours of the same side differ by.
fn sides<A, B>(
    pairs: &Pairs<A, B>,
    (a, b): (impl Fn(&A) -> f64, impl Fn(&B) -> f64),
    (what, target): (&str, Target),
    (of_a, of_b, unit): (&str, &str, &str),
) -> Result<Vec<Finding>> {
    let mut findings = vec![
        Finding::new(what, pairs.ratio(&a, &b), "", target)?,
        Finding::new(of_b, pairs.of_b(&b), unit, Target::Told)?,
        Finding::new(of_a, pairs.of_a(&a), unit, Target::Told)?,
    ];
    if let Some(same) = pairs.same(a, b) {
        findings.push(Finding::new("the same side again / before", Some(same), "", Target::Told)?);
    }
    Ok(findings)
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
