//! Outages of many minutes under load, each with what must hold meanwhile and afterwards: `make long ITEM=name`.
//!
//! | item | what happens |
//! |---|---|
//! | `gateway-outage` | 5,000 transactions a second, and a gateway that refuses everything for ten minutes |
//! | `store-outage` | a store that is down, slow, read-only or full for ten minutes each, with both ways to ask it |
//! | `governors` | 1,000 a second over three processes; first attempts beside as many repeats as there may be |
//! | `redis-full` | a Redis without room for what waits while the store stands still, again and again |
//!
//! Every transaction is charged, stored and reported exactly once in the end, or there is no figure.
#![allow(clippy::disallowed_methods, reason = "a bench has its own clock")]

mod parts;

use std::process::ExitCode;
use std::time::Duration;

use parts::long::{gateway, governors, redis, store};
use parts::stub::is_asked_for;
use tollbridge_rig::{Error, Result};

type Item = fn(Duration) -> Result<()>;

const ITEMS: [(&str, Item); 4] = [
    ("gateway-outage", gateway::outage),
    ("store-outage", store::outages),
    ("redis-full", redis::full),
    ("governors", governors::govern),
];

fn main() -> ExitCode {
    if let Some(ended) = is_asked_for() {
        return ended;
    }
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The name of an item, and the minutes that an outage lasts.
fn run(arguments: &[String]) -> Result<()> {
    let names = ITEMS.map(|(name, _)| name).join(", ");
    let name = arguments.first().map_or("", String::as_str);
    let item = ITEMS.iter().find(|(known, _)| *known == name);
    let (_, item) =
        item.ok_or_else(|| Error::new(format!("ITEM is {name:?}, not one of {names}")))?;
    let minutes = arguments.get(1).map_or(Ok(10.0), |minutes| minutes.parse::<f64>());
    let minutes = minutes.map_err(|_| Error::new("MINUTES is not a number"))?;
    item(Duration::from_secs_f64(minutes * 60.0))
}
