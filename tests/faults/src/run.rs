//! One run: services, processors and a producer start, faults strike until enough of them have landed, everything
//! heals, all must have a fate in time, and the oracle judges. Whatever ends otherwise than balanced is not `ok`.

use crate::audit::{Audit, audit};
use crate::book::{Entry, Verdict};
use crate::dice::Dice;
use crate::faucet::Faucet;
use crate::keep::keep;
use crate::readers::Readers;
use crate::scenario::{Group, Scenario, Setup, USUAL};
use crate::world::{RESIDENTS, SETTLE_LIMIT, World, failed, holds_within};
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tollbridge_rig::stack::{backlog, wait_worked_off};
use tollbridge_rig::{Error, Process, RedisOptions, Result, Stack, StackOptions, wait_until};

/// `sweep.min_age` of the rig's configuration.
const MIN_AGE: Duration = Duration::from_secs(2);
/// The longer one of both protocols.
const SESSION: Duration = Duration::from_secs(10);
const FATE_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Room for all that a run writes.
const SMALL_DISK: &str = "400m";
/// For a Redis that takes a while to load what it kept, and says so meanwhile.
const SLOWLY_LOADED: [&str; 4] =
    ["--key-load-delay", "150", "--loading-process-events-interval-bytes", "1024"];
/// Of any whole run.
const LANDINGS_MIN: usize = 5;
const WATCH_EVERY: Duration = Duration::from_millis(300);
/// What a broker writes that leaves a transaction open for ever. No client can do anything about it.
const MARKERS_DROPPED: &str =
    "these partitions are likely deleted already and hence can be skipped";
/// Of an offset's metadata: room for all but the list of what is unfinished at its longest, less what it takes.
const RESERVED_CHARS: usize = 80;
/// More than a run can need: it is ended when enough has happened.
const ENDLESS: &str = "1000000";

/// What a run is made of.
#[derive(Debug)]
pub struct Plan {
    /// What strikes.
    pub scenario: &'static Scenario,
    /// What moves the instants.
    pub seed: u64,
    /// The product's binary.
    pub tollbridge: PathBuf,
    /// Where logs, configurations and the ledger go; removed after a run that is `ok`.
    pub folder: PathBuf,
    /// So many transactions at least.
    pub transactions: i64,
    /// A second.
    pub rate: u32,
    /// So many faults that landed at least.
    pub landings: usize,
    /// So long may faults strike until that many have landed.
    pub limit: Duration,
    /// A bug that is planted in the processors, which are then of a build with failpoints.
    pub plant: Option<&'static str>,
}

impl Plan {
    /// A whole run: 2,000 transactions, and as many landed faults as the scenario wants; never less than five.
    #[must_use]
    pub fn whole(scenario: &'static Scenario, seed: u64, tollbridge: PathBuf) -> Self {
        let folder = PathBuf::from(format!(".rig/faults/{}-{seed}", scenario.name));
        let Setup { landings, limit, rate, .. } = scenario.setup;
        let plant = None;
        Self {
            scenario,
            seed,
            tollbridge,
            folder,
            transactions: 2000,
            rate,
            landings,
            limit,
            plant,
        }
    }

    /// One that is made before a change is taken: a whole one with no more faults than it needs.
    #[must_use]
    pub fn before_a_change(scenario: &'static Scenario, seed: u64, tollbridge: PathBuf) -> Self {
        Self { landings: LANDINGS_MIN, ..Self::whole(scenario, seed, tollbridge) }
    }

    /// A short one: 1,500 transactions, two landed faults.
    #[must_use]
    pub fn short(scenario: &'static Scenario, seed: u64, tollbridge: PathBuf) -> Self {
        let whole = Self::whole(scenario, seed, tollbridge);
        let folder = whole.folder.with_file_name(format!("short-{}", scenario.name));
        Self { folder, transactions: 1500, rate: 400, landings: 2, ..whole }
    }

