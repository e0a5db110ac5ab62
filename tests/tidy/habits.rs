//! How a file begins and ends, and what is written the same way everywhere.

use super::{File, Rule};

const LINES_MAX: usize = 400;
/// rustfmt keeps code to 100; comments and texts, which it leaves alone, may be somewhat wider.
const COLUMNS_MAX: usize = 120;

pub const RULES: &[Rule] = &[
    Rule {
        name: "a file opens with what it is",
        check: purpose,
        bad: &[
            ("src/a.rs", "use x;\n"),
            ("tests/a/b.rs", "// Not a doc comment.\n"),
            ("src/a.rs", "//!\n//! The first line says nothing.\n"),
        ],
        good: &[("src/a.rs", "//! What it is.\n"), ("Makefile", "all:\n")],
    },
    Rule {
        name: "a file has 400 lines at most",
        check: length,
        bad: &[("src/a.rs", LONG)],
        good: &[("src/a.rs", "//! Short.\n"), ("docs/a.md", LONG)],
    },
    Rule {
        name: "a line has 120 columns at most",
        check: width,
        bad: &[("src/a.rs", WIDE)],
        good: &[
            // 120 columns, and more bytes.
            (
                "src/a.rs",
                "// éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé\n",
            ),
            ("docs/a.md", WIDE),
        ],
    },
    Rule {
        name: "every select! is biased",
        check: biased,
        bad: &[
            ("src/app/a.rs", "tokio::select! {\n    x = y => z,\n}\n"),
            ("src/app/a.rs", "let a = select! { x = y => z };\n"),
        ],
        good: &[
            ("src/app/a.rs", "select! {\n    biased;\n    x = y => z,\n}\n"),
            ("src/app/a.rs", "select! { biased; x = y => z }\n"),
        ],
    },
    Rule {
        name: "a lint is lifted with a reason",
        check: reason,
        bad: &[
            ("src/a.rs", "#[allow(dead_code)]\nfn a() {}\n"),
            ("src/a.rs", "#![expect(\n    dead_code\n)]\n"),
        ],
        good: &[("src/a.rs", "#[expect(\n    dead_code,\n    reason = \"it is\"\n)]\n")],
    },
    Rule {
        name: "nothing is left to be done",
        check: unfinished,
        bad: &[("src/a.rs", "//! A.\n// TODO: b\n"), ("docs/a.md", "FIXME\n")],
        good: &[("src/a.rs", "//! A.\nlet todo = 1;\n")],
    },
];

const WIDE: &str = concat!(
    "// 60 columns, and as many again, and then some ..............",
    "................................................................",
);

const LONG: &str = concat!(
    "//! Long.\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
);

fn purpose(file: &File) -> Vec<String> {
    let says = |line: &str| line.strip_prefix("//! ").is_some_and(|text| !text.trim().is_empty());
    let opens = file.text.lines().next().is_some_and(says);
    found(file.is_rust() && !opens, || "1: it must open with `//!` and what it is".into())
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    found(file.is_rust() && lines > LINES_MAX, || format!("{lines}: lines; cut it by what it does"))
}

fn width(file: &File) -> Vec<String> {
    let lines = file.text.lines().enumerate().filter(|_| file.is_rust());
    // Recorded bytes stand in tests as they are.
    let lines = lines.filter(|(_, line)| file.is_product() || !line.contains('"'));
    let columns = lines.map(|(at, line)| (at + 1, line.chars().count()));
    let too_wide = columns.filter(|(_, columns)| *columns > COLUMNS_MAX);
    too_wide.map(|(number, columns)| format!("{number}: {columns} columns")).collect()
}

fn biased(file: &File) -> Vec<String> {
    let lines: Vec<(usize, &str)> = if file.is_product() { file.code().collect() } else { vec![] };
    let mut all = Vec::new();
    for (at, (number, line)) in lines.iter().enumerate() {
        let Some((_, rest)) = line.split_once("select! {") else { continue };
        let next = lines.get(at + 1).map_or("", |(_, line)| line);
        let first = if rest.trim().is_empty() { next } else { rest };
        if !first.trim_start().starts_with("biased;") {
            all.push(format!("{number}: `biased;` first: chance has no place here"));
        }
    }
    all
}

fn reason(file: &File) -> Vec<String> {
    let mut all = Vec::new();
    let code: Vec<(usize, &str)> = if file.is_rust() { file.code().collect() } else { vec![] };
    for (at, (number, line)) in code.iter().enumerate() {
        let line = line.trim_start();
        let lifts = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
        if !lifts.iter().any(|lift| line.starts_with(lift)) {
            continue;
        }
        let end = code[at..].iter().position(|(_, line)| line.trim_end().ends_with(")]"));
        let attribute = &code[at..=at + end.unwrap_or(0)];
        if !attribute.iter().any(|(_, line)| line.contains("reason = ")) {
            all.push(format!("{number}: it says no reason"));
        }
    }
    all
}

fn unfinished(file: &File) -> Vec<String> {
    let marks = ["TODO", "FIXME", "XXX"];
    let lines = file.text.lines().enumerate().filter(|_| file.path != "tests/tidy/habits.rs");
    let marked = lines.filter(|(_, line)| marks.iter().any(|mark| has_word(line, mark)));
    marked.map(|(at, _)| format!("{}: do it, or say what is missing", at + 1)).collect()
}

/// Whether the word stands there, not as part of another one.
pub fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

pub fn found(is: bool, why: impl FnOnce() -> String) -> Vec<String> {
    if is { vec![why()] } else { Vec::new() }
}
