//! Three brokers are one cluster: each record is on all of them, and when one goes, another leads what it led and
//! coordinates what it coordinated.

#![allow(clippy::unwrap_used, reason = "the lint spares only functions marked as tests")]

use std::time::Duration;
use tollbridge_rig::{Direction, Kafka, KafkaOptions, Launch, TempDir, wait_until};

const SOON: Duration = Duration::from_secs(60);
const IN_SYNC: Duration = Duration::from_secs(120);

fn kcat(args: &[&str]) -> String {
    Launch::new("kcat").args(args).run(SOON).unwrap()
}

#[test]
fn when_one_of_three_brokers_goes_another_does_what_it_did() {
    let options = KafkaOptions { brokers: 3, proxied: true, ..KafkaOptions::default() };
    let kafka = Kafka::start_with(options).unwrap();
    let ids: Vec<i32> = kafka.brokers().iter().map(|broker| broker.id()).collect();
    assert_eq!(ids, [1, 2, 3]);
    kafka.create_topic("kept", 3).unwrap();
    let folder = TempDir::new("records").unwrap();
    let file = folder.join("records");
    std::fs::write(&file, "a:1\nb:2\nc:3\n").unwrap();
    let produce = ["-P", "-q", "-t", "kept", "-p", "0", "-K", ":", "-X", "acks=all"];
    let produce = || {
        let file = file.display().to_string();
        kcat(&[&produce, ["-b", &kafka.proxied_bootstrap(), "-l", &file].as_slice()].concat());
    };
    produce();
    assert!(kafka.brokers().iter().any(|b| b.proxy().passed_bytes(Direction::ToService) > 0));
    let group = ["-G", "readers", "-X", "auto.offset.reset=earliest", "-c", "3", "kept"];
    kcat(&[["-q", "-b", &kafka.bootstrap()].as_slice(), &group].concat());
    assert_eq!(kafka.group_offsets("readers", "kept", 3).unwrap(), [3, -1, -1]);
    kafka.wait_in_sync(IN_SYNC).unwrap();

    // One that leads the partition, so that both what it led and what it coordinated can be seen to move.
    let leader = kafka.leaders("kept").unwrap()[0];
    let coordinator = kafka.group_coordinator("readers").unwrap();
    let broker = kafka.brokers().iter().find(|broker| broker.id() == leader).unwrap();
    broker.kill();
    let led = || kafka.leaders("kept").is_ok_and(|leaders| !leaders.contains(&leader));
    wait_until("others to lead", SOON, led).unwrap();
    let heir = kafka.group_coordinator("readers").unwrap();
    assert!(heir != leader && (coordinator == leader || heir == coordinator));
    assert_ne!(kafka.transactions_coordinator("me").unwrap(), leader);
    produce();
    assert_eq!(kafka.end_offsets("kept", 3).unwrap(), [6, 0, 0]);
    assert_eq!(kafka.group_offsets("readers", "kept", 3).unwrap(), [3, -1, -1]);
    assert_eq!(kafka.read_committed("kept").unwrap().len(), 6);
    kafka.create_topic("made-meanwhile", 1).unwrap();
    assert!(kafka.wait_in_sync(Duration::ZERO).is_err());

    broker.restart().unwrap();
    kafka.wait_in_sync(IN_SYNC).unwrap();
    // It may be the next one's heir.
    let other = kafka.brokers().iter().find(|broker| broker.id() != leader).unwrap();
    other.stop().unwrap();
    assert_eq!(kafka.end_offsets("kept", 3).unwrap(), [6, 0, 0]);
    assert_eq!(kafka.delete_records("kept", &[2, 0, 0]).unwrap(), [2, 0, 0]);
}
