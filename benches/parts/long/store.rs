//! A store that is down, slow, read-only or full for many minutes, with both ways to ask it before a first attempt.

use std::fs;
use std::thread;
use std::time::Duration;

use tollbridge_rig::{Error, Postgres, Result, disk, wait_until};

use super::{Course, Verdicts, joined, watch};

const RATE: u32 = 500;
/// Reached within minutes, so that intake has to stop.
const ARCHIVE_MAX: u32 = 20_000;
/// For all rows of the whole course, many times over.
const DISK: &str = "3g";
const SETTLED: Duration = Duration::from_secs(10);
/// All that came in meanwhile is done so soon after a short outage, else within half of its time: every course catches
/// up at once.
const RECOVERED: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Down,
    Slow,
    ReadOnly,
    Full,
}

const MODES: [Mode; 4] = [Mode::Down, Mode::Slow, Mode::ReadOnly, Mode::Full];
const ASKS: [&str; 2] = ["always", "when_available"];

/// All side by side: they are idle for most of the time.
pub fn outages(lasting: Duration) -> Result<()> {
    thread::scope(|scope| {
        let courses = ASKS.into_iter().flat_map(|ask| MODES.map(|mode| (mode, ask)));
        let begun: Vec<_> =
            courses.map(|course| scope.spawn(move || outage(course, lasting))).collect();
        let mut verdicts = Verdicts::default();
        for course in begun {
            verdicts.add(joined(course)?);
        }
        verdicts.told()
    })
}

fn outage((mode, ask): (Mode, &str), lasting: Duration) -> Result<Verdicts> {
    let name = format!("{mode:?}, asked {ask}");
    let mut verdicts = Verdicts::default();
    verdicts.of(format!("{name}: "));
    let (asks, archive_max) = (format!("\"{ask}\""), ARCHIVE_MAX.to_string());
    let more = [("charge", "ask_store", asks.as_str()), ("redis", "max_archive", &archive_max)];
    // What stands on a small disk is gone once the server stops.
    let disk = (mode == Mode::Full).then_some(DISK);
    let course = Course::start((&format!("store-outage, {name}"), 2), disk, &more)?;
    course.start_processors()?;
    let seen = || broken(&course, (mode, ask), lasting, &mut verdicts);
    let next = course.under_load((0, RATE), seen)?;
    let took = course.work_off(Duration::from_secs(600))?;
    let figure = format!("all of it done {:.0} s afterwards", took.as_secs_f64());
    verdicts.hold("it recovers by itself", &figure, took <= (lasting / 2).max(RECOVERED));
    course.stop_processors()?;
    course.exactly_once(next)?;
    println!("  {name}: every transaction charged, stored and reported exactly once");
    Ok(verdicts)
}

fn broken(
    course: &Course,
    (mode, ask): (Mode, &str),
    lasting: Duration,
    verdicts: &mut Verdicts,
) -> Result<()> {
    // A take-over needs the store: partitions that are not owned yet would stand still for another reason.
    let charged = || course.stub.totals().is_ok_and(|stub| stub.requests > u64::from(5 * RATE));
    wait_until("transactions to be charged", Duration::from_secs(120), charged)?;
    let postgres = course.stack.postgres.as_ref().ok_or_else(|| Error::new("no PostgreSQL"))?;
    let undo = strike(postgres, mode)?;
    let struck = course.stub.totals()?.requests;
    thread::sleep(SETTLED.min(lasting));
    let before = course.standing()?;
    let settled = course.stub.totals()?.requests;
    let mut last = before.clone();
    let mut archived: f64 = 0.0;
    let mut paused = false;
    watch(lasting.saturating_sub(SETTLED), |_| {
        last = course.standing()?;
        archived = archived.max(course.metric("tollbridge_held", "queue=\"archive\""));
        paused |= course.metric("tollbridge_intake_paused", "reason=\"archive_full\"") > 0.0;
        Ok(())
    })?;
    let later = course.stub.totals()?.requests - settled;
    undo(postgres)?;
    for (before, after) in before.resident.into_iter().zip(last.resident) {
        // What waits in the archive queue is held in memory too.
        let most = before + before / 2 + u64::from(ARCHIVE_MAX) * 4_096;
        let figure = format!("{} KiB, then {} KiB", before >> 10, after >> 10);
        verdicts.hold("memory of a processor is bounded", &figure, after <= most);
    }
    let asked = Asked { at_once: settled - struck, later, archived, paused };
    asked.told((mode, ask), lasting, course.processors.len(), verdicts);
    Ok(())
}

/// What the gateway was asked while the store was struck, and what came of it.
#[derive(Debug)]
struct Asked {
    /// Requests in the first seconds.
    at_once: u64,
    later: u64,
    /// At the most.
    archived: f64,
    paused: bool,
}

impl Asked {
    fn told(
        &self,
        (mode, ask): (Mode, &str),
        lasting: Duration,
        processors: usize,
        verdicts: &mut Verdicts,
    ) {
        let Self { at_once, later, archived, paused } = *self;
        let figure = format!(
            "{at_once} requests in the first {:.0} s, {later} in the {:.0} s after",
            SETTLED.as_secs_f64(),
            lasting.saturating_sub(SETTLED).as_secs_f64()
        );
        if (mode, ask) == (Mode::Down, "always") {
            let stops = at_once <= u64::from(RATE) && later == 0;
            return verdicts.hold("first attempts stop at once", &figure, stops);
        }
        let most = f64::from(ARCHIVE_MAX) * processors as f64;
        let sent = f64::from(RATE) * lasting.as_secs_f64();
        let goes_on = (at_once + later) as f64 >= (sent / 2.0).min(most * 0.9);
        verdicts.hold("charging goes on", &figure, goes_on);
        if mode == Mode::Slow {
            return;
        }
        // Nothing can be stored, so what was charged waits.
        let held = format!("{archived:.0} held, at most {most:.0}");
        let is_due = sent > 2.0 * most;
        let is_full = archived >= most * 0.9 || !is_due;
        verdicts.hold("until the archive queue is full", &held, is_full && archived <= most * 1.2);
        verdicts.hold("and intake stops by depth", &format!("{paused}"), paused || !is_due);
    }
}

type Undo = Box<dyn FnOnce(&Postgres) -> Result<()>>;

fn strike(postgres: &Postgres, mode: Mode) -> Result<Undo> {
    match mode {
        Mode::Down => {
            postgres.stop()?;
            Ok(Box::new(Postgres::restart))
        }
        Mode::Slow => {
            postgres.psql(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
                 CREATE TRIGGER slow BEFORE INSERT ON transactions
                     FOR EACH STATEMENT EXECUTE FUNCTION slow()",
            )?;
            Ok(Box::new(|postgres| {
                postgres.psql("DROP TRIGGER slow ON transactions; DROP FUNCTION slow()").map(drop)
            }))
        }
        Mode::ReadOnly => {
            read_only(postgres, "on")?;
            Ok(Box::new(|postgres| read_only(postgres, "off")))
        }
        Mode::Full => {
            let folder = postgres.disk_path();
            let filler = disk::fill(&folder.ok_or_else(|| Error::new("PostgreSQL does not run"))?)?;
            Ok(Box::new(move |_| {
                fs::remove_file(&filler).map_err(|e| Error::new(format!("make room: {e}")))
            }))
        }
    }
}

fn read_only(postgres: &Postgres, state: &str) -> Result<()> {
    postgres.psql(&format!("ALTER SYSTEM SET default_transaction_read_only = {state}"))?;
    postgres.psql("SELECT pg_reload_conf()").map(drop)
}
