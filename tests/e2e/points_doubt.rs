//! What cannot be resolved is left to a person, with a row (point 13).

use tollbridge_rig::Direction::ToClient;

use crate::sight::{Event, wait};
use crate::world::{LIMIT, Plan, World};

fn quick(faults: &'static str) -> Plan {
    Plan { faults, ..Plan::default() }.quick()
}

/// Nobody could be asked until the key ran out: it is in doubt, with a row, an event and an alert, and is not charged
/// when it is published again.
#[test]
fn point_13_a_key_that_has_run_out_leaves_a_doubt_with_a_row() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-after'\nattempts = 'all'\nmatch = ['tx-charged']\n\
         [[fault]]\nkind = 'timeout-before'\nattempts = 'all'\nmatch = ['tx-not']\n\
         [[fault]]\nkind = 'error-before'\non = 'lookup'\nattempts = 'all'\nmatch = ['tx-']\n";
    let plan = quick(FAULTS).set("gateway.key_ttl", "\"8s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.publish(0, &["tx-charged", "tx-not"]);
    world.wait_done();
    for id in ["tx-charged", "tx-not"] {
        let doubt = world.events_of(id).pop().unwrap();
        assert_eq!((doubt.fate.as_str(), doubt.code.as_str()), ("in_doubt", "key_expired"), "{id}");
        let row = world.rows().into_iter().find(|row| row.id == id).unwrap();
        assert_eq!((row.fate.as_str(), row.code.as_str()), ("in_doubt", "key_expired"), "{id}");
        let attempts = world.attempts(id);
        let between = attempts.last().unwrap().at_us - attempts[0].at_us;
        assert!(between < 8_000_000, "{id}: the last attempt came {between} µs after the first");
    }
    wait("alerts", || world.alerts("in_doubt").len() == 2);

    let before = world.attempts_of("tx-");
    world.publish(0, &["tx-charged", "tx-not"]);
    world.wait_done();
    for id in ["tx-charged", "tx-not"] {
        assert_eq!(world.fates(id), ["in_doubt", "duplicate"], "{id}");
    }
    assert_eq!(world.attempts_of("tx-"), before);
    resolve_both(&world);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A person has asked the gateway's operators: each doubt ends with an event of its own, and only what was not charged
/// is charged once it is published again.
fn resolve_both(world: &World) {
    let resolve = |args: &[&str]| {
        world.command("resolve", "resolve", args).run(LIMIT).unwrap();
    };
    resolve(&["tx-charged", "--charged", "ch_1", "--by", "ada"]);
    resolve(&["tx-not", "--not-charged", "--by", "ada"]);
    assert_eq!(resolution_of(world, "tx-charged").fate, "archived");
    let not = resolution_of(world, "tx-not");
    assert_eq!((not.fate.as_str(), not.code.as_str()), ("declined", "not_charged"));

    world.restart_gateway("");
    world.publish(0, &["tx-charged", "tx-not"]);
    world.wait_done();
    let last = |id: &str| world.fates(id).pop().unwrap();
    assert_eq!((last("tx-charged"), last("tx-not")), ("duplicate".into(), "archived".into()));
    for id in ["tx-charged", "tx-not"] {
        let row = world.rows().into_iter().find(|row| row.id == id).unwrap();
        assert_eq!((row.fate.as_str(), world.charged(id)), ("archived", 1), "{id}");
    }
}

/// The event that ends a doubt; it names the one that told it.
fn resolution_of(world: &World, id: &str) -> Event {
    let all = world.events_of(id);
    let doubt = all.iter().find(|event| event.fate == "in_doubt").unwrap();
    let doubt = doubt.read.header("tollbridge-event-id").to_owned();
    let found = all.into_iter().find(Event::is_resolution).unwrap();
    assert_eq!(found.read.header("tollbridge-resolves"), doubt);
    found
}

/// Another amount than was asked for: it is looked up, and the charge is not asked for again.
#[test]
fn point_13_an_answer_that_contradicts_the_request_is_never_asked_for_again() {
    // The lookups are answered, and tell nothing.
    const FAULTS: &str = "[[fault]]\nkind = 'wrong-amount'\nmatch = ['tx-']\n\
         [[fault]]\nkind = 'error-before'\nstatus = 410\non = 'lookup'\nattempts = 'all'\nmatch = ['tx-']\n";
    let world = World::new(quick(FAULTS));
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &["tx-1"]);
    wait("the request", || world.attempts("tx-1").len() == 1);
    world.gateway_link.release(ToClient);
    world.wait_done();
    let doubt = world.events_of("tx-1").pop().unwrap();
    assert_eq!((doubt.fate.as_str(), doubt.code.as_str()), ("in_doubt", "mismatch"));
    assert_eq!((world.attempts("tx-1").len(), world.charged("tx-1")), (1, 1));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A gateway in trouble says nothing of a transaction: nobody is called for what it tells by itself later.
#[test]
fn point_11_lookups_that_an_outage_keeps_from_answering_give_nothing_to_a_person() {
    const FAULTS: &str = "[[fault]]\nkind = 'wrong-amount'\nmatch = ['tx-']\n\
         [[fault]]\nkind = 'error-before'\nstatus = 503\non = 'lookup'\nattempts = [1, 2, 3, 4, 5]\nmatch = ['tx-']\n";
    let world = World::new(quick(FAULTS));
    let processor = world.start_warm("one");
    world.publish(0, &["tx-1"]);
    world.wait_done();
    let event = world.events_of("tx-1").pop().unwrap();
    assert_eq!(event.fate, "archived");
    assert_eq!((world.attempts("tx-1").len(), world.charged("tx-1")), (1, 1));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A rule of somebody's on the table: the row that breaks it is in doubt, with all that is known in the alert; others
/// of its batch are stored, and nothing waits.
#[test]
fn a_row_that_the_store_refuses_is_a_doubt_and_holds_nothing_up() {
    let world = World::new(Plan { postgres: true, ..Plan::default() }.quick());
    let processor = world.start_warm("one");
    world.sql("ALTER TABLE transactions ADD CONSTRAINT ours CHECK (transaction_id <> 'tx-3' OR fate = 'in_doubt')");
    world.publish(0, &["tx-1", "tx-2", "tx-3", "tx-4", "tx-5"]);
    world.wait_done();
    for id in ["tx-1", "tx-2", "tx-4", "tx-5"] {
        assert_eq!(world.fates(id), ["archived"], "{id}");
    }
    let doubt = world.events_of("tx-3").pop().unwrap();
    assert_eq!((doubt.fate.as_str(), doubt.code.as_str()), ("in_doubt", "row_refused"));
    let charge = world.charges().into_iter().find(|charge| charge.id == "tx-3").unwrap();
    let alert = world.alerts("in_doubt").pop().unwrap();
    let message = alert["message"].as_str().unwrap();
    for part in ["tx-3", "refuses the row", "archived, gateway's id ch_"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(world.charged("tx-3"), 1, "{charge:?}");

    world.publish(0, &["tx-3"]);
    world.wait_done();
    assert_eq!(
        (world.charged("tx-3"), world.fates("tx-3").pop().unwrap()),
        (1, "duplicate".into())
    );
    world.sql("ALTER TABLE transactions DROP CONSTRAINT ours");
    let id = message.split("gateway's id ").nth(1).unwrap().split(')').next().unwrap();
    world
        .command("resolve", "resolve", &["tx-3", "--charged", id, "--by", "ada"])
        .run(LIMIT)
        .unwrap();
    let row = world.rows().into_iter().find(|row| row.id == "tx-3").unwrap();
    assert_eq!(row.fate, "archived");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Nobody could be asked until the key ran out; once the gateway's lookups answer, the doubts end by themselves, each
/// with one event and a line in the audit, and what was not charged may be charged when it is published again.
#[test]
fn a_doubt_ends_once_the_gateway_tells_what_became_of_it() {
    const LOST: &str = "[[fault]]\nkind = 'timeout-before'\nattempts = 'all'\nmatch = ['tx-not']\n";
    let plan = quick(LOST).set("gateway.key_ttl", "\"8s\"").set("sweep.doubts", "\"2s, 20s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &["tx-charged", "tx-not"]);
    world.wait_done();
    for id in ["tx-charged", "tx-not"] {
        assert_eq!(world.fates(id), ["in_doubt"], "{id}");
    }
    world.gateway_link.release(ToClient);
    wait("what was charged to be told", || {
        sorted(&world, "tx-charged") == ["archived", "in_doubt"]
    });
    // That it was never seen is not believed before the whole schedule has passed.
    wait("what was not charged to be told", || {
        sorted(&world, "tx-not") == ["declined", "in_doubt"]
    });
    for id in ["tx-charged", "tx-not"] {
        resolution_of(&world, id);
    }
    let audit =
        "SELECT transaction_id || ' ' || finding || ' ' || resolved_by FROM resolutions ORDER BY 1";
    assert_eq!(world.sql(audit), "tx-charged charged tollbridge\ntx-not not_charged tollbridge");
    wait("the notes", || world.sql("SELECT count(*) FROM told_resolutions") == "2");
    assert_eq!((world.charged("tx-charged"), world.charged("tx-not")), (1, 0));

    world.restart_gateway("");
    world.publish(0, &["tx-not"]);
    world.wait_done();
    assert_eq!(sorted(&world, "tx-not"), ["archived", "declined", "in_doubt"]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// It died between the row and the event: the next one to speak tells the event, and of those that were told it tells
/// none again.
#[test]
fn a_doubt_whose_event_was_not_told_is_told_by_the_next_owner() {
    const AWAY: &str = "[[fault]]\nkind = 'timeout-after'\nattempts = 'all'\nmatch = ['tx-']\n\
         [[fault]]\nkind = 'error-before'\non = 'lookup'\nattempts = 'all'\nmatch = ['tx-']\n";
    let plan = Plan { postgres: true, ..quick(AWAY) };
    let plan = plan.set("gateway.key_ttl", "\"8s\"").set("sweep.doubts", "\"1h\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.publish(0, &["tx-told", "tx-untold"]);
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let resolve = ["tx-told", "--charged", "ch_1", "--by", "tollbridge"];
    world.command("resolve", "resolve", &resolve).run(LIMIT).unwrap();
    // As a processor leaves it that dies in between.
    world.sql(
        "UPDATE transactions SET fate = 'archived', gateway_id = 'ch_2', code = NULL, decided_at = to_timestamp(1700000000)
         WHERE transaction_id = 'tx-untold';
         INSERT INTO resolutions (transaction_id, finding, gateway_id, resolved_by, resolved_at, source_topic,
             source_partition, source_offset, before_gateway_id, before_code, before_decided_at)
         SELECT transaction_id, 'charged', 'ch_2', 'tollbridge', decided_at, source_topic, source_partition,
             source_offset, NULL, 'key_expired', to_timestamp(1600000000)
         FROM transactions WHERE transaction_id = 'tx-untold'",
    );
    let processor = world.start("two");
    wait("the notes", || world.sql("SELECT count(*) FROM told_resolutions") == "2");
    for id in ["tx-told", "tx-untold"] {
        assert_eq!(sorted(&world, id), ["archived", "in_doubt"], "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// They stand on several topics, which have no common order.
fn sorted(world: &World, id: &str) -> Vec<String> {
    let mut fates = world.fates(id);
    fates.sort();
    fates
}
