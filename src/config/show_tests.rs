//! What is shown, as a file that can be read again, and that nothing documented is left out.

use super::*;
use crate::config::{Config, Sources, known_keys};
use std::ffi::OsString;
use std::io::Write;

/// Sources, and the file that they name for as long as they live.
struct Given {
    sources: Sources,
    file: tempfile::TempPath,
}

fn given(text: &str, environment: &[(&str, &str)], overrides: &[&str]) -> Given {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let environment = environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
    let file = file.into_temp_path();
    let sources = Sources {
        file: Some(file.to_path_buf()),
        environment: environment.collect(),
        overrides: overrides.iter().map(|text| text.parse().unwrap()).collect(),
    };
    Given { sources, file }
}

const MINIMAL: &str = "
[kafka]
brokers = [\"k-1:9092\", \"k-2:9092\"]
[gateway]
url = \"https://pay.example/v1\"
key_ttl = \"24h\"
";

fn shown(given: &Given) -> Vec<Shown> {
    Config::with_shown(&given.sources).unwrap().1
}

fn find<'a>(all: &'a [Shown], key: &str) -> &'a Shown {
    let is = |shown: &&Shown| format!("{}.{}", shown.section, shown.name) == key;
    all.iter().find(is).unwrap_or_else(|| panic!("{key} is not shown"))
}

#[test]
fn every_key_is_shown() {
    let all = shown(&given(MINIMAL, &[], &[]));
    for key in known_keys().keys() {
        find(&all, key);
    }
    assert_eq!(all.len(), known_keys().len());
}

/// What is shown of a configuration without secrets is that configuration.
#[test]
fn what_is_shown_can_be_read_again() {
    let more = "[kafka.topics]\narchived = \"outcomes\"";
    let environment = [("TOLLBRIDGE_STORE__ALLOW_LOSSY", "true"), ("TOLLBRIDGE_LOG", "debug")];
    let first = given(&format!("{MINIMAL}{more}"), &environment, &["flush.workers=3"]);
    let text = as_toml(&shown(&first)).join("\n");
    let again = given(&text, &[], &[]);
    let debug = |given: &Given| format!("{:?}", Config::from_sources(&given.sources).unwrap());
    assert_eq!(debug(&first), debug(&again), "{text}");
}

#[test]
fn the_winning_layer_is_named() {
    let environment = [("TOLLBRIDGE_FLUSH__WORKERS", "2"), ("TOLLBRIDGE_FLUSH__MAX_ROWS", "9")];
    let all = shown(&given(MINIMAL, &environment, &["flush.workers=3"]));
    let (workers, rows) = (find(&all, "flush.workers"), find(&all, "flush.max_rows"));
    assert_eq!((&workers.value, &*workers.origin), (&3.into(), "command line (--set)"));
    let variable = "environment variable TOLLBRIDGE_FLUSH__MAX_ROWS";
    assert_eq!((&rows.value, &*rows.origin), (&9.into(), variable));
    let brokers = find(&all, "kafka.brokers");
    assert_eq!(brokers.value, serde_json::json!(["k-1:9092", "k-2:9092"]));
}

#[test]
fn a_secret_from_a_file_is_neither_shown_nor_taken_for_the_default() {
    let secret = given("redis://:hunter2@h:1/0", &[], &[]);
    let set = format!("redis.url_file={}", secret.file.display());
    let all = shown(&given(MINIMAL, &[], &[&set]));
    let url = find(&all, "redis.url");
    assert_eq!((&url.value, &*url.origin), (&"***".into(), "the file of redis.url_file"));
    assert!(!format!("{all:?}").contains("hunter2"));
}
