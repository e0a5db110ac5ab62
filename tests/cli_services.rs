//! `check-config`, `migrate` and `generate` against a real Kafka, Redis and SQLite file.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use tollbridge_rig::{Redis, shared_cluster, shared_kafka};

/// Topics, a Redis, a listening port as the gateway, and a configuration that names them.
struct Place {
    folder: TempDir,
    redis: Redis,
    gateway: TcpListener,
    name: &'static str,
}

const OUTGOING: [&str; 4] = ["tx-archived", "tx-declined", "tx-dead-letter", "tx-alerts"];

impl Place {
    fn new(name: &'static str) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            redis: Redis::start().unwrap(),
            gateway: TcpListener::bind("127.0.0.1:0").unwrap(),
            name,
        };
        shared_kafka().create_topic(&place.topic("transactions"), 4).unwrap();
        for topic in OUTGOING {
            shared_kafka().create_topic(&place.topic(topic), 1).unwrap();
        }
        place
    }

    fn topic(&self, topic: &str) -> String {
        format!("{}-{topic}", self.name)
    }

    fn config(&self) -> PathBuf {
        let [archived, declined, dead_letter, alerts] = OUTGOING.map(|topic| self.topic(topic));
        let text = format!(
            "[kafka]\nbrokers = {:?}\n[kafka.topics]\ntransactions = {:?}\narchived = {archived:?}
             declined = {declined:?}\ndead_letter = {dead_letter:?}\nalerts = {alerts:?}
             [redis]\nurl = {:?}\n[gateway]\nurl = \"http://{}\"\nkey_ttl = \"24h\"
             [store]\nurl = \"sqlite:{}\"",
            shared_kafka().bootstrap(),
            self.topic("transactions"),
            self.redis.url(),
            self.gateway.local_addr().unwrap(),
            self.folder.path().join("rows.db").display(),
        );
        let path = self.folder.path().join("tollbridge.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, command: &str, args: &[&str]) -> Output {
        let mut tollbridge = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        tollbridge.arg(command).arg("--config").arg(self.config()).args(args).output().unwrap()
    }

    /// Exit code and the lines that don't begin with `ok`.
    fn check(&self, args: &[&str]) -> (i32, Vec<String>) {
        let output = self.run("check-config", args);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("ok ")).map(str::to_owned);
        (output.status.code().unwrap(), lines.collect())
    }
}

