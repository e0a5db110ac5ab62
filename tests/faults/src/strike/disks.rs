//! Disks that are full for a while. Each service has a small one of its own, which a file of ours fills.

use super::{Fault, STORE_RETRIES, Seen};
use crate::dice::Dice;
use crate::world::{World, failed, holds_within};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollbridge_rig::{Error, Reply, Result, disk};

const EFFECT_LIMIT: Duration = Duration::from_secs(15);

/// The append-only file cannot be written; Redis refuses to write anything then.
pub const REDIS_FULL: Fault = Fault { name: "redis-disk-full", strike: redis_full };
/// The tables cannot grow.
pub const STORE_FULL: Fault = Fault { name: "store-disk-full", strike: store_full };

/// Fills the disk below this folder to its last byte.
fn fill(folder: Option<PathBuf>) -> Result<PathBuf> {
    disk::fill(&folder.ok_or_else(|| Error::new("the service to fill does not run"))?)
}

fn empty(filler: &Path) -> Result<()> {
    fs::remove_file(filler).map_err(|e| failed("make room on a disk", e))
}

fn redis_full(world: &World, dice: &mut Dice) -> Result<Seen> {
    let persistence = || match world.stack.redis.command(&["INFO", "persistence"]) {
        Ok(Reply::Bulk(text)) => String::from_utf8_lossy(&text).into_owned(),
        _ => String::new(),
    };
    let refuses = || persistence().contains("aof_last_write_status:err");
    let before = world.told_by_redis("errorstat_MISCONF");
    let filler = fill(world.stack.redis.disk_path())?;
    let full = holds_within(EFFECT_LIMIT, refuses);
    dice.pause(500, 4_000);
    let refused = world.told_by_redis("errorstat_MISCONF") - before;
    empty(&filler)?;
    let healed = holds_within(EFFECT_LIMIT, || !refuses());
    let seen = || format!("{refused} writes were refused until there was room again");
    Ok((full && healed && refused > 0).then(seen))
}

fn store_full(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(STORE_RETRIES);
    let postgres = world.stack.postgres.as_ref();
    let filler = fill(postgres.and_then(tollbridge_rig::Postgres::disk_path))?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    dice.pause(500, 4_000);
    empty(&filler)?;
    Ok(seen.map(|count| format!("no room for rows; {count} batches tried again")))
}
