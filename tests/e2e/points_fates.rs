//! Duplicates are seen, not hidden (point 12), and what concerns the whole group comes from one process (point 18).

use tollbridge_rig::Direction::ToClient;

use crate::sight::wait;
use crate::topics::{ids, transaction_of};
use crate::world::{Plan, World};

/// The same id at other places: with the same payload a duplicate that names the first place, with another one an
/// alert as well, and the first payload stands.
#[test]
fn point_12_another_payload_under_the_same_id_is_a_duplicate_with_an_alert() {
    let world = World::new(Plan { partitions: 2, ..Plan::default() });
    let processor = world.start_warm("one");
    world.publish_values(0, &[transaction_of("tx", 500, "pm_card")]);
    world.wait_done();
    world.publish_values(0, &[transaction_of("tx", 500, "pm_card")]);
    world.publish_values(1, &[transaction_of("tx", 900, "pm_card")]);
    world.wait_done();

    let events = world.events_of("tx");
    let mut said: Vec<(&str, &str, i32, &str)> = events
        .iter()
        .map(|e| {
            let of = e.read.header("tollbridge-duplicate-of");
            (e.fate.as_str(), e.code.as_str(), e.partition, of)
        })
        .collect();
    said.sort_unstable();
    let first = format!("{}/0/1", world.topic("transactions"));
    let expected = [
        ("archived", "", 0, ""),
        ("duplicate", "other_payload", 1, first.as_str()),
        ("duplicate", "same_payload", 0, first.as_str()),
    ];
    assert_eq!(said, expected);
    wait("the alert", || world.alerts("other_payload").len() == 1);
    let alert = &world.alerts("other_payload")[0];
    assert!(alert["message"].as_str().unwrap().contains("transaction tx was published again"));
    let charge = world.charges().into_iter().find(|charge| charge.id == "tx").unwrap();
    assert_eq!((charge.amount, world.attempts("tx").len()), (500, 1));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Two processes have the same id in work, each at its own place. Neither found a row before it asked the gateway; the
/// one that comes to the store second finds the other's, and looks at it.
#[test]
fn point_12_a_row_of_another_place_that_came_first_makes_a_duplicate() {
    let plan = Plan { partitions: 2, ..Plan::default() }.patient();
    let world = World::new(plan);
    let processors = [world.start_warm("one"), world.start("two")];
    wait("a partition each", || processors.iter().all(|p| p.owned().len() == 1));
    world.gateway_link.hold(ToClient);
    let all = ids("tx", 20);
    world.publish(0, &all);
    world.publish(1, &all);
    wait("all requests", || world.attempts_of("tx-") == 40);
    world.gateway_link.release(ToClient);
    world.wait_done();
    for id in &all {
        let mut events = world.events_of(id);
        events.sort_by(|a, b| a.fate.cmp(&b.fate));
        let fates: Vec<&str> = events.iter().map(|event| event.fate.as_str()).collect();
        assert_eq!(fates, ["archived", "duplicate"], "{id}");
        let first = &events[0];
        let first = format!("{}/{}/{}", world.topic("transactions"), first.partition, first.offset);
        assert_eq!(events[1].read.header("tollbridge-duplicate-of"), first, "{id}");
        assert_eq!((events[1].code.as_str(), world.charged(id)), ("same_payload", 1), "{id}");
    }
    for processor in processors {
        assert_eq!(processor.terminate(), Some(0));
    }
    world.balance();
}

/// Whoever owns partition 0 counts the queues of the whole group and speaks for it; the other one is silent.
#[test]
fn point_18_the_owner_of_partition_0_alone_emits_alerts_for_the_group() {
    let plan = Plan { partitions: 2, ..Plan::default() }
        .patient()
        .set("alerts.temp_depth.raise", "5")
        .set("alerts.temp_depth.clear", "1")
        .set("alerts.temp_depth.for", "\"0s\"");
    let world = World::new(plan);
    let processors = [world.start_warm("one"), world.start("two")];
    let each = || processors.iter().all(|processor| processor.owned().len() == 1);
    wait("a partition each", each);
    let owner = processors.iter().find(|processor| processor.owned() == [0]).unwrap();

    // All of it on the other one's partition.
    world.gateway_link.hold(ToClient);
    world.publish(1, &ids("tx", 8));
    let alerts = || world.alerts("temp_queue_depth");
    wait("the alert", || alerts().len() == 1);
    world.gateway_link.release(ToClient);
    wait("the end of it", || alerts().len() == 2);
    world.wait_done();
    for alert in alerts() {
        assert_eq!(alert["instance"].as_str().unwrap(), owner.name, "{alert}");
    }
    assert!(alerts()[0]["observed"].as_u64().unwrap() >= 5);
    for processor in processors {
        assert_eq!(processor.terminate(), Some(0));
    }
    world.balance();
}
