//! Faults of Redis. All that it holds may be lost at any instant: it is a cache of what Kafka and the owners know.

use super::{FULL_PAUSE, Fault, REDIS_LOSSES, Seen, lose_answers};
use crate::dice::Dice;
use crate::world::World;
use std::time::Duration;
use tollbridge_rig::{Direction, Error, Reply, Result};

const EFFECT_LIMIT: Duration = Duration::from_secs(15);

/// FLUSHALL.
pub const WIPE: Fault = Fault { name: "wipe-redis", strike: wipe };
/// SIGKILL to a server that keeps nothing on disk.
pub const KILL: Fault = Fault { name: "kill-redis", strike: kill };
/// A script was carried out, and its answer is lost.
pub const CUT: Fault = Fault { name: "cut-redis-mid-script", strike: cut };
/// It takes nothing new, then has room again.
pub const FULL: Fault = Fault { name: "redis-full", strike: full };
/// SIGSTOP for longer than an answer is waited for, then SIGCONT.
pub const FREEZE: Fault = Fault { name: "freeze-redis", strike: freeze };

/// Counts both queues and wipes all in one step, so that nothing can change in between.
const WIPING: &str = "local n = 0 \
    for _, queue in ipairs({'*:temp', '*:archive'}) do \
        for _, key in ipairs(redis.call('KEYS', queue)) do n = n + redis.call('HLEN', key) end \
    end \
    redis.call('FLUSHALL') return n";

fn wipe(world: &World, _: &mut Dice) -> Result<Seen> {
    let before = world.counts(REDIS_LOSSES);
    let lost = match world.stack.redis.command(&["EVAL", WIPING, "0"])? {
        Reply::Integer(count) => count,
        other => {
            return Err(Error::new(format!("Redis answered the wiping script with {other:?}")));
        }
    };
    let seen = world.grows(&before, EFFECT_LIMIT).filter(|_| lost > 0);
    Ok(seen.map(|back| format!("{lost} entries were wiped; {back} put back or claimed anew")))
}

fn kill(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(REDIS_LOSSES);
    let lost = world.queued_in_all();
    world.stack.redis.kill();
    dice.pause(0, 3_000);
    world.stack.redis.restart()?;
    let seen = world.grows(&before, EFFECT_LIMIT).filter(|_| lost > 0);
    Ok(seen.map(|back| format!("about {lost} entries died; {back} put back or claimed anew")))
}

fn cut(world: &World, dice: &mut Dice) -> Result<Seen> {
    let lost = lose_answers(&world.links().redis, dice, 400).filter(|lost| *lost > 0);
    Ok(lost.map(|lost| format!("{lost} bytes of answers were lost")))
}

fn full(world: &World, dice: &mut Dice) -> Result<Seen> {
    world.stack.redis.command(&["CONFIG", "SET", "maxmemory", "1"])?;
    let paused = world.shows(FULL_PAUSE, EFFECT_LIMIT);
    dice.pause(0, 3_000);
    world.stack.redis.command(&["CONFIG", "SET", "maxmemory", "0"])?;
    Ok(paused.then(|| "intake paused until there was room again".to_owned()))
}

fn freeze(world: &World, dice: &mut Dice) -> Result<Seen> {
    let link = &world.links().redis;
    let before = link.passed_bytes(Direction::ToService);
    world.stack.redis.pause()?;
    dice.pause(2_200, 6_000);
    let asked = link.passed_bytes(Direction::ToService) - before;
    world.stack.redis.resume()?;
    Ok((asked > 0).then(|| format!("{asked} bytes of requests waited for longer than allowed")))
}
