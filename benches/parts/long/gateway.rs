//! A gateway that refuses everything for many minutes while transactions come in.

use std::thread;
use std::time::{Duration, Instant};

use tollbridge_rig::Result;

use super::{Course, Verdicts, watch};
use crate::parts::input::Input;

const RATE: u32 = 5_000;
const PROCESSORS: usize = 2;
/// Drained before anything is measured, while the broker still compiles itself; then at full speed, to compare with.
const COLD: u32 = 500_000;
const WARM: u32 = 300_000;
const LIMIT: Duration = Duration::from_secs(300);
/// From the first refusal until only single requests try it.
const SETTLED: Duration = Duration::from_secs(10);

pub fn outage(lasting: Duration) -> Result<()> {
    let course = Course::start(("gateway-outage", PROCESSORS), None, &[])?;
    let input = Input::of(&course.stack)?;
    input.send(0..COLD)?;
    input.end(COLD)?;
    course.start_processors()?;
    course.work_off(LIMIT)?;
    // Sent while nobody reads, as what piles up in the outage is.
    course.stop_processors()?;
    let first = COLD + WARM;
    input.send(COLD..first)?;
    input.end(first)?;
    course.start_processors()?;
    let warm = f64::from(WARM) / course.work_off(LIMIT)?.as_secs_f64();
    println!("  drains {warm:.0} transactions a second");

    let mut verdicts = Verdicts::default();
    // The load ends with the outage: what is measured then is the backlog.
    let next = course.under_load((first, RATE), || away(&course, lasting, &mut verdicts))?;
    drain(&course, next, warm, &mut verdicts)?;
    course.stop_processors()?;
    course.exactly_once(next)?;
    println!("  every transaction charged, stored and reported exactly once");
    verdicts.told()
}

fn away(course: &Course, lasting: Duration, verdicts: &mut Verdicts) -> Result<()> {
    thread::sleep(Duration::from_secs(20));
    course.stub.set_away(true)?;
    thread::sleep(SETTLED);
    let before = course.standing()?;
    let from = course.stub.seconds()?.len();
    let mut most = before.clone();
    watch(lasting.saturating_sub(SETTLED), |_| {
        let now = course.standing()?;
        for (most, now) in most.resident.iter_mut().zip(now.resident) {
            *most = now.max(*most);
        }
        most.redis = now.redis.max(most.redis);
        Ok(())
    })?;
    let seconds = course.stub.seconds()?;
    let meanwhile = &seconds[from.min(seconds.len())..];
    let total: u32 = meanwhile.iter().sum();
    let each = f64::from(total) / meanwhile.len().max(1) as f64 / PROCESSORS as f64;
    let worst = meanwhile.iter().max().copied().unwrap_or_default();
    let figure = format!("{each:.2} on average, {worst} of both in the worst second");
    // A second of ours may hold the end of one of theirs and the beginning of the next.
    let few = each <= 1.0 && worst as usize <= 2 * PROCESSORS;
    verdicts.hold("probes a second and process while it is away", &figure, few && total > 0);
    for (before, after) in before.resident.into_iter().zip(most.resident) {
        verdicts.flat("resident memory of a processor meanwhile", before, after);
    }
    verdicts.flat("memory of Redis meanwhile", before.redis, most.redis);
    Ok(())
}

fn drain(course: &Course, next: u32, warm: f64, verdicts: &mut Verdicts) -> Result<()> {
    let done = course.stub.totals()?.requests;
    let from = course.stub.seconds()?.len();
    course.stub.set_away(false)?;
    let began = Instant::now();
    course.work_off(Duration::from_secs(900))?;
    let took = began.elapsed();
    let requests = course.stub.totals()?.requests;
    let backlog = requests.saturating_sub(done);
    let rate = backlog as f64 / took.as_secs_f64();
    let ratio = rate / warm;
    let figure = format!("{rate:.0} a second of {backlog}, {ratio:.2} of the rate before");
    verdicts.hold("the backlog is drained at the full rate", &figure, ratio >= 0.8);
    let seconds = course.stub.seconds()?;
    let worst = seconds[from.min(seconds.len())..].iter().max().copied().unwrap_or_default();
    let figure = format!("{worst} requests in the worst second");
    verdicts.hold("no storm", &figure, f64::from(worst) <= rate * 2.0);
    let again = requests.saturating_sub(u64::from(next));
    let figure = format!("{again} of {requests} requests that were answered");
    verdicts.hold("hardly anything is asked for twice", &figure, again * 100 <= requests);
    Ok(())
}
