//! Clocks of one process, which can be moved while it runs: a small library that is preloaded, compiled by `cc` when a
//! run needs it, and a page of memory that both sides map or read. Deliberately nothing else on the host notices.

use crate::world::failed;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollbridge_rig::{Launch, Result};

const SOURCE: &str = include_str!("../shim/clock.c");
const COMPILE_LIMIT: Duration = Duration::from_secs(60);

/// Where the page says for how long the host was suspended.
const SUSPENDED_AT: u64 = 16;

/// The clocks of one process.
#[derive(Debug)]
pub struct Clock {
    path: PathBuf,
    page: File,
}

/// Compiles the library into this folder.
///
/// # Errors
/// When there is no C compiler.
pub fn library(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE).map_err(|e| failed("write the clock's source", e))?;
    let compile = Launch::new("cc").args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]);
    compile.arg(&library).arg(&source).arg("-ldl").run(COMPILE_LIMIT)?;
    Ok(library)
}

impl Clock {
    /// One that is right, kept in this file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(path: PathBuf) -> Result<Self> {
        let failed = |e| failed("make a clock", e);
        fs::write(&path, [0; 24]).map_err(failed)?;
        let page = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        Ok(Self { path, page })
    }

    /// The file, for the process.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// So many milliseconds ahead of the host's from now on.
    ///
    /// # Errors
    /// When the page cannot be written.
    pub fn set(&self, ahead_ms: i64) -> Result<()> {
        let shift = (ahead_ms * 1_000_000).to_ne_bytes();
        self.page.write_all_at(&shift, 0).map_err(|e| failed("move a clock", e))
    }

    /// The host was suspended for so long: the monotonic clock missed that, the boot clock did not.
    ///
    /// # Errors
    /// When the page cannot be read or written.
    pub fn suspended(&self, spell: Duration) -> Result<()> {
        let spell = i64::try_from(spell.as_nanos()).map_err(|e| failed("measure a spell", e))?;
        let all = self.number(SUSPENDED_AT)? + spell;
        let written = self.page.write_all_at(&all.to_ne_bytes(), SUSPENDED_AT);
        written.map_err(|e| failed("set a clock back", e))
    }

    /// How often one was read while it was wrong.
    ///
    /// # Errors
    /// When the page cannot be read.
    pub fn reads(&self) -> Result<i64> {
        self.number(8)
    }

    fn number(&self, at: u64) -> Result<i64> {
        let mut number = [0; 8];
        self.page.read_exact_at(&mut number, at).map_err(|e| failed("read a clock", e))?;
        Ok(i64::from_ne_bytes(number))
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, library};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    use tollbridge_rig::{Launch, TempDir};

    #[test]
    fn one_process_has_another_time() {
        let folder = TempDir::new("clock").unwrap();
        let library = library(folder.path()).unwrap();
        let clock = Clock::new(folder.join("one")).unwrap();
        let told = || -> i64 {
            let date = Launch::new("date").arg("+%s").env("LD_PRELOAD", &library);
            let said = date.env("FAULTS_CLOCK", clock.path()).run(Duration::from_secs(10));
            said.unwrap().trim().parse().unwrap()
        };
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            i64::try_from(since.as_secs()).unwrap()
        };
        assert!((told() - now()).abs() <= 2);
        assert_eq!(clock.reads().unwrap(), 0);
        for ahead in [86_400, -3_600] {
            clock.set(ahead * 1000 + 1).unwrap();
            assert!((told() - now() - ahead).abs() <= 2);
        }
        assert!(clock.reads().unwrap() >= 2);
    }

    /// Python asks the C library for its clocks and waits, as the processor does.
    #[test]
    fn a_suspended_host_misses_time_on_one_clock_alone() {
        let folder = TempDir::new("clock").unwrap();
        let library = library(folder.path()).unwrap();
        let clock = Clock::new(folder.join("one")).unwrap();
        let script = "import time, threading\n\
                      clocks = time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME\n\
                      before = time.monotonic()\n\
                      threading.Event().wait(0.3)\n\
                      print(*(round(time.clock_gettime(c)) for c in clocks), time.monotonic() - before)";
        let told = || -> Vec<f64> {
            let python = Launch::new("python3").args(["-c", script]).env("LD_PRELOAD", &library);
            let said = python.env("FAULTS_CLOCK", clock.path()).run(Duration::from_secs(10));
            said.unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect()
        };
        let before = told();
        clock.suspended(Duration::from_secs(100)).unwrap();
        clock.suspended(Duration::from_secs(200)).unwrap();
        let after = told();
        let missed = (after[1] - before[1]) - (after[0] - before[0]);
        assert!((missed - 300.0).abs() <= 2.0, "{before:?}, {after:?}");
        assert!((0.29..2.0).contains(&after[2]), "a wait of 0.3 s took {} s", after[2]);
        assert!(clock.reads().unwrap() >= 2);
    }
}
