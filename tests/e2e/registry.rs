//! A schema registry: records name what they were written with, and events name what we write with.

use std::time::Duration;

use serde_json::Value;
use tollbridge::domain::outcome::Fate;
use tollbridge::wire::outcome::{self, OUTCOME_AVSC};
use tollbridge::wire::transaction::TRANSACTION_AVSC;
use tollbridge_rig::{Registry, http, shared_registry};

use crate::sight::{stays, wait};
use crate::topics::{Written, transaction};
use crate::world::{LIMIT, Plan, World};

pub fn plan(registry: &Registry) -> Plan {
    Plan::default()
        .set("schema_registry.url", &format!("{:?}", registry.url()))
        .set("schema_registry.auto_register", "true")
        .set("schema_registry.unknown_after", "\"3s\"")
}

/// What encoders of others wrote: a schema, and one transaction written with it, always the same.
pub fn vector(name: &str) -> (String, Vec<u8>) {
    let all: Value = serde_json::from_str(include_str!("../golden/transactions.json")).unwrap();
    let vector = all.as_array().unwrap().iter().find(|vector| vector["name"] == name).unwrap();
    let hex = vector["value"].as_str().unwrap();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (vector["schema"].to_string(), (0..hex.len()).step_by(2).map(byte).collect())
}

pub fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], datum].concat()
}

/// What the registry says below its base address.
pub fn asked(registry: &Registry, path: &str) -> Value {
    let url = registry.url();
    let (port, base) =
        url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once('/')).unwrap();
    let (port, path) = (port.parse().unwrap(), format!("/{base}{path}"));
    let mut said = None;
    wait("the registry's answer", || {
        said = http::get(port, &path).ok();
        said.is_some()
    });
    let (status, body) = said.unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Whoever writes with another schema of the same transaction: more fields, others' types, another name. All but the
/// first are duplicates with the same payload, so they were read as the same. What has fewer fields says less: it is
/// read in `evolution`.
#[test]
fn each_record_is_read_with_the_schema_that_it_names() {
    let registry = shared_registry();
    let world = World::new(plan(registry));
    let processor = world.start("one");
    let names = ["full", "decimal bytes", "unions", "fields that we don't know", "alias"];
    let mut values = Vec::new();
    for name in names {
        let (schema, datum) = vector(name);
        let id = registry
            .register(&format!("{}-value", name.replace(' ', "-").replace('\'', "")), &schema);
        values.push((id.unwrap(), datum));
    }
    let frames: Vec<Vec<u8>> = values.iter().map(|(id, datum)| framed(*id, datum)).collect();
    // The newer way: the id stands in a header, the value is the datum alone.
    let (id, datum) = &values[0];
    let header = [&[0], &id.to_be_bytes()[..]].concat();
    let mut records: Vec<Written<'_>> = frames.iter().map(|frame| Written::of(frame)).collect();
    records.push(Written {
        headers: vec![("__value_schema_id", Some(&header))],
        ..Written::of(datum)
    });
    let json = transaction("json");
    records.push(Written::of(json.as_bytes()));
    world.publish_records(0, &records);
    world.wait_done();
    let told = world.events();
    let of = |event: &crate::sight::Event| format!("{} {}", event.fate, event.code);
    let told: Vec<String> = told.iter().map(of).collect();
    let expected =
        [vec!["archived "], vec!["duplicate same_payload"; 5], vec!["archived "]].concat();
    assert_eq!(told, expected);
    assert_eq!(world.charged("tx-1"), 1);
    assert_eq!(processor.terminate(), Some(0));
    let ledger = world.ledger();
    world
        .command("reconcile", "reconcile", &["--ledger", ledger.to_str().unwrap()])
        .run(LIMIT)
        .unwrap();
}

