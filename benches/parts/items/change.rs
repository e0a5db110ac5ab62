//! What happens to the load when processes come, go and die.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use tollbridge_rig::stack::{GROUP, TRANSACTIONS};
use tollbridge_rig::{Error, Result, wait_until};

use super::Size;
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::input::{Input, Poured};
use crate::parts::route::{Route, Setup};
use crate::parts::steady::Spread;
use crate::parts::stub::now_us;

const RATE: u32 = 5_000;
/// What a debug build on a busy machine keeps up with.
const RATE_OF_LOOK: u32 = 250;
/// What is looked at after a change, and how long it is left alone before.
const AFTER: Duration = Duration::from_secs(8);
const LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const RUNS: usize = 3;

/// Who owns each partition.
type Owners = BTreeMap<i32, String>;

/// The longest gap of arrivals at the gateway of each partition, around a moment; seconds.
struct Gaps {
    moved: f64,
    stayed: f64,
}

/// E3: a third processor joins two, and leaves.
pub(super) fn e3(size: Size) -> Result<Report> {
    let rate = if matches!(size, Size::Full) { RATE } else { RATE_OF_LOOK };
    let runs = (0..size.pairs(RUNS)).map(|_| join_and_leave(rate)).collect::<Result<Vec<_>>>()?;
    let of = |gap: fn(&Gaps) -> f64| Spread::of(runs.iter().flatten().map(gap));
    Ok(Report {
        findings: vec![
            Finding::new(
                "partitions that stay (e3)",
                of(|gaps| gaps.stayed),
                "s",
                Target::AtMost(0.2, 1.0),
            )?,
            Finding::new(
                "partitions that move (e3)",
                of(|gaps| gaps.moved),
                "s",
                Target::AtMost(1.5, 6.0),
            )?,
        ],
        notes: vec![format!(
            "longest gap of arrivals at the gateway within {} s of a change, {rate} a second, 6 partitions; {} \
             runs, in each of which a third processor joins two and leaves; the worst partition of each",
            AFTER.as_secs(),
            runs.len()
        )],
    })
}

fn join_and_leave(rate: u32) -> Result<[Gaps; 2]> {
    let seconds = 4 * u32::try_from(AFTER.as_secs()).unwrap_or(8);
    let count = rate * seconds;
    let setup = Setup { partitions: 6, processors: 3, ..Setup::at_once(count) };
    let route = Route::empty(&setup)?;
    let (guest, residents) =
        route.processors.split_last().ok_or_else(|| Error::new("no processors"))?;
    residents.iter().try_for_each(tollbridge_rig::Processor::start)?;
    route.wait_owned()?;
    let (marks, poured) = thread::scope(|scope| {
        let load =
            scope.spawn(|| Input::prompt(&route.stack)?.pour_by_clock(rate, route.warm, count));
        let changes = || -> Result<_> {
            thread::sleep(AFTER);
            let (before, joins_us) = (owners(&route)?, now_us());
            guest.start()?;
            route.wait_owned()?;
            thread::sleep(AFTER);
            let (between, leaves_us) = (owners(&route)?, now_us());
            guest.terminate(STOP_LIMIT)?;
            route.wait_owned()?;
            let after = owners(&route)?;
            Ok([(joins_us, before, between.clone()), (leaves_us, between, after)])
        };
        let marks = changes();
        let poured: Result<Poured> = load
            .join()
            .map_err(|_| Error::new("the load ended with a panic"))
            .and_then(|poured| poured);
        poured.and_then(|poured| marks.map(|marks| (marks, poured)))
    })?;
    route.wait_committed(poured.count)?;
    let arrivals = route.stub.arrivals()?;
    route.end(count)?;
    let [joined, left] =
        marks.map(|(at_us, before, after)| gaps(&arrivals, at_us, &before, &after));
    Ok([joined?, left?])
}

fn owners(route: &Route) -> Result<Owners> {
    let mut owners = Owners::new();
    for member in route.stack.kafka.members(GROUP)? {
        let own = member.owns.iter().filter(|(topic, _)| topic == TRANSACTIONS);
        owners.extend(own.map(|(_, partition)| (*partition, member.member_id.clone())));
    }
    Ok(owners)
}

