//! Rules of the house that no compiler checks, run over every file of the repository. Deliberately nothing that
//! rustfmt or clippy already says. Text is all that is looked at: a rule may miss what is written in an odd way, and
//! each shows by examples of its own what it finds and what it leaves alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends here")]

mod crates;
mod direction;
mod habits;
mod purity;
mod words;

use std::fs;
use std::path::Path;

/// A file of the repository, by its path from the root.
#[derive(Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is part of the program, its unit tests left out.
    pub fn is_product(&self) -> bool {
        let is_test = self.path.contains("/tests") || self.path.ends_with("_tests.rs");
        self.path.starts_with("src/") && self.is_rust() && !is_test
    }

    /// The lines with their numbers, comments left out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The same, up to the unit tests at the end of the file.
    pub fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }
}

/// A rule, and examples that show it at work.
#[derive(Debug)]
pub struct Rule {
    pub name: &'static str,
    /// What is wrong with this file: one text each, which begins with the line's number where there is one.
    pub check: fn(&File) -> Vec<String>,
    /// Path and text of files that break it.
    pub bad: &'static [(&'static str, &'static str)],
    /// Path and text of files that come near, and don't.
    pub good: &'static [(&'static str, &'static str)],
}

fn rules() -> Vec<&'static Rule> {
    let groups = [habits::RULES, direction::RULES, purity::RULES, words::RULES, crates::RULES];
    groups.into_iter().flatten().collect()
}

/// Not ours to keep tidy: what builds and runs leave behind, recorded data, licences, what tools write.
const LEFT_OUT: [&str; 10] = [
    ".git",
    "target",
    ".rig",
    "golden",
    "corpus",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Cargo.lock",
    "results",
    "licences",
];

fn gather(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = entry.file_name().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&&*name) {
            continue;
        }
        if kind.is_dir() {
            gather(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
}

fn repository() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    gather(root, root, &mut files);
    files
}

#[test]
fn every_file_keeps_the_rules() {
    let files = repository();
    assert!(files.iter().filter(|file| file.is_product()).count() > 100, "where is the source?");
    let mut found = Vec::new();
    for file in &files {
        for rule in rules() {
            let breaks = (rule.check)(file).into_iter();
            found.extend(breaks.map(|why| format!("{}:{why} [{}]", file.path, rule.name)));
        }
    }
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_dependency_is_used() {
    let files = repository();
    let cargo = files.iter().find(|file| file.path == "Cargo.toml").unwrap();
    let sources: Vec<&File> = files.iter().filter(|file| file.is_rust()).collect();
    assert_eq!(crates::unused(&cargo.text, &sources), [""; 0]);
}

#[test]
fn an_unused_dependency_is_seen() {
    let cargo = "[dependencies]\n# Why.\nused-one = \"1\"\nidle = { version = \"2\" }\n[features]\nx = []\n";
    let source = File { path: "src/a.rs".into(), text: "use used_one::X;\n// idle::x\n".into() };
    assert_eq!(crates::unused(cargo, &[&source]), ["idle"]);
}

#[test]
fn every_rule_is_seen_to_fail() {
    for rule in rules() {
        let check = |(path, text): (&str, &str)| {
            (rule.check)(&File { path: path.into(), text: text.into() })
        };
        assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "{}: no examples", rule.name);
        for &example in rule.bad {
            assert!(!check(example).is_empty(), "{}: it misses {example:?}", rule.name);
        }
        for &example in rule.good {
            let found = check(example);
            assert!(found.is_empty(), "{}: {example:?} is fine, not {found:?}", rule.name);
        }
    }
}