/// Events have a frame, with the id under which our schema stands in the registry.
#[test]
fn events_name_their_schema() {
    let registry = shared_registry();
    let world = World::new(plan(registry));
    let processor = world.start("one");
    world.publish(0, &["tx-1"]);
    world.wait_done();
    let events = world.read(&["archived"]);
    let (frame, _) = events[0].value.split_at(5);
    let subject = format!("{}-value", world.topic("archived"));
    let id = registry.register(&subject, OUTCOME_AVSC).unwrap();
    assert_eq!(frame, framed(id, &[]));
    let outcome = outcome::decode(&events[0].value).unwrap();
    assert_eq!((outcome.transaction_id.as_str(), outcome.fate), ("tx-1", Fate::Archived));
    assert_eq!(events[0].header("content-type"), "application/avro");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Who may not register says what is missing, and begins nothing.
#[test]
fn schemas_of_ours_that_are_missing_are_named_at_the_start() {
    let registry = shared_registry();
    let plan = plan(registry).set("schema_registry.auto_register", "false");
    let world = World::new(plan);
    let subject = format!("{}-value", world.topic("archived"));
    let processor = world.launch("one", &[]);
    assert_eq!(processor.ended(), Some(69));
    let log = processor.process.log();
    let why =
        format!("schemas/avro/outcome.avsc is not registered as {subject}. Register it, or set");
    assert!(log.contains(&why), "{log}");
    for (topic, schema) in [
        ("archived", OUTCOME_AVSC),
        ("declined", OUTCOME_AVSC),
        ("alerts", tollbridge::wire::alert::ALERT_AVSC),
    ] {
        registry.register(&format!("{}-value", world.topic(topic)), schema).unwrap();
    }
    let processor = world.start("one");
    assert_eq!(processor.terminate(), Some(0));
}

/// That the registry is silent is no fault of the record: it waits, and whoever needs nothing of it goes on.
#[test]
fn a_registry_that_is_down_is_waited_for() {
    let registry = Registry::start().unwrap();
    let world = World::new(Plan { partitions: 2, ..plan(&registry) });
    let processor = world.start("one");
    let (_, datum) = vector("full");
    let known = registry.register("known-value", TRANSACTION_AVSC).unwrap();
    let (schema, others) = vector("unions");
    let unknown = registry.register("unknown-value", &schema).unwrap();
    let first = framed(known, &datum);
    world.publish_records(0, &[Written::of(&first)]);
    world.wait_done();

    registry.pause().unwrap();
    let waits = framed(unknown, &others);
    world.publish_records(0, &[Written::of(&waits)]);
    world.publish_records(1, &[Written::of(&first)]);
    world.publish(1, &["json"]);
    wait("the other partition", || world.events().len() == 3);
    let says = || processor.readiness();
    wait("the trouble", || says().contains("\"schema_registry\":{\"ok\":false"));
    stays("waiting", Duration::from_secs(6), || world.events().len() == 3);
    registry.resume().unwrap();
    world.wait_done();
    let fates: Vec<String> = world.events().into_iter().map(|event| event.fate).collect();
    assert_eq!(fates, ["archived", "duplicate", "duplicate", "archived"]);
    wait("the end of the trouble", || says().contains("\"schema_registry\":{\"ok\":true"));
    assert_eq!(processor.terminate(), Some(0));
}

/// A schema that the registry does not know is waited for, for a while, and is a dead letter then.
#[test]
fn a_schema_that_nobody_knows_is_a_dead_letter_after_a_while() {
    let registry = shared_registry();
    let world = World::new(plan(registry));
    let processor = world.start_warm("one");
    let value = framed(999_999, &vector("full").1);
    world.publish_records(0, &[Written::of(&value)]);
    world.publish(0, &["behind"]);
    stays("waiting", Duration::from_secs(2), || world.events().len() == 1);
    world.wait_done();
    let letter = world.events().swap_remove(1);
    assert_eq!((letter.fate.as_str(), letter.code.as_str()), ("rejected", "unknown_schema"));
    assert_eq!(letter.read.value, value);
    assert_eq!(world.fates("behind"), ["archived"]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
