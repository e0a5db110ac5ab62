//! What governs the requests, at full size and as the gateway sees it: the rate of the whole group, and what repeats
//! leave to first attempts.

use std::thread;
use std::time::Duration;

use tollbridge_rig::{Error, Result, wait_until};

use super::{Course, Verdicts};
use crate::parts::input::Input;
use crate::parts::stub::now_us;

const RATE: u32 = 1_000;
/// Of first attempts while repeats are at their limit.
const FRESH: u32 = 500;
const STUCK: u32 = 4_000;
const LIMIT: Duration = Duration::from_secs(60);

pub fn govern(lasting: Duration) -> Result<()> {
    let lasting = lasting.min(Duration::from_secs(30));
    let mut verdicts = Verdicts::default();
    rate(lasting, &mut verdicts)?;
    lanes(lasting, &mut verdicts)?;
    verdicts.told()
}

/// Three processes share a rate by their partitions.
fn rate(lasting: Duration, verdicts: &mut Verdicts) -> Result<()> {
    let limit = RATE.to_string();
    let course = Course::start(("a rate", 3), None, &[("gateway", "rate_limit", &limit)])?;
    let input = Input::of(&course.stack)?;
    let seconds = u32::try_from(lasting.as_secs()).unwrap_or(1);
    let count = RATE * (seconds + 10);
    course.start_processors()?;
    let share = f64::from(RATE) / 3.0;
    let shares = || {
        let of = |p: &tollbridge_rig::Processor| p.metrics().unwrap_or_default();
        let mut each = course.processors.iter().map(|p| of(p).sum("tollbridge_rate_limit", ""));
        each.all(|rate| (rate - share).abs() < 1.0)
    };
    wait_until("a third for each", LIMIT, shares)?;
    input.send(0..count)?;
    input.end(count)?;
    course.work_off(LIMIT * 5)?;
    let mut at: Vec<u64> = course.stub.arrivals()?.into_iter().map(|(_, at)| at).collect();
    at.sort_unstable();
    let first = at.first().ok_or_else(|| Error::new("nothing was asked for"))?;
    // Without the first seconds, in which a process may have saved up.
    let from = first + 3_000_000;
    let within = |from: u64, seconds: u64| {
        at.iter().filter(|at| (from..from + seconds * 1_000_000).contains(at)).count()
    };
    let all = within(from, lasting.as_secs());
    let wanted = usize::try_from(RATE * seconds).unwrap_or(usize::MAX);
    let worst = (0..lasting.as_secs()).map(|s| within(from + s * 1_000_000, 1)).max();
    let figure = format!(
        "{all} in {seconds} s, {RATE} a second wanted; {} in the worst second",
        worst.unwrap_or_default()
    );
    verdicts.hold("three processes keep one rate", &figure, all.abs_diff(wanted) * 20 <= wanted);
    course.stop_processors()?;
    course.exactly_once(count)
}

/// How late first attempts are while nothing is asked for again, and while as much is as may be.
fn lanes(lasting: Duration, verdicts: &mut Verdicts) -> Result<()> {
    let more = [("sweep", "interval", "\"500ms\""), ("sweep", "min_age", "\"2s\"")];
    let more = [more[0], more[1], ("gateway", "timeout", "\"1s\"")];
    let course = Course::start(("lanes", 2), None, &more)?;
    course.start_processors()?;
    // A route and a broker that are new are seconds late.
    let (next, _) = fresh(&course, 0, lasting)?;
    let (next, alone) = fresh(&course, next, lasting)?;
    let stuck = next..next + STUCK;
    course.stub.set_stuck(&stuck)?;
    let input = Input::of(&course.stack)?;
    input.send(stuck.clone())?;
    let firsts =
        || course.metric("tollbridge_gateway_answers_total", "still_running") >= f64::from(STUCK);
    wait_until("what is stuck to be asked for", LIMIT, firsts)?;
    let asked = || -> Result<u64> { Ok(course.stub.seconds()?.into_iter().map(u64::from).sum()) };
    let before = asked()?;
    let (next, beside) = fresh(&course, stuck.end, lasting)?;
    let repeats = (asked()? - before).saturating_sub(u64::from(next - stuck.end));
    let figure = format!(
        "{:.1} ms alone, {:.1} ms beside {repeats} repeats in {:.0} s",
        alone / 1e3,
        beside / 1e3,
        lasting.as_secs_f64()
    );
    let at_limit = repeats > 10 * lasting.as_secs();
    verdicts.hold("99 of 100 first attempts", &figure, beside <= alone * 1.5 && at_limit);
    course.stub.set_stuck(&(0..0))?;
    course.work_off(LIMIT * 5)?;
    course.stop_processors()?;
    course.exactly_once(next)
}

/// Pours first attempts; the next number, and how late 99 of 100 came, from when they were to be sent, in microseconds.
fn fresh(course: &Course, from: u32, lasting: Duration) -> Result<(u32, f64)> {
    let began = now_us();
    let next = course.under_load((from, FRESH), || {
        thread::sleep(lasting);
        Ok(())
    })?;
    let all_came = || {
        let arrivals = course.stub.arrivals().unwrap_or_default();
        arrivals.iter().filter(|(number, _)| (from..next).contains(number)).count()
            >= usize::try_from(next - from).unwrap_or(usize::MAX)
    };
    wait_until("the last of them", LIMIT, all_came)?;
    let late = |(number, at): (u32, u64)| {
        let due = began + u64::from(number - from) * 1_000_000 / u64::from(FRESH);
        (from..next).contains(&number).then(|| at.saturating_sub(due))
    };
    let arrivals = course.stub.arrivals()?.into_iter().filter(|(number, _)| *number >= from);
    let mut lates: Vec<u64> = arrivals.filter_map(late).collect();
    lates.sort_unstable();
    // A producer is not made in no time: the earliest counts as in time.
    let earliest = lates.first().copied().unwrap_or_default();
    let p99 = lates.get(lates.len() * 99 / 100).map_or(0, |late| late - earliest);
    Ok((next, f64::from(u32::try_from(p99).unwrap_or(u32::MAX))))
}
