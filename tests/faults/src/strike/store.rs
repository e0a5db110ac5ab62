//! Faults of a store that is a server: killed, or cut off, with commits whose answers never arrive.

use super::{Fault, STORE_RETRIES, Seen, hold_some, lose_answers};
use crate::dice::Dice;
use crate::world::{World, holds_within};
use std::time::Duration;
use tollbridge_rig::{Direction, Error, Postgres, Result};

const EFFECT_LIMIT: Duration = Duration::from_secs(15);

/// SIGKILL to PostgreSQL and its sessions while answers are on their way, and a start on its data.
pub const KILL: Fault = Fault { name: "kill-postgres-in-commit", strike: kill };
/// SIGKILL to ClickHouse's engine while answers are on their way, and a start on its data.
pub const KILL_CLICKHOUSE: Fault = Fault { name: "kill-clickhouse", strike: kill_clickhouse };
/// Commits are carried out, and their answers lost.
pub const CUT: Fault = Fault { name: "cut-store-unknown-commit", strike: cut };
/// SIGSTOP for longer than an answer is waited for, then SIGCONT: what had begun may still be committed.
pub const FREEZE: Fault = Fault { name: "freeze-postgres", strike: freeze };
/// Every answer comes late.
pub const SLOW: Fault = Fault { name: "store-slow", strike: slow };
/// Somebody else holds the table.
pub const LOCK: Fault = Fault { name: "store-locked", strike: lock };
/// An orderly stop that ends open sessions, and a start.
pub const RESTART: Fault = Fault { name: "restart-postgres", strike: restart };
/// It takes no rows, then takes them again.
pub const READ_ONLY: Fault = Fault { name: "store-read-only", strike: read_only };

fn postgres(world: &World) -> Result<&Postgres> {
    world.stack.postgres.as_ref().ok_or_else(|| Error::new("this store is no server"))
}

fn kill(world: &World, dice: &mut Dice) -> Result<Seen> {
    let postgres = postgres(world)?;
    let before = world.counts(STORE_RETRIES);
    let link = &world.links().store;
    hold_some(link, Direction::ToClient);
    dice.pause(0, 300);
    postgres.kill();
    link.sever();
    link.pass();
    dice.pause(0, 3_000);
    postgres.restart()?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    Ok(seen.map(|count| format!("PostgreSQL was killed; {count} batches tried again")))
}

fn kill_clickhouse(world: &World, dice: &mut Dice) -> Result<Seen> {
    let clickhouse = world.stack.clickhouse.as_ref();
    let clickhouse = clickhouse.ok_or_else(|| Error::new("this store is not ClickHouse"))?;
    let before = world.counts(STORE_RETRIES);
    let link = &world.links().store;
    hold_some(link, Direction::ToClient);
    dice.pause(0, 300);
    clickhouse.kill();
    link.sever();
    link.pass();
    dice.pause(0, 3_000);
    clickhouse.restart()?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    Ok(seen.map(|count| format!("ClickHouse was killed; {count} batches tried again")))
}

fn cut(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(STORE_RETRIES);
    let lost = lose_answers(&world.links().store, dice, 500);
    let seen = lost.zip(world.grows(&before, EFFECT_LIMIT));
    Ok(seen
        .map(|(lost, count)| format!("{lost} bytes of answers lost; {count} batches tried again")))
}

fn freeze(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(STORE_RETRIES);
    let postgres = postgres(world)?;
    postgres.pause()?;
    dice.pause(5_500, 9_000);
    postgres.resume()?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    Ok(seen.map(|count| format!("PostgreSQL stood still; {count} batches tried again")))
}

fn read_only(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(STORE_RETRIES);
    let postgres = postgres(world)?;
    let set = |value: &str| {
        postgres.psql(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"))?;
        postgres.psql("SELECT pg_reload_conf()")
    };
    set("on")?;
    dice.pause(500, 4_000);
    set("off")?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    Ok(seen.map(|count| format!("PostgreSQL took no rows; {count} batches tried again")))
}

fn slow(world: &World, dice: &mut Dice) -> Result<Seen> {
    let link = &world.links().store;
    let before = link.passed_bytes(Direction::ToClient);
    link.delay(Direction::ToClient, dice.span(200, 1_500));
    dice.pause(3_000, 9_000);
    link.pass();
    let late = link.passed_bytes(Direction::ToClient) - before;
    Ok((late > 0).then(|| format!("{late} bytes of answers came late")))
}

fn lock(world: &World, dice: &mut Dice) -> Result<Seen> {
    let postgres = postgres(world)?;
    let seconds = dice.span(1_000, 9_000).as_secs_f64();
    let hold = format!(
        "BEGIN; LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds:.1}); COMMIT"
    );
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    std::thread::scope(|scope| {
        let held = scope.spawn(|| postgres.psql(&hold));
        let limit = Duration::from_secs_f64(seconds);
        let waited =
            holds_within(limit, || postgres.psql(waiting).is_ok_and(|count| count.trim() != "0"));
        held.join().map_err(|_| Error::new("the one who holds the table panicked"))??;
        Ok(waited.then(|| format!("the table was held for {seconds:.1} s, and others waited")))
    })
}

fn restart(world: &World, dice: &mut Dice) -> Result<Seen> {
    let before = world.counts(STORE_RETRIES);
    let postgres = postgres(world)?;
    postgres.stop()?;
    dice.pause(0, 3_000);
    postgres.restart()?;
    let seen = world.grows(&before, EFFECT_LIMIT);
    Ok(seen.map(|count| format!("PostgreSQL was restarted; {count} batches tried again")))
}
