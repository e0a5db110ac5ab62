//! Four short runs of the kill suite (`tests/faults`), one after another: real processes, real services, real faults.
//! Whole runs, and all scenarios, are `make faults` and `make campaign`.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tollbridge_faults::book::Verdict;
use tollbridge_faults::run::{Plan, run};
use tollbridge_faults::scenario::named;

/// One at a time: each has a broker, a Redis, a store, a gateway and two processors.
static TURN: Mutex<()> = Mutex::new(());

#[track_caller]
fn balances(scenario: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let tollbridge = Path::new(env!("CARGO_BIN_EXE_tollbridge"));
    let entry = run(&Plan::short(named(scenario).unwrap(), 1, tollbridge.to_owned()));
    assert_eq!(entry.verdict, Verdict::Ok, "{}", entry.line());
}

#[test]
fn processors_are_killed_under_load() {
    balances("kill-with-calls-in-flight");
}

#[test]
fn the_gateway_is_killed_under_load() {
    balances("gateway-killed");
}

#[test]
fn redis_is_wiped_under_load() {
    balances("redis-wiped");
}

#[test]
fn commits_of_the_store_are_unknown_under_load() {
    balances("store-cut-with-unknown-commits");
}
