//! The measurements: `make bench`, `make bench ITEM=a2`, `make bench-all`. What each item is stands in
//! docs/measured.md; results go to `benches/results/`.
//!
//! Sides that are compared run in turn within one run, against the same services. An item in which one transaction was
//! not charged, stored and reported exactly once has no figure.
#![allow(clippy::disallowed_methods, reason = "a bench has its own clock")]

mod parts;

use std::process::ExitCode;

use parts::findings::Results;
use parts::items::{ITEMS, Item, Size};
use parts::{bare, flame, model, stub};
use tollbridge_rig::{Error, Result};

/// The bare loop has the processor's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(ended) = stub::is_asked_for().or_else(bare::is_asked_for) {
        return ended;
    }
    let words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    match run(&words.collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Names of items, or `all`; without one the usual ones. `look` among them: a little of each, and nothing is kept.
/// `flame NAME`: samples of where the time goes. `model RATE`: what so many a second take. Whether no floor was missed.
fn run(words: &[String]) -> Result<bool> {
    if let [word, of] = words {
        match word.as_str() {
            "flame" => {
                println!("{}", flame::sample(of)?.display());
                return Ok(true);
            }
            "model" => {
                println!("{}", model::of(of)?);
                return Ok(true);
            }
            _ => {}
        }
    }
    let is_look = words.iter().any(|word| word == "look");
    let names: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| *word != "look").collect();
    let all = names.contains(&"all");
    let chosen = choose(&names)?;
    if is_look {
        for item in chosen {
            (item.measure)(Size::Look)?.print(&format!("{}: a short look, no figures", item.name));
        }
        return Ok(true);
    }
    let mut results = Results::open()?;
    let (mut met, mut failed) = (true, Vec::new());
    for item in chosen {
        if all && results.has(item.name) {
            println!("{}: measured at this commit before", item.name);
            continue;
        }
        println!("{}: {}", item.name, item.what);
        match (item.measure)(Size::Full) {
            Ok(report) => {
                report.print(item.name);
                met &= !report.is_missed();
                results.keep(item.name, report)?;
            }
            Err(error) => failed.push(format!("{}: {error}", item.name)),
        }
    }
    results.print();
    match failed.is_empty() {
        true => Ok(met),
        false => Err(Error::new(format!("without a figure: {}", failed.join("; ")))),
    }
}

fn choose(names: &[&str]) -> Result<Vec<&'static Item>> {
    if names.is_empty() {
        return Ok(ITEMS.iter().filter(|item| item.usual).collect());
    }
    if names.contains(&"all") {
        return Ok(ITEMS.iter().collect());
    }
    let known = || ITEMS.iter().map(|item| item.name).collect::<Vec<_>>().join(", ");
    let find = |name: &&str| {
        let found = ITEMS.iter().find(|item| item.name == *name);
        found.ok_or_else(|| Error::new(format!("ITEM is {name:?}, not one of {}", known())))
    };
    names.iter().map(find).collect()
}
