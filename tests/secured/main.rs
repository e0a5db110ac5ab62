//! A Kafka that asks who comes (SCRAM over TLS) and what he may do: what the runbook's table of rights names is enough
//! for all that a processor does, none of it is too much, and who is refused is told what is wrong.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod store;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tollbridge_rig::{Operation, Resource, Right, Secured, Stack, StackOptions};

const BINARY: &str = env!("CARGO_BIN_EXE_tollbridge");
const USER: &str = "bridge";
const PASSWORD: &str = "a password";
const LIMIT: Duration = Duration::from_secs(30);
const RUNBOOK: &str = include_str!("../../docs/operating.md");

/// The rights that the runbook's table names.
fn rights() -> Vec<Right> {
    let table = RUNBOOK.split("| resource | operations |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(rights_of).collect()
}

fn rights_of(row: &str) -> Vec<Right> {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let names: Vec<&str> = cells[1].split('`').skip(1).step_by(2).collect();
    let (resource, names) = match cells[1].split([' ', ',']).next().unwrap() {
        "topic" | "topics" => (Resource::Topic, names),
        "group" => (Resource::Group, names),
        "transactional" => (Resource::TransactionalId, names),
        "cluster" => (Resource::Cluster, vec!["kafka-cluster"]),
        other => panic!("what is a {other}?"),
    };
    let operations = cells[2].split('(').next().unwrap().split(',');
    let operations: Vec<_> =
        operations.map(|name| Operation::parse(name.trim()).unwrap()).collect();
    let is_prefix = cells[1].contains("prefix");
    let right =
        |name: &str, operation| Right { resource, name: name.to_owned(), is_prefix, operation };
    names.iter().flat_map(|name| operations.iter().map(move |o| right(name, *o))).collect()
}

struct Place {
    stack: Stack,
    config: PathBuf,
}

impl Place {
    fn new() -> Self {
        let users = vec![(USER.to_owned(), PASSWORD.to_owned())];
        let stack = Stack::start(StackOptions {
            secured: Some(Secured { users }),
            settings: vec![("kafka".into(), "session_timeout".into(), String::new())],
            thrifty_broker: true,
            ..StackOptions::new(BINARY)
        })
        .unwrap();
        let config = stack.file("secured.toml");
        let plain = std::fs::read_to_string(stack.write_config("one", "off").unwrap()).unwrap();
        let password = stack.file("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let more = format!(
            "\n[kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\n\
             \"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\"sasl.username\" = {USER:?}\n\
             \"ssl.ca.location\" = {:?}\n[kafka.property_files]\n\"sasl.password\" = {password:?}\n",
            stack.kafka.certificate(),
        );
        std::fs::write(&config, plain + &more).unwrap();
        Self { stack, config }
    }

    fn run(&self, command: &str, config: &Path, args: &[&str]) -> Output {
        let limited = ["60", BINARY, command, "--config"];
        Command::new("timeout").args(limited).arg(config).args(args).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, code: i32, command: &str, args: &[&str]) -> String {
        let output = self.run(command, &self.config, args);
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(code), "{command} {args:?}: {out}\n{err}");
        out + &err
    }

    /// As who may do everything.
    fn operator(&self, command: &str, args: &[&str]) -> String {
        let brokers = format!("--set=kafka.brokers={}", self.stack.kafka.bootstrap());
        let plain = "--set=kafka.properties.security.protocol=plaintext";
        self.ends(0, command, &[args, &[&brokers, plain]].concat())
    }

    fn without(&self, right: &Right, look: impl FnOnce()) {
        let rights = std::slice::from_ref(right);
        self.stack.kafka.forbid(USER, rights).unwrap();
        look();
        self.stack.kafka.allow(USER, rights).unwrap();
    }
}

