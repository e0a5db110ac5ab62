//! How late things are, from the moment at which a transaction was meant to be sent: a stall is charged to each one
//! that it delayed. The load is half of what the route does at its fastest, measured right before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::error::KafkaError;
use serde::Deserialize;
use tollbridge_rig::stack::{OUTCOMES, TRANSACTIONS};
use tollbridge_rig::{Error, Result};

use super::{Size, WARM};
use crate::parts::check;
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::input::{self, Input, Poured};
use crate::parts::route::{Route, Setup, run};
use crate::parts::steady::{of_thousand, whole};
use crate::parts::stub::now_us;

/// Without the first seconds: a broker that was warm for a backlog is not yet for many small requests.
const WARM_UP: u32 = 20;
const SECONDS: u32 = 30;
const POLL: Duration = Duration::from_millis(100);
/// 50, 99 and 99.9 of a hundred.
const OF_THOUSAND: [(usize, &str); 3] = [(500, "p50"), (990, "p99"), (999, "p99.9")];
const COMMITTED: &str = "SELECT transaction_id, \
     (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM transactions";

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    transaction_id: &'a str,
}

/// By number, microseconds since 1970.
type Moments = HashMap<u32, u64>;

/// D1 and d2: the gateway, a consumer beside it, the row, the event.
pub(super) fn late(size: Size) -> Result<Report> {
    let warm = size.count(WARM);
    let fastest = run(&Setup { warm, ..Setup::at_once(size.count(300_000)) })?.rate;
    let rate = whole(fastest / 2.0).max(100);
    let count = size.count(rate * (WARM_UP + SECONDS));
    let route = Route::empty(&Setup { warm, ..Setup::at_once(count) })?;
    let mut watched = route.watched(&route.start()?)?;
    watched.0.push(("load and readers", std::process::id()));
    route.wait_owned()?;
    let before = watched.spent()?;
    let over = AtomicBool::new(false);
    let (poured, passed, told) = thread::scope(|scope| {
        let passing = scope.spawn(|| moments(&route, TRANSACTIONS, &over));
        let telling = scope.spawn(|| moments(&route, OUTCOMES[0], &over));
        let poured = Input::prompt(&route.stack)?.pour_by_clock(rate, warm, count);
        let committed = route.wait_committed(count);
        over.store(true, Ordering::Relaxed);
        let joined = |ended: thread::Result<Result<Moments>>| {
            ended.map_err(|_| Error::new("a reader panicked"))?
        };
        let (passed, told) = (joined(passing.join())?, joined(telling.join())?);
        committed.and(poured).map(|poured| (poured, passed, told))
    })?;
    let spent = watched.spent()?.since(&before);
    let stored = stored(&route)?;
    let asked: Moments = route.stub.arrivals()?.into_iter().collect();
    route.end(count)?;
    let mut report = Report::default();
    let targets = |three: [f64; 3]| three.map(|goal| Target::AtMost(goal, 2.0 * goal));
    let gateway =
        add(&mut report, "at the gateway (d1)", &asked, &poured, targets([3.0, 10.0, 25.0]))?;
    let beside = add(&mut report, "at a consumer beside it", &passed, &poured, [Target::Told; 3])?;
    let beyond = gateway - beside;
    let beyond = Finding::one(
        "p99 at the gateway, beyond that consumer's",
        beyond,
        "ms",
        Target::AtMost(5.0, 5.0),
    )?;
    report.findings.push(beyond);
    add(&mut report, "row committed (d2)", &stored, &poured, targets([60.0, 120.0, 200.0]))?;
    add(&mut report, "event visible (d2)", &told, &poured, targets([60.0, 120.0, 200.0]))?;
    report.notes.push(format!(
        "{rate} a second, half of {fastest:.0}, for {SECONDS} s; {} transactions; every one exactly once",
        count
    ));
    report.notes.push(spent.in_words());
    report.notes.push("PostgreSQL takes a commit's time before it syncs the commit".to_owned());
    Ok(report)
}

/// The three of it; the p99 in milliseconds.
fn add(
    report: &mut Report,
    what: &str,
    seen: &Moments,
    poured: &Poured,
    targets: [Target; 3],
) -> Result<f64> {
    let end = poured.first + poured.count;
    let first = poured.first + poured.count * WARM_UP / (WARM_UP + SECONDS);
    let late = |number: u32| {
        let at_us = seen
            .get(&number)
            .ok_or_else(|| Error::new(format!("{what}: {number} was not seen")))?;
        Ok(at_us.saturating_sub(poured.meant_us(number)))
    };
    let mut lates = (first..end).map(late).collect::<Result<Vec<u64>>>()?;
    lates.sort_unstable();
    let mut p99 = 0.0;
    for ((thousandths, name), target) in OF_THOUSAND.into_iter().zip(targets) {
        let ms = of_thousand(&lates, thousandths) as f64 / 1e3;
        report.findings.push(Finding::one(&format!("{name} {what}"), ms, "ms", target)?);
        if thousandths == 990 {
            p99 = ms;
        }
    }
    Ok(p99)
}

/// When a `read_committed` consumer that runs along saw each.
fn moments(route: &Route, topic: &str, over: &AtomicBool) -> Result<Moments> {
    let consumer = check::reader(&route.stack, topic)?;
    let mut seen = Moments::new();
    loop {
        match consumer.poll(POLL) {
            None if over.load(Ordering::Relaxed) => return Ok(seen),
            None => {}
            // Caught up, for now.
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(Error::new(format!("read {topic}: {error}"))),
            Some(Ok(message)) => {
                let at_us = now_us();
                let named =
                    serde_json::from_slice::<Named<'_>>(message.payload().unwrap_or_default());
                if let Some(number) =
                    named.ok().and_then(|named| input::number(named.transaction_id))
                {
                    seen.entry(number).or_insert(at_us);
                }
            }
        }
    }
}

/// When each row was committed.
fn stored(route: &Route) -> Result<Moments> {
    let postgres = route.stack.postgres.as_ref().ok_or_else(|| Error::new("no Postgres"))?;
    let read = |line: &str| {
        let (id, at_us) = line.split_once('|')?;
        Some((input::number(id)?, at_us.parse().ok()?))
    };
    Ok(postgres.psql(COMMITTED)?.lines().filter_map(read).collect())
}
