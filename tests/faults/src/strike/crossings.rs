//! Faults at the moment at which something is on its way between a processor and a service: held by the proxy until
//! the blow has fallen, then lost or delivered late. Which crossing is next goes in turn.

use super::processors::{SessionEnd, TAKE_OVER_LIMIT, victim};
use super::{Fault, Seen, hold_some};
use crate::dice::Dice;
use crate::world::{World, holds_within};
use tollbridge_rig::{Direction, Processor, Proxy, Result};

/// SIGKILL to all processors at once, and a start after a moment or after the session.
pub const KILL_ALL: Fault = Fault { name: "kill-all-at-a-crossing", strike: kill_all };
/// SIGSTOP until another has taken over, then SIGCONT.
pub const FREEZE: Fault = Fault { name: "freeze-at-a-crossing", strike: freeze };

/// What is held, as it is told of.
struct Crossing<'a> {
    what: &'static str,
    link: &'a Proxy,
    direction: Direction,
}

fn next(world: &World) -> Crossing<'_> {
    let (links, kafka) = (world.links(), world.stack.kafka.proxy());
    let (to, from) = (Direction::ToService, Direction::ToClient);
    let mut all = vec![
        ("a request to the gateway", &links.gateway, to),
        ("an answer of the gateway", &links.gateway, from),
        ("a request to Redis", &links.redis, to),
        ("an answer of Redis", &links.redis, from),
        ("a request to Kafka", kafka, to),
        ("an answer of Kafka", kafka, from),
    ];
    if world.stack.postgres.is_some() || world.stack.clickhouse.is_some() {
        all.push(("a request to the store", &links.store, to));
        all.push(("an answer of the store", &links.store, from));
    }
    let (what, link, direction) = all.swap_remove(world.turn() % all.len());
    Crossing { what, link, direction }
}

/// Whether what is held arrives after all.
fn let_go(link: &Proxy, dice: &mut Dice) -> &'static str {
    let late = dice.once_in(2);
    if !late {
        link.sever();
    }
    link.pass();
    if late { "came late" } else { "was lost" }
}

/// SIGKILL to all that are awake; who they were, and how many calls and entries they left.
pub(super) fn end_all(world: &World) -> (Vec<&Processor>, u64, i64) {
    let in_flight = world.in_flight();
    let victims = world.awake();
    // They stand still while the queues are counted, so that the count is that of their end.
    let victims: Vec<_> = victims.into_iter().filter(|p| world.freeze(p).is_ok()).collect();
    let queued = world.queued_in_all();
    for victim in &victims {
        victim.kill();
        world.thaw(victim).ok();
    }
    (victims, in_flight, queued)
}

/// Starts them, and waits until each owns something.
pub(super) fn start_all(world: &World, victims: &[&Processor]) -> Result<bool> {
    victims.iter().try_for_each(|victim| victim.start())?;
    let owns = |victim: &&Processor| !world.owned(victim).is_empty();
    Ok(holds_within(TAKE_OVER_LIMIT, || victims.iter().all(owns)))
}

fn kill_all(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Crossing { what, link, direction } = next(world);
    let held = hold_some(link, direction);
    dice.pause(0, 300);
    let (victims, in_flight, queued) = end_all(world);
    let then = let_go(link, dice);
    if dice.once_in(6) {
        dice.pause(7_000, 9_000);
    } else {
        dice.pause(0, 1_000);
    }
    let back = start_all(world, &victims)?;
    let after = if back { "" } else { ", not all back yet" };
    let seen = || format!("{what} {then}; {in_flight} calls on their way, {queued} queued{after}");
    Ok((held && (in_flight > 0 || queued > 0)).then(seen))
}

fn freeze(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let Some(end) = SessionEnd::of(world, victim) else { return Ok(None) };
    let Crossing { what, link, direction } = next(world);
    let held = hold_some(link, direction);
    dice.pause(0, 300);
    if world.freeze(victim).is_err() {
        link.pass();
        return Ok(None);
    }
    dice.pause(0, 300);
    let then = let_go(link, dice);
    let seen = end.wait(world, dice)?;
    Ok(seen.filter(|_| held).map(|seen| format!("{what} {then}; {seen}")))
}
