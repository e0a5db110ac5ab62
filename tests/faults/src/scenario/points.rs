//! The scenarios for which planted bugs were the reason: what each strikes is a place where one would be seen.

use super::{Doubts, Group, Scenario, Setup, USUAL};
use crate::strike::{failpoints, processors, publishing};
use std::time::Duration;
use tollbridge_rig::Store;

/// A request reaches the gateway after a lookup has found nothing and a repeat was sent; some repeats meet a limit that
/// is checked before the key is looked at, and of which nothing is remembered. It is late by less than it takes until
/// such a decline is believed: a call, and `sweep.min_age` twice.
const LATE: &str = r#"
[[fault]]
kind = "decline"
rate = 0.03
attempts = [1]
[[fault]]
kind = "late-arrival"
rate = 0.04
delay = "5500ms"
[[fault]]
kind = "decline-ahead"
rate = 0.4
attempts = [2]
"#;

/// Each of these faults takes most of a minute on a busy machine.
const LONG: Duration = Duration::from_secs(420);

pub(super) const KILLED: Scenario = Scenario::new(
    "killed-at-a-failpoint",
    "processors die before or after each call of the route, exactly, with its answer unknown to the pipeline",
    Store::Postgres,
    &[&[failpoints::DIE], &[failpoints::DIE]],
)
.on(Setup { landings: 24, limit: LONG, failpoints: true, ..USUAL });

pub(super) const HELD: Scenario = Scenario::new(
    "held-at-a-failpoint",
    "calls wait for seconds before they leave or are answered, while processors join and leave",
    Store::Postgres,
    &[&[failpoints::WAIT]],
)
.storm(Group::Nameless)
.on(Setup { landings: 5, limit: LONG, failpoints: true, ..USUAL });

pub(super) const HEARS_LATE: Scenario = Scenario::new(
    "gateway-hears-late",
    "requests reach the gateway after they were asked after and repeated, and repeats meet a limit; kills",
    Store::Sqlite,
    &[&[processors::KILL]],
)
.on(Setup {
    landings: 5,
    gateway: LATE,
    // No id on two partitions: requests for one that such a gateway decides differently are not promised anything.
    mix: "invalid=0.3%",
    settings: &[("sweep", "min_age", "\"3s\"")],
    ..USUAL
});

pub(super) const PUBLISHED_AGAIN: Scenario = Scenario::new(
    "published-again-after-keys",
    "what was published is published again when the gateway has forgotten its keys",
    Store::Sqlite,
    &[&[publishing::AGAIN]],
)
.on(Setup {
    landings: 5,
    settings: &[("gateway", "key_ttl", "\"20s\"")],
    key_life: Some(Duration::from_secs(20)),
    // What came soon after a take-over counts from the beginning of that minute: a first attempt that failed is then
    // older than its key.
    doubts: Doubts::KeyRanOut,
    ..USUAL
});
