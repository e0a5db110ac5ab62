//! `rig demo`: the promise, shown. Twenty thousand transactions go through two processors and a gateway that
//! declines, times out after charging and fails; a processor is killed, all of Redis is wiped; and at the
//! end every count and every amount must balance against the gateway's own ledger.
//!
//! What it asserts, it observes itself: queue depths in Redis, ownership and offsets in Kafka, charges in the
//! ledger. Only the calls in flight are the processor's own account, read a moment before the blow.

mod faults;
mod watch;

use self::faults::Blow;
use self::watch::Watch;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tollbridge_rig::oracle::Evidence;
use tollbridge_rig::stack::wait_worked_off;
use tollbridge_rig::{Error, Launch, Process, Processor, Result, Stack, StackOptions, Store};

const COUNT: u32 = 20_000;
const RATE: u32 = 1_000;
const MIX: &str = "invalid=0.1%,duplicate=0.5%";
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const RECONCILE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a run depends on.
#[derive(Debug)]
pub struct DemoOptions {
    pub tollbridge: PathBuf,
    pub store: Store,
    /// Moves the instants of the blows, picks the victim, and seeds transactions and faults.
    pub seed: u64,
}

impl DemoOptions {
    /// From `STORE` and `SEED`, with their defaults `sqlite` and 1.
    pub fn from_environment(tollbridge: PathBuf) -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let store = Store::named(variable("STORE").as_deref().unwrap_or("sqlite"))?;
        let seed = variable("SEED").unwrap_or_else(|| "1".into());
        let seed = seed.parse();
        let seed = seed.map_err(|e| Error::new(format!("SEED must be a whole number: {e}")))?;
        Ok(Self { tollbridge, store, seed })
    }

    /// The instants of the two blows, as numbers of transactions produced: a quarter and a half, give or
    /// take a twentieth.
    fn instants(&self) -> (i64, i64) {
        let mut dice = self.dice();
        let swing = i64::from(COUNT / 20);
        let mut about = |share: u32| {
            let moved = i64::try_from(next(&mut dice) % (2 * swing.unsigned_abs())).unwrap_or(0);
            i64::from(COUNT / share) + if self.seed == 1 { 0 } else { moved - swing }
        };
        (about(4), about(2))
    }

    fn victim(&self) -> usize {
        usize::from((self.dice() >> 40).is_multiple_of(2))
    }

    fn dice(&self) -> u64 {
        let mut dice = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        next(&mut dice);
        dice
    }
}

/// xorshift: enough to move an instant.
fn next(dice: &mut u64) -> u64 {
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    *dice
}

/// Runs the demo; an error says what is off.
pub fn run(options: &DemoOptions) -> Result<()> {
    let start = Instant::now();
    let store = options.store.name();
    println!("demo: {COUNT} transactions, store {store}, seed {}", options.seed);
    let mut stack = Stack::start(StackOptions {
        store: options.store,
        faults: faults::script(options.seed),
        latency: "20ms".into(),
        ..StackOptions::new(&options.tollbridge)
    })?;
    let outcome = with_stack(options, &stack);
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            println!("demo: balanced after {seconds:.0} s (store {store}, seed {})", options.seed)
        }
        Err(_) => println!("demo: logs and ledger are kept in {}", stack.keep().display()),
    }
    outcome
}

fn with_stack(options: &DemoOptions, stack: &Stack) -> Result<()> {
    let processors = [stack.processor("processor-1")?, stack.processor("processor-2")?];
    for processor in &processors {
        processor.start()?;
    }
    for processor in &processors {
        processor.wait_ready()?;
    }
    println!("demo: Kafka, Redis, the gateway simulator and two processors are ready");
    let generator = start_generator(options, stack, &processors[0])?;
    let mut watch = Watch::new(stack, &processors);
    let blows = strike(options, stack, &processors, &generator, &mut watch)?;
    watch.until(|_| Ok((!generator.is_running()).then_some(())), DRAIN_LIMIT, "the generator")?;
    if !generator.exit_status().is_some_and(|status| status.success()) {
        return Err(Error::new(format!("the generator failed:\n{}", generator.log_tail())));
    }
    watch.until(|now| Ok((now.backlog == 0).then_some(())), DRAIN_LIMIT, "the backlog's end")?;
    wait_worked_off(stack, DRAIN_LIMIT)?;
    finish(stack, &processors, &watch, &blows)
}

fn start_generator(options: &DemoOptions, stack: &Stack, processor: &Processor) -> Result<Process> {
    stack
        .command("generate", &processor.config)
        .args(["--count", &COUNT.to_string(), "--rate", &RATE.to_string()])
        .args(["--seed", &options.seed.to_string(), "--mix", MIX])
        .log(stack.file("generate.log"))
        .start()
}

/// Both blows, each at its instant and in live work; then the killed processor starts again.
fn strike(
    options: &DemoOptions,
    stack: &Stack,
    processors: &[Processor; 2],
    generator: &Process,
    watch: &mut Watch<'_>,
) -> Result<[Blow; 2]> {
    let (quarter, half) = options.instants();
    let victim = &processors[options.victim()];
    let other = &processors[1 - options.victim()];
    let produced = |at: i64| {
        move |now: &watch::Sight| match generator.is_running() || now.produced >= at {
            true => Ok((now.produced >= at).then_some(())),
            false => {
                let tail = generator.log_tail();
                Err(Error::new(format!("the generator ended early:\n{tail}")))
            }
        }
    };
    watch.until(produced(quarter), DRAIN_LIMIT, "a quarter of the transactions")?;
    let killed = faults::kill(stack, victim)?;
    println!("  >>    {killed}");
    watch.until(produced(half), DRAIN_LIMIT, "half of the transactions")?;
    let wiped = faults::wipe_redis(stack, other)?;
    println!("  >>    {wiped}");
    victim.start()?;
    println!("  >>    {} starts again", victim.name);
    Ok([killed, wiped])
}

