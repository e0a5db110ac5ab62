//! What the pure parts must be without: whatever can't be repeated, or waits, or speaks to the outside.

use super::habits::has_word;
use super::{File, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "pure parts wait for nothing and read nothing",
        check: pure,
        bad: &[
            ("src/domain/a.rs", "use tokio::time::sleep;\n"),
            ("src/domain/a.rs", "use serde::Serialize;\n"),
            ("src/domain/a.rs", "let roll = fastrand::u8(..);\n"),
            ("src/wire/a.rs", "let now = std::time::Instant::now();\n"),
            ("src/pipeline/a.rs", "tracing::warn!(\"x\");\n"),
            ("src/pipeline/a.rs", "let now = SystemTime::now();\n"),
            ("src/pipeline/a.rs", "let dice = fastrand::Rng::new();\n"),
            ("src/pipeline/a.rs", "std::fs::read(x)\n"),
            ("src/ports/a.rs", "use tokio::sync::mpsc;\n"),
        ],
        good: &[
            ("src/domain/a.rs", "// No tokio here.\nlet tokios = 1;\n"),
            ("src/wire/a.rs", "use serde::Serialize;\n"),
            ("src/pipeline/a.rs", "let dice = fastrand::Rng::with_seed(seed);\n"),
            ("src/adapters/a/b.rs", "use tokio::time::sleep;\n"),
            ("src/wire/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n"),
        ],
    },
    Rule {
        name: "nothing goes through a HashMap in its chance order",
        check: order,
        bad: &[
            ("src/pipeline/a.rs", "use std::collections::HashMap;\n"),
            ("src/domain/a.rs", "struct A {\n    ids: HashMap<u8, u8>,\n}\nfor x in &self.ids {\n"),
            ("src/app/a.rs", "let mut seen = HashSet::new();\nlet all = seen.iter();\n"),
            ("src/cli/a.rs", "    keys: HashMap<u8, u8>,\nself.keys.values().sum()\n"),
        ],
        good: &[
            ("src/pipeline/a.rs", "use std::collections::BTreeMap;\n// not a HashMap\n"),
            ("src/domain/a.rs", "    ids: HashMap<u8, u8>,\nself.ids.get(&1)\n"),
            ("src/domain/a.rs", "    ids: BTreeMap<u8, u8>,\nfor x in &self.ids {\n"),
        ],
    },
    Rule {
        name: "unsafe stays in its one module",
        check: safe,
        bad: &[
            ("src/adapters/kafka/a.rs", "let x = unsafe { y() };\n"),
            ("src/adapters/kafka/ffi_more.rs", "let x = unsafe { y() };\n"),
        ],
        good: &[
            ("src/adapters/kafka/ffi.rs", "let x = unsafe { y() };\n"),
            ("src/adapters/kafka/ffi/a.rs", "let x = unsafe { y() };\n"),
            ("src/adapters/kafka/mod.rs", "#[allow(unsafe_code, reason = \"x\")]\n"),
        ],
    },
];

const OUTSIDE: [&str; 11] = [
    "tokio",
    "Instant",
    "SystemTime",
    "tracing",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "metrics",
    "rand",
];

fn forbidden(path: &str) -> Option<Vec<&'static str>> {
    let part = path.strip_prefix("src/")?.split('/').next()?;
    let more: &[&str] = match part {
        "domain" => &["serde", "serde_json", "fastrand"],
        "wire" | "ports" => &["fastrand"],
        // Dice that are cast from a seed repeat.
        "pipeline" => &["serde", "Rng::new"],
        _ => return None,
    };
    Some(OUTSIDE.iter().chain(more).copied().collect())
}

fn pure(file: &File) -> Vec<String> {
    let words = forbidden(&file.path).filter(|_| file.is_product()).unwrap_or_default();
    let mut all = Vec::new();
    for (number, line) in file.product_code() {
        // What a text says is not what the code does.
        let code: String = line.split('"').step_by(2).collect();
        for word in words.iter().filter(|word| has_word(&code, word)) {
            all.push(format!("{number}: {word} has no place in a pure part"));
        }
    }
    all
}

fn order(file: &File) -> Vec<String> {
    if !file.is_product() {
        return Vec::new();
    }
    let hashes = |line: &str| has_word(line, "HashMap") || has_word(line, "HashSet");
    if file.path.starts_with("src/pipeline/") {
        let with = file.product_code().filter(|(_, line)| hashes(line));
        return with.map(|(number, _)| format!("{number}: a BTreeMap repeats itself")).collect();
    }
    let names: Vec<&str> = file.product_code().filter(|it| hashes(it.1)).filter_map(name).collect();
    let mut all = Vec::new();
    for (number, line) in file.product_code() {
        for name in &names {
            if goes_through(line, name) {
                all.push(format!("{number}: {name} has a chance order"));
            }
        }
    }
    all
}

/// `seen` in `let mut seen = HashMap::new()` and in `seen: HashMap<…>`.
fn name((_, line): (usize, &str)) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(super) ").or(line.strip_prefix("pub ")).unwrap_or(line);
    let line = line.strip_prefix("let ").unwrap_or(line);
    let line = line.strip_prefix("mut ").unwrap_or(line);
    let (name, _) = line.split_once([':', '='])?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_name && name != "use std").then_some(name)
}

fn goes_through(line: &str, name: &str) -> bool {
    let ways = [
        ".iter(",
        ".iter_mut(",
        ".keys(",
        ".values(",
        ".values_mut(",
        ".into_iter(",
        ".drain(",
        ".retain(",
        ".into_values(",
        ".into_keys(",
    ];
    let called = ways.iter().any(|way| {
        let call = format!("{name}{way}");
        line.match_indices(&call)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    let looped = line.trim_start().starts_with("for ")
        && line.split_once(" in ").is_some_and(|(_, over)| {
            let over = over.trim_start_matches(['&', ' ']);
            let over = over.strip_prefix("mut ").unwrap_or(over);
            let over = over.strip_prefix("self.").unwrap_or(over);
            over.trim_end_matches([' ', '{']) == name
        });
    called || looped
}

fn safe(file: &File) -> Vec<String> {
    let module = "src/adapters/kafka/ffi";
    let its_place =
        file.path == format!("{module}.rs") || file.path.starts_with(&format!("{module}/"));
    let lines = file.code().filter(|_| file.is_product() && !its_place);
    let lines = lines.filter(|(_, line)| has_word(line, "unsafe"));
    lines.map(|(number, _)| format!("{number}: unsafe belongs to adapters/kafka/ffi")).collect()
}