    /// One with a planted bug.
    #[must_use]
    pub fn planted(
        scenario: &'static Scenario,
        seed: u64,
        tollbridge: PathBuf,
        plant: &'static str,
    ) -> Self {
        let whole = Self::whole(scenario, seed, tollbridge);
        let folder = whole.folder.with_file_name(format!("planted-{plant}"));
        Self { folder, landings: whole.landings.min(6), plant: Some(plant), ..whole }
    }
}

/// What has landed so far, over all lanes.
#[derive(Debug, Default)]
struct Tally {
    landed: Mutex<usize>,
    over: AtomicBool,
}

/// Carries a run out and prints what happens.
#[must_use]
pub fn run(plan: &Plan) -> Entry {
    let start = Instant::now();
    let mut entry =
        Entry { scenario: plan.scenario.name.to_owned(), seed: plan.seed, ..Entry::default() };
    match carry_out(plan, &mut entry) {
        Ok(()) => {}
        Err(e) => {
            println!("{e}");
            entry.verdict = Verdict::Error;
            entry.cause = e.to_string().lines().next().unwrap_or_default().to_owned();
        }
    }
    entry.seconds = start.elapsed().as_secs();
    if entry.verdict == Verdict::Ok {
        fs::remove_dir_all(&plan.folder).ok();
    } else {
        println!("logs and ledger are kept in {}", plan.folder.display());
    }
    entry
}

fn carry_out(plan: &Plan, entry: &mut Entry) -> Result<()> {
    println!("{} (seed {}): {}", plan.scenario.name, plan.seed, plan.scenario.what);
    fs::remove_dir_all(&plan.folder).ok();
    let stack = Stack::start(thriftily(stack_options(plan)))?;
    let world = World::new(stack, plan)?;
    let readers = Readers::start(&world.stack)?;
    world.start(&world.processors[..RESIDENTS])?;
    if !world.settles() {
        return Err(Error::new("the two processors did not share the partitions"));
    }
    let producer = match plan.scenario.setup.bursts {
        true => None,
        false => Some(produce(plan, &world)?),
    };
    let struck = strike(plan, &world, producer.as_ref(), entry);
    drop(producer);
    let judged = struck.and_then(|()| judge(&world, &readers, entry));
    if judged.is_ok() && entry.verdict == Verdict::Ok {
        return Ok(());
    }
    keep(&world);
    hang_of(&world, &entry.cause).map_or(judged, Err)
}

/// Where a broker left a transaction open for ever, that is what was behind it.
pub(crate) fn hang_of(world: &World, cause: &dyn Display) -> Option<Error> {
    let mut logs = world.stack.kafka.brokers().iter().map(|broker| fs::read(broker.log_path()));
    let dropped = |log: Vec<u8>| String::from_utf8_lossy(&log).contains(MARKERS_DROPPED);
    logs.any(|log| log.is_ok_and(dropped)).then(|| {
        Error::new(format!(
            "the broker dropped the markers of a transaction when it came back (KAFKA-20734), \
             which hangs since then; {cause}"
        ))
    })
}

/// Half as many transactions as by default: they are most of what a broker spends, and runs share a small machine.
fn thriftily(mut options: StackOptions) -> StackOptions {
    options.settings.push(("publish".into(), "interval".into(), "\"100ms\"".into()));
    options
}

