//! Many runs, some of them side by side: each is a process of its own with services, ports and a folder of its own,
//! and this one alone writes the ledger, a line as each run ends. It runs copies of the binaries, so that what is built
//! meanwhile is not mixed in. Deliberately nothing is made again, and nothing stops it but its end.

use crate::book::{Book, Entry, Verdict};
use crate::history::{self, Core};
use crate::lack::{Made, claim};
use crate::scenario::Scenario;
use crate::world::failed;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tollbridge_rig::{Error, Launch, Result};

/// Longer than any run may take on a machine that is busy with others.
const RUN_LIMIT: Duration = Duration::from_secs(1800);
/// What a run that is a process of its own says at its end, before its line of the ledger.
pub const SPENT: &str = "seconds of processor time: ";
/// The variables that name binaries.
pub const BINARIES: [&str; 3] = ["TOLLBRIDGE", "TOLLBRIDGE_FAILPOINTS", "TOLLBRIDGE_BEFORE"];

/// What is asked for.
#[derive(Debug)]
pub struct Campaign {
    /// So many runs.
    pub runs: u64,
    /// Seeds from this one on.
    pub seed: u64,
    /// So many side by side.
    pub jobs: u64,
    /// After so long no run is begun any more.
    pub limit: Duration,
    /// Of these scenarios.
    pub among: Vec<&'static Scenario>,
}

/// What all that make runs share.
struct Desk {
    book: Book,
    made: Made,
    commit: String,
    begun: u64,
    ended: Vec<(Entry, f64)>,
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Campaign {
    /// Makes the runs and says what came of them; whether all were `ok`.
    ///
    /// # Errors
    /// When another campaign runs here, a binary is missing, or the ledger cannot be written.
    pub fn carry_out(&self, book: &Book, folder: &Path) -> Result<bool> {
        fs::create_dir_all(folder).map_err(|e| failed("make the campaign's folder", e))?;
        let _alone = alone(folder)?;
        let binaries = copies(folder)?;
        let start = Instant::now();
        let (all, mut core) = (book.entries()?, Core::with_adapters()?);
        let counted: Vec<&Entry> = all.iter().filter(|entry| core.is_of(&entry.commit)).collect();
        let commit = history::commit()?;
        println!("{commit}: {} runs since {} are in the ledger", counted.len(), core.commit);
        let made = Made::of(&all, &counted);
        let desk = Desk { book: book.clone(), made, commit, begun: 0, ended: Vec::new() };
        let desk = Mutex::new(desk);
        std::thread::scope(|scope| {
            let work = || {
                while let Some((number, scenario, seed)) = self.next(&desk, start) {
                    let (mut entry, spent) = apart(scenario, seed, &binaries);
                    let mut desk = lock(&desk);
                    desk.commit.clone_into(&mut entry.commit);
                    desk.book.add(&entry)?;
                    println!(
                        "{number} of {}, {spent:.0} s of a processor: {}",
                        self.runs,
                        entry.line()
                    );
                    desk.ended.push((entry, spent));
                }
                Ok(())
            };
            let hands: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            let panicked = |_| Error::new("a part of the campaign panicked");
            let ends: Vec<Result<()>> =
                hands.into_iter().map(|hand| hand.join().map_err(panicked)?).collect();
            ends.into_iter().collect::<Result<()>>()
        })?;
        fs::remove_dir_all(folder.join("bin")).ok();
        let good = summary(&lock(&desk).ended, start.elapsed());
        println!("{}", claim_of(book)?);
        Ok(good)
    }

    fn next(&self, desk: &Mutex<Desk>, start: Instant) -> Option<(u64, &'static Scenario, u64)> {
        let mut desk = lock(desk);
        if desk.begun >= self.runs || start.elapsed() >= self.limit {
            return None;
        }
        let (scenario, seed) = desk.made.take(&self.among, self.seed)?;
        desk.begun += 1;
        println!("{} of {} begins: {} {seed}", desk.begun, self.runs, scenario.name);
        Some((desk.begun, scenario, seed))
    }
}

/// What the ledger shows of the pipeline as it is, and, where they have changed since, with its adapters as they are.
///
/// # Errors
/// When git does not answer or the ledger can't be read.
pub fn claim_of(book: &Book) -> Result<String> {
    let (all, readme) = (book.entries()?, book.explanations());
    let claimed = |mut core: Core| {
        let runs: Vec<&Entry> = all.iter().filter(|entry| core.is_of(&entry.commit)).collect();
        claim(&core.commit, &runs, &readme)
    };
    let (pipeline, both) = (Core::pipeline()?, Core::with_adapters()?);
    if pipeline.commit == both.commit {
        return Ok(claimed(both));
    }
    Ok(format!("the pipeline, {}\nwith its adapters, {}", claimed(pipeline), claimed(both)))
}

fn summary(ended: &[(Entry, f64)], took: Duration) -> bool {
    let of = |verdict| ended.iter().filter(|(entry, _)| entry.verdict == verdict).count();
    let spent: f64 = ended.iter().map(|(_, spent)| spent).sum();
    let good = of(Verdict::Ok);
    for (entry, _) in ended.iter().filter(|(entry, _)| entry.verdict != Verdict::Ok) {
        println!("to be looked at: {}", entry.line());
    }
    println!(
        "{} runs made in {} minutes, {good} ok, {} violations, {} errors; {:.0} minutes of a processor",
        ended.len(),
        took.as_secs() / 60,
        of(Verdict::Violation),
        of(Verdict::Error),
        spent / 60.0
    );
    good == ended.len()
}

/// A campaign has this checkout's ledger for itself.
fn alone(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| failed("open the campaign's lock", e))?;
    let taken = |e| failed("have the ledger alone; does another campaign run here?", e);
    file.try_lock().map_err(taken)?;
    Ok(file)
}

