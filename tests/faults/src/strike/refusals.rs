//! What a Redis that runs may answer instead of working: read-only, busy, without our scripts, loading, or it evicts
//! what it should keep. Its own count of refusals tells that somebody met them.

use super::{Fault, REDIS_LOSSES, Seen};
use crate::dice::Dice;
use crate::world::{World, failed, holds_within};
use std::time::Duration;
use tollbridge_rig::{Direction, Result, redis};

const EFFECT_LIMIT: Duration = Duration::from_secs(15);
/// A script that writes nothing and never ends, so that it may be killed.
const ENDLESS: &str = "while true do end";

/// It becomes the replica of a server that does not exist, then a primary again, with all it had.
pub const READ_ONLY: Fault = Fault { name: "redis-read-only", strike: read_only };
/// A script of somebody else's runs for long.
pub const BUSY: Fault = Fault { name: "redis-busy", strike: busy };
/// It forgets all scripts.
pub const NO_SCRIPTS: Fault = Fault { name: "redis-forgets-scripts", strike: no_scripts };
/// Its policy becomes to evict, and its memory is full.
pub const EVICT: Fault = Fault { name: "redis-evicts", strike: evict };
/// SIGKILL to one that keeps a file; it loads the file slowly, and lacks the last second.
pub const LOADING: Fault = Fault { name: "redis-loads", strike: loading };

/// How often it has refused anything with this word.
fn refusals(world: &World, word: &str) -> i64 {
    world.told_by_redis(&format!("errorstat_{word}"))
}

fn read_only(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = refusals(world, "READONLY");
    world.stack.redis.command(&["REPLICAOF", "127.0.0.1", "1"])?;
    dice.pause(500, 4_000);
    world.stack.redis.command(&["REPLICAOF", "NO", "ONE"])?;
    let count = refusals(world, "READONLY") - before;
    Ok((count > 0).then(|| format!("{count} writes were refused")))
}

fn busy(world: &World, dice: &mut Dice) -> Result<Seen> {
    let server = &world.stack.redis;
    server.command(&["CONFIG", "SET", "busy-reply-threshold", "200"])?;
    let before = refusals(world, "BUSY");
    std::thread::scope(|scope| {
        // It is killed, which is an error.
        let endless =
            scope.spawn(|| redis::command(server.port(), 0, &["EVAL", ENDLESS, "0"]).is_err());
        dice.pause(500, 4_000);
        let killed = holds_within(EFFECT_LIMIT, || server.command(&["SCRIPT", "KILL"]).is_ok());
        let killed = killed && endless.join().unwrap_or(false);
        killed.then_some(()).ok_or_else(|| failed("end the endless script", "it goes on"))
    })?;
    let count = refusals(world, "BUSY") - before;
    Ok((count > 0).then(|| format!("{count} commands were refused")))
}

fn no_scripts(world: &World, _: &mut Dice) -> Result<Seen> {
    let before = refusals(world, "NOSCRIPT");
    world.stack.redis.command(&["SCRIPT", "FLUSH"])?;
    let missed = holds_within(EFFECT_LIMIT, || refusals(world, "NOSCRIPT") > before);
    Ok(missed.then(|| "scripts were missed and loaded again".to_owned()))
}

fn evict(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(REDIS_LOSSES);
    let evicted = world.told_by_redis("evicted_keys");
    let set = |name: &str, value: &str| world.stack.redis.command(&["CONFIG", "SET", name, value]);
    set("maxmemory-policy", "allkeys-lru")?;
    set("maxmemory", "1")?;
    dice.pause(100, 1_500);
    set("maxmemory", "0")?;
    set("maxmemory-policy", "noeviction")?;
    let evicted = world.told_by_redis("evicted_keys") - evicted;
    let seen = world.grows(&before, EFFECT_LIMIT).filter(|_| evicted > 0);
    Ok(seen.map(|back| format!("{evicted} keys were evicted; {back} put back or claimed anew")))
}

fn loading(world: &World, dice: &mut Dice) -> Result<Seen> {
    let link = &world.links().redis;
    let queued = world.queued_in_all();
    world.stack.redis.kill();
    dice.pause(0, 1_000);
    let before = link.passed_bytes(Direction::ToClient);
    world.stack.redis.restart()?;
    // What it says while it loads is that it does.
    let said = link.passed_bytes(Direction::ToClient) - before;
    let seen = || format!("{queued} entries before; {said} bytes of refusals while it loaded");
    Ok((queued > 0 && said > 0).then(seen))
}
