//! The oracle. It holds the gateway's ledger, the rows, two readers of the events and every committed offset against
//! each other, and believes no counter of the product; only bounds on memory and calls are its own account. Each
//! finding begins with the invariant that it breaks:
//!
//! - I1 a key and an id are charged once. I2 what was charged has its row, and no row lacks its charge.
//! - I3 each source record has one event, for whoever reads along and whoever reads later. I4 the event says what the
//!   gateway did; nothing is in doubt where no fault makes it so.
//! - I5 no commit covers what has no event yet, and none goes back. I6 each attempt has the same body.
//! - I7 all has a fate in time, and no transaction is left open. I8 nothing grows beyond its bound.
//! - I9 no payment method is in a log or an event.
//!
//! Deliberately it judges only a run that is over.

use crate::attempts::{self, lines};
use crate::fates::{self, Payloads};
use crate::gone;
use crate::readers::Readers;
use crate::scenario::Setup;
use crate::world::{World, failed, holds_within};
use crate::{offsets, world::Watched};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::oracle::{self, Evidence, Place, Records};
use tollbridge_rig::stack::{GROUP, OUTCOMES, TRANSACTIONS};
use tollbridge_rig::{Result, Stack};

/// A transaction of one that was killed for good is ended by the broker, which looks every ten seconds.
const STABLE_LIMIT: Duration = Duration::from_secs(30);
/// What payment methods of produced transactions begin with. Dead letters alone may carry them.
const CANARY: &str = "pm_c";
const RESIDENT_MAX: f64 = 512e6;
/// `gateway.max_in_flight` and one lane of lookups.
const IN_FLIGHT_MAX: f64 = 512.0;
/// From the last check to the gateway's account of it, on a busy machine.
const ON_THE_WAY: Duration = Duration::from_secs(1);
/// Requests for one charge, over all owners and outages of a run.
const ATTEMPTS_MAX: usize = 60;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Audit {
    /// Records on the source topic.
    pub transactions: usize,
    /// How often each fate was told.
    pub fates: BTreeMap<String, usize>,
    /// Beside one offset at most.
    pub metadata_max: usize,
    /// What breaks an invariant, a sentence each.
    pub findings: Vec<String>,
}

/// Judges a run whose processors have ended.
///
/// # Errors
/// When a part cannot be read.
pub fn audit(world: &World, readers: &Readers) -> Result<Audit> {
    let stack = &world.stack;
    let mut found = Vec::new();
    open_transactions(stack, &mut found)?;
    let records = Records::read(stack)?;
    let evidence = Evidence::beside(&records, stack)?;
    if world.setup.bursts {
        return vanished(world, readers, &records, evidence, found);
    }
    found.extend(evidence.findings().into_iter().map(|said| format!("I1-I4: {said}")));
    found.extend(readers.findings(&records.outcomes)?);
    let commits = offsets::commits(stack)?;
    let setup = world.setup;
    found.extend(offsets::findings(&commits, &told(&records, setup)?, setup.metadata_max));
    fates::doubts(&records, &commits, setup, &mut found)?;
    fates::repeats(&evidence, &mut found);
    charged_keys(stack, &mut found)?;
    hashes(stack, &records, &mut found)?;
    requests(stack, setup, &fates::payloads(&records.source), &mut found)?;
    bounds(&world.watched(), &mut found);
    left_over(world, &mut found)?;
    secrets(world, &records, &mut found)?;
    let metadata_max = commits.iter().map(|commit| commit.chars).max().unwrap_or(0);
    let (transactions, fates) = (records.source.len(), fates_of(evidence));
    Ok(Audit { transactions, fates, metadata_max, findings: found })
}

fn fates_of(evidence: Evidence) -> BTreeMap<String, usize> {
    let mut fates = BTreeMap::new();
    for event in evidence.events {
        *fates.entry(event.fate).or_default() += 1;
    }
    fates
}

/// Of a run in which source records vanished: by ids, since places are used again.
fn vanished(
    world: &World,
    readers: &Readers,
    records: &Records,
    evidence: Evidence,
    mut found: Vec<String>,
) -> Result<Audit> {
    let (transactions, more) = gone::audit(world, records, &evidence)?;
    found.extend(more);
    found.extend(readers.findings(&records.outcomes)?);
    charged_keys(&world.stack, &mut found)?;
    requests(&world.stack, world.setup, &fates::payloads(&records.source), &mut found)?;
    bounds(&world.watched(), &mut found);
    left_over(world, &mut found)?;
    secrets(world, records, &mut found)?;
    let fates = fates_of(evidence);
    Ok(Audit { transactions, fates, metadata_max: 0, findings: found })
}

/// When the producer made the event of each place; nobody knows where clocks are wrong.
fn told(records: &Records, setup: &Setup) -> Result<BTreeMap<Place, i64>> {
    let events = records.events()?.into_iter();
    let at = |time: i64| if setup.clocks { i64::MIN } else { time };
    Ok(events.map(|(record, event)| (event.place, at(record.timestamp))).collect())
}

