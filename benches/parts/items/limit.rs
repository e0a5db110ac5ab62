//! At the limit of the calls: what is missing to it is the time between an answer and the next call.

use tollbridge_rig::Result;

use super::{Size, WARM, against_bare, note_run, rates};
use crate::parts::delay::Delay;
use crate::parts::findings::{Report, Target};
use crate::parts::route::Setup;

pub(super) fn a1(size: Size) -> Result<Report> {
    let setup = Setup { delay: Delay::Always(50), ..Setup::at_once(size.count(120_000)) };
    measure(size.pairs(5), &setup, Target::AtLeast(0.97, 0.9))
}

pub(super) fn a1_1024(size: Size) -> Result<Report> {
    // That many fill the machine: its broker must not be compiling meanwhile.
    let setup = Setup {
        warm: size.count(WARM),
        delay: Delay::Always(50),
        in_flight: 1_024,
        ..Setup::at_once(size.count(450_000))
    };
    measure(size.pairs(5), &setup, Target::AtLeast(0.97, 0.9))
}

pub(super) fn a3(size: Size) -> Result<Report> {
    let setup = Setup {
        delay: Delay::Spread(500, 2_000),
        in_flight: 4_096,
        ..Setup::at_once(size.count(200_000))
    };
    measure(size.pairs(5), &setup, Target::AtLeast(0.95, 0.9))
}

fn measure(pairs: usize, setup: &Setup, target: Target) -> Result<Report> {
    let pairs = against_bare(pairs, setup.transactions, setup)?;
    let mut report = Report::default();
    rates(&mut report, &pairs, target)?;
    note_run(&mut report, setup, &pairs)?;
    Ok(report)
}
