//! How many instructions the pipeline's own pure functions take for one transaction, stage by stage, counted by
//! callgrind: a figure that is the same on a busy machine. `make stages` holds each against `baseline.txt`, which a
//! stage may exceed by a twentieth; `make stages BASELINE=write` writes the file anew.
//!
//! A stage is run `FEW` and `MANY` times in processes of their own, and the difference is divided: what starting and
//! setting up cost is in neither. Built as the simulation is: this package optimised, with every assertion.

#![allow(clippy::unwrap_used, reason = "what can't be measured ends here")]
#![allow(clippy::disallowed_methods, reason = "a stage is named by the environment of its process")]

mod baseline;
mod stages;

use std::process::{Command, ExitCode};

use baseline::{Baseline, Made};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Transactions of a run, in batches of [`stages::BATCH`]. The few are enough for what is set up once.
const FEW: usize = 2 * stages::BATCH;
const MANY: usize = 6 * stages::BATCH;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stages/baseline.txt");

fn main() -> ExitCode {
    if let Ok(stage) = std::env::var("STAGE") {
        let times = std::env::var("TIMES").unwrap().parse().unwrap();
        stages::run(&stage, times);
        return ExitCode::SUCCESS;
    }
    let made = Made::here();
    let counted: Vec<(String, u64)> = stages::names()
        .map(|stage| {
            let many = instructions(stage, MANY) - instructions(stage, FEW);
            (stage.to_owned(), many / (MANY - FEW) as u64)
        })
        .collect();
    if std::env::var("BASELINE").as_deref() == Ok("write") {
        std::fs::write(BASELINE, Baseline { made, counted }.to_string()).unwrap();
        println!("{BASELINE} is written anew");
        return ExitCode::SUCCESS;
    }
    let baseline: Baseline = std::fs::read_to_string(BASELINE).unwrap().parse().unwrap();
    let (table, held) = baseline.compare(&made, &counted);
    println!("{table}");
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Of all threads of a process that runs a stage so often.
fn instructions(stage: &str, times: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .env("STAGE", stage)
        .env("TIMES", times.to_string())
        .output()
        .expect("valgrind: `make stages` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stage {stage}: {said}");
    let collected = said.lines().find_map(|line| line.split("Collected : ").nth(1));
    collected.and_then(|count| count.trim().parse().ok()).expect("callgrind tells what it counted")
}
