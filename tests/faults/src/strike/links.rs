//! Silence between the processors and Redis or PostgreSQL: connections stay, and nothing moves in one direction, or in
//! both.

use super::{Fault, Seen};
use crate::dice::Dice;
use tollbridge_rig::{Direction, Proxy, Result};

/// On the way to Redis.
pub const REDIS_SILENT: Fault =
    Fault { name: "redis-silent", strike: |world, dice| silence(&world.links().redis, dice) };
/// On the way to PostgreSQL.
pub const STORE_SILENT: Fault =
    Fault { name: "store-silent", strike: |world, dice| silence(&world.links().store, dice) };

fn silence(link: &Proxy, dice: &mut Dice) -> Result<Seen> {
    let all = [Direction::ToService, Direction::ToClient];
    let (directions, which) = match dice.below(3) {
        0 => (&all[..1], "requests"),
        1 => (&all[1..], "answers"),
        _ => (&all[..], "requests and answers"),
    };
    directions.iter().for_each(|direction| link.hold(*direction));
    dice.pause(1_500, 9_000);
    let held: u64 = directions.iter().map(|direction| link.held_bytes(*direction)).sum();
    let lost = dice.once_in(2);
    if lost {
        link.sever();
    }
    link.pass();
    let then = if lost { "were lost" } else { "came late" };
    Ok((held > 0).then(|| format!("{held} bytes of {which} {then}")))
}
