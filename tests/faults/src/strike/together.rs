//! Faults of several servers together: a master goes and another takes over, and a slot moves. What a failover loses is
//! for the product to notice.

use super::{FATES, Fault, REDIS_LOSSES, Seen};
use crate::dice::Dice;
use crate::world::World;
use std::time::{Duration, Instant};
use tollbridge_rig::stack::{GROUP, TRANSACTIONS};
use tollbridge_rig::{Error, Redis, Result, Together};

const EFFECT_LIMIT: Duration = Duration::from_secs(20);

/// A master dies, stands still until another is one, or dies after its replicas have missed the last second.
pub const FAILOVER: Fault = Fault { name: "redis-failover", strike: fail_over };
/// The slot of a partition moves to another master, with its keys one by one.
pub const MOVE: Fault = Fault { name: "move-slot", strike: move_slot };

fn together(world: &World) -> Result<&Together> {
    world.stack.together.as_ref().ok_or_else(|| Error::new("Redis is one server here"))
}

fn key(partition: usize, name: &str) -> String {
    format!("{{tollbridge:{GROUP}:{TRANSACTIONS}:{partition}}}:{name}")
}

/// The partition whose master is struck.
fn any_partition(world: &World, dice: &mut Dice) -> usize {
    dice.below(usize::try_from(world.stack.partitions()).unwrap_or(1))
}

fn fail_over(world: &World, dice: &mut Dice) -> Result<Seen> {
    let key = key(any_partition(world, dice), "epoch");
    let (old, others): (&Redis, &[Redis]) = match together(world)? {
        Together::Sentinels(servers) => (servers.master()?, servers.servers()),
        Together::Cluster(servers) => (servers.owner(&key)?, servers.nodes()),
    };
    let replicas: Vec<&Redis> =
        others.iter().filter(|server| tollbridge_rig::sentinels::follows(server, old)).collect();
    let (losses, lost) = (world.counts(REDIS_LOSSES), world.queued_in_all());
    let start = Instant::now();
    let way = dice.below(3);
    match way {
        0 => old.kill(),
        1 => old.pause()?,
        _ => {
            // What has been sent would still be read when they go on: so the way to them is closed, too.
            replicas.iter().try_for_each(|replica| replica.pause())?;
            old.command(&["CLIENT", "KILL", "TYPE", "replica"])?;
            dice.pause(500, 1_000);
            old.kill();
            replicas.iter().try_for_each(|replica| replica.resume())?;
        }
    }
    match together(world)? {
        Together::Sentinels(servers) => servers.wait_other_master(old)?,
        Together::Cluster(servers) => servers.wait_other_owner(&key, old)?,
    };
    let took = start.elapsed();
    let fates = world.counts(FATES);
    let goes_on = world.grows(&fates, EFFECT_LIMIT);
    let back = if way == 2 { world.grows(&losses, EFFECT_LIMIT) } else { None };
    if way == 1 {
        old.resume()?;
    } else {
        old.restart()?;
    }
    match together(world)? {
        Together::Sentinels(servers) => servers.wait_whole()?,
        Together::Cluster(servers) => servers.wait_whole()?,
    }
    let how = ["died", "stood still", "died with what its replicas lacked"][way];
    let back = back.map_or(String::new(), |back| format!(", {back} put back or claimed anew"));
    let seen = goes_on.filter(|_| lost > 0).filter(|_| way != 2 || !back.is_empty());
    Ok(seen.map(|fates| {
        format!(
            "a master with {lost} entries beside it {how}; another was one after {took:.1?}{back}; {fates} fates since"
        )
    }))
}

fn move_slot(world: &World, dice: &mut Dice) -> Result<Seen> {
    let Together::Cluster(servers) = together(world)? else {
        return Err(Error::new("there are no slots here"));
    };
    let key = key(any_partition(world, dice), "epoch");
    let mut steps = 0;
    let new = servers.move_slot(&key, || {
        steps += 1;
        dice.pause(50, 700);
    })?;
    let slot = servers.slot(&key)?.to_string();
    let moved = new.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot])?.integer().unwrap_or(0);
    let fates = world.counts(FATES);
    let seen = world.grows(&fates, EFFECT_LIMIT).filter(|_| moved > 0 && steps > 1);
    Ok(seen.map(|fates| format!("slot {slot} moved with {moved} keys; {fates} fates since")))
}
