//! Faults of the gateway and of the way to it. What each answer says is scripted in the simulator besides.

use super::crossings::{end_all, start_all};
use super::{FATES, Fault, REQUESTS, Seen, UNCLEAR_CALLS, hold_some};
use crate::attempts;
use crate::dice::Dice;
use crate::world::{Counts, World};
use std::time::{Duration, Instant, SystemTime};
use tollbridge_rig::{Direction, Result};

const EFFECT_LIMIT: Duration = Duration::from_secs(8);
/// In which calls pile up that are not answered.
const GATHERING: Duration = Duration::from_millis(700);
const BACK_LIMIT: Duration = Duration::from_secs(40);
/// How old what a processor shows of its requests may be.
const SHOWN_LATE: Duration = Duration::from_secs(1);
/// For how long it is away the first time, in milliseconds.
const A_MINUTE: (u64, u64) = (40_000, 55_000);
const LONG: (u64, u64) = (600_000, 610_000);
/// What two processors may have begun, and each may still begin until it has met eight failures in a row.
const STORM_START: f64 = 1024.0;
/// Requests a second of both, beyond that.
const STORM_RATE: f64 = 20.0;

/// SIGKILL to the gateway, and a start on its ledger.
pub const KILL: Fault = Fault { name: "kill-gateway", strike: kill };
/// It decides, and no answer arrives in time or at all.
pub const SILENCE: Fault = Fault { name: "gateway-silent", strike: silence };
/// Requests arrive after their callers have given up.
pub const LATE: Fault = Fault { name: "requests-arrive-late", strike: late };

/// It is away, the first time for most of a minute; too many requests meanwhile are a finding. Every other time its
/// port takes connections and closes them, as a proxy does with nobody behind it.
pub const DOWN: Fault =
    Fault { name: "gateway-down", strike: |world, dice| down(world, dice, A_MINUTE) };
/// The same, the first time for ten minutes.
pub const DOWN_LONG: Fault =
    Fault { name: "gateway-down-for-ten-minutes", strike: |world, dice| down(world, dice, LONG) };
/// Its answers are lost, or nobody runs, until keys have run out.
pub const OUTLIVE: Fault = Fault { name: "outage-outlives-keys", strike: outlive };

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

fn down(world: &World, dice: &mut Dice, first: (u64, u64)) -> Result<Seen> {
    let link = &world.links().gateway;
    let before = world.counts(UNCLEAR_CALLS);
    let (requests, shown) = (world.counts(REQUESTS), SystemTime::now() - SHOWN_LATE);
    let turn = world.turn();
    let refuses = turn.is_multiple_of(2);
    let how = if refuses { "refused connections" } else { "closed connections" };
    let start = Instant::now();
    if refuses {
        link.vanish()
    } else {
        link.cut()
    }
    if turn == 0 {
        dice.pause(first.0, first.1)
    } else {
        dice.pause(10_000, 20_000)
    }
    let (away, asked) = (start.elapsed().as_secs_f64(), world.growth(&requests));
    // Those that the gateway took while it was there, but had not been shown yet, were not asked of one that is away.
    let taken = attempts::since(&world.stack, shown)?;
    let asked = (asked - f64::from(u32::try_from(taken).unwrap_or(u32::MAX))).max(0.0);
    if asked > STORM_START + STORM_RATE * away {
        let said = format!("I8: {asked} requests to a gateway that {how} for {away:.0} s");
        world.breach(said);
    }
    let fates = world.counts(FATES);
    link.pass();
    let start = Instant::now();
    let back = world.grows(&fates, BACK_LIMIT).map(|_| start.elapsed().as_secs_f64());
    let unclear = world.growth(&before);
    let seen =
        |back| format!("{how} for {away:.0} s, asked {asked} times; first fates after {back:.1} s");
    Ok(back.filter(|_| unclear > 0.0).map(seen))
}

fn outlive(world: &World, dice: &mut Dice) -> Result<Seen> {
    let life = world.setup.key_life.unwrap_or_default();
    let outage = life + dice.span(1_000, 4_000);
    if world.turn().is_multiple_of(2) {
        let link = &world.links().gateway;
        let held = hold_some(link, Direction::ToClient);
        std::thread::sleep(GATHERING);
        let in_flight = world.in_flight();
        std::thread::sleep(outage);
        link.sever();
        link.pass();
        let seen = || format!("{in_flight} calls were not answered for {outage:?}");
        return Ok((held && in_flight > 0).then(seen));
    }
    let link = &world.links().gateway;
    hold_some(link, Direction::ToClient);
    std::thread::sleep(GATHERING);
    let (victims, in_flight, queued) = end_all(world);
    link.sever();
    link.pass();
    std::thread::sleep(outage);
    start_all(world, &victims)?;
    let seen = || {
        format!("nobody ran for {outage:?}; {in_flight} calls were on their way, {queued} queued")
    };
    Ok((in_flight > 0).then(seen))
}
