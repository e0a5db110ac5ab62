//! How long it takes until work goes on after a part has died: `make recover`. Recovered is when, in the second that
//! has just passed, at least half as many `archived` events of the source partitions concerned became visible to a
//! `read_committed` consumer as in an average second before the kill. After the death of a processor these are
//! the partitions that it owned: the other one never stops. What has died is started again at once, as by a
//! supervisor; the time counts from the kill and contains that start; of the broker, from half a second before, in
//! which it hears nothing of processors. Deliberately nothing is judged here.

use crate::run::{Plan, hang_of, stack_options};
use crate::scenario::named;
use crate::strike::kafka::kill_at_rest;
use crate::world::{RESIDENTS, SETTLE_LIMIT, World, failed};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tollbridge_rig::stack::OUTCOMES;
use tollbridge_rig::{Error, Launch, Process, Result, Stack, StackOptions};

/// What comes before each kill: time in which the rate is taken.
const BEFORE: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(60);
/// With a store that is a server, and no fault of its own.
const STANDS_ON: &str = "postgres-killed-in-commit";

/// Kills something, starts it again, and names the source partitions concerned.
type Blow = fn(&World) -> Result<Vec<i64>>;

const BLOWS: [(&str, Blow); 4] = [
    ("one of two processors, with an instance_id", processor),
    ("Redis, which keeps nothing", |world| world.stack.redis.restart().map(|()| all(world))),
    ("the broker, the only one", |world| {
        kill_at_rest(world);
        world.stack.kafka.restart().map(|()| all(world))
    }),
    ("PostgreSQL", |world| {
        let postgres = world.stack.postgres.as_ref();
        let postgres = postgres.ok_or_else(|| Error::new("there is no PostgreSQL"))?;
        postgres.restart().map(|()| all(world))
    }),
];

fn all(world: &World) -> Vec<i64> {
    (0..i64::from(world.stack.partitions())).collect()
}

fn processor(world: &World) -> Result<Vec<i64>> {
    let victim = &world.processors[world.turn() % RESIDENTS];
    let owned = world.owned(victim);
    victim.kill();
    victim.start()?;
    Ok(owned)
}

/// Events as they become visible.
struct Sight {
    output: PathBuf,
    _process: Process,
}

impl Sight {
    fn start(stack: &Stack) -> Result<Self> {
        let output = stack.file("archived.seen");
        let process = Launch::new("kcat")
            .args(["-C", "-b", &stack.kafka.bootstrap(), "-t", OUTCOMES[0], "-o", "end"])
            .args(["-E", "-q", "-u", "-X", "isolation.level=read_committed"])
            .args(["-X", "reconnect.backoff.max.ms=100", "-f", "%s\\n"])
            .stdout(&output)
            .log(stack.file("archived.kcat.log"))
            .start()?;
        Ok(Self { output, _process: process })
    }

    /// Events of these source partitions so far.
    fn count(&self, partitions: &[i64]) -> Result<usize> {
        let text = fs::read_to_string(&self.output).map_err(|e| failed("read events", e))?;
        let of = |partition: &i64| format!("\"source_partition\":{partition},");
        let names: Vec<String> = partitions.iter().map(of).collect();
        Ok(text.lines().filter(|line| names.iter().any(|name| line.contains(name))).count())
    }
}

/// Prints a table of medians over this many rounds.
///
/// # Errors
/// When a part cannot be started, or nothing recovers within a minute.
pub fn recover(rounds: usize, tollbridge: &Path) -> Result<()> {
    let scenario = named(STANDS_ON).ok_or_else(|| Error::new("the scenario is gone"))?;
    let mut plan = Plan::whole(scenario, 1, tollbridge.to_owned());
    plan.folder = ".rig/faults/recover".into();
    fs::remove_dir_all(&plan.folder).ok();
    let options = StackOptions { thrifty_broker: false, ..stack_options(&plan) };
    let world = World::new(Stack::start(options)?, &plan)?;
    world.start(&world.processors)?;
    if !world.settles() {
        return Err(Error::new("the two processors did not share the partitions"));
    }
    let _producer = crate::run::produce(&plan, &world)?;
    let sight = Sight::start(&world.stack)?;
    let mut table = String::from("after the death of | seconds, median | least | most\n");
    for (name, blow) in BLOWS {
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(
                once(&world, &sight, blow).map_err(|why| hang_of(&world, &why).unwrap_or(why))?,
            );
            world.say(format!("{name}: {:.2} s", times[times.len() - 1]));
            settle(&world, name)?;
        }
        times.sort_by(f64::total_cmp);
        let (least, median) = (times[0], times[times.len() / 2]);
        let most = times[times.len() - 1];
        writeln!(table, "{name} | {median:.1} | {least:.1} | {most:.1}")
            .map_err(|e| failed("write the table", e))?;
    }
    println!("{table}");
    Ok(())
}

/// Until both share the partitions again. A processor that ends by itself, as one does whose commit does not come back,
/// is started again, as a supervisor does it for users.
fn settle(world: &World, name: &str) -> Result<()> {
    let start = Instant::now();
    while !world.is_settled() {
        if start.elapsed() > SETTLE_LIMIT {
            return Err(Error::new(format!("after the death of {name} nothing settled")));
        }
        world.watch()?;
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// From the kill to recovery; seconds.
fn once(world: &World, sight: &Sight, blow: Blow) -> Result<f64> {
    let everything = all(world);
    let earlier: Vec<usize> =
        everything.iter().map(|p| sight.count(&[*p])).collect::<Result<_>>()?;
    std::thread::sleep(BEFORE);
    let before: Vec<usize> =
        everything.iter().map(|p| sight.count(&[*p])).collect::<Result<_>>()?;
    let start = Instant::now();
    let concerned = blow(world)?;
    let sum = |counts: &[usize]| -> usize {
        let at = |partition: &i64| usize::try_from(*partition).ok().and_then(|at| counts.get(at));
        concerned.iter().filter_map(at).sum()
    };
    let per_second =
        (sum(&before) - sum(&earlier)) / usize::try_from(BEFORE.as_secs()).unwrap_or(1);
    // What was on its way at the kill may still arrive: it is part of no second that counts.
    let mut seen = vec![(start.elapsed(), sight.count(&concerned)?)];
    while start.elapsed() < LIMIT {
        std::thread::sleep(LOOK_EVERY);
        world.watch()?;
        let now = (start.elapsed(), sight.count(&concerned)?);
        seen.push(now);
        let past = seen.iter().rev().find(|(at, _)| *at + WINDOW <= now.0);
        if past.is_some_and(|(_, count)| 2 * (now.1 - count) >= per_second && per_second > 0) {
            return Ok(now.0.as_secs_f64());
        }
    }
    Err(Error::new(format!("not recovered within {LIMIT:?}")))
}
