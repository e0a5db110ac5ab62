//! The page of features: every row is there once, says one of three words, and each *yes* names tests that exist.

use std::path::PathBuf;

use super::{page, root};

/// Of what others have asked for.
const FEATURES: usize = 63;

fn sources(folder: PathBuf) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&sources(path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    all
}

#[test]
fn every_feature_that_is_there_names_a_test_that_is_there() {
    let tests = ["src", "tests"].map(|folder| sources(root().join(folder))).concat();
    let features = page("docs/features.md");
    let mut number = 0;
    let mut named_before = false;
    for row in features.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")) {
        number += 1;
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!((cells.len(), cells[0].parse()), (4, Ok(number)), "{row}");
        assert!(["yes", "partly", "no"].contains(&cells[2]), "{row}");
        let is_test = |word: &&str| word.chars().filter(|c| *c == '_').count() >= 2;
        let names: Vec<&str> = cells[3].split('`').skip(1).step_by(2).filter(is_test).collect();
        let as_before = cells[3] == "the same" && named_before;
        assert!(cells[2] != "yes" || !names.is_empty() || as_before, "{row}");
        for name in &names {
            assert!(tests.contains(&format!("fn {name}()")), "{number}: no test {name}");
        }
        named_before = !names.is_empty();
    }
    assert_eq!(number, FEATURES);
}
