//! The rig's command line: its exit codes and sentences, and that several processes fill one cache together.

#![allow(clippy::unwrap_used, reason = "the lint spares only functions marked as tests")]

use std::time::{Duration, Instant};
use tollbridge_rig::{Launch, Process, TempDir};

const LIMIT: Duration = Duration::from_secs(900);

fn rig(words: &[&str]) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_rig")).args(words)
}

fn code(process: &Process) -> i32 {
    process.wait(LIMIT).unwrap().code().unwrap()
}

#[test]
fn wrong_usage_is_64_and_says_what_there_is() {
    for words in [&[][..], &["fly"], &["soak-demo"], &["demo", "now"], &["install", "sails"]] {
        let process = rig(words).start().unwrap();
        assert_eq!(code(&process), 64);
        assert!(process.log().contains("rig up | down"), "{}", process.log());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let here = TempDir::new("command-line").unwrap();
    let cases = [
        (&["demo"][..], "TOLLBRIDGE", "/no/such/binary", "/no/such/binary is not there"),
        (&["demo"], "STORE", "oracle", "STORE is \"oracle\""),
        (&["demo"], "SEED", "x", "SEED must be a whole number"),
        (&["soak-demo", "many"], "RUNS", "", "RUNS must be a whole number"),
    ];
    for (words, name, value, sentence) in cases {
        // Any file that exists will do for the product: it is never reached.
        let launch = rig(words).env("TOLLBRIDGE", "/bin/true").env(name, value);
        let process = launch.folder(here.path()).start().unwrap();
        assert_eq!(code(&process), 1);
        assert!(process.log().contains(sentence), "{}", process.log());
    }
    let down = rig(&["down"]).folder(here.path()).run(LIMIT).unwrap();
    assert_eq!(down, "Nothing is up.\n");
}

#[test]
fn processes_that_find_an_empty_cache_fill_it_once_and_then_it_is_quick() {
    let cache = TempDir::new("cache").unwrap();
    let install = || rig(&["install"]).env("TOLLBRIDGE_RIG_CACHE", cache.path());
    let together = [install().start().unwrap(), install().start().unwrap()];
    let start = Instant::now();
    for process in &together {
        assert_eq!(code(process), 0, "{}", process.log());
    }
    let filling = start.elapsed();
    let folders = std::fs::read_dir(cache.path()).unwrap().flatten();
    let folders: Vec<_> = folders.filter(|entry| entry.path().is_dir()).collect();
    let name = |folder: &std::fs::DirEntry| folder.file_name().to_string_lossy().into_owned();
    let parts = folders.iter().map(|folder| name(folder).split('-').next().unwrap().to_owned());
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    // A machine may have a promtool of its own.
    let has_promtool = Launch::new("promtool").arg("--version").run(LIMIT).is_ok();
    assert!(
        parts == ["clickhouse", "kafka", "promtool", "registry", "valkey"] || has_promtool,
        "{parts:?}"
    );
    assert!(parts.len() >= 3, "{parts:?}");
    assert!(folders.iter().all(|folder| folder.path().join("complete").exists()));
    assert!(folders.iter().any(|folder| folder.path().join("kafka.jsa").exists()));
    let start = Instant::now();
    assert_eq!(install().run(LIMIT).unwrap(), "", "it says nothing where all is there");
    assert!(start.elapsed() < filling);
}
