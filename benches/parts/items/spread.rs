//! The same load over other partitions and over more processes.

use tollbridge_rig::Result;

use super::Size;
use crate::parts::delay::Delay;
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::pairs::interleaved;
use crate::parts::route::{Run, Setup, run, steady};

const RATE: u32 = 5_000;

/// Calls at once come from keys, not from partitions.
pub(super) fn e1(size: Size) -> Result<Report> {
    let many =
        Setup { partitions: 16, delay: Delay::Always(50), ..Setup::at_once(size.count(120_000)) };
    let one = Setup { partitions: 1, ..many.clone() };
    let pairs = interleaved(size.pairs(5), || run(&many), || run(&one))?;
    let rate = |run: &Run| run.rate;
    let target = Target::AtLeast(0.95, 0.85);
    let mut findings = vec![
        Finding::new("1 partition / 16 partitions (e1)", pairs.ratio(rate, rate), "", target)?,
        Finding::new("1 partition", pairs.of_b(rate), "tx/s", Target::Told)?,
        Finding::new("16 partitions", pairs.of_a(rate), "tx/s", Target::Told)?,
    ];
    if let Some(same) = pairs.same(rate, rate) {
        findings.push(Finding::new("the same again / before", Some(same), "", Target::Told)?);
    }
    let notes = vec![format!(
        "{} transactions a run, 256 in flight; the gateway takes 50 ms",
        many.transactions
    )];
    Ok(Report { findings, notes })
}

/// What a transaction costs more where four processes share the load of one.
pub(super) fn e2(size: Size) -> Result<Report> {
    let one = Setup { partitions: 8, ..Setup::at_once(size.count(100_000)) };
    let four = Setup { processors: 4, ..one.clone() };
    let pairs = interleaved(size.pairs(5), || steady(&one, RATE), || steady(&four, RATE))?;
    let cost = |run: &Run| run.each("processor");
    let mut findings = vec![
        Finding::new(
            "4 processes / 1 (e2)",
            pairs.ratio(cost, cost),
            "",
            Target::AtMost(1.1, 1.5),
        )?,
        Finding::new("4 processes", pairs.of_b(cost), "µs/tx", Target::Told)?,
        Finding::new("1 process", pairs.of_a(cost), "µs/tx", Target::Told)?,
    ];
    if let Some(same) = pairs.same(cost, cost) {
        findings.push(Finding::new("the same again / before", Some(same), "", Target::Told)?);
    }
    let notes = vec![format!("{} transactions at {RATE} a second, 8 partitions", one.transactions)];
    Ok(Report { findings, notes })
}
