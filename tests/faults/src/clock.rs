//! The wall clock of one process, which can be moved while it runs: a small library that is preloaded, compiled by
//! `cc` when a run needs it, and a page of memory that both sides map or read. Deliberately nothing else on the host
//! notices.

use crate::world::failed;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollbridge_rig::{Launch, Result};

const SOURCE: &str = include_str!("../shim/clock.c");
const COMPILE_LIMIT: Duration = Duration::from_secs(60);

/// The clock of one process.
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
        fs::write(&path, [0; 16]).map_err(failed)?;
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

    /// How often it was read while it was wrong.
    ///
    /// # Errors
    /// When the page cannot be read.
    pub fn reads(&self) -> Result<i64> {
        let mut reads = [0; 8];
        self.page.read_exact_at(&mut reads, 8).map_err(|e| failed("read a clock", e))?;
        Ok(i64::from_ne_bytes(reads))
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
}