fn open_transactions(stack: &Stack, found: &mut Vec<String>) -> Result<()> {
    for topic in OUTCOMES {
        let ends = || stack.kafka.end_offsets(topic, stack.partitions());
        let stable = || stack.kafka.stable_offsets(topic, stack.partitions());
        let same = || ends().is_ok_and(|ends| stable().is_ok_and(|stable| stable == ends));
        if !holds_within(STABLE_LIMIT, same) {
            let (ends, stable) = (ends()?, stable()?);
            found.push(format!("I7: {topic} ends at {ends:?}, readable up to {stable:?}"));
        }
    }
    Ok(())
}

fn charged_keys(stack: &Stack, found: &mut Vec<String>) -> Result<()> {
    let mut charged = BTreeSet::new();
    for line in lines(&stack.ledger())? {
        let key = line["key"].as_str().unwrap_or_default().to_owned();
        if line["outcome"] == "charged" && !charged.insert(key) {
            found.push(format!("I1: the key {} was charged more than once", line["key"]));
        }
    }
    Ok(())
}

/// The row is about the payload that the event is about.
fn hashes(stack: &Stack, records: &Records, found: &mut Vec<String>) -> Result<()> {
    let table = oracle::query(stack, "SELECT event_id, payload_hash FROM transactions")?;
    let rows: BTreeMap<&str, &str> =
        table.lines().filter_map(|line| line.split_once('|')).collect();
    for record in records.outcomes[..2].iter().flatten() {
        let event = json(record)?;
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        let row = rows.get(text("event_id"));
        if row.is_none_or(|row| *row != text("payload_hash")) {
            let id = text("transaction_id");
            found
                .push(format!("I2: the event of {id} and its row tell of other payloads: {row:?}"));
        }
    }
    Ok(())
}

/// Each payload of an id has one body; few ids have more than one payload.
fn requests(
    stack: &Stack,
    setup: &Setup,
    payloads: &Payloads,
    found: &mut Vec<String>,
) -> Result<()> {
    let mut bodies: BTreeMap<String, (BTreeSet<String>, usize)> = BTreeMap::new();
    let mut firsts: BTreeMap<String, i64> = BTreeMap::new();
    let usable = setup.key_life.map(fates::usable).map(|life| life + ON_THE_WAY);
    for line in attempts::all(stack)? {
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let key = text("key");
        let (several, count) = bodies.entry(key.clone()).or_default();
        *count += 1;
        let at = line["at"].as_i64().unwrap_or_default();
        let age = at - *firsts.entry(key.clone()).or_insert(at);
        if usable
            .is_some_and(|usable| i128::from(age) > i128::try_from(usable.as_micros()).unwrap_or(0))
        {
            let seconds = age / 1_000_000;
            found.push(format!("I6: {key} was asked for {seconds} s after its first request"));
        }
        let allowed = payloads.get(&key).map_or(1, BTreeSet::len);
        if several.insert(text("body_sha256")) && several.len() > allowed {
            let bodies = several.len();
            found.push(format!("I6: {key} was asked for with {bodies} bodies, and has {allowed}"));
        }
        if *count == ATTEMPTS_MAX + 1 {
            found.push(format!("I8: {key} was asked for over {ATTEMPTS_MAX} times"));
        }
    }
    Ok(())
}

fn bounds(watched: &Watched, found: &mut Vec<String>) {
    if watched.resident_max > RESIDENT_MAX {
        found.push(format!("I8: a processor held {:.0} bytes of memory", watched.resident_max));
    }
    if watched.in_flight_max > IN_FLIGHT_MAX {
        found.push(format!("I8: a processor had {:.0} calls on their way", watched.in_flight_max));
    }
}

/// Nothing is left in Redis, and the group stands at the end.
fn left_over(world: &World, found: &mut Vec<String>) -> Result<()> {
    let left = world.queued_in_all();
    if left != 0 {
        found.push(format!("I7: {left} entries are left in Redis"));
    }
    let (stack, partitions) = (&world.stack, world.stack.partitions());
    let ends = stack.kafka.end_offsets(TRANSACTIONS, partitions)?;
    let done = stack.kafka.group_offsets(GROUP, TRANSACTIONS, partitions)?;
    if ends != done {
        found.push(format!("I7: the topic ends at {ends:?}, the group stands at {done:?}"));
    }
    Ok(())
}

fn secrets(world: &World, records: &Records, found: &mut Vec<String>) -> Result<()> {
    for processor in &world.processors {
        let Ok(log) = fs::read(&processor.log) else { continue };
        let log = String::from_utf8_lossy(&log);
        if let Some(line) = log.lines().find(|line| line.contains(CANARY)) {
            found.push(format!("I9: {} logs a payment method: {line}", processor.name));
        }
        for line in log.lines().filter(|line| line.contains("panicked at")) {
            found.push(format!("{} panicked: {line}", processor.name));
        }
    }
    for record in records.outcomes[..2].iter().flatten().chain(&records.alerts) {
        let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
        if value.contains(CANARY) {
            found.push(format!("I9: an event carries a payment method: {value}"));
        }
    }
    Ok(())
}

fn json(record: &Record) -> Result<Value> {
    let value = record.value.as_deref().unwrap_or_default();
    serde_json::from_slice(value).map_err(|e| failed("read an event", e))
}
