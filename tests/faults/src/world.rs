//! What a run stands on: the services behind proxies, processors of one group, and a producer; and the eyes with
//! which the effect of a fault is seen. Processors that end by themselves are started again, as a supervisor would
//! do it, and counted.

use crate::clock::{self, Clock};
use crate::gone::Gone;
use crate::run::Plan;
use crate::scenario::Setup;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tollbridge_rig::stack::{GROUP, Links, TRANSACTIONS};
use tollbridge_rig::{Error, Processor, Result, Stack, http};

/// How often a look is taken.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Processors that always run, unless a fault has just ended one.
pub const RESIDENTS: usize = 2;
pub const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const BURST_LIMIT: Duration = Duration::from_secs(60);

/// What the watch has seen over the whole run.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Processors that ended by themselves, with the end of their log.
    pub ended: Vec<String>,
    /// Resident memory of one processor at most, in bytes.
    pub resident_max: f64,
    /// Calls of one processor on their way at most.
    pub in_flight_max: f64,
}

/// Services, processors, and the run's stopwatch.
#[derive(Debug)]
pub struct World {
    /// The services.
    pub stack: Stack,
    /// All processors, whether they run or not.
    pub processors: Vec<Processor>,
    /// What the scenario stands on.
    pub setup: &'static Setup,
    /// The residents' wall clocks, where they can be moved.
    pub clocks: Vec<Clock>,
    /// The product's binary of an earlier commit, where there is one.
    pub before: Option<PathBuf>,
    /// Of the run, and of what is produced.
    pub seed: u64,
    frozen: Mutex<BTreeSet<String>>,
    visiting: Mutex<BTreeSet<String>>,
    watched: Mutex<Watched>,
    breaches: Mutex<Vec<String>>,
    gone: Mutex<Gone>,
    bursts: AtomicUsize,
    turn: AtomicUsize,
    began: Instant,
}

/// The values of a counter, by the process that told it.
#[derive(Debug, Clone)]
pub struct Counts {
    series: &'static [(&'static str, &'static str)],
    of: BTreeMap<u32, f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it comes to hold in that time.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl World {
    /// Around services that run; makes a plan's processors and starts none.
    ///
    /// # Errors
    /// When a configuration cannot be written, or there is no compiler for a clock.
    pub fn new(stack: Stack, plan: &Plan) -> Result<Self> {
        let scenario = plan.scenario;
        let setup = &scenario.setup;
        let names = ["processor-1", "processor-2", "guest-1", "guest-2"];
        let names = &names[..RESIDENTS + scenario.guests];
        let mut processors =
            names.iter().map(|name| stack.processor(name)).collect::<Result<Vec<_>>>()?;
        let mut clocks = Vec::new();
        if setup.clocks {
            let library = clock::library(&stack.file("."))?.display().to_string();
            for processor in &processors {
                clocks.push(Clock::new(stack.file(&format!("{}.clock", processor.name)))?);
            }
            let at = |clock: &Clock| clock.path().display().to_string();
            let clocked = processors.into_iter().zip(&clocks);
            let clocked = clocked.map(|(processor, clock)| {
                processor.env("LD_PRELOAD", &library).env("FAULTS_CLOCK", at(clock))
            });
            processors = clocked.collect();
        }
        if setup.twin {
            let same = |p: Processor| p.env("TOLLBRIDGE_KAFKA__INSTANCE_ID", names[0]);
            let guest = processors.pop().map(same);
            processors.extend(guest);
        }
        if let Some(plant) = plan.plant {
            let planted = |p: Processor| p.env("TOLLBRIDGE_PLANT", plant);
            processors = processors.into_iter().map(planted).collect();
        }
        Ok(Self {
            stack,
            processors,
            setup,
            clocks,
            before: std::env::var_os("TOLLBRIDGE_BEFORE").map(PathBuf::from),
            seed: plan.seed,
            frozen: Mutex::default(),
            visiting: Mutex::default(),
            watched: Mutex::default(),
            breaches: Mutex::default(),
            gone: Mutex::default(),
            bursts: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            began: Instant::now(),
        })
    }

    /// A line of the run's report.
    pub fn say(&self, line: impl Display) {
        println!("{:6.1} s  {line}", self.began.elapsed().as_secs_f64());
    }

    /// A finding of a fault itself, which makes the run a violation.
    pub fn breach(&self, finding: String) {
        self.say(&finding);
        lock(&self.breaches).push(finding);
    }

    /// What faults have found so far.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        lock(&self.breaches).clone()
    }

    /// Keeps in mind what vanishes of the source.
    pub fn remember(&self, note: impl FnOnce(&mut Gone)) {
        note(&mut lock(&self.gone));
    }

