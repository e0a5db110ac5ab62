//! Imports run one way: domain → wire, ports, telemetry, config → pipeline, adapters → app → cli → main.

use super::{File, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "imports run one way",
        check: one_way,
        bad: &[
            ("src/domain/a.rs", "use crate::wire::x;\n"),
            ("src/wire/a.rs", "fn f(x: crate::ports::store::Store) {}\n"),
            ("src/ports/a/b.rs", "use crate::wire::x;\n"),
            ("src/config/a.rs", "use crate::adapters::kafka::Settings;\n"),
            ("src/pipeline/mod.rs", "use crate::adapters::system::SystemClock;\n"),
            ("src/adapters/kafka/a.rs", "use crate::config::Config;\n"),
            ("src/adapters/kafka/a.rs", "use crate::pipeline::Engine;\n"),
            ("src/app/a.rs", "use crate::cli::x;\n"),
            ("src/domain/a.rs", "use crate::{wire, ports};\n"),
            ("src/domain/a.rs", "use tollbridge::wire;\n"),
            ("src/newcomer/a.rs", "use crate::domain::x;\n"),
        ],
        good: &[
            ("src/domain/a.rs", "use crate::domain::id::X;\n// unlike crate::wire::x\n"),
            ("src/wire/a.rs", "use crate::domain::id::X;\nuse crate::wire::row;\n"),
            ("src/pipeline/a.rs", "use crate::ports::source::X;\nuse crate::wire::metadata::X;\n"),
            ("src/app/a.rs", "use crate::adapters::kafka::X;\nuse crate::config::X;\n"),
            ("src/cli/a.rs", "use crate::app::x;\n"),
            ("tests/a.rs", "use tollbridge::domain::x;\n"),
        ],
    },
    Rule {
        name: "rooms know nothing of each other",
        check: rooms,
        bad: &[
            ("src/adapters/kafka/a.rs", "use crate::adapters::redis::X;\n"),
            ("src/adapters/kafka/a.rs", "use super::super::redis::X;\n"),
            ("src/adapters/kafka/mod.rs", "use super::redis::X;\n"),
            ("src/adapters/system.rs", "use super::redis::X;\n"),
            ("src/domain/a.rs", "use super::super::wire::X;\n"),
        ],
        good: &[
            ("src/adapters/kafka/a.rs", "use crate::adapters::kafka::b::X;\nuse super::b::X;\n"),
            ("src/adapters/kafka/a/b.rs", "use super::super::c::X;\n"),
            ("src/adapters/kafka/mod.rs", "mod tests {\n    use super::*;\n}\n"),
            ("src/domain/mod.rs", "pub mod id;\n"),
        ],
    },
];

/// What each part may import, itself included.
fn may_import(part: &str) -> Option<&'static [&'static str]> {
    Some(match part {
        "domain" => &["domain"],
        "wire" => &["domain", "wire"],
        "ports" => &["domain", "ports"],
        "telemetry" => &["domain", "telemetry"],
        "config" => &["domain", "config"],
        "pipeline" => &["domain", "wire", "ports", "pipeline"],
        "adapters" => &["domain", "wire", "ports", "telemetry", "tls", "adapters"],
        "app" => &["domain", "wire", "ports", "telemetry", "config", "pipeline", "adapters", "app"],
        "cli" => &[
            "domain",
            "wire",
            "ports",
            "telemetry",
            "config",
            "pipeline",
            "adapters",
            "app",
            "cli",
        ],
        _ => return None,
    })
}

/// The part of the source that the file is in: none for the roots.
fn part(file: &File) -> Option<&str> {
    let (part, _) = file.path.strip_prefix("src/")?.split_once('/')?;
    Some(part)
}

/// What is named behind each `prefix`.
fn named<'a>(line: &'a str, prefix: &'static str) -> impl Iterator<Item = &'a str> {
    line.split(prefix).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn one_way(file: &File) -> Vec<String> {
    let Some(part) = part(file) else { return Vec::new() };
    let Some(may) = may_import(part) else {
        return vec![format!("1: src/{part} has no place in the order of imports")];
    };
    let mut all = Vec::new();
    for (number, line) in file.code() {
        for name in named(line, "crate::").filter(|name| !may.contains(name)) {
            all.push(format!("{number}: {part} must not import {name:?}"));
        }
        if line.contains("tollbridge::") && !line.contains('"') {
            all.push(format!("{number}: by its own name, the crate is imported from outside"));
        }
    }
    all
}

/// The path of the file's module, and how much of it is the room that it must not leave.
fn module(path: &str) -> Option<(usize, usize)> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let names: Vec<&str> = path.split('/').collect();
    let depth = if names.last() == Some(&"mod") { names.len() - 1 } else { names.len() };
    let room = if names[0] == "adapters" { 2 } else { 1 };
    (names.len() > 1).then_some((depth, room))
}

fn rooms(file: &File) -> Vec<String> {
    let mut all = Vec::new();
    let own = file.path.strip_prefix("src/adapters/").map(|path| {
        let end = path.find(['/', '.']).unwrap_or(path.len());
        &path[..end]
    });
    for (number, line) in file.code() {
        let others = named(line, "crate::adapters::");
        for other in others.filter(|other| own.is_some_and(|own| own != *other)) {
            all.push(format!("{number}: another room: {other:?}"));
        }
        let Some((depth, room)) = module(&file.path) else { continue };
        // An indented line may stand in a module within the file.
        let within = usize::from(line.starts_with(' '));
        let climbs = line.split("super::").skip(1).fold((0_usize, 0), |(most, run), rest| {
            let run = run + 1;
            (most.max(run), if rest.is_empty() { run } else { 0 })
        });
        if climbs.0 > 0 && depth + within < room + climbs.0 {
            all.push(format!("{number}: it climbs out of its room"));
        }
    }
    all
}
