//! The repository stands alone: it names no paper that a reader can't open.

use super::{File, Rule};

pub const RULES: &[Rule] = &[Rule {
    name: "nothing points outside",
    check: outside,
    bad: &[
        ("src/a.rs", "//! As DESIGN.md says.\n"),
        ("docs/a.md", "see /work/shared/x\n"),
        ("README.md", "see hole K3\n"),
        ("schemas/a.sql", "-- STYLE.md\n"),
    ],
    good: &[
        ("README.md", "The design is in ARCHITECTURE.md; see docs/work/a and /workers.\n"),
        ("src/a.rs", "//! A whole KB.\n"),
    ],
}];

const OUTSIDE: [&str; 7] =
    ["DESIGN.md", "STYLE.md", "SERVICES.md", "BRIEF.md", "/work/", "hole K", "anchors.md"];

fn outside(file: &File) -> Vec<String> {
    let mut all = Vec::new();
    // The words have to stand somewhere to be looked for.
    let lines = file.text.lines().enumerate().filter(|_| file.path != "tests/tidy/words.rs");
    for (at, line) in lines {
        for word in OUTSIDE {
            let starts = line.match_indices(word).map(|(start, _)| &line[..start]);
            let absolute = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric());
            if starts.into_iter().any(absolute) {
                all.push(format!("{}: {word:?} is not here", at + 1));
            }
        }
    }
    all
}
