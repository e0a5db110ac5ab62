//! Source records that are gone before they were finished: the topic is deleted and made anew under a running group,
//! or retention passes the watermark. Each must be told of partition by partition, and nothing else may be skipped;
//! what is remembered here lets the oracle ([`crate::gone`]) tell the ones from the others. These faults produce what
//! they need themselves, and do what `docs/operating.md` asks of an operator.

use super::{Fault, Seen, hold_some};
use crate::dice::Dice;
use crate::gone::ids;
use crate::world::{World, failed, holds_within};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::stack::{GROUP, TRANSACTIONS, backlog};
use tollbridge_rig::{Direction, Error, Processor, Result};

const TOLD_LIMIT: Duration = Duration::from_secs(40);
const WORK_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// A restarted group that has not been told to wait works this soon.
const GOES_ON_LIMIT: Duration = Duration::from_secs(15);
const ACCEPT: [&str; 1] = ["--accept-offset-reset"];

/// The topic is deleted and made anew with fewer records than it had.
pub const REMADE: Fault =
    Fault { name: "topic-made-anew", strike: |world, dice| remade(world, dice, "40") };
/// The same, with more records than it had, and a restart before anybody acts.
pub const REMADE_LONGER: Fault =
    Fault { name: "topic-made-anew-longer", strike: |world, dice| remade(world, dice, "2000") };
/// Records below a point above the watermark are deleted, while processors hold them or are down.
pub const OUTRUN: Fault = Fault { name: "retention-passes-watermark", strike: outrun };

/// Work that is done, and some that has begun and gets no answer until [`tollbridge_rig::Proxy::pass`].
fn some_unfinished(world: &World, dice: &mut Dice) -> Result<()> {
    world.burst("300")?;
    worked_off(world)?;
    hold_some(&world.links().gateway, Direction::ToClient);
    world.burst("120")?;
    holds_within(WORK_LIMIT, || world.in_flight() > 0);
    dice.pause(300, 1_500);
    Ok(())
}

fn worked_off(world: &World) -> Result<()> {
    let none = || backlog(&world.stack).is_ok_and(|left| left.iter().all(|left| *left == 0));
    match holds_within(WORK_LIMIT, none) {
        true => Ok(()),
        false => Err(failed("work off what a fault needs", format!("{:?}", backlog(&world.stack)))),
    }
}

/// Partitions of which a log has said since then that they are refused or can't be read on.
pub(super) fn told(world: &World, since: &BTreeMap<String, usize>) -> BTreeSet<i32> {
    let mut told = BTreeSet::new();
    for processor in &world.processors {
        let log = fs::read(&processor.log).unwrap_or_default();
        let from = since.get(&processor.name).copied().unwrap_or(0).min(log.len());
        let log = String::from_utf8_lossy(&log[from..]).into_owned();
        let bad = |line: &&str| line.contains("refused: ") || line.contains("can't be read on: ");
        let partition = |line: &str| line.rsplit("partition=").next()?.trim().parse::<i32>().ok();
        told.extend(log.lines().filter(bad).filter_map(partition));
    }
    told
}

/// How long each log is.
pub(super) fn lengths(world: &World) -> BTreeMap<String, usize> {
    let length = |p: &Processor| fs::read(&p.log).map_or(0, |log| log.len());
    world.processors.iter().map(|p| (p.name.clone(), length(p))).collect()
}

fn all(world: &World) -> BTreeSet<i32> {
    (0..world.stack.partitions().cast_signed()).collect()
}

/// Ends all in order; how one ended that did not end well is a finding.
pub(super) fn stop_all(world: &World) {
    for finding in world.stop(STOP_LIMIT) {
        world.breach(finding);
    }
}

/// Starts all, with these arguments beside the usual ones.
pub(super) fn start_all(world: &World, args: &[&str]) -> Result<()> {
    world.processors.iter().try_for_each(|p| p.start_told(args))
}

/// What an operator does, once: the reset is accepted, all is worked off, and processors run as before. `passed`: the
/// offset up to which the topic had records before, in its longest partition.
fn accept(world: &World, passed: i64) -> Result<()> {
    start_all(world, &ACCEPT)?;
    if !world.settles() {
        return Err(Error::new("the processors did not share the partitions after the reset"));
    }
    worked_off(world)?;
    // Past the offsets that the topic had before: whatever is left of those comes to light.
    let ends = world.stack.kafka.end_offsets(TRANSACTIONS, world.stack.partitions())?;
    let short = passed - ends.iter().min().copied().unwrap_or(0);
    // Keys do not fall evenly.
    let more = short.max(0) * i64::from(world.stack.partitions()) * 5 / 4;
    world.burst(&more.max(900).to_string())?;
    worked_off(world)?;
    stop_all(world);
    start_all(world, &[])?;
    match world.settles() {
        true => Ok(()),
        false => Err(Error::new("the processors did not share the partitions again")),
    }
}

fn charged(world: &World) -> BTreeSet<String> {
    let ledger = fs::read_to_string(world.stack.ledger()).unwrap_or_default();
    let id = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["transaction_id"].as_str()?.to_owned())
    };
    ledger.lines().filter_map(id).collect()
}

