//! Under which names our own schemas stand in a registry: those of the strategy that is configured, and no others. Each
//! test has a registry of its own, since a record's name is the same for everybody.

use std::collections::BTreeSet;

use serde_json::Value;
use tollbridge::domain::outcome::Fate;
use tollbridge::wire::alert::ALERT_AVSC;
use tollbridge::wire::outcome::{self, OUTCOME_AVSC};
use tollbridge_rig::Registry;

use crate::registry::{asked, framed, plan};
use crate::world::World;

const OUTCOME: &str = "dev.tollbridge.Outcome";
const ALERT: &str = "dev.tollbridge.Alert";

/// Subjects and the schema of each, for events of this world. Nothing is taken from the product: they are the names
/// that consumers configure on their side.
fn subjects(strategy: &str, world: &World) -> Vec<(String, &'static str)> {
    let topics = [
        (world.topic("archived"), OUTCOME, OUTCOME_AVSC),
        (world.topic("declined"), OUTCOME, OUTCOME_AVSC),
        (world.topic("alerts"), ALERT, ALERT_AVSC),
    ];
    let named = |(topic, record, schema): (String, &str, &'static str)| {
        let subject = match strategy {
            "topic" => format!("{topic}-value"),
            "record" => record.to_owned(),
            "topic-record" => format!("{topic}-{record}"),
            other => panic!("{other}"),
        };
        (subject, schema)
    };
    let mut all: Vec<_> = topics.into_iter().map(named).collect();
    all.dedup();
    all
}

fn world(registry: &Registry, strategy: &str, auto_register: bool) -> World {
    let plan = plan(registry).set("schema_registry.subjects", &format!("{strategy:?}"));
    World::new(plan.set("schema_registry.auto_register", &auto_register.to_string()))
}

/// All that there are, but for what the rig itself registers.
fn standing(registry: &Registry) -> BTreeSet<String> {
    let all: BTreeSet<String> = serde_json::from_value(asked(registry, "/subjects")).unwrap();
    all.into_iter().filter(|subject| subject != "warm").collect()
}

/// The processor writes an event with the id under which the outcome stands at this subject.
fn an_event_names(registry: &Registry, subject: &str, world: &World) {
    let processor = world.start("one");
    world.publish(0, &["tx-1"]);
    world.wait_done();
    let events = world.read(&["archived"]);
    let latest = asked(registry, &format!("/subjects/{subject}/versions/latest"));
    let id = u32::try_from(latest["id"].as_u64().unwrap()).unwrap();
    assert_eq!(events[0].value[..5], framed(id, &[]), "{subject}");
    let told = outcome::decode(&events[0].value).unwrap();
    assert_eq!((told.transaction_id.as_str(), told.fate), ("tx-1", Fate::Archived));
    assert_eq!(processor.terminate(), Some(0));
}

/// With `auto_register`: those of the strategy come into being with our schemas, and not one more.
#[test]
fn what_is_missing_is_registered_under_the_names_of_the_strategy() {
    let registry = Registry::start().unwrap();
    let mut expected = BTreeSet::new();
    for strategy in ["topic", "record", "topic-record"] {
        let world = world(&registry, strategy, true);
        let ours = subjects(strategy, &world);
        an_event_names(&registry, &ours[0].0, &world);
        expected.extend(ours.iter().map(|(subject, _)| subject.clone()));
        assert_eq!(standing(&registry), expected, "{strategy}");
        for (subject, schema) in ours {
            let latest = asked(&registry, &format!("/subjects/{subject}/versions/latest"));
            let stands: Value = serde_json::from_str(latest["schema"].as_str().unwrap()).unwrap();
            assert_eq!(stands, serde_json::from_str::<Value>(schema).unwrap(), "{subject}");
            assert_eq!(latest["version"], 1, "{subject}");
        }
    }
}

/// Without it: the same schemas under the names of another strategy are of no use, and where they stand as the strategy
/// says they are used, and nothing is added.
#[test]
fn what_others_have_registered_is_found_under_the_names_of_the_strategy() {
    let registry = Registry::start().unwrap();
    for (strategy, another) in [("record", "topic"), ("topic-record", "topic"), ("topic", "record")]
    {
        let world = world(&registry, strategy, false);
        for (subject, schema) in subjects(another, &world) {
            registry.register(&subject, schema).unwrap();
        }
        let ours = subjects(strategy, &world);
        let processor = world.launch("one", &[]);
        assert_eq!(processor.ended(), Some(69), "{strategy}");
        let log = processor.process.log();
        let why = format!("schemas/avro/outcome.avsc is not registered as {}. ", ours[0].0);
        assert!(log.contains(&why), "{strategy}: {log}");

        for (subject, schema) in &ours {
            registry.register(subject, schema).unwrap();
        }
        let before = standing(&registry);
        an_event_names(&registry, &ours[0].0, &world);
        assert_eq!(standing(&registry), before, "{strategy}");
    }
}
