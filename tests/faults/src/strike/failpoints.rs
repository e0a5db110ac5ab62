//! Faults at an exact call of a processor, which it is told at its start and carries out itself: it needs a build with
//! failpoints. Which call it is goes in turn, so that none is left out.

use super::processors::TAKE_OVER_LIMIT;
use super::{Fault, Seen};
use crate::dice::Dice;
use crate::world::{RESIDENTS, World, holds_within};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use tollbridge_rig::{Processor, Result};

/// From the start of a process until it has come to its point.
const REACH_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How often guests come and go while calls of one kind wait.
const ROUNDS: usize = 2;
const VARIABLE: &str = "TOLLBRIDGE_FAILPOINT";
const KILLED: i32 = 9;

/// It dies before a drawn call leaves, or before its answer is known, and is started again.
pub const DIE: Fault = Fault { name: "die-at-a-failpoint", strike: die };
/// Calls of one kind wait for seconds, while two others join and leave.
pub const WAIT: Fault = Fault { name: "wait-at-a-failpoint", strike: wait };

/// The calls, and how many of each a life can be expected to make within seconds under load. `add_sources` is not among
/// them: it is made once in the life of a group.
const CALLS: [(&str, usize); 17] = [
    ("commit", 30),
    ("store", 20),
    ("charge", 300),
    ("admit", 30),
    ("settle", 30),
    ("remove", 20),
    ("membership", 30),
    ("ask", 30),
    ("mark", 3),
    ("lookup", 3),
    ("claim", 2),
    ("renew", 1),
    ("committed", 1),
    ("survey", 1),
    ("scan", 2),
    ("missing", 4),
    ("depths", 2),
];

/// Calls that may be waited for, of which every so many waits.
const HELD: [(&str, usize); 5] =
    [("charge", 40), ("store", 4), ("admit", 10), ("settle", 10), ("ask", 10)];

fn side(dice: &mut Dice) -> &'static str {
    if dice.once_in(2) { "before" } else { "after" }
}

/// How often this stands in its log, over all its lives.
fn told(processor: &Processor, what: &str) -> usize {
    let log = fs::read(&processor.log).unwrap_or_default();
    String::from_utf8_lossy(&log).lines().filter(|line| *line == what).count()
}

/// A resident: guests are taken away by those who invited them.
fn victim<'a>(world: &'a World, dice: &mut Dice) -> Option<&'a Processor> {
    let awake: Vec<_> =
        world.processors[..RESIDENTS].iter().filter(|p| p.pid().is_some()).collect();
    awake.get(dice.below(awake.len())).copied()
}

/// In order or at once.
fn end(victim: &Processor, dice: &mut Dice) {
    if dice.once_in(2) {
        victim.kill();
    } else {
        // How it ends under load is seen in its log.
        victim.terminate(STOP_LIMIT).ok();
    }
}

fn die(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let (call, often) = CALLS[world.turn() % CALLS.len()];
    let point = format!("{call}:{}:{}", side(dice), 1 + dice.below(often));
    let line = format!("dies at {point}");
    let before = told(victim, &line);
    end(victim, dice);
    victim.start_with(&[(VARIABLE, &point)])?;
    // The watch shall not start it again.
    let Some(process) = victim.take() else { return Ok(None) };
    let ended = process.wait(REACH_LIMIT);
    drop(process);
    if dice.once_in(6) {
        dice.pause(7_000, 9_000);
    } else {
        dice.pause(0, 1_000);
    }
    let by_signal = ended.is_ok_and(|status| status.signal() == Some(KILLED));
    let died = by_signal && told(victim, &line) > before;
    victim.start()?;
    holds_within(TAKE_OVER_LIMIT, || !world.owned(victim).is_empty());
    Ok(died.then(|| format!("{} died at {point}", victim.name)))
}

fn wait(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Some(victim) = victim(world, dice) else { return Ok(None) };
    let turn = world.turn();
    // Every second time it is the commit that waits, most of the time and for longer than a rebalance would take: that
    // then has to wait, too.
    let (point, span) = if turn.is_multiple_of(2) {
        (format!("commit:before:{}", 2 + dice.below(3)), dice.span(8_000, 11_000))
    } else {
        let (call, often) = HELD[turn / 2 % HELD.len()];
        (format!("{call}:{}:{often}", side(dice)), dice.span(500, 4_000))
    };
    let point = format!("{point}:{}ms", span.as_millis());
    let line = format!("waits at {point}");
    let before = told(victim, &line);
    end(victim, dice);
    victim.start_with(&[(VARIABLE, &point)])?;
    let owns = || !world.owned(victim).is_empty();
    holds_within(TAKE_OVER_LIMIT, || owns() && told(victim, &line) > before);
    let mut came = 0;
    for _ in 0..ROUNDS {
        came += visit(world, dice, span)?;
    }
    let waited = told(victim, &line) - before;
    end(victim, dice);
    victim.start()?;
    holds_within(TAKE_OVER_LIMIT, owns);
    let name = &victim.name;
    let seen = || format!("{name} waited {waited} times at {point}, {came} guests came and went");
    Ok((waited > 0 && came > 0).then(seen))
}

/// All guests come, so that each of the four has one partition, and go. They stay for so long that what waited when
/// they came is done while nobody comes or goes. How many of them owned anything.
fn visit(world: &World, dice: &mut Dice, stay: Duration) -> Result<usize> {
    let guests: Vec<_> = std::iter::from_fn(|| world.invite()).collect();
    guests.iter().try_for_each(|guest| guest.start())?;
    let owns = |guest: &&&Processor| !world.owned(guest).is_empty();
    holds_within(TAKE_OVER_LIMIT, || guests.iter().filter(owns).count() == guests.len());
    let came = guests.iter().filter(owns).count();
    std::thread::sleep(stay);
    for guest in guests {
        end(guest, dice);
        world.send_off(guest);
    }
    Ok(came)
}
