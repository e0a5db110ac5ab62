//! The gateway answers at once, and Kafka, Redis, PostgreSQL, stub and processor share the machine: this is about what
//! a transaction costs.

use tollbridge_rig::{Error, Result};

use super::{MIB, Size, WARM, against_bare, note_run, rates, sides};
use crate::parts::bare::{self, Bare};
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::input::Format;
use crate::parts::pairs::interleaved;
use crate::parts::route::{PROCESSOR, Run, Setup, run};
use crate::parts::steady::Spread;
use crate::parts::wrk;

/// The stub counts at most so much, microseconds a request.
const STUB_MAX: f64 = 8.0;
/// The bare loop reaches at least so much of `wrk`, or it is no bound.
const OF_WRK: f64 = 0.6;
const SERVICES: [&str; 3] = ["redis", "kafka", "postgres"];

pub(super) fn stub(size: Size) -> Result<Report> {
    let seen = wrk::run(256, if matches!(size, Size::Full) { 10 } else { 1 })?;
    Ok(Report {
        findings: vec![
            Finding::one(
                "stub, CPU a request",
                seen.stub_us,
                "µs",
                Target::AtMost(STUB_MAX, STUB_MAX),
            )?,
            Finding::one("wrk, one thread", seen.rate, "/s", Target::Told)?,
        ],
        notes: vec!["wrk, 256 connections".to_owned()],
    })
}

pub(super) fn a2(size: Size) -> Result<Report> {
    let setup = Setup { warm: size.count(WARM), ..Setup::at_once(size.count(600_000)) };
    let witness = wrk::run(256, if matches!(size, Size::Full) { 10 } else { 1 })?;
    // Before pairs are run that then have no number.
    is_a_bound(bare::run(size.count(400_000), setup.in_flight, setup.delay)?.rate / witness.rate)?;
    let pairs = against_bare(size.pairs(5), size.count(1_200_000), &setup)?;
    let mut report = Report::default();
    rates(&mut report, &pairs, Target::AtLeast(0.38, 0.25))?;
    let of_wrk = pairs.of_a(|bare| bare.rate / witness.rate);
    let of_wrk = Finding::new("bare loop / wrk", of_wrk, "", Target::AtLeast(OF_WRK, OF_WRK))?;
    is_a_bound(of_wrk.value)?;
    let rate = pairs.of_b(|run| run.rate);
    let costs = |name: &'static str| pairs.of_b(move |run| run.each(name));
    let bytes = pairs.of_b(|run| run.redis_bytes);
    let memory = pairs.of_b(|run| run.memory as f64 / MIB);
    let compiling = pairs.of_b(Run::compiling);
    let wal = pairs.of_b(|run| run.wal_bytes);
    // Within a pair, so that a machine that slows down slows both.
    let beyond = Spread::of(pairs.pairs.iter().map(|(bare, run)| beyond_client(bare, run)));
    report.findings.extend([
        of_wrk,
        Finding::new("rate (a2)", rate, "tx/s", Target::AtLeast(45_000.0, 30_000.0))?,
        Finding::new("processor (c0)", costs(PROCESSOR), "µs/tx", Target::AtMost(21.0, 31.0))?,
        Finding::new(
            "processor - bare loop's client (c1)",
            beyond,
            "µs/tx",
            Target::AtMost(9.0, 14.0),
        )?,
        Finding::new("all processes (c2)", pairs.of_b(all), "µs/tx", Target::AtMost(44.0, 60.0))?,
        Finding::new("Redis (c3)", costs("redis"), "µs/tx", Target::AtMost(5.0, 7.0))?,
        Finding::new("bytes of Redis / payload (c3)", bytes, "", Target::AtMost(2.5, 4.0))?,
        Finding::new("Kafka", costs("kafka"), "µs/tx", Target::Told)?,
        Finding::new("Kafka, of it compiling", compiling, "µs/tx", Target::Told)?,
        Finding::new("PostgreSQL", costs("postgres"), "µs/tx", Target::Told)?,
        Finding::new("PostgreSQL, written ahead", wal, "B/tx", Target::Told)?,
        Finding::new("stub", costs("stub"), "µs/tx", Target::Told)?,
        Finding::new("bare loop's client", pairs.of_a(|bare| bare.client_us), "µs", Target::Told)?,
        Finding::new("processor, memory at its peak", memory, "MiB", Target::Told)?,
    ]);
    note_run(&mut report, &setup, &pairs)?;
    Ok(report)
}

/// Whether the bare loop reaches enough of `wrk`.
fn is_a_bound(of_wrk: f64) -> Result<()> {
    match of_wrk >= OF_WRK {
        true => Ok(()),
        false => {
            Err(Error::new(format!("the bare loop has {of_wrk:.2} of wrk, less than {OF_WRK}")))
        }
    }
}

fn beyond_client(bare: &Bare, run: &Run) -> f64 {
    run.own() - bare.client_us
}

fn all(run: &Run) -> f64 {
    let services: f64 = SERVICES.iter().map(|name| run.each(name)).sum();
    services + run.own() + run.each("stub").min(STUB_MAX)
}

pub(super) fn avro(size: Size) -> Result<Report> {
    let json = Setup { warm: size.count(WARM), ..Setup::at_once(size.count(600_000)) };
    let framed = [("transactions", "format", "\"avro-confluent\"".to_owned())];
    let avro = Setup { format: Format::Avro, more: framed.into(), ..json.clone() };
    let pairs = interleaved(size.pairs(5), || run(&json), || run(&avro))?;
    let rate = |run: &Run| run.rate;
    let cost = |run: &Run| run.own();
    let names = ("JSON", "Avro", "tx/s");
    let target = Target::AtLeast(0.9, 0.9);
    let mut findings = sides(&pairs, (rate, rate), ("Avro / JSON", target), names)?;
    findings.push(Finding::new("Avro, processor", pairs.of_b(cost), "µs/tx", Target::Told)?);
    findings.push(Finding::new("JSON, processor", pairs.of_a(cost), "µs/tx", Target::Told)?);
    Ok(Report { findings, notes: vec![format!("{} transactions a run", json.transactions)] })
}
