//! What was measured, as a table for people and as a file for machines: `benches/results/<day>-<commit>.json`. An item
//! that stands in the file of this commit need not be measured again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::{Deserialize, Serialize};
use tollbridge_rig::{Error, Result};

use super::cost::machine_in_words;
use super::steady::Spread;

/// Whether more is better, and what is hoped and what is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Goal and floor.
    AtLeast(f64, f64),
    AtMost(f64, f64),
    /// A figure beside the others.
    Told,
}

/// One measure of an item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    pub what: String,
    pub value: f64,
    /// The least and the most of all runs.
    pub range: (f64, f64),
    pub unit: String,
    pub target: Target,
}

/// How a figure stands to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Goal,
    Floor,
    Missed,
    Told,
}

impl Finding {
    pub fn new(what: &str, spread: Option<Spread>, unit: &str, target: Target) -> Result<Self> {
        let spread = spread.ok_or_else(|| Error::new(format!("{what}: nothing was measured")))?;
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Ok(Self { what, value: spread.median, range: (spread.low, spread.high), unit, target })
    }

    pub fn one(what: &str, value: f64, unit: &str, target: Target) -> Result<Self> {
        Self::new(what, Spread::of([value]), unit, target)
    }

    pub fn verdict(&self) -> Verdict {
        let value = self.value;
        let (goal, floor) = match self.target {
            Target::Told => return Verdict::Told,
            Target::AtLeast(goal, floor) => (value >= goal, value >= floor),
            Target::AtMost(goal, floor) => (value <= goal, value <= floor),
        };
        match (goal, floor) {
            (true, _) => Verdict::Goal,
            (_, true) => Verdict::Floor,
            _ => Verdict::Missed,
        }
    }

    fn line(&self) -> String {
        let target = match self.target {
            Target::Told => String::new(),
            Target::AtLeast(goal, floor) => format!("goal ≥ {goal}, floor {floor}"),
            Target::AtMost(goal, floor) => format!("goal ≤ {goal}, floor {floor}"),
        };
        let verdict = match self.verdict() {
            Verdict::Goal => "goal met",
            Verdict::Floor => "floor met",
            Verdict::Missed => "MISSED",
            Verdict::Told => "",
        };
        let (low, high) = self.range;
        let range =
            if low < high { format!("{} to {}", short(low), short(high)) } else { String::new() };
        let (what, value, unit) = (&self.what, short(self.value), &self.unit);
        format!("  {what:<44} {value:>9} {unit:<8} {range:<22} {verdict:<9} {target}")
    }
}

/// Three digits that matter, and no more than that behind the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// All that an item has to say.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What was run, and each key that differs from the README's example.
    pub notes: Vec<String>,
}

impl Report {
    pub fn print(&self, name: &str) {
        println!("{name}");
        self.findings.iter().for_each(|finding| println!("{}", finding.line()));
        self.notes.iter().for_each(|note| println!("    {note}"));
    }

    pub fn is_missed(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict() == Verdict::Missed)
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    commit: String,
    /// When the first of them was measured, UTC: a day sees many commits, and their names have no order. Not told in
    /// files of before.
    #[serde(default)]
    began: String,
    machine: String,
    items: BTreeMap<String, Report>,
    #[serde(skip)]
    file: PathBuf,
}

impl Results {
    /// That of this commit and day, where there is one. A tree with changes has no commit: its name says so.
    pub fn open() -> Result<Self> {
        let commit =
            git(&["describe", "--always", "--dirty=-changed", "--abbrev=7", "--exclude=*"])?;
        let ending = format!("-{commit}.json");
        let earlier = files().into_iter().rfind(|file| file.to_string_lossy().ends_with(&ending));
        if let Some(file) = earlier {
            return Self::read(&file);
        }
        let now = chrono::DateTime::from_timestamp_micros(super::stub::now_us().cast_signed());
        let now = now.unwrap_or_default();
        let file = folder().join(format!("{}{ending}", now.format("%Y-%m-%d")));
        let began = now.format("%H:%M:%S").to_string();
        Ok(Self { commit, began, machine: machine_in_words(), items: BTreeMap::new(), file })
    }

    /// The newest that have these items.
    pub fn newest_with(items: &[&str]) -> Result<Self> {
        let all = files().iter().map(|file| Self::read(file)).collect::<Result<Vec<_>>>()?;
        let held = all.into_iter().filter(|results| items.iter().all(|item| results.has(item)));
        held.max_by(|one, other| one.when().cmp(&other.when())).ok_or_else(|| {
            Error::new(format!("no results hold {}: make bench first", items.join(" and ")))
        })
    }

    /// The day, which the file's name begins with, and the time.
    fn when(&self) -> (String, &str) {
        let name = self.file.file_name().map(|name| name.to_string_lossy());
        let day = name.map_or_else(String::new, |name| name.chars().take(10).collect());
        (day, &self.began)
    }

    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|e| failed(file, &e))?;
        let read: Self = serde_json::from_str(&text).map_err(|e| failed(file, &e))?;
        Ok(Self { file: file.to_owned(), ..read })
    }

    /// A figure of an item, by its name in the table.
    pub fn value(&self, item: &str, what: &str) -> Result<f64> {
        let findings = self.items.get(item).into_iter().flat_map(|report| &report.findings);
        let found = findings.into_iter().find(|finding| finding.what == what);
        found
            .map(|finding| finding.value)
            .ok_or_else(|| Error::new(format!("{item} has no figure {what:?}")))
    }

    /// Where they stand.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn has(&self, item: &str) -> bool {
        self.items.contains_key(item)
    }

    pub fn keep(&mut self, item: &str, report: Report) -> Result<()> {
        self.items.insert(item.to_owned(), report);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
        }
        let text = serde_json::to_string_pretty(self).map_err(|e| failed(&self.file, &e))?;
        fs::write(&self.file, text + "\n").map_err(|e| failed(&self.file, &e))
    }

    pub fn print(&self) {
        println!("\n{} on {}", self.commit, self.machine);
        self.items.iter().for_each(|(name, report)| report.print(name));
        println!("{}", self.file.display());
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results")
}

/// The files of results, the oldest first: a name begins with its day.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect();
    files.sort();
    files
}

fn failed(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(format!("{}: {error}", file.display()))
}

fn git(arguments: &[&str]) -> Result<String> {
    let asked =
        Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = asked.map_err(|e| Error::new(format!("git: {e}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(Error::new(format!("git: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}
