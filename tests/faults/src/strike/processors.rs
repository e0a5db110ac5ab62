//! Faults of the processors themselves: killed, frozen, and too many of them coming and going.

use super::{Fault, REBALANCES, Seen};
use crate::dice::Dice;
use crate::world::{World, holds_within};
use std::collections::BTreeSet;
use std::time::Duration;
use tollbridge_rig::{Error, Processor, Result};

/// Above the session timeout, with time for the others to join again.
pub(super) const TAKE_OVER_LIMIT: Duration = Duration::from_secs(30);
const REBALANCE_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// SIGKILL at any instant, and a start after a moment or after the session.
pub const KILL: Fault = Fault { name: "kill-processor", strike: kill };
/// SIGSTOP until another has taken over, then SIGCONT.
pub const FREEZE: Fault = Fault { name: "freeze-past-session", strike: freeze };
/// A guest joins and leaves.
pub const JOIN_AND_LEAVE: Fault = Fault { name: "join-and-leave", strike: join_and_leave };

/// SIGTERM, and a start with the binary of an earlier commit, or with the present one again.
pub const CHANGE_VERSION: Fault = Fault { name: "change-version", strike: change_version };

/// One that is awake, as the dice say.
pub(super) fn victim<'a>(world: &'a World, dice: &mut Dice) -> Option<&'a Processor> {
    let awake = world.awake();
    awake.get(dice.below(awake.len())).copied()
}

fn kill(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let in_flight = victim.in_flight();
    let owned = world.owned(victim);
    // It stands still while its queues are counted, so that the count is that of its end.
    if world.freeze(victim).is_err() {
        return Ok(None);
    }
    let queued = world.queued(&owned);
    victim.kill();
    world.thaw(victim).ok();
    if dice.once_in(3) {
        dice.pause(7_000, 9_000);
    } else {
        dice.pause(0, 1_500);
    }
    victim.start()?;
    let name = &victim.name;
    let back = holds_within(TAKE_OVER_LIMIT, || !world.owned(victim).is_empty());
    let live = in_flight > 0 || queued > 0;
    let after = if back { "" } else { ", not back yet" };
    let seen = || format!("{name}: {in_flight} calls on their way, {queued} queued{after}");
    Ok(live.then(seen))
}

/// One that is about to stand still until another has taken over.
pub(super) struct SessionEnd<'a> {
    victim: &'a Processor,
    owned: BTreeSet<i64>,
    in_flight: u64,
    queued: i64,
}

impl<'a> SessionEnd<'a> {
    /// Nothing where nobody is there to take over.
    pub(super) fn of(world: &World, victim: &'a Processor) -> Option<Self> {
        let owned: Vec<i64> = world.owned(victim);
        let (in_flight, queued) = (victim.in_flight(), world.queued(&owned));
        let owned = owned.into_iter().collect();
        (world.awake().len() > 1).then_some(Self { victim, owned, in_flight, queued })
    }

    /// From its freezing to its return.
    pub(super) fn wait(self, world: &World, dice: &mut Dice) -> Result<Seen> {
        self.wait_until(world, dice, || Ok(()))
    }

    /// The same, with something that happens right before its return.
    pub(super) fn wait_until(
        self,
        world: &World,
        dice: &mut Dice,
        returns: impl FnOnce() -> Result<()>,
    ) -> Result<Seen> {
        let Self { victim, owned, in_flight, queued } = self;
        let taken_over = holds_within(TAKE_OVER_LIMIT, || {
            let others: BTreeSet<i64> =
                world.awake().into_iter().flat_map(|p| world.owned(p)).collect();
            owned.is_subset(&others)
        });
        dice.pause(0, 2_000);
        let returned = returns();
        let thawed = world.thaw(victim);
        returned?;
        if thawed.is_err() && victim.pid().is_none() {
            // Another lane has taken it away meanwhile: a guest that left, a resident that was killed.
            return Ok(None);
        }
        thawed?;
        holds_within(TAKE_OVER_LIMIT, || !world.owned(victim).is_empty());
        let live = !owned.is_empty() && (in_flight > 0 || queued > 0);
        let name = &victim.name;
        let seen = || format!("{name}: {in_flight} calls and {queued} entries passed to another");
        Ok((live && taken_over).then(seen))
    }
}

fn freeze(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let Some(end) = SessionEnd::of(world, victim) else { return Ok(None) };
    if world.freeze(victim).is_err() {
        return Ok(None);
    }
    end.wait(world, dice)
}

fn join_and_leave(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(guest) = world.invite() else { return Ok(None) };
    let before = world.counts(REBALANCES);
    guest.start()?;
    let joined = holds_within(REBALANCE_LIMIT, || !world.owned(guest).is_empty());
    dice.pause(0, 2_000);
    let killed = dice.once_in(2);
    if killed {
        guest.kill();
    } else {
        // How it ends under load is seen in its log; that nothing is lost by it, at the end.
        guest.terminate(STOP_LIMIT).ok();
    }
    world.send_off(guest);
    let how = if killed { "was killed" } else { "left" };
    dice.pause(0, 1_500);
    let seen = world.grows(&before, REBALANCE_LIMIT);
    let seen = seen.filter(|_| joined);
    Ok(seen.map(|count| format!("{} came and {how}: {count} rebalances", guest.name)))
}

fn change_version(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.before.as_deref();
    let before = before.ok_or_else(|| Error::new("TOLLBRIDGE_BEFORE names no earlier binary"))?;
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let owned = world.owned(victim);
    let (in_flight, queued) = (victim.in_flight(), world.queued(&owned));
    victim.terminate(STOP_LIMIT)?;
    let earlier = dice.once_in(2);
    if earlier {
        victim.start_as(before)?;
    } else {
        victim.start()?;
    }
    let back = holds_within(TAKE_OVER_LIMIT, || !world.owned(victim).is_empty());
    let live = in_flight > 0 || queued > 0;
    let which = if earlier { "the earlier" } else { "the present" };
    let name = &victim.name;
    let seen = || format!("{name} goes on as {which} version with {queued} entries");
    Ok((live && back).then(seen))
}
