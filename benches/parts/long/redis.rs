//! A Redis without room for what waits while the store stands still, again and again for many minutes.

use std::time::Duration;

use tollbridge_rig::{Error, Result};

use super::{Course, Verdicts, watch};

const RATE: u32 = 2_000;
/// Beyond what an empty one uses: for some twenty thousand entries, of 150 bytes.
const ROOM: u64 = 3 << 20;
/// The store stands still for one of each two.
const TURN: Duration = Duration::from_secs(30);

pub fn full(lasting: Duration) -> Result<()> {
    // Charging goes on while the store stands still, so that what is approved piles up.
    let more = [
        ("charge", "ask_store", "\"when_available\""),
        ("redis", "max_archive", "1000000"),
        ("store", "timeout", "\"5s\""),
    ];
    let course = Course::start(("redis-full", 2), None, &more)?;
    course.start_processors()?;
    let most = course.stack.redis.used_memory()? + ROOM;
    course.stack.redis.command(&["CONFIG", "SET", "maxmemory", &most.to_string()])?;
    let mut verdicts = Verdicts::default();
    let next = course.under_load((0, RATE), || turns(&course, lasting, &mut verdicts))?;
    let took = course.work_off(Duration::from_secs(600))?;
    println!("  all of it done {:.0} s afterwards", took.as_secs_f64());
    course.stop_processors()?;
    course.exactly_once(next)?;
    println!("  every transaction charged, stored and reported exactly once");
    verdicts.told()
}

/// Full while the store stands still, with room again soon after it goes on, without anybody's help.
fn turns(course: &Course, lasting: Duration, verdicts: &mut Verdicts) -> Result<()> {
    let postgres = course.stack.postgres.as_ref().ok_or_else(|| Error::new("no PostgreSQL"))?;
    let is_full = || course.metric("tollbridge_intake_paused", "reason=\"redis_full\"") > 0.0;
    let turns = (lasting.as_secs() / (2 * TURN.as_secs())).max(1);
    let (mut filled, mut drained, mut finished) = (0, 0, 0);
    for _ in 0..turns {
        postgres.pause()?;
        let mut was_full = false;
        watch(TURN, |_| {
            was_full |= is_full();
            Ok(())
        })?;
        postgres.resume()?;
        let before = course.metric("tollbridge_fates_total", "fate=\"archived\"");
        let mut is_over = false;
        watch(TURN, |_| {
            is_over |= !is_full();
            Ok(())
        })?;
        let after = course.metric("tollbridge_fates_total", "fate=\"archived\"");
        filled += u64::from(was_full);
        drained += u64::from(is_over);
        finished += u64::from(after > before);
    }
    let of = |count: u64| format!("{count} of {turns} times");
    verdicts.hold("Redis was full while the store stood still", &of(filled), filled == turns);
    verdicts.hold("it had room again without help", &of(drained), drained == turns);
    verdicts.hold("and transactions were finished", &of(finished), finished == turns);
    Ok(())
}
