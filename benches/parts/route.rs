//! A run of the whole route: processors against real services and the stub, over a backlog or at a steady rate, until
//! Kafka has the last offset committed. Figures come out only after the gate.

use std::fs;
use std::time::Duration;

use tollbridge_rig::stack::{GROUP, TRANSACTIONS, wait_worked_off};
use tollbridge_rig::{Error, Processor, Result, Stack, StackOptions, Store, wait_until};

use super::cost::{Spent, Watched, memory_peak, us_of_each};
use super::delay::Delay;
use super::input::{Format, Input};
use super::steady::steady_rate;
use super::stub::{Stub, now_us};
use super::{check, input};

const RUN_LIMIT: Duration = Duration::from_secs(200);
/// Transactions a millisecond below which it is not waited any longer.
const SLOWEST: u64 = 5;
const NAMES: [&str; 4] = ["measured", "second", "third", "fourth"];
/// The measured process, beside the services.
pub const PROCESSOR: &str = "processor";
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What the rig sets for tests, which want everything to be over soon; users have the defaults.
const OF_TESTS: [(&str, &str); 9] = [
    ("kafka", "group_id"),
    ("kafka", "instance_id"),
    ("kafka", "session_timeout"),
    ("kafka", "transaction_timeout"),
    ("gateway", "connect_timeout"),
    ("gateway", "timeout"),
    ("sweep", "interval"),
    ("sweep", "min_age"),
    ("log", "format"),
];
/// The README's example: what stands there is not told again.
const EXAMPLE: &str = include_str!("../../README.md");

/// What is run.
#[derive(Debug, Clone)]
pub struct Setup {
    pub transactions: u32,
    /// Others, worked off before by processors of their own: a broker's code is compiled while it runs, and users have
    /// one that has run for long.
    pub warm: u32,
    pub partitions: u32,
    pub processors: usize,
    pub in_flight: u32,
    pub delay: Delay,
    pub format: Format,
    /// Further keys: section, key, value.
    pub more: Vec<(&'static str, &'static str, String)>,
}

/// What came of it.
#[derive(Debug)]
pub struct Run {
    pub transactions: u32,
    /// Reported transactions a second, between the first and the last twentieth.
    pub rate: f64,
    /// From the processor's start to the last offset committed.
    pub spent: Spent,
    /// Of the largest processor, bytes.
    pub memory: u64,
    /// Bytes to and from Redis over those of the records' values.
    pub redis_bytes: f64,
    /// What PostgreSQL wrote ahead, bytes a transaction.
    pub wal_bytes: f64,
    /// Keys that differ from the README's example.
    pub differs: Vec<String>,
}

impl Run {
    /// CPU time of a process, microseconds a transaction.
    pub fn each(&self, name: &str) -> f64 {
        us_of_each(self.spent.of(name), self.transactions)
    }

    /// What the broker spent on compiling its code, microseconds a transaction.
    pub fn compiling(&self) -> f64 {
        us_of_each(self.spent.compilers, self.transactions)
    }

    /// That of the processors.
    pub fn own(&self) -> f64 {
        self.each(PROCESSOR)
    }

    /// What processes that are none of ours had of the CPU time meanwhile, in percent.
    pub fn others(&self) -> f64 {
        100.0 * self.spent.others().as_secs_f64() / self.spent.machine.as_secs_f64().max(0.01)
    }
}

impl Setup {
    /// As the README's example has it: a gateway that answers at once, 256 in flight; four partitions.
    pub fn at_once(transactions: u32) -> Self {
        Self {
            transactions,
            warm: 0,
            partitions: 4,
            processors: 1,
            in_flight: 256,
            delay: Delay::None,
            format: Format::Json,
            more: Vec::new(),
        }
    }
}

/// Everything but the processors, which do not run yet.
pub struct Route {
    pub stack: Stack,
    pub stub: Stub,
    pub processors: Vec<Processor>,
    pub payload: u64,
    /// Transactions that were worked off before: what counts have the numbers from there on.
    pub warm: u32,
}

impl Route {
    /// Starts the services and produces the input.
    pub fn ready(setup: &Setup) -> Result<Self> {
        let mut route = Self::empty(setup)?;
        let numbers = route.warm..route.warm + setup.transactions;
        route.payload = input::produce(&route.stack, setup.format, numbers)?;
        Ok(route)
    }

