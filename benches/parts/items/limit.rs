//! At the limit of the calls: what is missing to it is the time between an answer and the next call.

use tollbridge_rig::Result;

use super::{Size, against_bare, note_run, rates};
use crate::parts::delay::Delay;
use crate::parts::findings::{Report, Target};
use crate::parts::route::Setup;

pub(super) fn a1(size: Size) -> Result<Report> {
    measure(
        size.pairs(5),
        (size.count(120_000), 256, Delay::Always(50)),
        Target::AtLeast(0.97, 0.9),
    )
}

pub(super) fn a1_1024(size: Size) -> Result<Report> {
    let load = (size.count(450_000), 1_024, Delay::Always(50));
    measure(size.pairs(5), load, Target::AtLeast(0.97, 0.9))
}

pub(super) fn a3(size: Size) -> Result<Report> {
    let load = (size.count(200_000), 4_096, Delay::Spread(500, 2_000));
    measure(size.pairs(5), load, Target::AtLeast(0.95, 0.9))
}

fn measure(pairs: usize, load: (u32, u32, Delay), target: Target) -> Result<Report> {
    let (transactions, in_flight, delay) = load;
    let setup = Setup { in_flight, delay, ..Setup::at_once(transactions) };
    let pairs = against_bare(pairs, transactions, &setup)?;
    let mut report = Report::default();
    rates(&mut report, &pairs, target)?;
    note_run(&mut report, &setup, &pairs)?;
    Ok(report)
}