/// Stops everything in order and holds the books against each other.
fn finish(
    stack: &Stack,
    processors: &[Processor; 2],
    watch: &Watch<'_>,
    blows: &[Blow; 2],
) -> Result<()> {
    let mut off = String::new();
    for processor in processors {
        let status = processor.terminate(STOP_LIMIT)?;
        if !status.success() {
            writeln!(off, "{} ended with {status}", processor.name).ok();
        }
    }
    let left = watch.queues()?;
    if left != (0, 0) {
        writeln!(off, "Redis still holds {} temp and {} archive entries", left.0, left.1).ok();
    }
    let output = stack.file("reconcile.out");
    let reconcile = stack
        .command("reconcile", &processors[0].config)
        .arg("--ledger")
        .arg(stack.ledger())
        .stdout(&output)
        .log(stack.file("reconcile.log"))
        .start()?;
    let status = reconcile.wait(RECONCILE_LIMIT)?;
    println!("\n{}", fs::read_to_string(&output).unwrap_or_default().trim_end());
    if !status.success() {
        writeln!(off, "reconcile ended with {status}\n{}", reconcile.log_tail()).ok();
    }
    match second_opinion(stack) {
        Ok(said) => println!("second opinion, by the rig's own readers: balanced, {said}"),
        Err(e) => drop(writeln!(off, "second opinion, by the rig's own readers: {e}")),
    }
    for blow in blows {
        println!("{blow}");
    }
    if off.is_empty() { Ok(()) } else { Err(Error::new(off.trim_end().to_owned())) }
}

/// The promise judged without the product; also that the run had something of everything to be judged by.
fn second_opinion(stack: &Stack) -> Result<String> {
    let evidence = Evidence::of(stack)?;
    evidence.judge()?;
    let (records, rows, charges) =
        (evidence.places.len(), evidence.rows.len(), evidence.charges.len());
    let mut said = format!("{records} records");
    let wanted = usize::try_from(COUNT).unwrap_or(0);
    let mut lacks = if records == wanted { String::new() } else { said.clone() };
    for fate in ["archived", "declined", "duplicate", "rejected", "in_doubt"] {
        let count = evidence.events.iter().filter(|event| event.fate == fate).count();
        write!(said, ", {fate} {count}").ok();
        if count == 0 && fate != "in_doubt" {
            write!(lacks, " nothing was {fate}").ok();
        }
    }
    write!(said, "; {charges} charges, {rows} rows").ok();
    if lacks.is_empty() { Ok(said) } else { Err(Error::new(format!("a poor run: {lacks}"))) }
}

const STORES: [Store; 3] = [Store::Sqlite, Store::Postgres, Store::Clickhouse];

/// `rig soak-demo`: the demo with other seeds, the stores in turn; the last line says how many balanced.
pub fn soak(runs: u64, logs: &Path) -> Result<bool> {
    fs::create_dir_all(logs)
        .map_err(|e| Error::new(format!("cannot make {}: {e}", logs.display())))?;
    let rig =
        std::env::current_exe().map_err(|e| Error::new(format!("cannot find myself: {e}")))?;
    let first: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut balanced = 0;
    for run in 0..runs {
        let store = STORES[usize::try_from(run % 3).unwrap_or(0)].name();
        let seed = (first + run).to_string();
        let log = logs.join(format!("{seed}-{store}.log"));
        fs::remove_file(&log).ok();
        let demo = Launch::new(&rig).arg("demo").env("STORE", store).env("SEED", &seed).log(&log);
        let status = demo.start()?.wait(Duration::from_secs(300));
        let good = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        balanced += u64::from(good);
        let verdict = if good { "balanced" } else { "OFF" };
        println!("run {}: store {store}, seed {seed}: {verdict}, {}", run + 1, log.display());
    }
    println!("{balanced}/{runs} balanced");
    Ok(balanced == runs && runs > 0)
}

#[cfg(test)]
mod tests {
    use super::{COUNT, DemoOptions};
    use tollbridge_rig::Store;

    fn of(seed: u64) -> DemoOptions {
        DemoOptions { tollbridge: "tollbridge".into(), store: Store::Sqlite, seed }
    }

    #[test]
    fn the_instants_are_a_quarter_and_a_half_and_the_seed_moves_them() {
        assert_eq!(of(1).instants(), (5_000, 10_000));
        for seed in 2..200 {
            let (quarter, half) = of(seed).instants();
            assert!((4_000..6_000).contains(&quarter), "{seed}: {quarter}");
            assert!((9_000..11_000).contains(&half), "{seed}: {half}");
            assert!(half < i64::from(COUNT));
            assert_eq!(of(seed).instants(), (quarter, half));
        }
        assert_ne!(of(2).instants(), of(3).instants());
        let victims: usize = (0..40).map(|seed| of(seed).victim()).sum();
        assert!((8..32).contains(&victims), "one of the two is hardly ever the victim: {victims}");
    }
}
