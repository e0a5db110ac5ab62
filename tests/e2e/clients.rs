//! The headers of dead letters and events as clients read them that are not ours: kcat, Kafka's own client, and
//! confluent-kafka where someone has installed it.

use std::path::Path;

use serde_json::Value;
use tollbridge_rig::{Launch, TempDir};

use crate::dead_letters::world_with_letters;
use crate::world::{LIMIT, World};

/// Runs another client; what it wrote.
fn output(client: Launch) -> Vec<u8> {
    let folder = TempDir::new("client").unwrap();
    let out = folder.join("out");
    client.stdout(&out).run(LIMIT).unwrap();
    std::fs::read(out).unwrap()
}

/// By kcat, and by Kafka's own client where kcat shows no more of a number's bytes than stands before the first zero.
#[test]
fn kcat_reads_the_headers_of_dead_letters_and_events() {
    let (world, _) = world_with_letters();
    let processor = world.start("one");
    world.wait_done();
    let source = world.topic("transactions");
    let kcat = |topic: &str, args: &[&str]| {
        let (brokers, topic) = (world.kafka().bootstrap(), world.topic(topic));
        let base = ["-C", "-q", "-e", "-b", brokers.as_str(), "-t", topic.as_str()];
        output(Launch::new("kcat").args(base).args(args))
    };
    let letters = kcat("dead_letter", &["-f", "%h,\n#END#\n"]);
    let has = |part: &[u8]| letters.windows(part.len()).any(|window| window == part);
    for part in [
        b"shop=s-1,none=NULL,empty=,tollbridge-fate=rejected,tollbridge-code=bad_amount,".as_slice(),
        b"tollbridge-fate=duplicate,tollbridge-code=same_payload,",
        b",tollbridge-transaction-id=good,",
        format!(",tollbridge-duplicate-of={source}/0/0,").as_bytes(),
        format!(",__connect.errors.topic={source},__connect.errors.partition=1,__connect.errors.offset=0,")
            .as_bytes(),
        b",__connect.errors.exception.class.name=dev.tollbridge.Rejected,",
        format!(",kafka_dlt-original-topic={source},").as_bytes(),
        b",kafka_dlt-exception-fqcn=dev.tollbridge.Duplicate,",
        b",ce_specversion=1.0,ce_type=dev.tollbridge.transaction.rejected,",
    ] {
        assert!(has(part), "{:?} is not in {}", String::from_utf8_lossy(part), String::from_utf8_lossy(&letters));
    }
    numbers_are_big_endian(&world);

    let event: Value = serde_json::from_slice(&kcat("archived", &["-J"])).unwrap();
    let headers: Vec<&str> =
        event["headers"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    let header = |name: &str| headers.chunks(2).find(|pair| pair[0] == name).unwrap()[1];
    let told: Value = serde_json::from_str(event["payload"].as_str().unwrap()).unwrap();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("ce_type"), "dev.tollbridge.transaction.archived");
    assert_eq!(
        (header("ce_subject"), header("ce_id")),
        ("good", told["event_id"].as_str().unwrap())
    );
    assert!(header("ce_source").starts_with("/tollbridge/"));
    assert_eq!(header("traceparent").len(), 55);
    assert_eq!(processor.terminate(), Some(0));
}

/// As Spring's readers expect them; kcat can't show them.
fn numbers_are_big_endian(world: &World) {
    let letters = world.kafka().read_committed(&world.topic("dead_letter")).unwrap();
    let rejected = letters.iter().find(|it| it.header("tollbridge-fate").unwrap() == "rejected");
    let bytes = |name: &str| {
        let (_, value) =
            rejected.unwrap().headers.iter().find(|(header, _)| header == name).unwrap();
        value.as_deref()
    };
    assert_eq!((bytes("none"), bytes("empty")), (None, Some(&b""[..])));
    assert_eq!(bytes("kafka_dlt-original-partition"), Some(&1_i32.to_be_bytes()[..]));
    assert_eq!(bytes("kafka_dlt-original-offset"), Some(&0_i64.to_be_bytes()[..]));
    let at: i64 = std::str::from_utf8(bytes("tollbridge-source-timestamp").unwrap())
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(bytes("kafka_dlt-original-timestamp"), Some(&at.to_be_bytes()[..]));
}

/// Every header of every record, byte for byte as Kafka's own client reads it.
#[test]
#[ignore = "needs confluent-kafka from PyPI: make clients"]
fn confluent_kafka_reads_the_same_headers() {
    let (world, _) = world_with_letters();
    let processor = world.start("one");
    world.wait_done();
    world.command("dlq replay", "dlq", &["--fate", "rejected"]).run(LIMIT).unwrap();
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (topic, count) in [("transactions", 4), ("dead_letter", 3), ("archived", 1)] {
        let topic = world.topic(topic);
        let client = Launch::new(root.join(".rig/python/bin/python"));
        let client = client.arg(root.join("tests/e2e/clients.py"));
        let lines = output(client.args([world.kafka().bootstrap(), topic.clone()]));
        let mut theirs: Vec<Value> = String::from_utf8(lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        theirs.sort_by_key(|record| (record[0].as_i64(), record[1].as_i64()));
        let hex = |value: &Vec<u8>| -> String {
            value.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let read = world.kafka().read_committed(&topic).unwrap();
        let expected = read.iter().map(|record| {
            let headers = record.headers.iter();
            let headers: Vec<_> =
                headers.map(|(name, value)| (name, value.as_ref().map(hex))).collect();
            serde_json::json!([record.partition, record.offset, headers])
        });
        assert_eq!(theirs, expected.collect::<Vec<_>>(), "{topic}");
        assert_eq!(theirs.len(), count, "{topic}");
    }
}
