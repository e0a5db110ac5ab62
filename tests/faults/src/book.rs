//! The ledger of runs, `LEDGER.csv`: every run that was made, whatever became of it. Lines are only added.

use crate::world::failed;
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
        let plain = |c| match c {
            '"' => '\'',
            '\n' | '\r' => ' ',
            c => c,
        };
        let cause: String = cause.chars().map(plain).collect();
        let cause = if cause.is_empty() { cause } else { format!("\"{cause}\"") };
        format!("{commit},{scenario},{seed},{transactions},{landed},{verdict},{cause},{seconds}")
    }

    /// From a line; nothing where it is none.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut fields = line.splitn(7, ',');
        let mut next = || fields.next();
        let (commit, scenario) = (next()?.to_owned(), next()?.to_owned());
        let seed = next()?.parse().ok()?;
        let (transactions, landed) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let verdict = match next()? {
            "ok" => Verdict::Ok,
            "violation" => Verdict::Violation,
            "error" => Verdict::Error,
            _ => return None,
        };
        // The cause may have commas.
        let (cause, seconds) = next()?.rsplit_once(',')?;
        let (cause, seconds) = (cause.trim_matches('"').to_owned(), seconds.parse().ok()?);
        Some(Self { commit, scenario, seed, transactions, landed, verdict, cause, seconds })
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
        // In one piece: others may read it meanwhile.
        let written = file.write_all(format!("{head}{line}\n").as_bytes());
        written.map_err(|e| failed("write the ledger of runs", e))
    }

    /// The page beside it that says why what was not `ok` was not; empty where there is none.
    #[must_use]
    pub fn explanations(&self) -> String {
        fs::read_to_string(self.path.with_file_name("README.md")).unwrap_or_default()
    }

    /// All lines.
    ///
    /// # Errors
    /// When one cannot be understood.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, line)| *line != HEAD && !line.is_empty());
        let read = |(at, line): (usize, &str)| {
            let wrong = || failed("read the ledger of runs", format!("line {}: {line}", at + 1));
            Entry::read(line).ok_or_else(wrong)
        };
        lines.map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Entry, HEAD, Verdict};
    use std::path::Path;
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
        let read = book.entries().unwrap();
        assert_eq!((read.len(), read[0].seed, read[0].seconds), (2, 7, 40));
        assert_eq!((read[1].verdict, read[1].cause.as_str()), (Verdict::Violation, "one, 'two'"));
        assert_eq!(read[1].line(), lines[2]);
        std::fs::write(folder.join("LEDGER.csv"), "abc,redis-wiped,7\n").unwrap();
        assert!(book.entries().is_err());
    }

    #[test]
    fn the_ledger_of_the_repository_can_be_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/LEDGER.csv");
        assert!(!Book::at(Path::new(path)).entries().unwrap().is_empty());
    }
}