/// The services that a plan's scenario stands on.
pub(crate) fn stack_options(plan: &Plan) -> StackOptions {
    let line = |section: &str, key: &str, value: &str| {
        (section.to_owned(), key.to_owned(), value.to_owned())
    };
    let mut settings = Vec::new();
    if plan.scenario.group != Group::Classic {
        settings.push(line("kafka", "instance_id", ""));
    }
    if plan.scenario.group == Group::Consumer {
        settings.push(line("kafka", "protocol", "\"consumer\""));
        settings.push(line("kafka", "session_timeout", ""));
    }
    let setup = &plan.scenario.setup;
    settings.extend(setup.settings.iter().map(|(section, key, value)| line(section, key, value)));
    let life = setup.key_life.map(|life| format!("{}ms", life.as_millis()));
    let mut redis = RedisOptions { appendonly: setup.redis_keeps, ..RedisOptions::default() };
    if setup.redis_keeps {
        redis.args = SLOWLY_LOADED.map(str::to_owned).into();
    }
    if setup.small_disks {
        // Whether its disk is full is noticed by a Redis that writes to it.
        (redis.appendonly, redis.disk) = (true, Some(SMALL_DISK.into()));
    }
    let cap = ("offset.metadata.max.bytes".to_owned(), setup.metadata_max.to_string());
    StackOptions {
        store: plan.scenario.store,
        faults: format!("seed = {}\n{}", plan.seed, setup.gateway),
        latency: "20ms".into(),
        settings,
        simulator: life.into_iter().flat_map(|life| ["--key-ttl".to_owned(), life]).collect(),
        brokers: setup.brokers,
        kafka: vec![cap],
        thrifty_broker: true,
        store_disk: setup.small_disks.then(|| SMALL_DISK.to_owned()),
        redis,
        queues: setup.queues,
        linked: true,
        folder: Some(plan.folder.clone()),
        ..StackOptions::new(&plan.tollbridge)
    }
}

/// The producer of a run, which never ends by itself.
pub(crate) fn produce(plan: &Plan, world: &World) -> Result<Process> {
    // Its way to the broker has no proxy: only the product's is cut.
    let brokers = format!("kafka.brokers={}", world.stack.kafka.bootstrap());
    world
        .stack
        .command("generate", &world.stack.file("setup.toml"))
        .args(["--set", &brokers, "--count", ENDLESS, "--rate", &plan.rate.to_string()])
        .args(["--seed", &plan.seed.to_string(), "--mix", plan.scenario.setup.mix])
        .log(world.stack.file("generate.log"))
        .start()
}

/// Strikes until enough has landed and enough was produced.
fn strike(plan: &Plan, world: &World, producer: Option<&Process>, entry: &mut Entry) -> Result<()> {
    let tally = Tally::default();
    let start = Instant::now();
    let outcome = std::thread::scope(|scope| {
        let lanes = plan.scenario.lanes.iter().enumerate();
        let lanes: Vec<_> = lanes
            .map(|(at, _)| {
                scope.spawn({
                    let tally = &tally;
                    move || lane(plan, at, world, tally)
                })
            })
            .collect();
        let watched = watch(plan, world, producer, &tally, start);
        tally.over.store(true, Ordering::Relaxed);
        let panicked = |_| Error::new("a lane of faults panicked");
        let ends: Vec<Result<()>> =
            lanes.into_iter().map(|lane| lane.join().map_err(panicked)?).collect();
        ends.into_iter().collect::<Result<()>>().and(watched)
    });
    entry.landed = *tally.landed.lock().map_err(|e| failed("count what landed", e))?;
    outcome
}

