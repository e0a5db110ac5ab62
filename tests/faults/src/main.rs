//! The suite's command line. It deliberately leaves building to `make`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tollbridge_faults::book::{Book, Verdict};
use tollbridge_faults::campaign::{Campaign, SPENT, claim_of};
use tollbridge_faults::recover::recover;
use tollbridge_faults::run::{Plan, run};
use tollbridge_faults::scenario::{BEFORE_A_CHANGE, SCENARIOS, Scenario, named};
use tollbridge_faults::{history, plants, spent};
use tollbridge_rig::{Error, Result};

const USAGE: &str = "\
usage: faults list                    the scenarios
       faults run SCENARIO SEED       one run; adds a line to tests/faults/LEDGER.csv
       faults check SEED              the eight runs that are made before a change is taken; adds no line
       faults campaign RUNS SEED JOBS MINUTES [SCENARIO,...]
                                      RUNS runs of what the ledger lacks most, JOBS of them side by side, with seeds
                                      from SEED on that it has not; after MINUTES none is begun any more
       faults apart SCENARIO SEED     one run as a campaign makes it; adds no line
       faults claim                   what the ledger shows of the product as it is
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
        ["campaign", runs, seed, jobs, minutes, names @ ..] => {
            campaign([runs, seed, jobs, minutes], names)
        }
        ["apart", scenario, seed] => apart(scenario, seed),
        ["claim"] => claim_of(&Book::at(Path::new(LEDGER))).map(|said| {
            println!("{said}");
            true
        }),
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

fn known(name: &str) -> Result<&'static Scenario> {
    let unknown = || Error::new(format!("there is no scenario {name:?}; `faults list` shows all"));
    named(name).ok_or_else(unknown)
}

/// Makes a run and adds it to the ledger; whether it was `ok`.
fn one(name: &str, seed: &str) -> Result<bool> {
    let (scenario, commit) = (known(name)?, history::commit()?);
    let build = if scenario.setup.failpoints { FAILPOINTS } else { ORDINARY };
    let mut entry = run(&Plan::whole(scenario, number("SEED", seed)?, binary(build)?));
    commit.clone_into(&mut entry.commit);
    println!("{:.1} s of a processor", spent::processor_seconds());
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

/// A run as a campaign makes it: its line is the last that it says, and the campaign adds it.
fn apart(name: &str, seed: &str) -> Result<bool> {
    let scenario = known(name)?;
    let build = if scenario.setup.failpoints { FAILPOINTS } else { ORDINARY };
    let entry = run(&Plan::whole(scenario, number("SEED", seed)?, binary(build)?));
    println!("{SPENT}{:.1}\n{}", spent::processor_seconds(), entry.line());
    Ok(entry.verdict == Verdict::Ok)
}

fn campaign([runs, seed, jobs, minutes]: [&str; 4], names: &[&str]) -> Result<bool> {
    let minutes = number("MINUTES", minutes)?;
    let mut among: Vec<&'static Scenario> = SCENARIOS.iter().collect();
    if !names.is_empty() {
        let names = names.iter().flat_map(|names| names.split(','));
        among = names.filter(|name| !name.is_empty()).map(known).collect::<Result<_>>()?;
    }
    for build in [ORDINARY, FAILPOINTS] {
        binary(build)?;
    }
    let campaign = Campaign {
        runs: number("RUNS", runs)?,
        seed: number("SEED", seed)?,
        jobs: number("JOBS", jobs)?,
        limit: Duration::from_secs(minutes * 60),
        among,
    };
    campaign.carry_out(&Book::at(Path::new(LEDGER)), Path::new(".rig/campaign"))
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
