//! Outages of many minutes, and what governs the requests. [`Course`] is what all of them have in common: a stack, some
//! processors, a load that goes on, and what is seen of it all while time passes.

pub mod gateway;
pub mod governors;
pub mod redis;
pub mod store;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use tollbridge_rig::http::Metrics;
use tollbridge_rig::stack::wait_worked_off;
use tollbridge_rig::{Error, Processor, Result, Stack, StackOptions, Store};

use super::check;
use super::cost::{machine_in_words, memory_now};
use super::delay::Delay;
use super::input::Input;
use super::stub::Stub;

const STOP_LIMIT: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What is measured of.
pub struct Course {
    pub stack: Stack,
    pub stub: Stub,
    pub processors: Vec<Processor>,
}

/// How it stands at a moment.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Of each processor, bytes.
    pub resident: Vec<u64>,
    /// Of Redis, bytes.
    pub redis: u64,
}

impl Course {
    /// PostgreSQL, two partitions a processor, a stub that answers at once; none of the processors runs yet.
    pub fn start(
        (name, processors): (&str, usize),
        store_disk: Option<&str>,
        more: &[(&str, &str, &str)],
    ) -> Result<Self> {
        println!("{name}; {}", machine_in_words());
        let stub = Stub::start(Delay::None)?;
        let gateway = format!("\"http://127.0.0.1:{}\"", stub.port);
        let own = [
            ("gateway", "url", gateway.as_str()),
            ("gateway", "timeout", "\"10s\""),
            ("sweep", "min_age", "\"30s\""),
        ];
        let settings = own.iter().chain(more);
        let settings = settings.map(|(s, k, v)| ((*s).into(), (*k).into(), (*v).into()));
        let stack = Stack::start(StackOptions {
            store: Store::Postgres,
            partitions: 2 * u32::try_from(processors).unwrap_or(1),
            settings: settings.collect(),
            store_disk: store_disk.map(str::to_owned),
            ..StackOptions::new(env!("CARGO_BIN_EXE_tollbridge"))
        })?;
        // The stub stands in its place.
        stack.kill_simulator();
        let names = NAMES.iter().take(processors);
        let processors = names.map(|name| stack.processor(name)).collect::<Result<_>>()?;
        Ok(Self { stack, stub, processors })
    }

    pub fn start_processors(&self) -> Result<()> {
        self.processors.iter().try_for_each(Processor::start)?;
        self.processors.iter().try_for_each(Processor::wait_ready)
    }

    pub fn stop_processors(&self) -> Result<()> {
        for processor in &self.processors {
            let ended = processor.terminate(STOP_LIMIT)?;
            if !ended.success() {
                return Err(Error::new(format!("a processor ended with {ended}")));
            }
        }
        Ok(())
    }

    /// Pours a load, so many a second from a number on, while something else is done; the first number not sent.
    pub fn under_load(
        &self,
        (from, rate): (u32, u32),
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<u32> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let load = scope.spawn(|| Input::of(&self.stack)?.pour(from, rate, &stop));
            let done = meanwhile();
            stop.store(true, Ordering::Relaxed);
            let next = joined(load);
            done.and(next)
        })
    }

    /// Until Kafka has the last offset committed; how long that took.
    pub fn work_off(&self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        wait_worked_off(&self.stack, limit)?;
        Ok(start.elapsed())
    }

    pub fn standing(&self) -> Result<Standing> {
        let of = |processor: &Processor| {
            let pid = processor.pid().ok_or_else(|| Error::new("a processor does not run"))?;
            memory_now(pid)
        };
        let resident = self.processors.iter().map(of).collect::<Result<_>>()?;
        Ok(Standing { resident, redis: self.stack.redis.used_memory()? })
    }

    /// Of all processors; those that don't answer count as 0.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let of = |processor: &Processor| processor.metrics().unwrap_or_default();
        self.processors.iter().map(of).map(|metrics: Metrics| metrics.sum(name, label)).sum()
    }

    pub fn exactly_once(&self, count: u32) -> Result<()> {
        check::exactly_once(&self.stack, &self.stub, count).map(drop)
    }
}

/// Looks every few seconds for so long.
pub fn watch(lasting: Duration, mut look: impl FnMut(Duration) -> Result<()>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < lasting {
        look(start.elapsed())?;
        thread::sleep(Duration::from_secs(2).min(lasting.saturating_sub(start.elapsed())));
    }
    Ok(())
}

/// What must hold; all that does not is told together in the end.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// Stands before each, where several courses are told side by side.
    of: String,
    misses: Vec<String>,
}

impl Verdicts {
    pub fn of(&mut self, of: String) {
        self.of = of;
    }

    pub fn hold(&mut self, what: &str, figure: &str, holds: bool) {
        let told = format!("{}{what}: {figure}", self.of);
        println!("  {} {told}", if holds { "ok  " } else { "MISS" });
        if !holds {
            self.misses.push(told);
        }
    }

    pub fn add(&mut self, other: Self) {
        self.misses.extend(other.misses);
    }

    /// Memory that grew by no more than a fifth and some MiB while nothing could be finished.
    pub fn flat(&mut self, what: &str, before: u64, after: u64) {
        let figure = format!("{} MiB, then {} MiB", before / MIB, after / MIB);
        self.hold(what, &figure, after <= before + before / 5 + 4 * MIB);
    }

    pub fn told(self) -> Result<()> {
        match self.misses.is_empty() {
            true => Ok(()),
            false => Err(Error::new(format!("misses: {}", self.misses.join("; ")))),
        }
    }
}

pub fn joined<T>(handle: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|_| Err(Error::new("what was done beside it ended with a panic")))
}
