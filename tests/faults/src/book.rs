//! The ledger of runs, `LEDGER.csv`: every run that was made, whatever became of it. Lines are only added.

use crate::world::failed;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use tollbridge_rig::Result;

/// The first line.
pub const HEAD: &str = "commit,scenario,seed,transactions,landed,result,cause,seconds";

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Balanced, with enough transactions and enough faults that landed.
    #[default]
    Ok,
    /// The product broke an invariant.
    Violation,
    /// The run itself came to nothing.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Violation => "violation",
            Self::Error => "error",
        })
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Of the code that ran; with a `+` where files were changed since.
    pub commit: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Records on the source topic.
    pub transactions: usize,
    /// Faults whose effect was seen.
    pub landed: usize,
    /// What became of it.
    pub verdict: Verdict,
    /// Of anything but `ok`: the first thing that was wrong.
    pub cause: String,
    /// How long it took.
    pub seconds: u64,
}

impl Entry {
    /// As it stands in the ledger.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { commit, scenario, seed, transactions, landed, verdict, cause, seconds } = self;
        let cause: String = cause.chars().map(|c| if c == '"' { '\'' } else { c }).collect();
        let cause = if cause.is_empty() { cause } else { format!("\"{cause}\"") };
        format!("{commit},{scenario},{seed},{transactions},{landed},{verdict},{cause},{seconds}")
    }
}

/// The file.
#[derive(Debug, Clone)]
pub struct Book {
    path: PathBuf,
}

impl Book {
    /// At this path; it need not exist.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, entry: &Entry) -> Result<()> {
        let is_new = !self.path.exists();
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let mut file = file.map_err(|e| failed("open the ledger of runs", e))?;
        let head = if is_new { format!("{HEAD}\n") } else { String::new() };
        let line = entry.line();
        writeln!(file, "{head}{line}").map_err(|e| failed("write the ledger of runs", e))
    }

    /// Scenario and seed of every run of this commit.
    #[must_use]
    pub fn runs_of(&self, commit: &str) -> BTreeSet<(String, u64)> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let run = |line: &str| {
            let mut fields = line.split(',');
            (fields.next()? == commit).then_some(())?;
            Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
        };
        text.lines().filter_map(run).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Entry, HEAD, Verdict};
    use tollbridge_rig::TempDir;

    #[test]
    fn lines_are_added_and_runs_found_again() {
        let folder = TempDir::new("book").unwrap();
        let book = Book::at(&folder.join("LEDGER.csv"));
        let mut entry = Entry {
            commit: "abc".into(),
            scenario: "redis-wiped".into(),
            seed: 7,
            transactions: 2001,
            landed: 6,
            seconds: 40,
            ..Entry::default()
        };
        book.add(&entry).unwrap();
        entry.seed = 8;
        (entry.verdict, entry.cause) = (Verdict::Violation, "one, \"two\"".into());
        book.add(&entry).unwrap();
        let text = std::fs::read_to_string(folder.join("LEDGER.csv")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                HEAD,
                "abc,redis-wiped,7,2001,6,ok,,40",
                "abc,redis-wiped,8,2001,6,violation,\"one, 'two'\",40"
            ]
        );
        let runs = book.runs_of("abc");
        assert_eq!(runs, [("redis-wiped".into(), 7), ("redis-wiped".into(), 8)].into());
        assert!(book.runs_of("abd").is_empty());
    }
}
