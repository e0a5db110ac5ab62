//! What we depend on: each with a reason, each used. Licences, advisories and duplicates are `deny.toml`'s.

use super::habits::has_word;
use super::{File, Rule};

pub const RULES: &[Rule] = &[Rule {
    name: "a dependency has a reason",
    check: reasons,
    bad: &[
        ("Cargo.toml", "[dependencies]\nserde = \"1\"\n"),
        ("Cargo.toml", "[dependencies]\n# Why.\na = \"1\"\n\nb = \"1\"\n"),
        ("tests/rig/Cargo.toml", "[dev-dependencies]\nb = { version = \"1\" }\n"),
    ],
    good: &[
        ("Cargo.toml", "[dependencies]\n# Data.\na = \"1\"\nb = \"1\"\n\n[features]\nx = []\n"),
        ("Cargo.toml", "[package]\nname = \"a\"\n"),
    ],
}];

/// The lines of the sections that name dependencies, with their numbers.
fn dependencies(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter(move |(_, line)| {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            // A section ends what a comment was said of.
            return inside;
        }
        inside
    })
}

/// A comment is said of the lines below it, up to an empty one.
fn reasons(file: &File) -> Vec<String> {
    let mut all = Vec::new();
    let mut reason = false;
    let lines = dependencies(&file.text).filter(|_| file.path.ends_with("Cargo.toml"));
    for (at, line) in lines {
        match line.trim() {
            line if line.starts_with('#') => reason = true,
            line if line.is_empty() || line.starts_with('[') => reason = false,
            _ if reason => {}
            line => all.push(format!("{}: what is it for? {line}", at + 1)),
        }
    }
    all
}

/// The dependencies that no line of code names.
pub fn unused<'a>(cargo: &'a str, sources: &[&File]) -> Vec<&'a str> {
    let names = dependencies(cargo).filter_map(|(_, line)| line.split_once(" = "));
    let named = |name: &str| {
        let module = name.replace('-', "_");
        let uses = |line: &str| {
            let path = format!("{module}::");
            has_word(line, &module) && (line.contains(&path) || line.contains("use "))
        };
        sources.iter().any(|file| file.code().any(|(_, line)| uses(line)))
    };
    names.map(|(name, _)| name).filter(|name| !name.starts_with('#') && !named(name)).collect()
}
