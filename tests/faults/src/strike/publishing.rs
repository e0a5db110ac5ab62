//! A producer that publishes again what it published long ago.

use super::{DUPLICATES, Fault, Seen};
use crate::dice::Dice;
use crate::world::World;
use std::time::Duration;
use tollbridge_rig::Result;

const PUBLISH_LIMIT: Duration = Duration::from_secs(30);
const EFFECT_LIMIT: Duration = Duration::from_secs(20);
/// Until the first of a run are charged.
const CHARGED: Duration = Duration::from_secs(4);

/// The first of the run once more, when their keys have run out.
pub const AGAIN: Fault = Fault { name: "publish-again", strike: again };

fn again(world: &World, dice: &mut Dice) -> Result<Seen> {
    std::thread::sleep(world.setup.key_life.unwrap_or_default() + CHARGED);
    let before = world.counts(DUPLICATES);
    let count = 100 + dice.below(100);
    let brokers = format!("kafka.brokers={}", world.stack.kafka.bootstrap());
    // The same seed gives the same records.
    let command = world.stack.command("generate", &world.stack.file("setup.toml"));
    command
        .args(["--set", &brokers, "--count", &count.to_string()])
        .args(["--seed", &world.seed.to_string(), "--mix", world.setup.mix])
        .log(world.stack.file("generate-again.log"))
        .run(PUBLISH_LIMIT)?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    Ok(seen.map(|_| format!("{count} records were published again")))
}