    /// What was remembered.
    #[must_use]
    pub fn gone(&self) -> Gone {
        lock(&self.gone).clone()
    }

    /// Produces so many transactions with ids of their own, and returns once they are on the topic.
    ///
    /// # Errors
    /// When they cannot be.
    pub fn burst(&self, count: &str) -> Result<()> {
        let burst = self.bursts.fetch_add(1, Ordering::Relaxed);
        // The way to the broker has no proxy: only the product's is cut.
        let brokers = format!("kafka.brokers={}", self.stack.kafka.bootstrap());
        let prefix = format!("burst-{burst}-");
        let generate = self.stack.command("generate", &self.stack.file("setup.toml"));
        let generate = generate.args(["--set", &brokers, "--count", count, "--seed", "1"]);
        generate.args(["--start-id", &prefix, "--mix", self.setup.mix]).run(BURST_LIMIT).map(drop)
    }

    /// 0, 1 and so on: for what shall be done in turn.
    #[must_use]
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// The proxies.
    ///
    /// # Panics
    /// Where the stack has none.
    #[must_use]
    pub fn links(&self) -> &Links {
        self.stack.links.as_ref().expect("the stack was started with links")
    }

    /// Processors that run and are not frozen.
    #[must_use]
    pub fn awake(&self) -> Vec<&Processor> {
        let frozen = lock(&self.frozen).clone();
        let awake = |p: &&Processor| p.pid().is_some() && !frozen.contains(&p.name);
        self.processors.iter().filter(awake).collect()
    }