#[test]
fn a_place_in_order_passes_and_each_fault_is_named() {
    let place = Place::new("check");
    let (code, lines) = place.check(&[]);
    assert_eq!((code, lines.len()), (69, 1), "{lines:?}");
    assert!(
        lines[0].starts_with("wrong store sqlite:") && lines[0].contains("tollbridge migrate"),
        "{lines:?}"
    );

    assert_eq!(place.run("migrate", &[]).status.code(), Some(0));
    let again = place.run("migrate", &[]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing to do"), "{again:?}");
    assert_eq!(place.check(&[]), (0, vec![]));

    place.redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
    let (code, lines) = place.check(&["--set", "kafka.topics.alerts=check-nowhere"]);
    assert_eq!((code, lines.len()), (69, 2), "{lines:?}");
    assert!(
        lines[0].contains("topic check-nowhere (kafka.topics.alerts): there is no such topic"),
        "{lines:?}"
    );
    assert!(lines[1].contains("maxmemory-policy is allkeys-lru"), "{lines:?}");
    place.redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
    other_kinds_of_redis(&place);

    let (code, lines) = place.check(&["--set", "gateway.url=http://127.0.0.1:1"]);
    assert_eq!((code, lines.len()), (69, 1), "{lines:?}");
    assert!(
        lines[0].starts_with("wrong gateway http://127.0.0.1:1: Connection refused"),
        "{lines:?}"
    );

    let (code, lines) = place.check(&["--set", "kafka.properties.no.such.thing=1"]);
    assert_eq!(code, 78, "{lines:?}");
    assert!(lines[0].contains("no.such.thing"), "{lines:?}");

    // A few megabytes of gzip may unpack to gigabytes; what the brokers pack with zstd is bounded by the reader.
    let large = |name: &str, more: &[(&str, &str)]| {
        let settings = [&[("max.message.bytes", "8388608")], more].concat();
        shared_kafka().create_topic_with(name, 4, &settings).unwrap();
        place.check(&["--set", &format!("kafka.topics.transactions={name}")])
    };
    let (code, lines) = large("check-large", &[]);
    assert_eq!(code, 69, "{lines:?}");
    let remedy = "Set max.message.bytes to at most 2097152, or compression.type to zstd.";
    assert!(
        lines[0].starts_with("wrong topic check-large") && lines[0].ends_with(remedy),
        "{lines:?}"
    );
    let (code, lines) = large("check-large-zstd", &[("compression.type", "zstd")]);
    assert_eq!(code, 0, "{lines:?}");

    place.redis.kill();
    let (code, lines) = place.check(&["--set", "kafka.brokers=127.0.0.1:1"]);
    assert_eq!((code, lines.len()), (69, 2), "{lines:?}");
    assert!(lines[0].starts_with("wrong kafka 127.0.0.1:1"), "{lines:?}");
    assert!(lines[1].starts_with("wrong redis "), "{lines:?}");
}

/// A Redis that is another one than the configuration says ends it with the key, its value and what to do; one whose
/// user may not do all with the command that is lacking.
fn other_kinds_of_redis(place: &Place) {
    let cluster = shared_cluster();
    let (one, node) =
        (place.redis.url(), format!("redis://127.0.0.1:{}", cluster.nodes()[0].port()));
    let user = one.replace("redis://", "redis://few:pw@");
    place.redis.command(&["ACL", "SETUSER", "few", "on", ">pw", "~*", "+@all", "-hset"]).unwrap();
    let sentinel: &[&str] = &["redis.topology=sentinel", "redis.sentinel_master=main"];
    for (url, more, code, why, remedy) in [
        (&node, &[][..], 78, "redis.topology is \"single\"", "Set it to \"cluster\""),
        (&one, &["redis.topology=cluster"], 78, "redis.topology is \"cluster\"", "\"single\""),
        (&one, sentinel, 78, "redis.topology is \"sentinel\"", "Set it to \"single\""),
        (&user, &[], 69, "its user may not run HSET on our keys", "docs/operating.md"),
    ] {
        let url = format!("redis.url={url}");
        let set = more.iter().flat_map(|set| ["--set", set]);
        let (found, lines) =
            place.check(&[&["--set", &*url][..], &set.collect::<Vec<_>>()].concat());
        assert_eq!((found, lines.len()), (code, 1), "{lines:?}");
        assert!(lines[0].contains(why) && lines[0].contains(remedy), "{lines:?}");
    }
    let set = format!("redis.url={}", cluster.url());
    assert_eq!(place.check(&["--set", &set, "--set", "redis.topology=cluster"]), (0, vec![]));
}

#[test]
fn what_is_generated_is_on_the_topic_and_a_seed_repeats_it() {
    let place = Place::new("generate");
    let args = ["--count", "400", "--seed", "7", "--mix", "declined=10%,invalid=5%,duplicate=10%"];
    let output = place.run("generate", &args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "a pipe gets no progress bar: {output:?}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["records"], 400);

    let topic = place.topic("transactions");
    let first = shared_kafka().read_committed(&topic).unwrap();
    assert_eq!(first.len(), 400);
    let mut seen: BTreeMap<Vec<u8>, Vec<i32>> = BTreeMap::new();
    for record in &first {
        seen.entry(record.key.clone().unwrap()).or_default().push(record.partition);
    }
    let repeats: u64 = seen.values().map(|partitions| partitions.len() as u64 - 1).sum();
    assert_eq!(summary["kinds"]["duplicate"], repeats);
    assert!(seen.values().any(|p| p.iter().any(|other| *other != p[0])), "all on one partition");
    assert!(seen.keys().all(|key| key.starts_with(b"tx-7-")));

    let again = place.run("generate", &args);
    assert_eq!(again.stdout, output.stdout);
    let all = shared_kafka().read_committed(&topic).unwrap();
    assert_eq!(all.len(), 800);
    for partition in 0..4 {
        let values: Vec<_> =
            all.iter().filter(|r| r.partition == partition).map(|r| (&r.key, &r.value)).collect();
        let (once, twice) = values.split_at(values.len() / 2);
        assert_eq!(once, twice, "partition {partition}");
    }
}

#[test]
fn generating_keeps_its_rate_and_needs_its_topic() {
    let place = Place::new("rate");
    #[expect(clippy::disallowed_methods, reason = "the test's own stopwatch")]
    let began = std::time::Instant::now();
    let output = place.run("generate", &["--count", "60", "--rate", "50"]);
    let took = began.elapsed();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(took.as_millis() >= 1_180, "60 records at 50 a second took {took:?}");

    let missing =
        place.run("generate", &["--count", "1", "--set", "kafka.topics.transactions=nowhere"]);
    assert_eq!(missing.status.code(), Some(69), "{missing:?}");
    let err = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(err.contains("there is no topic \"nowhere\""), "{err}");
    let long = place.run("generate", &["--count", "1", "--start-id", &"x".repeat(64)]);
    assert_eq!(long.status.code(), Some(1), "{long:?}");
}
