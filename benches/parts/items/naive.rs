//! Against pipelines without any of the protection: one from the same crates, which tells what the design brings and
//! not the language; and a service in Python, whose speed on another machine is known.

use std::time::Duration;

use tollbridge_rig::{Error, Launch, Result, cache, wait_until};

use super::{Size, sides};
use crate::parts::cost::us_of_each;
use crate::parts::delay::Delay;
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::pairs::{Pairs, interleaved};
use crate::parts::route::{self, PROCESSOR, Route, Run, Setup};
use crate::parts::steady::steady_rate;

const LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const SERVICE: &str = "benches/peer/service.py";
const PACKAGES: &str = include_str!("../../peer/requirements.txt");
/// Such a service did 3,200 transactions a second at 296 µs of its own CPU time on the machine for which the targets
/// of a2 were set: 45,000 (30,000) a second and 21 (31) µs. As ratios they hold on any machine.
const RATE_OVER_PYTHON: Target = Target::AtLeast(45_000.0 / 3_200.0, 30_000.0 / 3_200.0);
const COST_OVER_PYTHON: Target = Target::AtMost(21.0 / 296.0, 31.0 / 296.0);

/// What a pipeline without protection came to.
struct Theirs {
    /// Charges a second.
    rate: f64,
    /// Its own CPU time, µs a transaction.
    own: f64,
}

pub(super) fn spawning(size: Size) -> Result<Report> {
    let ours = Setup::at_once(size.count(600_000));
    let theirs = Setup::at_once(size.count(100_000));
    against("task", size.pairs(5), (&theirs, &ours), Target::AtLeast(5.0, 3.0))
}

pub(super) fn one_at_a_time(size: Size) -> Result<Report> {
    let ours = Setup { delay: Delay::Always(50), ..Setup::at_once(size.count(120_000)) };
    let theirs = Setup { transactions: size.count(2_000), ..ours.clone() };
    against("each", size.pairs(5), (&theirs, &ours), Target::AtLeast(50.0, 30.0))
}

/// Both from the start of a process on: what an interpreter needs to start is in it.
pub(super) fn python(size: Size) -> Result<Report> {
    let python = cache::python("peer", PACKAGES)?;
    let start = || Launch::new(&python).arg(SERVICE);
    let ours = Setup::at_once(size.count(600_000));
    let theirs = Setup::at_once(size.count(60_000));
    let pairs = interleaved(size.pairs(5), || unprotected(start(), &theirs), || route::run(&ours))?;
    let mut report = told(&pairs, ("python", RATE_OVER_PYTHON), (&theirs, &ours))?;
    let (own, cost) = (|them: &Theirs| them.own, |run: &Run| run.own());
    report.findings.extend([
        Finding::new("CPU time, route / python", pairs.ratio(own, cost), "", COST_OVER_PYTHON)?,
        Finding::new("CPU time, route", pairs.of_b(cost), "µs", Target::Told)?,
        Finding::new("CPU time, python", pairs.of_a(own), "µs", Target::Told)?,
    ]);
    Ok(report)
}

fn against(
    way: &str,
    pairs: usize,
    (theirs, ours): (&Setup, &Setup),
    target: Target,
) -> Result<Report> {
    let program =
        env!("CARGO_BIN_EXE_tollbridge").rsplit_once('/').map_or("", |(folder, _)| folder);
    let start = || Launch::new(format!("{program}/tollbridge-naive")).arg(way);
    let pairs = interleaved(pairs, || unprotected(start(), theirs), || route::run(ours))?;
    told(&pairs, ("naive", target), (theirs, ours))
}

fn told(
    pairs: &Pairs<Theirs, Run>,
    (name, target): (&str, Target),
    (theirs, ours): (&Setup, &Setup),
) -> Result<Report> {
    let figures = (|them: &Theirs| them.rate, |run: &Run| run.rate);
    let findings =
        sides(pairs, figures, (&format!("route / {name}"), target), (name, "route", "tx/s"))?;
    let notes = vec![format!(
        "{} pairs; {name} {}, ours {} transactions, {} partitions; the gateway {}",
        pairs.pairs.len(),
        theirs.transactions,
        ours.transactions,
        ours.partitions,
        ours.delay.words()
    )];
    Ok(Report { findings, notes })
}

/// It has to have stored everything, too; what it does twice is its own affair.
fn unprotected(program: Launch, setup: &Setup) -> Result<Theirs> {
    let route = Route::ready(setup)?;
    let postgres = route.stack.postgres.as_ref().ok_or_else(|| Error::new("no Postgres"))?;
    let process = program
        .args([&route.stack.kafka.bootstrap(), &route.stack.redis.url(), &postgres.url()])
        .args([&format!("http://127.0.0.1:{}/charges", route.stub.port)])
        .args([&setup.partitions.to_string()])
        .log(route.stack.file("naive.log"))
        .start()?;
    let stored = || postgres.psql("SELECT count(*) FROM naive").ok()?.trim().parse::<u32>().ok();
    wait_until("the last row", LIMIT, || {
        !process.is_running() || stored().is_some_and(|rows| rows >= setup.transactions)
    })?;
    if !process.is_running() {
        return Err(Error::new(format!("it has ended: {}", process.log_tail())));
    }
    let spent = route.watched(&[process.pid()])?.spent()?.of(PROCESSOR);
    let arrivals = route.stub.arrivals()?;
    process.terminate(STOP_LIMIT)?;
    if arrivals.len() != setup.transactions as usize {
        return Err(Error::new(format!(
            "{} of {} were charged without protection",
            arrivals.len(),
            setup.transactions
        )));
    }
    let rate = steady_rate(arrivals.into_iter().map(|(_, at_us)| at_us).collect())
        .ok_or_else(|| Error::new("too few transactions for a rate"))?;
    Ok(Theirs { rate, own: us_of_each(spent, setup.transactions) })
}
