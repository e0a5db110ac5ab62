//! Processors that are told to end under load, and one whose name another takes.

use super::processors::{TAKE_OVER_LIMIT, victim};
use super::{Fault, Seen};
use crate::dice::Dice;
use crate::world::{World, holds_within};
use std::time::{Duration, Instant};
use tollbridge_rig::process::Signal;
use tollbridge_rig::{Process, Result};

const STOP_LIMIT: Duration = Duration::from_secs(60);
/// `shutdown.timeout` as it is by default, and what a busy machine adds.
const ORDERLY_MAX: Duration = Duration::from_secs(23);
const AT_ONCE_MAX: Duration = Duration::from_secs(3);
/// What a shell says of a process that SIGTERM has ended.
const TERMINATED: i32 = 143;

/// SIGTERM, in half of all cases a second one, and a start.
pub const TERMINATE: Fault = Fault { name: "terminate-processor", strike: terminate };
/// A second process under the same name, and its end.
pub const TWIN: Fault = Fault { name: "twin-comes-and-goes", strike: twin };

fn terminate(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let owned = world.owned(victim);
    let (in_flight, queued) = (victim.in_flight(), world.queued(&owned));
    let Some(process) = victim.take() else { return Ok(None) };
    let twice = dice.once_in(2);
    let ended = if twice { end_twice(&process, dice)? } else { end_once(&process)? };
    if let Some(wrong) = ended.1 {
        world.breach(format!("I7: {}: {wrong}", victim.name));
    }
    drop(process);
    dice.pause(0, 1_000);
    victim.start()?;
    let back = holds_within(TAKE_OVER_LIMIT, || !world.owned(victim).is_empty());
    let (name, how) = (&victim.name, ended.0);
    let seen =
        || format!("{name} ended {how}; {in_flight} calls were on their way, {queued} queued");
    Ok((back && (in_flight > 0 || queued > 0)).then(seen))
}

/// How it ended, and what was wrong with that.
type End = (String, Option<String>);

fn end_once(process: &Process) -> Result<End> {
    let start = Instant::now();
    let status = process.terminate(STOP_LIMIT)?;
    let took = start.elapsed();
    let wrong = (!status.success() || took > ORDERLY_MAX)
        .then(|| format!("told to end, it ended with {status} after {took:?}"));
    Ok((format!("in order within {:.1} s", took.as_secs_f64()), wrong))
}

fn end_twice(process: &Process, dice: &mut Dice) -> Result<End> {
    process.signal(Signal::TERM)?;
    dice.pause(5, 300);
    let start = Instant::now();
    // It may have ended in order meanwhile.
    let second = process.signal(Signal::TERM).is_ok();
    let status = process.wait(STOP_LIMIT)?;
    let took = start.elapsed();
    let ended = [Some(0), Some(TERMINATED)].contains(&status.code());
    let wrong = (!ended || took > AT_ONCE_MAX)
        .then(|| format!("told to end twice, it ended with {status} after {took:?}"));
    let how = if second { "at once" } else { "before the second signal" };
    Ok((format!("{how}, {status}"), wrong))
}

fn twin(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(twin) = world.invite() else { return Ok(None) };
    let ended = world.watched().ended.len();
    twin.start()?;
    let owns = holds_within(TAKE_OVER_LIMIT, || !world.owned(twin).is_empty());
    dice.pause(0, 3_000);
    let in_flight = twin.in_flight();
    if dice.once_in(2) {
        twin.kill();
    } else {
        twin.terminate(STOP_LIMIT).ok();
    }
    world.send_off(twin);
    let settled = world.settles();
    let fenced = world.watched().ended.len() - ended;
    let after = if settled { "" } else { ", not settled yet" };
    let seen = || format!("a twin worked with {in_flight} calls; {fenced} were fenced{after}");
    Ok((owns || fenced > 0).then(seen))
}
