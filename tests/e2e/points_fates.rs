//! Duplicates are seen, not hidden (point 12), and what concerns the whole group comes from one process (point 18).

use serde_json::Value;
use tollbridge_rig::Direction::ToClient;
use tollbridge_rig::Proxy;

use crate::sight::wait;
use crate::topics::{ids, transaction, transaction_of};
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

/// An answer about another amount, or about a key with another body, while another place of the id is charged and
/// stored: what the store says is the end of it. It is neither looked up, as the charge of the other place would be
/// found, nor a decline, nor a doubt, and it is never sent again.
#[test]
fn point_12_an_answer_that_does_not_match_is_held_against_the_store_first() {
    const FAULTS: &str = "[[fault]]\nkind = 'wrong-amount'\nmatch = ['tx-amount']\n";
    let plan = Plan { partitions: 2, faults: FAULTS, ..Plan::default() };
    let world = World::new(plan.patient());
    // What one of them hears can be held back for longer.
    let link = Proxy::start(world.gateway_link.address()).unwrap();
    let url = format!("gateway.url=http://{}", link.address());
    let one = world.start_with("one", &["--set", &url]);
    let two = world.start("two");
    wait("a partition each", || one.owned().len() == 1 && two.owned().len() == 1);
    let ours = u32::try_from(one.owned()[0]).unwrap();
    let theirs = 1 - ours;

    link.hold(ToClient);
    world.gateway_link.hold(ToClient);
    let publish = |partition, value: String, requests| {
        world.publish_values(partition, &[value]);
        wait("the request", || world.attempts_of("tx-") == requests);
    };
    // The gateway charges this one for us, and says the right amount only when it is asked again, by them: the same
    // request, made of another payload.
    let amount = transaction("tx-amount");
    publish(ours, amount.clone(), 1);
    publish(theirs, amount.replace("1700000000000000", "1700000000000001"), 2);
    // This one it charges for them, and refuses ours.
    publish(theirs, transaction_of("tx-body", 500, "pm_card"), 3);
    publish(ours, transaction_of("tx-body", 900, "pm_card"), 4);
    assert_eq!(world.rows_of("tx-"), 0, "the store knew of none of them when it was asked");

    world.gateway_link.release(ToClient);
    wait("their rows", || world.rows_of("tx-") == 2);
    let rows = || world.sql("SELECT * FROM transactions ORDER BY transaction_id");
    let stored = rows();
    link.release(ToClient);
    world.wait_done();
    assert_eq!(rows(), stored);
    assert_eq!(world.attempts_of("tx-"), 4, "nothing was sent again");
    let answers = |of| one.metric("tollbridge_gateway_answers_total", of);
    wait("the answers to be counted", || answers("") == 2);
    assert_eq!(answers("outcome=\"mismatch\""), 2, "and nothing was looked up");
    for id in ["tx-amount", "tx-body"] {
        assert_eq!(world.charged(id), 1, "{id}");
        let mut events = world.events_of(id);
        events.sort_by(|a, b| a.fate.cmp(&b.fate));
        let [first, second] = &events[..] else { panic!("{id}: {events:?}") };
        assert_eq!((first.fate.as_str(), first.partition.cast_unsigned()), ("archived", theirs));
        assert_eq!((second.fate.as_str(), second.code.as_str()), ("duplicate", "other_payload"));
        assert_eq!(second.partition.cast_unsigned(), ours);
        let place = format!("{}/{theirs}/{}", world.topic("transactions"), first.offset);
        assert_eq!(second.read.header("tollbridge-duplicate-of"), place, "{id}");
        let told = format!("transaction {id} was published again at ");
        let is_told = |alert: &Value| alert["message"].as_str().unwrap().starts_with(&told);
        wait("the alert", || {
            world.alerts("other_payload").iter().filter(|a| is_told(a)).count() == 1
        });
    }
    assert!(world.alerts("in_doubt").is_empty());
    for processor in [one, two] {
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