#[test]
fn what_the_runbook_allows_is_enough_under_both_protocols() {
    let place = Place::new();
    place.stack.kafka.allow(USER, &rights()).unwrap();
    for protocol in ["classic", "consumer"] {
        let mix = ["--mix", "invalid=10%,duplicate=10%", "--count", "200", "--start-id", protocol];
        place.operator("generate", &mix);
        let protocol = format!("--set=kafka.protocol={protocol}");
        let checked = place.ends(0, "check-config", &[&protocol]);
        assert!(checked.lines().all(|line| line.starts_with("ok ")), "{checked}");
        place.ends(0, "run", &["--until-idle", "1s", &protocol]);
    }
    let balance = place.operator("reconcile", &[]);
    assert!(balance.contains("balanced: 400 records finished, 0 waiting"), "{balance}");
}

#[test]
fn a_right_that_is_lacking_is_named_before_anything_is_charged() {
    let place = Place::new();
    place.stack.kafka.allow(USER, &rights()).unwrap();
    place.operator("generate", &["--count", "20"]);
    for right in rights() {
        let name = &right.name;
        place.without(&right, || match (right.resource, right.operation) {
            (Resource::Topic | Resource::Group, Operation::Read | Operation::Write) => {
                let wrong = match (right.resource, right.operation) {
                    (Resource::Group, _) => format!("wrong group {name} "),
                    _ => format!("wrong topic {name} "),
                };
                let grant = format!(" Grant {:?} on the ", right.operation);
                let checked = place.ends(69, "check-config", &[]);
                let mut lines = checked.lines().filter(|line| line.starts_with("wrong "));
                let said = lines.next().unwrap_or_default();
                assert!(said.starts_with(&wrong) && said.contains(&grant), "{right:?}: {checked}");
                assert_eq!(lines.next(), None, "{right:?}: {checked}");
                let refused = place.ends(69, "run", &["--until-idle", "1s"]);
                assert!(refused.contains(&grant), "{refused}");
            }
            (Resource::Topic, _) => {
                let checked = place.ends(0, "check-config", &[]);
                let remark = checked.lines().find(|line| line.starts_with("note "));
                let remark = remark.unwrap_or_default();
                assert!(remark.contains(&format!("topic {name} ")), "{right:?}: {checked}");
                assert!(remark.contains("Grant DescribeConfigs"), "{right:?}: {checked}");
            }
            (Resource::TransactionalId, _) => place.waits_for_its_transactional_id(),
            // Without it a default is taken, as the runbook says.
            (Resource::Cluster, _) => drop(place.ends(0, "check-config", &[])),
            (Resource::Group, _) => panic!("what is {right:?} for?"),
        });
    }
    let ledger = std::fs::read_to_string(place.stack.ledger()).unwrap_or_default();
    assert_eq!(ledger, "", "nothing may have been charged");
    place.ends(0, "run", &["--until-idle", "1s"]);
    let balance = place.operator("reconcile", &[]);
    assert!(balance.contains("balanced: 20 records finished, 0 waiting"), "{balance}");
}

impl Place {
    /// Nobody can be asked about this one without trying.
    fn waits_for_its_transactional_id(&self) {
        let process = self.stack.command("run", &self.config).log(self.stack.file("waits.log"));
        let process = process.start().unwrap();
        let said = process.wait_for_line("Transactional Id authorization failed", LIMIT).unwrap();
        assert!(said.contains("WARN") && said.contains("kafka: "), "{said}");
        assert!(process.terminate(LIMIT).unwrap().success());
    }
}

#[test]
fn who_is_refused_is_told_why() {
    let place = Place::new();
    let other = place.stack.file("other");
    std::fs::write(&other, "another password").unwrap();
    let other = format!("--set=kafka.property_files.sasl.password={}", other.display());
    let password = place.ends(69, "check-config", &[&other]);
    assert!(password.contains("wrong kafka ") && password.contains("SASL auth"), "{password}");
    assert!(password.contains("Correct what [kafka.properties] says"), "{password}");
    assert!(!password.contains("another password"), "{password}");
    let authority = place.ends(69, "check-config", &["--set=kafka.properties.ssl.ca.location="]);
    assert!(authority.contains("SSL handshake failed: "), "{authority}");
    // A user without any right.
    let nobody = place.ends(69, "check-config", &[]);
    assert_eq!(nobody.matches("wrong topic ").count(), 5, "{nobody}");
    assert_eq!(nobody.matches("wrong group ").count(), 1, "{nobody}");
}
