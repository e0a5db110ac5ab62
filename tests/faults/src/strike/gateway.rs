//! Faults of the gateway and of the way to it. What each answer says is scripted in the simulator besides.

use super::{Fault, Seen, UNCLEAR_CALLS, hold_some};
use crate::dice::Dice;
use crate::world::{Counts, World};
use std::time::Duration;
use tollbridge_rig::{Direction, Result};

const EFFECT_LIMIT: Duration = Duration::from_secs(8);

/// SIGKILL to the gateway, and a start on its ledger.
pub const KILL: Fault = Fault { name: "kill-gateway", strike: kill };
/// It decides, and no answer arrives in time or at all.
pub const SILENCE: Fault = Fault { name: "gateway-silent", strike: silence };
/// Requests arrive after their callers have given up.
pub const LATE: Fault = Fault { name: "requests-arrive-late", strike: late };

fn seen(world: &World, before: &Counts, what: &str) -> Seen {
    let count = world.grows(before, EFFECT_LIMIT)?;
    Some(format!("{what}: {count} calls unclear or not sent"))
}

fn kill(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(UNCLEAR_CALLS);
    world.stack.kill_simulator();
    dice.pause(0, 3_000);
    world.stack.start_simulator()?;
    Ok(seen(world, &before, "the gateway was killed"))
}

fn silence(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(UNCLEAR_CALLS);
    let link = &world.links().gateway;
    hold_some(link, Direction::ToClient);
    dice.pause(0, 4_000);
    link.sever();
    link.pass();
    Ok(seen(world, &before, "answers were lost"))
}

fn late(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(UNCLEAR_CALLS);
    let link = &world.links().gateway;
    hold_some(link, Direction::ToService);
    dice.pause(1_100, 3_500);
    link.pass();
    Ok(seen(world, &before, "requests came late"))
}
