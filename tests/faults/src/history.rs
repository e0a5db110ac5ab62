//! What git knows: which commit a run is of, and which runs are of the core of the product as it is now. Deliberately
//! asked by its command line, where the suite runs.

use crate::world::failed;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use tollbridge_rig::{Error, Result};

/// Where a change makes what was run before say nothing about what is there now.
const CORE: [&str; 5] =
    ["src/domain", "src/wire", "src/pipeline", "src/adapters", ":!src/adapters/memory"];
/// All but the ledger, which grows while runs are made, and what is only read.
const WHAT_RUNS: [&str; 4] = [".", ":!tests/faults/LEDGER.csv", ":!docs", ":(exclude,glob)**/*.md"];

fn git(words: &[&str], paths: &[&str]) -> Result<Output> {
    let mut git = Command::new("git");
    git.args(words);
    if !paths.is_empty() {
        git.arg("--").args(paths);
    }
    git.output().map_err(|e| failed("ask git", e))
}

fn said(words: &[&str], paths: &[&str]) -> Result<String> {
    let output = git(words, paths)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(&format!("ask git for {words:?}"), why));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The last commit that changed anything that runs, with a `+` where more has changed since.
///
/// # Errors
/// When git does not answer.
pub fn commit() -> Result<String> {
    let commit = said(&["log", "-1", "--format=%h"], &WHAT_RUNS)?;
    let changed = said(&["status", "--porcelain"], &WHAT_RUNS)?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}+") })
}

/// Since which commit the core is as it is.
#[derive(Debug)]
pub struct Core {
    /// The last that changed it.
    pub commit: String,
    known: BTreeMap<String, bool>,
}

impl Core {
    /// As it is at present.
    ///
    /// # Errors
    /// When git does not answer, or knows of no change.
    pub fn now() -> Result<Self> {
        let commit = said(&["log", "-1", "--format=%h"], &CORE)?;
        if commit.is_empty() {
            return Err(Error::new(format!("git knows no commit that changed {CORE:?}")));
        }
        Ok(Self { commit, known: BTreeMap::new() })
    }

    /// Whether a commit of the ledger has this core. One with a `+` had some other code, of which nobody knows which,
    /// and one that git does not know is none of this history.
    pub fn is_of(&mut self, commit: &str) -> bool {
        if commit.is_empty() || commit.ends_with('+') {
            return false;
        }
        let since = &self.commit;
        *self.known.entry(commit.to_owned()).or_insert_with(|| {
            let follows = |from: &str, to: &str| {
                let asked = git(&["merge-base", "--is-ancestor", from, to], &[]);
                asked.is_ok_and(|output| output.status.success())
            };
            follows(since, commit) && follows(commit, "HEAD")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Core;

    #[test]
    fn what_changed_the_core_has_it_and_its_parent_has_not() {
        let Ok(mut core) = Core::now() else {
            // A copy without a history.
            return;
        };
        let last = core.commit.clone();
        assert!(core.is_of(&last) && core.is_of("HEAD"));
        for other in [format!("{last}~1"), format!("{last}+"), "0000000".to_owned()] {
            assert!(!core.is_of(&other), "{other}");
        }
    }
}