/// Ends once enough has happened, or too long has passed.
fn watch(
    plan: &Plan,
    world: &World,
    producer: Option<&Process>,
    tally: &Tally,
    start: Instant,
) -> Result<()> {
    let mut faucet = Faucet::default();
    loop {
        world.watch()?;
        if let Some(producer) = producer.filter(|_| !plan.scenario.setup.piles_up) {
            faucet.turn(world, producer)?;
        }
        if let Some(producer) = producer.filter(|producer| !producer.is_running()) {
            return Err(Error::new(format!("the producer ended:\n{}", producer.log_tail())));
        }
        let landed = *tally.landed.lock().map_err(|e| failed("count what landed", e))?;
        if tally.over.load(Ordering::Relaxed) {
            // A lane has failed, and says why.
            return Ok(());
        }
        let gone = i64::try_from(world.gone().published.len()).unwrap_or(0);
        let produced = gone + world.produced();
        if landed >= plan.landings && produced >= plan.transactions {
            return Ok(());
        }
        if start.elapsed() > plan.limit {
            let limit = plan.limit;
            return Err(Error::new(format!(
                "a poor run: {landed} faults landed and {produced} transactions were made within {limit:?}"
            )));
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

/// Strikes one after another until it is over; each is healed when this returns.
fn lane(plan: &Plan, at: usize, world: &World, tally: &Tally) -> Result<()> {
    let mut dice = Dice::new(plan.seed, u64::try_from(at).unwrap_or(0));
    let faults = plan.scenario.lanes[at];
    let mut turn = dice.below(faults.len());
    while !tally.over.load(Ordering::Relaxed) {
        // Where much is broken side by side, there must be time in which work is done.
        if plan.scenario.lanes.len() > 2 {
            dice.pause(1_500, 7_000)
        } else {
            dice.pause(300, 2_500)
        };
        if tally.over.load(Ordering::Relaxed) {
            break;
        }
        let fault = &faults[turn % faults.len()];
        turn += 1 + dice.below(2);
        let seen = (fault.strike)(world, &mut dice).map_err(|e| {
            tally.over.store(true, Ordering::Relaxed);
            Error::new(format!("{}: {e}", fault.name))
        })?;
        match seen {
            Some(seen) => {
                *tally.landed.lock().map_err(|e| failed("count what landed", e))? += 1;
                world.say(format!("{}: {seen}", fault.name));
            }
            None => world.say(format!("{}: nothing was seen of it", fault.name)),
        }
    }
    Ok(())
}

/// All must have a fate in time; then everything ends in order, and is judged.
fn judge(world: &World, readers: &Readers, entry: &mut Entry) -> Result<()> {
    let limit = FATE_LIMIT + MIN_AGE + SESSION;
    let left: i64 = backlog(&world.stack).unwrap_or_default().iter().sum();
    world.say(format!("healed; {left} to go"));
    let mut findings = Vec::new();
    if let Err(e) = in_time(world, limit) {
        findings.push(format!("I7: {e}"));
    }
    // One that has only just been started again would not end in order. Nobody else watches any more.
    if !holds_within(SETTLE_LIMIT, || world.watch().is_ok() && world.is_settled()) {
        findings.push("I7: the processors do not share the partitions in the end".to_owned());
    }
    findings.extend(world.stop(STOP_LIMIT));
    findings.extend(world.breaches());
    world.say("all has ended; the oracle reads");
    let Audit { transactions, fates, metadata_max, findings: more } = audit(world, readers)?;
    findings.extend(more);
    entry.transactions = transactions;
    let watched = world.watched();
    world.say(format!(
        "{transactions} transactions: {fates:?}; {metadata_max} characters of metadata at most; {} ended by \
         themselves",
        watched.ended.len()
    ));
    for finding in findings.iter().take(40) {
        println!("  {finding}");
    }
    let cap = world.setup.metadata_max;
    if cap < USUAL.metadata_max && metadata_max + RESERVED_CHARS < cap {
        let said =
            format!("a poor run: {metadata_max} characters of metadata do not come near {cap}");
        return Err(Error::new(said));
    }
    if let Some(first) = findings.first() {
        entry.verdict = Verdict::Violation;
        entry.cause = format!("{first} ({} findings)", findings.len());
        let all = findings.join("\n");
        fs::write(world.stack.file("findings.txt"), all)
            .map_err(|e| failed("write findings", e))?;
    }
    Ok(())
}

fn in_time(world: &World, limit: Duration) -> Result<()> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                world.watch()?;
                std::thread::sleep(WATCH_EVERY);
            }
            Ok(())
        });
        let waited = wait_worked_off(&world.stack, limit);
        // A failover that lost deletions brings back what was deleted, until it is noticed.
        let empty = || world.queued_in_all() == 0;
        let waited = waited.and_then(|()| wait_until("empty queues", limit, empty));
        over.store(true, Ordering::Relaxed);
        let watched = watch.join().map_err(|_| Error::new("the watch panicked"))?;
        waited.and(watched)
    })
}
