//! A run of the whole route: input first, then one processor against real services and the stub, until Kafka has the
//! last offset committed. Figures come out only after the gate.

use std::fs;
use std::time::Duration;

use tollbridge_rig::stack::{GROUP, TRANSACTIONS, wait_worked_off};
use tollbridge_rig::{Error, Processor, Result, Stack, StackOptions, Store, wait_until};

use super::cost::{Spent, Watched, memory_peak};
use super::delay::Delay;
use super::input::Format;
use super::steady::steady_rate;
use super::stub::Stub;
use super::{check, input};

const RUN_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What the rig sets for tests, which want everything to be over soon; users have the defaults.
const OF_TESTS: [(&str, &str); 7] = [
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
    pub partitions: u32,
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
    /// Of the processor, bytes.
    pub memory: u64,
    /// Bytes to and from Redis over those of the records' values.
    pub redis_bytes: f64,
    /// Keys that differ from the README's example.
    pub differs: Vec<String>,
}

impl Run {
    /// CPU time of a process, microseconds a transaction.
    pub fn each(&self, name: &str) -> f64 {
        self.spent.of(name).as_secs_f64() * 1e6 / f64::from(self.transactions)
    }

    /// What processes that are none of ours had of the CPU time meanwhile, in percent.
    pub fn others(&self) -> f64 {
        100.0 * self.spent.others().as_secs_f64() / self.spent.machine.as_secs_f64().max(0.01)
    }
}

/// Everything but the processor, which does not run yet.
pub struct Route {
    pub stack: Stack,
    pub stub: Stub,
    pub processor: Processor,
    pub payload: u64,
}

impl Route {
    /// Starts the services and produces the input.
    pub fn ready(setup: &Setup) -> Result<Self> {
        let stub = Stub::start(setup.delay)?;
        let setting = |section: &str, key: &str, value: String| (section.into(), key.into(), value);
        let gateway = format!("\"http://127.0.0.1:{}\"", stub.port);
        let mut settings: Vec<_> =
            OF_TESTS.iter().map(|(section, key)| setting(section, key, String::new())).collect();
        settings.push(setting("gateway", "url", gateway));
        settings.push(setting("kafka", "group_id", String::new()));
        if setup.in_flight != 256 {
            settings.push(setting("gateway", "max_in_flight", setup.in_flight.to_string()));
        }
        settings.extend(setup.more.iter().map(|(s, k, value)| setting(s, k, value.clone())));
        let stack = Stack::start(StackOptions {
            store: Store::Postgres,
            partitions: setup.partitions,
            settings,
            ..StackOptions::new(env!("CARGO_BIN_EXE_tollbridge"))
        })?;
        // The stub stands in its place.
        stack.kill_simulator();
        let payload = input::produce(&stack, setup.format, setup.transactions)?;
        let processor = stack.processor("measured")?;
        Ok(Self { stack, stub, processor, payload })
    }

    /// The services' processes, by name.
    pub fn services(&self) -> Result<Watched> {
        let pid = |pid: Option<u32>| pid.ok_or_else(|| Error::new("a part does not run"));
        let postgres = self.stack.postgres.as_ref().and_then(|postgres| postgres.pid());
        Ok(Watched(vec![
            ("stub", self.stub.pid()),
            ("redis", pid(self.stack.redis.pid())?),
            ("kafka", pid(self.stack.kafka.pid())?),
            ("postgres", pid(postgres)?),
        ]))
    }

    /// Until Kafka has the last offset committed.
    pub fn wait_committed(&self, count: u32) -> Result<()> {
        let partitions = self.stack.partitions();
        let committed = || -> Result<i64> {
            let offsets = self.stack.kafka.group_offsets(GROUP, TRANSACTIONS, partitions)?;
            Ok(offsets.iter().map(|offset| (*offset).max(0)).sum())
        };
        let waited = wait_until("the last offset", RUN_LIMIT, || {
            self.processor.check().is_err()
                || committed().is_ok_and(|offset| offset >= i64::from(count))
        });
        self.processor.check()?;
        waited
    }

    /// The processor ends in order, and the gate is passed. When each was reported.
    pub fn end(&self, count: u32) -> Result<Vec<u64>> {
        wait_worked_off(&self.stack, Duration::ZERO)?;
        let ended = self.processor.terminate(STOP_LIMIT)?;
        if !ended.success() {
            return Err(Error::new(format!("the processor ended with {ended}")));
        }
        check::exactly_once(&self.stack, &self.stub, count)
    }

    /// Keys of the processor's configuration that do not stand so in the README's example.
    pub fn differs(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.processor.config)
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

/// One run, from fresh services to its figures.
pub fn run(setup: &Setup) -> Result<Run> {
    let route = Route::ready(setup)?;
    let mut watched = route.services()?;
    let (before, redis_before) = (watched.spent()?, redis_bytes(&route.stack)?);
    route.processor.start()?;
    let measured = route.processor.pid().ok_or_else(|| Error::new("the processor does not run"))?;
    watched.0.insert(0, ("processor", measured));
    route.wait_committed(setup.transactions)?;
    let spent = watched.spent()?.since(&before);
    let redis_bytes = redis_bytes(&route.stack)? - redis_before;
    let memory = memory_peak(measured)?;
    let reported = route.end(setup.transactions)?;
    let rate = steady_rate(reported.into_iter().map(|at_ms| at_ms * 1_000).collect());
    Ok(Run {
        transactions: setup.transactions,
        rate: rate.ok_or_else(|| Error::new("too few transactions for a rate"))?,
        spent,
        memory,
        redis_bytes: redis_bytes / route.payload as f64,
        differs: route.differs()?,
    })
}

/// To and from Redis so far.
fn redis_bytes(stack: &Stack) -> Result<f64> {
    let info = stack.redis.command(&["INFO", "stats"])?.text();
    let of = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        let bytes = line.and_then(|line| line.trim().parse::<f64>().ok());
        bytes.ok_or_else(|| Error::new(format!("Redis tells no {name}")))
    };
    Ok(of("total_net_input_bytes:")? + of("total_net_output_bytes:")?)
}