    /// Starts the services, and warms them up.
    pub fn empty(setup: &Setup) -> Result<Self> {
        let stub = Stub::start(setup.delay)?;
        let setting = |section: &str, key: &str, value: String| (section.into(), key.into(), value);
        let gateway = format!("\"http://127.0.0.1:{}\"", stub.port);
        let mut settings: Vec<_> =
            OF_TESTS.iter().map(|(section, key)| setting(section, key, String::new())).collect();
        settings.push(setting("gateway", "url", gateway));
        if setup.in_flight != 256 {
            settings.push(setting("gateway", "max_in_flight", setup.in_flight.to_string()));
        }
        settings.extend(setup.more.iter().map(|(s, k, value)| setting(s, k, value.clone())));
        let stack = Stack::start(StackOptions {
            store: Store::Postgres,
            partitions: setup.partitions,
            settings,
            // When each row was committed is asked for afterwards.
            postgres: vec![("track_commit_timestamp".into(), "on".into())],
            ..StackOptions::new(env!("CARGO_BIN_EXE_tollbridge"))
        })?;
        // The stub stands in its place.
        stack.kill_simulator();
        let names = NAMES.iter().take(setup.processors);
        let processors = names.map(|name| stack.processor(name)).collect::<Result<_>>()?;
        let route = Self { stack, stub, processors, payload: 0, warm: setup.warm };
        if setup.warm > 0 {
            input::produce(&route.stack, setup.format, 0..setup.warm)?;
            route.start()?;
            route.wait_committed(0)?;
            route.stop()?;
        }
        Ok(route)
    }

    /// The services' processes, by name, and those of processors.
    pub fn watched(&self, processors: &[u32]) -> Result<Watched> {
        let pid = |pid: Option<u32>| pid.ok_or_else(|| Error::new("a part does not run"));
        let postgres = self.stack.postgres.as_ref().and_then(|postgres| postgres.pid());
        let mut all = vec![
            ("stub", self.stub.pid()),
            ("redis", pid(self.stack.redis.pid())?),
            ("kafka", pid(self.stack.kafka.pid())?),
            ("postgres", pid(postgres)?),
        ];
        all.extend(processors.iter().map(|pid| (PROCESSOR, *pid)));
        Ok(Watched(all))
    }

    /// Starts all processors. Their processes.
    pub fn start(&self) -> Result<Vec<u32>> {
        self.processors.iter().try_for_each(Processor::start)?;
        let pid = |p: &Processor| p.pid().ok_or_else(|| Error::new("a processor does not run"));
        self.processors.iter().map(pid).collect()
    }

    /// Until all that run are ready and each partition has an owner.
    pub fn wait_owned(&self) -> Result<()> {
        let running = || self.processors.iter().filter(|processor| processor.pid().is_some());
        running().try_for_each(Processor::wait_ready)?;
        let owned = || -> Result<usize> {
            let members = self.stack.kafka.members(GROUP)?;
            let busy = members.iter().filter(|member| !member.owns.is_empty()).count();
            let all: usize = members.iter().map(|member| member.owns.len()).sum();
            Ok(if busy == running().count() { all } else { 0 })
        };
        let wanted = usize::try_from(self.stack.partitions()).unwrap_or(usize::MAX);
        wait_until("an owner for each partition", RUN_LIMIT, || {
            owned().is_ok_and(|all| all == wanted)
        })
    }

    /// Until Kafka has the last offset committed, of so many after those that warmed it up.
    pub fn wait_committed(&self, count: u32) -> Result<()> {
        let count = self.warm + count;
        let partitions = self.stack.partitions();
        let committed = || -> Result<i64> {
            let offsets = self.stack.kafka.group_offsets(GROUP, TRANSACTIONS, partitions)?;
            Ok(offsets.iter().map(|offset| (*offset).max(0)).sum())
        };
        let running = || self.processors.iter().filter(|processor| processor.pid().is_some());
        let limit = RUN_LIMIT + Duration::from_millis(u64::from(count) / SLOWEST);
        let waited = wait_until("the last offset", limit, || {
            running().any(|processor| processor.check().is_err())
                || committed().is_ok_and(|offset| offset >= i64::from(count))
        });
        running().try_for_each(Processor::check)?;
        waited
    }

    /// The processors end in order, and the gate is passed. When each was reported, in milliseconds since 1970.
    pub fn end(&self, count: u32) -> Result<Vec<u64>> {
        self.end_but_for_repeats(count, 0)
    }

    /// The same where processors were killed.
    pub fn end_but_for_repeats(&self, count: u32, repeats_max: usize) -> Result<Vec<u64>> {
        self.stop()?;
        check::once_but_for_repeats(&self.stack, &self.stub, self.warm + count, repeats_max)
    }