    /// SIGSTOP; until [`World::thaw`] it is not asked anything.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self, processor: &Processor) -> Result<()> {
        lock(&self.frozen).insert(processor.name.clone());
        let frozen = processor.pause();
        if frozen.is_err() {
            lock(&self.frozen).remove(&processor.name);
        }
        frozen
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self, processor: &Processor) -> Result<()> {
        let thawed = processor.resume();
        lock(&self.frozen).remove(&processor.name);
        thawed
    }

    /// One beside the two that always run, and that no other lane has taken; until [`World::send_off`].
    #[must_use]
    pub fn invite(&self) -> Option<&Processor> {
        let mut visiting = lock(&self.visiting);
        let is_free = |p: &&Processor| p.pid().is_none() && !visiting.contains(&p.name);
        let guest = self.processors.iter().skip(RESIDENTS).find(is_free)?;
        visiting.insert(guest.name.clone());
        Some(guest)
    }

    /// It may be taken again.
    pub fn send_off(&self, guest: &Processor) {
        lock(&self.visiting).remove(&guest.name);
    }

    /// What a processor says of a counter, summed over these series.
    #[must_use]
    pub fn counts(&self, series: &'static [(&'static str, &'static str)]) -> Counts {
        let mut of = BTreeMap::new();
        for processor in self.awake() {
            let (Some(pid), Ok(metrics)) = (processor.pid(), processor.metrics()) else { continue };
            of.insert(pid, series.iter().map(|(name, label)| metrics.sum(name, label)).sum());
        }
        Counts { series, of }
    }

    /// By how much it has grown since, over all processes that told it then: what a new one counts at its start is no
    /// effect of anything.
    #[must_use]
    pub fn growth(&self, since: &Counts) -> f64 {
        let now = self.counts(since.series);
        let grown = |(pid, count): (&u32, &f64)| Some(count - since.of.get(pid)?);
        // A sum of nothing is -0.
        now.of.iter().filter_map(grown).sum::<f64>() + 0.0
    }

    /// Waits until it has grown; by how much, or nothing.
    #[must_use]
    pub fn grows(&self, since: &Counts, limit: Duration) -> Option<f64> {
        holds_within(limit, || self.growth(since) > 0.0).then(|| self.growth(since))
    }

    /// Waits until a gauge is above nothing somewhere; whether it comes to that.
    #[must_use]
    pub fn shows(&self, series: &'static [(&'static str, &'static str)], limit: Duration) -> bool {
        holds_within(limit, || self.counts(series).of.values().any(|value| *value > 0.0))
    }

    /// The partitions that a processor says it owns.
    #[must_use]
    pub fn owned(&self, processor: &Processor) -> Vec<i64> {
        let body = http::get(processor.port, "/readyz").map(|(_, body)| body).unwrap_or_default();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let owned = body["owned"].as_array().into_iter().flatten();
        owned.filter_map(serde_json::Value::as_i64).collect()
    }

    /// Waits until those that are awake own all partitions, each of them some; tells whether they do.
    #[must_use]
    pub fn settles(&self) -> bool {
        holds_within(SETTLE_LIMIT, || self.is_settled())
    }

    /// Whether each partition has an owner now, and each processor that is awake a partition.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let owned: Vec<_> = self.awake().into_iter().map(|p| self.owned(p)).collect();
        let all = owned.iter().flatten().collect::<BTreeSet<_>>().len();
        u32::try_from(all) == Ok(self.stack.partitions()) && owned.iter().all(|o| !o.is_empty())
    }

    /// Entries of both queues of these partitions; nothing where Redis does not answer.
    #[must_use]
    pub fn queued(&self, partitions: &[i64]) -> i64 {
        let mut entries = 0;
        for partition in partitions {
            for queue in ["temp", "archive"] {
                let key = format!("{{tollbridge:{GROUP}:{TRANSACTIONS}:{partition}}}:{queue}");
                let answer = self.stack.queue_command(&["HLEN", &key]);
                entries += answer.ok().and_then(|reply| reply.integer()).unwrap_or(0);
            }
        }
        entries
    }

    /// Calls on their way, by the account of those that are awake.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.awake().into_iter().map(Processor::in_flight).sum()
    }

    /// A number of Redis's own account of itself, such as `evicted_keys`; 0 where it is not told.
    #[must_use]
    pub fn told_by_redis(&self, field: &str) -> i64 {
        let told = self.stack.redis.command(&["INFO", "everything"]);
        let told = told.map(|told| told.text()).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let line = line.unwrap_or_default();
        line.strip_prefix("count=").unwrap_or(line).trim().parse().unwrap_or(0)
    }

    /// Entries of both queues of all partitions.
    #[must_use]
    pub fn queued_in_all(&self) -> i64 {
        self.queued(&(0..i64::from(self.stack.partitions())).collect::<Vec<_>>())
    }

    /// Records on the source topic; nothing where the broker does not answer.
    #[must_use]
    pub fn produced(&self) -> i64 {
        let ends = self.stack.kafka.end_offsets(TRANSACTIONS, self.stack.partitions());
        ends.unwrap_or_default().iter().sum()
    }

    /// One look of the watch: what has ended by itself is started again, the rest is measured.
    ///
    /// # Errors
    /// When a processor cannot be started.
    pub fn watch(&self) -> Result<()> {
        for processor in self.awake() {
            if let Err(end) = processor.check() {
                self.say(format!("{} ended by itself and is started again", processor.name));
                lock(&self.watched).ended.push(end.to_string());
                processor.start()?;
            }
            let Ok(metrics) = processor.metrics() else { continue };
            let mut watched = lock(&self.watched);
            let resident = metrics.sum("process_resident_memory_bytes", "");
            watched.resident_max = watched.resident_max.max(resident);
            let in_flight = metrics.sum("tollbridge_in_flight", "");
            watched.in_flight_max = watched.in_flight_max.max(in_flight);
        }
        Ok(())
    }

    /// What the watch has seen so far.
    #[must_use]
    pub fn watched(&self) -> Watched {
        lock(&self.watched).clone()
    }

    /// Starts these processors and waits until each is ready.
    ///
    /// # Errors
    /// When one is not.
    pub fn start(&self, processors: &[Processor]) -> Result<()> {
        processors.iter().try_for_each(Processor::start)?;
        processors.iter().try_for_each(Processor::wait_ready)
    }

    /// Ends every processor in order, and says how each ended that did not end well.
    #[must_use]
    pub fn stop(&self, limit: Duration) -> Vec<String> {
        let running: Vec<_> = self.processors.iter().filter(|p| p.pid().is_some()).collect();
        // One that is only just starting has no ear for SIGTERM yet, and ends by it.
        let answers = |p: &&Processor| http::get(p.port, "/readyz").is_ok();
        holds_within(SETTLE_LIMIT, || running.iter().all(answers));
        let ends = std::thread::scope(|scope| {
            let ends = running.iter().map(|p| scope.spawn(move || (p, p.terminate(limit))));
            let ends: Vec<_> = ends.collect();
            ends.into_iter().filter_map(|end| end.join().ok()).collect::<Vec<_>>()
        });
        let bad = |(processor, end): (&&Processor, Result<std::process::ExitStatus>)| match end {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("{} ended with {status} when told to end", processor.name)),
            Err(e) => Some(format!("{} did not end when told to: {e}", processor.name)),
        };
        ends.into_iter().filter_map(bad).collect()
    }
}

/// An error of this sentence.
pub(crate) fn failed(what: &str, e: impl Display) -> Error {
    Error::new(format!("cannot {what}: {e}"))
}