fn gaps(arrivals: &[(u32, u64)], at_us: u64, before: &Owners, after: &Owners) -> Result<Gaps> {
    let until_us = at_us + u64::try_from(AFTER.as_micros()).unwrap_or(u64::MAX);
    let partitions = u32::try_from(before.len()).unwrap_or(1).max(1);
    let mut gaps = Gaps { moved: 0.0, stayed: 0.0 };
    for (partition, owner) in before {
        let of_partition = |number: u32| (number % partitions).cast_signed() == *partition;
        let within = |at: &u64| (at_us..until_us).contains(at);
        let mut moments: Vec<u64> = arrivals
            .iter()
            .filter(|(n, at)| of_partition(*n) && within(at))
            .map(|(_, at)| *at)
            .collect();
        moments.extend([at_us, until_us]);
        moments.sort_unstable();
        let longest = moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        let gap =
            if after.get(partition) == Some(owner) { &mut gaps.stayed } else { &mut gaps.moved };
        *gap = gap.max(longest as f64 / 1e6);
    }
    match gaps.moved > 0.0 && gaps.stayed > 0.0 {
        true => Ok(gaps),
        false => Err(Error::new("all partitions moved, or none")),
    }
}

/// G1: killed with a full temp queue and a backlog in Kafka, and started again under its name.
pub(super) fn g1(size: Size) -> Result<Report> {
    let runs = (0..size.pairs(RUNS)).map(|_| killed(size)).collect::<Result<Vec<_>>>()?;
    let of = |pick: fn(&(f64, f64)) -> f64| Spread::of(runs.iter().map(pick));
    Ok(Report {
        findings: vec![
            Finding::new(
                "first call after a kill (g1)",
                of(|run| run.0),
                "s",
                Target::AtMost(1.0, 5.0),
            )?,
            Finding::new(
                "95 % of the rate before (g1)",
                of(|run| run.1),
                "s",
                Target::AtMost(6.0, 15.0),
            )?,
        ],
        notes: vec![format!(
            "from the start of the new process; {} runs, instance_id set",
            runs.len()
        )],
    })
}

/// Rates are of windows of this length.
const WINDOW_US: u64 = 250_000;

fn killed(size: Size) -> Result<(f64, f64)> {
    let name = ("kafka", "instance_id", "\"measured\"".to_owned());
    let setup = Setup { more: vec![name], ..Setup::at_once(size.count(1_000_000)) };
    let route = Route::ready(&setup)?;
    route.start()?;
    let third = setup.transactions / 3;
    let asked = || route.stub.totals().is_ok_and(|totals| totals.requests > u64::from(third));
    wait_until("a third of the backlog", LIMIT * 4, asked)?;
    let [processor] = route.processors.as_slice() else { return Err(Error::new("one processor")) };
    let killed_us = now_us();
    processor.kill();
    route.stub.mark()?;
    let started_us = now_us();
    processor.start()?;
    route.wait_committed(setup.transactions)?;
    let first_us = route.stub.totals()?.marked_us;
    let mut moments: Vec<u64> =
        route.stub.arrivals()?.into_iter().map(|(_, at_us)| at_us).collect();
    moments.sort_unstable();
    // Those that were on their way are asked for again with the same key.
    route.end_but_for_repeats(setup.transactions, setup.in_flight as usize)?;
    let within = |from: u64, length: u64| {
        moments.partition_point(|at| *at < from + length) - moments.partition_point(|at| *at < from)
    };
    let before = within(killed_us - 3_000_000, 3_000_000) / 12;
    let mut windows =
        (0..LIMIT.as_secs() * 1_000_000 / WINDOW_US).map(|n| started_us + n * WINDOW_US);
    let back = windows.find(|from| within(*from, WINDOW_US) * 100 >= before * 95);
    let back = back.ok_or_else(|| Error::new("the rate never came back"))?;
    let seconds = |until_us: u64| until_us.saturating_sub(started_us) as f64 / 1e6;
    Ok((seconds(first_us), seconds(back + WINDOW_US)))
}
