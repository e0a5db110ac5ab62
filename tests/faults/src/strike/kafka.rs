//! Faults of the broker, and of the way to it.

use super::{Fault, KAFKA_TROUBLE, Seen};
use crate::dice::Dice;
use crate::world::{Counts, World};
use std::time::Duration;
use tollbridge_rig::{Direction, Result};

const EFFECT_LIMIT: Duration = Duration::from_secs(15);
/// Above the transaction timeout, until a producer is made anew.
const OVERTAKEN_LIMIT: Duration = Duration::from_secs(25);
/// Long enough for a broker on a busy machine.
const MARKERS_WRITTEN: Duration = Duration::from_millis(500);

/// Requests that have arrived are carried out, their answers are lost with the broker, which is killed and starts again
/// on its data.
pub const KILL: Fault = Fault { name: "kill-broker", strike: kill };
/// All connections are cut and none served, for a moment or for longer than the session.
pub const CUT: Fault = Fault { name: "cut-from-broker", strike: cut };
/// An orderly stop and a start.
pub const RESTART: Fault = Fault { name: "restart-broker", strike: restart };
/// What is on its way on present connections arrives after what is sent on new ones: requests of a transaction that was
/// given up, within a later one.
pub const OVERTAKE: Fault = Fault { name: "requests-are-overtaken", strike: overtake };
/// One direction is silent; what was held then arrives after all, or is lost with its connection.
pub const SILENCE: Fault = Fault { name: "broker-silent-one-way", strike: silence };

fn seen(world: &World, before: &Counts, what: &str) -> Seen {
    let count = world.grows(before, EFFECT_LIMIT)?;
    Some(format!("{what}: {count} unclear transactions, new producers and rebalances"))
}

/// A broker of 4.x that dies between the decision to commit and the markers that say so may drop the markers when it
/// comes back alone (KAFKA-20734). The transaction then hangs until an administrator ends it, whatever clients
/// do. So it is given the time to write them, and nothing new to begin: what processors send is held from here on.
fn let_markers_be_written(world: &World) {
    world.stack.kafka.proxy().hold(Direction::ToService);
    std::thread::sleep(MARKERS_WRITTEN);
}

/// Kills the broker, and all connections with it.
pub(crate) fn kill_at_rest(world: &World) {
    let_markers_be_written(world);
    world.stack.kafka.kill();
    let proxy = world.stack.kafka.proxy();
    proxy.sever();
    proxy.pass();
}

fn kill(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(KAFKA_TROUBLE);
    world.stack.kafka.proxy().hold(Direction::ToClient);
    dice.pause(0, 300);
    kill_at_rest(world);
    dice.pause(0, 3_000);
    world.stack.kafka.restart()?;
    Ok(seen(world, &before, "the broker was killed"))
}

fn cut(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(KAFKA_TROUBLE);
    world.stack.kafka.proxy().cut();
    if dice.once_in(3) {
        dice.pause(7_000, 9_000);
    } else {
        dice.pause(200, 3_000);
    }
    world.stack.kafka.proxy().pass();
    Ok(seen(world, &before, "cut from the broker"))
}

fn silence(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(KAFKA_TROUBLE);
    let proxy = world.stack.kafka.proxy();
    let to_client = dice.once_in(2);
    let direction = if to_client { Direction::ToClient } else { Direction::ToService };
    proxy.hold(direction);
    dice.pause(2_000, 9_000);
    let held = proxy.held_bytes(direction);
    let lost = dice.once_in(2);
    if lost {
        proxy.sever();
    }
    proxy.pass();
    let what = if to_client { "answers" } else { "requests" };
    let then = if lost { "were lost" } else { "came late" };
    Ok(seen(world, &before, &format!("{held} bytes of {what} {then}")))
}

fn restart(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(KAFKA_TROUBLE);
    let proxy = world.stack.kafka.proxy();
    // As where it is killed: one that is stopped in order may drop markers, too.
    let_markers_be_written(world);
    world.stack.kafka.stop()?;
    proxy.sever();
    proxy.pass();
    dice.pause(0, 3_000);
    world.stack.kafka.restart()?;
    Ok(seen(world, &before, "the broker was restarted"))
}

fn overtake(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(KAFKA_TROUBLE);
    let proxy = world.stack.kafka.proxy();
    proxy.strand(Direction::ToService);
    let trouble = world.grows(&before, OVERTAKEN_LIMIT);
    dice.pause(500, 4_000);
    let held = proxy.held_bytes(Direction::ToService);
    proxy.pass();
    let seen = |count| {
        format!(
            "{held} bytes came after {count} unclear transactions, new producers and rebalances"
        )
    };
    Ok(trouble.filter(|_| held > 0).map(seen))
}
