//! Memory does not follow the backlog.

use tollbridge_rig::Result;

use super::{MIB, Size};
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::pairs::interleaved;
use crate::parts::route::{Run, Setup, run};

const SMALL: u32 = 100_000;
const LARGE: u32 = 10_000_000;
const RUNS: usize = 3;

/// F1: the peak while ten million are drained, over that of a hundred thousand.
pub(super) fn f1(size: Size) -> Result<Report> {
    let small = Setup::at_once(size.count(SMALL));
    let large = Setup::at_once(size.count(LARGE));
    let pairs = interleaved(size.pairs(RUNS), || run(&small), || run(&large))?;
    let memory = |run: &Run| run.memory as f64 / MIB;
    Ok(Report {
        findings: vec![
            Finding::new(
                "10 million / 100,000 (f1)",
                pairs.ratio(memory, memory),
                "",
                Target::AtMost(1.05, 1.2),
            )?,
            Finding::new(
                "10 million (f1)",
                pairs.of_b(memory),
                "MiB",
                Target::AtMost(143.0, 143.0),
            )?,
            Finding::new("100,000", pairs.of_a(memory), "MiB", Target::Told)?,
        ],
        notes: vec![format!(
            "resident memory of the processor at its peak; {} and {}",
            LARGE, SMALL
        )],
    })
}