fn remade(world: &World, dice: &mut Dice, anew: &str) -> Result<Seen> {
    let kafka = &world.stack.kafka;
    some_unfinished(world, dice)?;
    let before = lengths(world);
    let done = kafka.group_offsets(GROUP, TRANSACTIONS, world.stack.partitions())?;
    let old = kafka.read_committed(TRANSACTIONS)?;
    let before_it = old.iter().map(|record| record.offset + 1).max().unwrap_or(0);
    kafka.delete_topic(TRANSACTIONS)?;
    dice.pause(0, 3_000);
    // It is refused for as long as the old one is still being deleted.
    let made = || {
        let made = kafka.create_topic(TRANSACTIONS, world.stack.partitions());
        made.is_ok() && kafka.end_offsets(TRANSACTIONS, world.stack.partitions()).is_ok()
    };
    if !holds_within(WORK_LIMIT, made) {
        return Err(Error::new("the topic could not be made anew"));
    }
    world.burst(anew)?;
    world.links().gateway.pass();
    let unfinished = |r: &&Record| {
        usize::try_from(r.partition).ok().and_then(|p| done.get(p)).is_none_or(|d| r.offset >= *d)
    };
    let left: Vec<Record> = old.iter().filter(unfinished).cloned().collect();
    world.remember(|gone| gone.vanish(&old, &left));

    let all = all(world);
    let all_told = holds_within(TOLD_LIMIT, || told(world, &before) == all);
    if !all_told {
        let said = told(world, &before);
        world.breach(format!("I3: the topic was made anew, and only {said:?} were told of"));
    }
    dice.pause(0, 2_000);
    // What an owner read of the new topic before it was told is worked off.
    let early = charged_of_new(world)?;
    world.remember(|gone| gone.early.extend(early.iter().cloned()));
    stop_all(world);
    if dice.once_in(2) || anew != "40" {
        let before = lengths(world);
        start_all(world, &[])?;
        if !holds_within(GOES_ON_LIMIT, || told(world, &before) == all) {
            world.breach("I3: after a restart, not all partitions were told of".to_owned());
        }
        for id in charged_of_new(world)?.difference(&early) {
            world.breach(format!("I3: after a restart, {id} of the new topic was charged"));
        }
        stop_all(world);
    }
    if dice.once_in(2) {
        // Nameless members are gone at once.
        holds_within(WORK_LIMIT, || kafka.delete_group(GROUP).is_ok());
    }
    accept(world, before_it)?;
    let seen = || format!("{} unfinished went with the topic", left.len());
    Ok((all_told && !left.is_empty()).then(seen))
}

/// Waits until no more is charged of the topic that there is, and names what was.
fn charged_of_new(world: &World) -> Result<BTreeSet<String>> {
    let now = world.stack.kafka.read_committed(TRANSACTIONS)?;
    let all: BTreeSet<String> = ids(&now).map(|(_, id)| id).collect();
    let mut before = usize::MAX;
    let is_over = holds_within(WORK_LIMIT, || {
        std::thread::sleep(Duration::from_secs(1));
        before == std::mem::replace(&mut before, charged(world).len())
    });
    if !is_over {
        world.breach("I3: a topic that was made anew is worked on".to_owned());
    }
    Ok(charged(world).intersection(&all).cloned().collect())
}

fn outrun(world: &World, dice: &mut Dice) -> Result<Seen> {
    let (kafka, partitions) = (&world.stack.kafka, world.stack.partitions());
    some_unfinished(world, dice)?;
    let before = lengths(world);
    let down = world.turn().is_multiple_of(2);
    if down {
        world.processors.iter().for_each(Processor::kill);
    }
    let done = kafka.group_offsets(GROUP, TRANSACTIONS, partitions)?;
    let ends = kafka.end_offsets(TRANSACTIONS, partitions)?;
    let old = kafka.read_committed(TRANSACTIONS)?;
    let below: Vec<i64> = ends.iter().map(|end| end - 10).collect();
    let low = kafka.delete_records(TRANSACTIONS, &below)?;
    world.links().gateway.pass();
    let at = |offsets: &[i64], r: &Record| {
        usize::try_from(r.partition).ok().and_then(|p| offsets.get(p)).copied().unwrap_or(0)
    };
    let gone = |r: &&Record| down && r.offset >= at(&done, r) && r.offset < at(&low, r);
    let left = old.iter().filter(|r| r.offset >= at(&done, r)).count();
    let lost: Vec<Record> = old.iter().filter(gone).cloned().collect();
    world.remember(|gone| gone.vanish(&old, &lost));
    if !down {
        // They hold what is gone in memory: nothing is lost.
        worked_off(world)?;
        return Ok((left > 0).then(|| format!("{left} unfinished were finished from memory")));
    }
    start_all(world, &[])?;
    let behind: BTreeSet<i32> = lost.iter().map(|record| record.partition).collect();
    let all_told = holds_within(TOLD_LIMIT, || told(world, &before).is_superset(&behind));
    if !all_told {
        let said = told(world, &before);
        world.breach(format!("I3: retention passed {behind:?}, and only {said:?} were told of"));
    }
    dice.pause(0, 2_000);
    stop_all(world);
    accept(world, 0)?;
    let seen = || format!("{} unfinished were deleted; {behind:?} refused", lost.len());
    Ok((all_told && !lost.is_empty()).then(seen))
}