    /// The processors end in order, once they have nothing left to do.
    fn stop(&self) -> Result<()> {
        wait_worked_off(&self.stack, Duration::ZERO)?;
        for processor in self.processors.iter().filter(|processor| processor.pid().is_some()) {
            let ended = processor.terminate(STOP_LIMIT)?;
            if !ended.success() {
                return Err(Error::new(format!("a processor ended with {ended}")));
            }
        }
        Ok(())
    }

    /// Keys of the processor's configuration that do not stand so in the README's example.
    pub fn differs(&self) -> Result<Vec<String>> {
        let first = self.processors.first().ok_or_else(|| Error::new("no processor"))?;
        let text = fs::read_to_string(&first.config)
            .map_err(|e| Error::new(format!("the configuration: {e}")))?;
        let mut section = "";
        let mut found = Vec::new();
        for line in text.lines() {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(name) => section = name,
                None if line.is_empty() || EXAMPLE.lines().any(|known| known == line) => {}
                None => found.push(format!("{section}.{line}")),
            }
        }
        Ok(found)
    }
}

/// One run over a backlog, from fresh services to its figures. CPU time is from the processors' start.
pub fn run(setup: &Setup) -> Result<Run> {
    let route = Route::ready(setup)?;
    let (before, so_far) = (route.watched(&[])?.spent()?, SoFar::of(&route.stack)?);
    let processors = route.start()?;
    route.wait_committed(setup.transactions)?;
    let spent = route.watched(&processors)?.spent()?.since(&before);
    told(setup, &route, &processors, spent, &so_far)
}

/// One run at a steady rate, sent by the clock. CPU time is from when all processors are ready; that of the producer,
/// which is a thread of this process, counts among the others'.
pub fn steady(setup: &Setup, rate: u32) -> Result<Run> {
    let mut route = Route::empty(setup)?;
    let processors = route.start()?;
    let watched = route.watched(&processors)?;
    route.wait_owned()?;
    let (before, so_far) = (watched.spent()?, SoFar::of(&route.stack)?);
    let input = Input::prompt(&route.stack)?;
    let poured = input.pour_by_clock(rate, route.warm, setup.transactions)?;
    route.payload = poured.bytes;
    route.wait_committed(setup.transactions)?;
    let spent = watched.spent()?.since(&before);
    told(setup, &route, &processors, spent, &so_far)
}

fn told(
    setup: &Setup,
    route: &Route,
    processors: &[u32],
    spent: Spent,
    before: &SoFar,
) -> Result<Run> {
    let now = SoFar::of(&route.stack)?;
    let memory = processors.iter().map(|pid| memory_peak(*pid)).collect::<Result<Vec<_>>>()?;
    let reported = route.end(setup.transactions)?;
    let reported = reported.into_iter().map(|at_ms| at_ms * 1_000);
    let rate = steady_rate(reported.filter(|at_us| *at_us >= before.at_us).collect());
    Ok(Run {
        transactions: setup.transactions,
        rate: rate.ok_or_else(|| Error::new("too few transactions for a rate"))?,
        spent,
        memory: memory.into_iter().max().unwrap_or_default(),
        redis_bytes: (now.redis - before.redis) / route.payload as f64,
        wal_bytes: (now.wal - before.wal) / f64::from(setup.transactions),
        differs: route.differs()?,
    })
}

/// What went through services until a moment, in bytes.
struct SoFar {
    /// Microseconds since 1970.
    at_us: u64,
    /// To and from Redis.
    redis: f64,
    /// Written ahead by PostgreSQL.
    wal: f64,
}

impl SoFar {
    fn of(stack: &Stack) -> Result<Self> {
        let info = stack.redis.command(&["INFO", "stats"])?.text();
        let of = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            let bytes = line.and_then(|line| line.trim().parse::<f64>().ok());
            bytes.ok_or_else(|| Error::new(format!("Redis tells no {name}")))
        };
        let redis = of("total_net_input_bytes:")? + of("total_net_output_bytes:")?;
        let postgres = stack.postgres.as_ref().ok_or_else(|| Error::new("no PostgreSQL"))?;
        let wal = postgres.psql("SELECT pg_current_wal_insert_lsn() - '0/0'")?;
        let wal = wal.trim().parse().map_err(|e| Error::new(format!("PostgreSQL: {wal}: {e}")))?;
        Ok(Self { at_us: now_us(), redis, wal })
    }
}
