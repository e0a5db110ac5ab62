//! The suite's command line. It deliberately leaves building to `make`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tollbridge_faults::book::{Book, Verdict};
use tollbridge_faults::plants;
use tollbridge_faults::recover::recover;
use tollbridge_faults::run::{Plan, run};
use tollbridge_faults::scenario::{BEFORE_A_CHANGE, SCENARIOS, Scenario, named};
use tollbridge_rig::{Error, Result};

const USAGE: &str = "\
usage: faults list                    the scenarios
       faults run SCENARIO SEED       one run; adds a line to tests/faults/LEDGER.csv
       faults check SEED              the eight runs that are made before a change is taken; adds no line
       faults campaign RUNS SEED      RUNS runs of this commit, all scenarios in turn, seeds from SEED on;
                                      those that the ledger has already are not made again
       faults plants SEED [NAME...]   which planted bugs are found, within how many runs; not into the ledger
       faults recover RUNS            how long it takes until work goes on after a part has died: medians";
/// What `sysexits.h` calls EX_USAGE.
const WRONG_USAGE: u8 = 64;
/// A variable that names a binary of the product, and where it is without.
type Build = (&'static str, &'static str);
const ORDINARY: Build = ("TOLLBRIDGE", "target/debug/tollbridge");
const FAILPOINTS: Build = ("TOLLBRIDGE_FAILPOINTS", "target/debug/tollbridge-failpoints");
const LEDGER: &str = "tests/faults/LEDGER.csv";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["list"] => {
            SCENARIOS
                .iter()
                .for_each(|scenario| println!("{:32} {}", scenario.name, scenario.what));
            Ok(true)
        }
        ["run", scenario, seed] => one(scenario, seed),
        ["check", seed] => check(seed),
        ["campaign", runs, seed] => campaign(runs, seed),
        ["plants", seed, names @ ..] => number("SEED", seed).and_then(|seed| {
            let found = plants::find(&binary(FAILPOINTS)?, seed, names);
            print!("{}", plants::table(&found));
            Ok(!found.is_empty() && found.iter().all(plants::Found::is_found))
        }),
        ["recover", runs] => number("RUNS", runs).and_then(|runs| {
            let rounds = usize::try_from(runs.max(1)).unwrap_or(1);
            recover(rounds, &binary(ORDINARY)?).map(|()| true)
        }),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("faults: {e}");
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str, text: &str) -> Result<u64> {
    text.parse()
        .map_err(|e| Error::new(format!("{name} is {text:?}; it must be a whole number: {e}")))
}

fn one(name: &str, seed: &str) -> Result<bool> {
    let unknown = || Error::new(format!("there is no scenario {name:?}; `faults list` shows all"));
    let scenario = named(name).ok_or_else(unknown)?;
    made(scenario, number("SEED", seed)?, &commit()?)
}

/// Makes a run and adds it to the ledger; whether it was `ok`.
fn made(scenario: &'static Scenario, seed: u64, commit: &str) -> Result<bool> {
    let build = if scenario.setup.failpoints { FAILPOINTS } else { ORDINARY };
    let mut entry = run(&Plan::whole(scenario, seed, binary(build)?));
    commit.clone_into(&mut entry.commit);
    println!("{}", entry.line());
    Book::at(Path::new(LEDGER)).add(&entry)?;
    Ok(entry.verdict == Verdict::Ok)
}

fn check(seed: &str) -> Result<bool> {
    let seed = number("SEED", seed)?;
    let mut lines = Vec::new();
    let mut good = true;
    for scenario in BEFORE_A_CHANGE.iter().filter_map(|name| named(name)) {
        let entry = run(&Plan::before_a_change(scenario, seed, binary(ORDINARY)?));
        good &= entry.verdict == Verdict::Ok;
        lines.push(entry.line());
    }
    lines.iter().for_each(|line| println!("{line}"));
    Ok(good)
}

fn campaign(runs: &str, seed: &str) -> Result<bool> {
    let (runs, first, commit) = (number("RUNS", runs)?, number("SEED", seed)?, commit()?);
    let before = Book::at(Path::new(LEDGER)).runs_of(&commit);
    let turns = u64::try_from(SCENARIOS.len()).unwrap_or(1);
    let (mut made_now, mut good) = (0, 0);
    for at in 0..runs {
        let scenario = &SCENARIOS[usize::try_from(at % turns).unwrap_or(0)];
        let seed = first + at / turns;
        if before.contains(&(scenario.name.to_owned(), seed)) {
            continue;
        }
        println!("run {} of {runs}", at + 1);
        made_now += 1;
        good += u64::from(made(scenario, seed, &commit)?);
    }
    println!("{made_now} runs made, {good} ok; {} were in the ledger already", runs - made_now);
    Ok(good == made_now)
}

/// The last commit that changed anything but the ledger, with a `+` where more has changed since.
fn commit() -> Result<String> {
    const BUT_LEDGER: [&str; 3] = ["--", ".", ":!tests/faults/LEDGER.csv"];
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).args(BUT_LEDGER).output();
        let output = output.map_err(|e| Error::new(format!("cannot ask git: {e}")))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit: String = git(&["log", "-1", "--format=%h"])?;
    let changed: String = git(&["status", "--porcelain"])?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}+") })
}

/// The product's binary: what the variable names, else where `make faults` puts it.
fn binary((variable, usual): Build) -> Result<PathBuf> {
    let binary = std::env::var_os(variable).map_or_else(|| usual.into(), PathBuf::from);
    match binary.exists() {
        true => Ok(binary),
        false => {
            Err(Error::new(format!("{} is not there; `make faults` builds it", binary.display())))
        }
    }
}
