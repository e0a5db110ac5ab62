//! Clocks of single processors: wall clocks that jump or drift, and monotonic ones that miss the time in which a host
//! was suspended. Ages must not follow either, and no partition may be taken over by one whose wall clock is far off.
//! Deliberately the host's own clocks are left alone.

use super::processors::SessionEnd;
use super::{Fault, Seen};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::world::{World, holds_within};
use std::time::{Duration, Instant};
use tollbridge_rig::{Processor, Result};

const BACK_LIMIT: Duration = Duration::from_secs(30);
/// Seconds. The margin of a key that lives for a day allows processes to be 36 minutes off where they take over.
const JUMPS: [i64; 8] = [3_600, -3_600, 86_400, -86_400, 600, -600, 30, -30];
/// Milliseconds.
const AHEAD: i64 = 1_800_000;
const DRIFT_STEPS: i64 = 200;
const DRIFT_STEP: Duration = Duration::from_millis(40);

/// Somewhere else at once, and back; some are killed and started meanwhile.
pub const JUMP: Fault = Fault { name: "clock-jumps", strike: jump };
/// 5 % too fast or too slow for eight seconds, then right again.
pub const DRIFT: Fault = Fault { name: "clock-drifts", strike: drift };

/// A processor is started with a clock that is ahead, within what is borne, and set right before it is ready.
pub const SET_BACK: Fault = Fault { name: "clock-set-back-at-start", strike: set_back };

/// A processor stands still until another has taken over, and its monotonic clock with it.
pub const SUSPEND: Fault = Fault { name: "host-suspended", strike: suspend };

fn one<'a>(world: &'a World, dice: &mut Dice) -> (&'a Processor, &'a Clock) {
    let at = dice.below(world.clocks.len());
    (&world.processors[at], &world.clocks[at])
}

fn seen(world: &World, clock: &Clock, before: i64, victim: &Processor) -> Result<Option<i64>> {
    clock.set(0)?;
    let back = holds_within(BACK_LIMIT, || !world.owned(victim).is_empty());
    let reads = clock.reads()? - before;
    Ok((back && reads > 0).then_some(reads))
}

fn jump(world: &World, dice: &mut Dice) -> Result<Seen> {
    let (victim, clock) = one(world, dice);
    let before = clock.reads()?;
    let seconds = JUMPS[world.turn() % JUMPS.len()];
    let ended = world.watched().ended.len();
    clock.set(seconds * 1_000)?;
    dice.pause(500, 3_000);
    let killed = dice.once_in(2);
    if killed {
        victim.kill();
        dice.pause(0, 500);
        victim.start()?;
        dice.pause(1_000, 4_000);
    }
    let reads = seen(world, clock, before, victim)?;
    let refused = world.watched().ended.len() - ended;
    let then = if killed { ", and it was killed meanwhile" } else { "" };
    let name = &victim.name;
    Ok(reads.map(|reads| {
        format!(
            "{name} was {seconds} s off, read {reads} times{then}; {refused} times a start was refused"
        )
    }))
}

fn set_back(world: &World, dice: &mut Dice) -> Result<Seen> {
    let (victim, clock) = one(world, dice);
    let before = clock.reads()?;
    victim.kill();
    clock.set(AHEAD)?;
    victim.start()?;
    dice.pause(100, 1_500);
    let reads = seen(world, clock, before, victim)?;
    let name = &victim.name;
    Ok(reads
        .map(|reads| format!("{name} was started ahead of time and set back, read {reads} times")))
}

fn drift(world: &World, dice: &mut Dice) -> Result<Seen> {
    let (victim, clock) = one(world, dice);
    let before = clock.reads()?;
    let fast = dice.once_in(2);
    // 2 ms in 40.
    for step in 1..=DRIFT_STEPS {
        clock.set(if fast { 2 * step } else { -2 * step })?;
        std::thread::sleep(DRIFT_STEP);
    }
    let reads = seen(world, clock, before, victim)?;
    let how = if fast { "fast" } else { "slow" };
    let name = &victim.name;
    Ok(reads.map(|reads| format!("{name} was 5 % too {how}, read {reads} times")))
}

fn suspend(world: &World, dice: &mut Dice) -> Result<Seen> {
    let (victim, clock) = one(world, dice);
    let Some(end) = SessionEnd::of(world, victim) else { return Ok(None) };
    let start = Instant::now();
    if world.freeze(victim).is_err() {
        return Ok(None);
    }
    let before = clock.reads()?;
    let seen = end.wait_until(world, dice, || clock.suspended(start.elapsed()))?;
    let (spell, reads) = (start.elapsed().as_secs_f64(), clock.reads()? - before);
    let seen = seen.filter(|_| reads > 0);
    Ok(seen.map(|seen| format!("{seen}; its clock missed {spell:.1} s")))
}
