//! What git knows: which commit a run is of, and which runs are of the product as it is now. Deliberately
//! asked by its command line, where the suite runs.

use crate::world::failed;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use tollbridge_rig::{Error, Result};

/// What decides.
const PIPELINE: &[&str] = &["src/domain", "src/wire", "src/pipeline"];
/// And what speaks to the outside: a change there makes what was run before say less about what is there now.
const WITH_ADAPTERS: &[&str] =
    &["src/domain", "src/wire", "src/pipeline", "src/adapters", ":!src/adapters/memory"];
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

/// A part of the product as it is at present, and which commits had it so.
#[derive(Debug)]
pub struct Core {
    paths: &'static [&'static str],
    /// The last that changed it.
    pub commit: String,
    known: BTreeMap<String, bool>,
}

impl Core {
    /// What decides: the pipeline and what it is made of.
    ///
    /// # Errors
    /// When git does not answer, or knows of no change.
    pub fn pipeline() -> Result<Self> {
        Self::of(PIPELINE)
    }

    /// The same with the adapters.
    ///
    /// # Errors
    /// When git does not answer, or knows of no change.
    pub fn with_adapters() -> Result<Self> {
        Self::of(WITH_ADAPTERS)
    }

    fn of(paths: &'static [&'static str]) -> Result<Self> {
        let commit = said(&["log", "-1", "--format=%h"], paths)?;
        if commit.is_empty() {
            return Err(Error::new(format!("git knows no commit that changed {paths:?}")));
        }
        Ok(Self { paths, commit, known: BTreeMap::new() })
    }

    /// Whether a commit of the ledger has all of it, to the letter. One with a `+` had some other code, of which nobody
    /// knows which, and one that git does not know is none of this history.
    pub fn is_of(&mut self, commit: &str) -> bool {
        if commit.is_empty() || commit.ends_with('+') {
            return false;
        }
        let paths = self.paths;
        *self.known.entry(commit.to_owned()).or_insert_with(|| {
            let holds = |words: &[&str], paths: &[&str]| {
                git(words, paths).is_ok_and(|output| output.status.success())
            };
            holds(&["merge-base", "--is-ancestor", commit, "HEAD"], &[])
                && holds(&["diff", "--quiet", commit, "HEAD"], paths)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Core;

    #[test]
    fn what_changed_the_core_has_it_and_its_parent_has_not() {
        for core in [Core::pipeline(), Core::with_adapters()] {
            let Ok(mut core) = core else {
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
}