/// Copies of the binaries that the variables name, and of this one.
fn copies(folder: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    let bin = std::path::absolute(folder.join("bin")).map_err(|e| failed("find a folder", e))?;
    fs::remove_dir_all(&bin).ok();
    fs::create_dir_all(&bin).map_err(|e| failed("make the campaign's folder", e))?;
    let this = std::env::current_exe().map_err(|e| failed("find this program", e))?;
    let named = BINARIES.map(|name| (name, std::env::var_os(name).map(PathBuf::from)));
    let mut copies = BTreeMap::new();
    for (name, from) in named.into_iter().chain([("faults", Some(this))]) {
        let Some(from) = from else { continue };
        let to = bin.join(name.to_lowercase());
        let copied = fs::copy(&from, &to);
        copied.map_err(|e| failed(&format!("copy {} ({name})", from.display()), e))?;
        copies.insert(name, to);
    }
    Ok(copies)
}

/// A run as a process of its own: its line, and how many seconds of a processor it took.
fn apart(
    scenario: &'static Scenario,
    seed: u64,
    binaries: &BTreeMap<&'static str, PathBuf>,
) -> (Entry, f64) {
    let start = Instant::now();
    let nothing = |cause: String| Entry {
        scenario: scenario.name.to_owned(),
        seed,
        verdict: Verdict::Error,
        cause,
        seconds: start.elapsed().as_secs(),
        ..Entry::default()
    };
    let log = PathBuf::from(format!(".rig/faults/{}-{seed}.log", scenario.name));
    let said = match said_apart(scenario.name, seed, binaries, &log) {
        Ok(said) => said,
        Err(e) => {
            let first = e.to_string().lines().next().unwrap_or_default().to_owned();
            return (nothing(format!("the run did not end by itself: {first}")), 0.0);
        }
    };
    let entry = said.lines().rev().find_map(Entry::read);
    let entry = entry.filter(|entry| entry.scenario == scenario.name && entry.seed == seed);
    let entry = entry.unwrap_or_else(|| {
        let last = said.lines().last().unwrap_or_default();
        nothing(format!("the run ended without a result: {last}"))
    });
    let spent = said.lines().rev().find_map(|line| line.strip_prefix(SPENT)?.parse().ok());
    match entry.verdict {
        Verdict::Ok => drop(fs::remove_file(&log)),
        _ => println!("what it said is in {}, its logs are beside it", log.display()),
    }
    (entry, spent.unwrap_or(0.0))
}

fn said_apart(
    name: &str,
    seed: u64,
    binaries: &BTreeMap<&'static str, PathBuf>,
    log: &Path,
) -> Result<String> {
    fs::create_dir_all(".rig/faults").map_err(|e| failed("make the runs' folder", e))?;
    fs::remove_file(log).ok();
    let this = binaries.get("faults").ok_or_else(|| Error::new("there is no copy of the suite"))?;
    let launch = Launch::new(this).args(["apart", name, &seed.to_string()]).log(log);
    let launch = binaries.iter().fold(launch, |launch, (name, path)| launch.env(name, path));
    let process = launch.start()?;
    process.wait(RUN_LIMIT)?;
    Ok(process.log())
}
