//! The same load over other partitions and over more processes.

use tollbridge_rig::Result;

use super::{Size, sides};
use crate::parts::delay::Delay;
use crate::parts::findings::{Report, Target};
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
    let names = ("16 partitions", "1 partition", "tx/s");
    let findings =
        sides(&pairs, (rate, rate), ("1 partition / 16 partitions (e1)", target), names)?;
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
    let cost = |run: &Run| run.own();
    let target = Target::AtMost(1.1, 1.5);
    let names = ("1 process", "4 processes", "µs/tx");
    let findings = sides(&pairs, (cost, cost), ("4 processes / 1 (e2)", target), names)?;
    let notes = vec![format!("{} transactions at {RATE} a second, 8 partitions", one.transactions)];
    Ok(Report { findings, notes })
}
