//! The program that is shipped knows nothing of failpoints and planted bugs: not the names of the variables, and
//! whatever they say changes nothing. A build with them says at once what it can't do. Needs no service.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_tollbridge");
const BUILT_WITH: bool = cfg!(feature = "failpoints");

fn holds(binary: &[u8], text: &str) -> bool {
    binary.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn names_of_failpoints_are_in_no_ordinary_binary() {
    let binary = std::fs::read(BINARY).unwrap();
    // Texts of the program are found where there are any.
    assert!(holds(&binary, "tollbridge-event-1"));
    for text in ["TOLLBRIDGE_FAILPOINT", "TOLLBRIDGE_PLANT", "dies at ", "OffsetsOutside"] {
        assert_eq!(holds(&binary, text), BUILT_WITH, "{text:?}");
    }
}

#[test]
fn a_failpoint_that_is_none_is_a_wrong_configuration_or_nothing() {
    for (variable, value) in [
        ("TOLLBRIDGE_PLANT", "Nothing"),
        ("TOLLBRIDGE_FAILPOINT", "commit:after"),
        ("TOLLBRIDGE_FAILPOINT", "flush:after:1"),
    ] {
        let sets = [
            "kafka.brokers=127.0.0.1:1",
            "kafka.group_id=g",
            "kafka.request_timeout=1s",
            "redis.url=redis://127.0.0.1:1",
            "gateway.url=http://127.0.0.1:1",
            "gateway.key_ttl=24h",
            "store.url=sqlite:/nowhere/at-all.db",
        ];
        let args = sets.iter().flat_map(|set| ["--set", set]);
        let run = Command::new(BINARY).arg("run").args(args).env(variable, value).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        // None of the services is there: an ordinary program gets as far as saying so.
        assert_eq!(run.status.code(), Some(if BUILT_WITH { 78 } else { 69 }), "{said}");
        assert_eq!(said.contains(variable) && said.contains(value), BUILT_WITH, "{said}");
    }
}
