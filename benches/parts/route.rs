//! A run of the whole route: input first, then one processor against real services and the stub, until Kafka has the
//! last offset committed. Figures come out only after the gate; what misses its target ends the bench with an error.

use std::process::ExitCode;
use std::time::Duration;

use tollbridge_rig::stack::{GROUP, TRANSACTIONS, wait_worked_off};
use tollbridge_rig::{Error, Processor, Result, Stack, StackOptions, Store, wait_until};

use super::cost::{Spent, Watched, machine_in_words, memory_peak};
use super::stub::{Stub, is_asked_for, now_us};
use super::{check, input};

const RUN_LIMIT: Duration = Duration::from_secs(200);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// What is run, and what is asked of it.
#[derive(Debug)]
pub struct Item {
    pub name: &'static str,
    pub transactions: u32,
    pub partitions: u32,
    pub latency: Duration,
    pub in_flight: u32,
    pub rate_min: f64,
    /// Of the processor, a transaction; microseconds.
    pub cpu_max_us: Option<f64>,
    /// Of the processor.
    pub memory_max_mib: Option<u64>,
}

struct Figures {
    rate: f64,
    spent: Spent,
    memory: u64,
}

/// The whole bench, as a program. A number as its argument is another number of transactions, for a short look.
pub fn main(item: &Item) -> ExitCode {
    if let Some(ended) = is_asked_for() {
        return ended;
    }
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let item = &Item { transactions: count.unwrap_or(item.transactions), ..*item };
    match measure(item).and_then(|figures| report(item, &figures)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", item.name);
            ExitCode::FAILURE
        }
    }
}

fn measure(item: &Item) -> Result<Figures> {
    println!(
        "{}: {} transactions, {} partition(s), {} in flight, gateway at {:?}; {}",
        item.name,
        item.transactions,
        item.partitions,
        item.in_flight,
        item.latency,
        machine_in_words()
    );
    let stub = Stub::start(item.latency)?;
    let stack = start(item, &stub)?;
    input::produce(&stack, item.transactions)?;
    let processor = stack.processor("measured")?;
    let figures = run(item, &stack, &stub, &processor)?;
    let ended = processor.terminate(STOP_LIMIT)?;
    if !ended.success() {
        return Err(Error::new(format!("the processor ended with {ended}")));
    }
    check::exactly_once(&stack, &stub, item.transactions)?;
    Ok(figures)
}

fn start(item: &Item, stub: &Stub) -> Result<Stack> {
    let setting = |section: &str, key: &str, value: String| (section.into(), key.into(), value);
    let gateway = format!("\"http://127.0.0.1:{}\"", stub.port);
    let stack = Stack::start(StackOptions {
        store: Store::Postgres,
        partitions: item.partitions,
        settings: vec![
            setting("gateway", "url", gateway),
            setting("gateway", "max_in_flight", item.in_flight.to_string()),
            // On a crowded machine a repeat would spoil the run, which shall have none.
            setting("gateway", "timeout", "\"10s\"".into()),
            setting("sweep", "interval", "\"5s\"".into()),
            setting("sweep", "min_age", "\"60s\"".into()),
        ],
        ..StackOptions::new(env!("CARGO_BIN_EXE_tollbridge"))
    })?;
    // The stub stands in its place.
    stack.kill_simulator();
    Ok(stack)
}

/// From the first request to the last committed offset; CPU time and memory from the processor's start.
fn run(item: &Item, stack: &Stack, stub: &Stub, processor: &Processor) -> Result<Figures> {
    let pid = |pid: Option<u32>| pid.ok_or_else(|| Error::new("a part does not run"));
    let mut watched = Watched(vec![
        ("gateway stub", stub.pid()),
        ("redis", pid(stack.redis.pid())?),
        ("kafka", pid(stack.kafka.pid())?),
        ("postgres", pid(stack.postgres.as_ref().and_then(|postgres| postgres.pid()))?),
    ]);
    let before = watched.spent()?;
    processor.start()?;
    let measured = pid(processor.pid())?;
    watched.0.insert(0, ("processor", measured));
    let wanted = i64::from(item.transactions);
    let committed = || -> Result<i64> {
        let offsets = stack.kafka.group_offsets(GROUP, TRANSACTIONS, item.partitions)?;
        Ok(offsets.iter().map(|offset| (*offset).max(0)).sum())
    };
    let waited = wait_until("the last offset", RUN_LIMIT, || {
        processor.check().is_err() || committed().is_ok_and(|offset| offset >= wanted)
    });
    let end_us = now_us();
    let spent = watched.spent()?.since(&before);
    processor.check()?;
    waited.and_then(|()| wait_worked_off(stack, Duration::ZERO))?;
    let took_us = end_us.saturating_sub(stub.totals()?.first_us);
    let rate = f64::from(item.transactions) / Duration::from_micros(took_us).as_secs_f64();
    Ok(Figures { rate, spent, memory: memory_peak(measured)? })
}

fn report(item: &Item, figures: &Figures) -> Result<()> {
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / f64::from(item.transactions);
    let mut missed = Vec::new();
    let mut line = |name: &str, value: f64, unit: &str, target: String, met: bool| {
        println!("  {name:<22} {value:>9.1} {unit:<6} {target}");
        if !met {
            missed.push(name.to_owned());
        }
    };
    let rate = figures.rate;
    line("rate", rate, "tx/s", format!("(at least {})", item.rate_min), rate >= item.rate_min);
    for (name, spent) in &figures.spent.each {
        let most = item.cpu_max_us.filter(|_| *name == "processor");
        let target = most.map_or(String::new(), |most| format!("(at most {most})"));
        let met = most.is_none_or(|most| each(*spent) <= most);
        line(name, each(*spent), "µs/tx", target, met);
    }
    let mib = |bytes: u64| f64::from(u32::try_from(bytes * 10 / MIB).unwrap_or(u32::MAX)) / 10.0;
    let most = item.memory_max_mib;
    let target = most.map_or(String::new(), |most| format!("(at most {most})"));
    let met = most.is_none_or(|most| figures.memory <= most * MIB);
    line("processor memory peak", mib(figures.memory), "MiB", target, met);
    let others = figures.spent.others().as_secs_f64();
    let machine = figures.spent.machine.as_secs_f64().max(0.01);
    println!("  every transaction charged, stored and reported exactly once");
    println!("  of the CPU time meanwhile, others had {:.0} %", 100.0 * others / machine);
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Error::new(format!("misses its target: {}", missed.join(", ")))),
    }
}
