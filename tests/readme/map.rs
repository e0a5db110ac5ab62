//! ARCHITECTURE.md names every file of the route and every room, and the tests that it names exist.

use std::path::{Path, PathBuf};

use crate::{page, root};

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_map_names_every_room_and_every_file_of_the_route() {
    let map = page("ARCHITECTURE.md");
    for path in files(&root().join("src/pipeline")) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(stem == "mod" || map.contains(&format!("`{stem}`")), "{stem}");
    }
    for line in page("src/lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let room = line.trim_end_matches(';');
        assert!(map.contains(&format!("`{room}`")), "{room}");
    }
}

#[test]
fn every_invariant_has_tests_and_they_exist() {
    let map = page("ARCHITECTURE.md");
    let sources = ["src", "tests"].map(|folder| files(&root().join(folder))).concat();
    let sources = sources.iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let tests: String = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut rows = 0;
    for row in map.lines().filter(|line| line.starts_with("| INV-")) {
        rows += 1;
        let invariant = row.split_whitespace().nth(1).unwrap();
        assert!(map.contains(&format!("- **{invariant}** ")), "{invariant}");
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{invariant}");
        for name in names {
            assert!(tests.contains(&format!("fn {name}()")), "{invariant}: no test {name}");
        }
    }
    assert_eq!(rows, map.matches("\n- **INV-").count());
}
