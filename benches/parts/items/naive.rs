//! Against a pipeline without any of the protection, from the same crates: what the design brings, not the language.

use std::time::Duration;

use tollbridge_rig::{Error, Launch, Result, wait_until};

use super::{Size, sides};
use crate::parts::delay::Delay;
use crate::parts::findings::{Report, Target};
use crate::parts::pairs::interleaved;
use crate::parts::route::{self, Route, Run, Setup};
use crate::parts::steady::steady_rate;

const LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(10);

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

fn against(
    way: &str,
    pairs: usize,
    (theirs, ours): (&Setup, &Setup),
    target: Target,
) -> Result<Report> {
    let pairs = interleaved(pairs, || naive(way, theirs), || route::run(ours))?;
    let figures = (|rate: &f64| *rate, |run: &Run| run.rate);
    let names = ("naive", "route", "tx/s");
    let findings = sides(&pairs, figures, ("route / naive (b5)", target), names)?;
    let notes = vec![format!(
        "{} pairs; naive {}, ours {} transactions, {} partitions; the gateway {}",
        pairs.pairs.len(),
        theirs.transactions,
        ours.transactions,
        ours.partitions,
        ours.delay.words()
    )];
    Ok(Report { findings, notes })
}

/// Its rate. It has to have stored and reported everything, too; what it does twice is its own affair.
fn naive(way: &str, setup: &Setup) -> Result<f64> {
    let route = Route::ready(setup)?;
    let postgres = route.stack.postgres.as_ref().ok_or_else(|| Error::new("no Postgres"))?;
    let partitions = setup.partitions.to_string();
    let program =
        env!("CARGO_BIN_EXE_tollbridge").rsplit_once('/').map_or("", |(folder, _)| folder);
    let process = Launch::new(format!("{program}/tollbridge-naive"))
        .args([way, &route.stack.kafka.bootstrap(), &route.stack.redis.url(), &postgres.url()])
        .args([&format!("http://127.0.0.1:{}/charges", route.stub.port), &partitions])
        .log(route.stack.file("naive.log"))
        .start()?;
    let stored = || postgres.psql("SELECT count(*) FROM naive").ok()?.trim().parse::<u32>().ok();
    wait_until("the last row", LIMIT, || stored().is_some_and(|rows| rows >= setup.transactions))?;
    let arrivals = route.stub.arrivals()?;
    process.terminate(STOP_LIMIT)?;
    if arrivals.len() != setup.transactions as usize {
        return Err(Error::new(format!(
            "the naive pipeline charged {} of {}",
            arrivals.len(),
            setup.transactions
        )));
    }
    let rate = steady_rate(arrivals.into_iter().map(|(_, at_us)| at_us).collect());
    rate.ok_or_else(|| Error::new("too few transactions for a rate"))
}
