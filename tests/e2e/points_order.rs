//! The order that never varies (point 6), the store's word before every first attempt (point 7), and batches that
//! stay what they are (point 14).

use std::time::Duration;

use tollbridge_rig::Direction::{ToClient, ToService};

use crate::sight::{Monitor, stays, wait};
use crate::topics::ids;
use crate::world::{Plan, World};

const WHILE: Duration = Duration::from_millis(500);

/// A doubt goes the way of a decline: marked in temp, then the row, then the event, then gone from Redis.
#[test]
fn point_06_a_doubt_is_marked_then_stored_then_told_then_deleted() {
    const FAULTS: &str = "[[fault]]\nkind = 'wrong-amount'\nmatch = ['tx']\n\
         [[fault]]\nkind = 'error-before'\nstatus = 410\non = 'lookup'\nattempts = 'all'\nmatch = ['tx']\n";
    let plan = Plan { faults: FAULTS, postgres: true, kafka_link: true, ..Plan::default() }
        .set("gateway.timeout", "\"1s\"")
        .set("sweep.min_age", "\"1500ms\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    let monitor = Monitor::of(&world);
    world.lock_table();
    world.publish(0, &["tx"]);
    wait("the mark in temp", || monitor.moves("tx") == ["HSET temp", "HSET temp"]);
    stays("in temp", WHILE, || world.depths() == (1, 0));

    world.kafka_link().hold(ToService);
    world.unlock_table();
    wait("the row", || world.rows_of("tx") == 1);
    assert!(world.fates("tx").is_empty());
    stays("in temp without an event", WHILE, || world.depths() == (1, 0));

    world.kafka_link().release(ToService);
    wait("the event", || world.fates("tx") == ["in_doubt"]);
    world.wait_done();
    assert_eq!(monitor.moves("tx"), ["HSET temp", "HSET temp", "HDEL temp"]);
    assert_eq!(world.attempts("tx").len(), 1);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Long after the first publication, from a gateway that has forgotten everything: the store knows the id.
#[test]
fn point_07_an_id_that_has_a_row_is_never_charged_again() {
    const FAULTS: &str = "[[fault]]\nkind = 'forget-key'\nattempts = 'all'\n\
                          [[fault]]\nkind = 'decline'\nmatch = ['tx-poor']\n";
    let plan = Plan { faults: FAULTS, partitions: 2, ..Plan::default() }
        .set("gateway.timeout", "\"3s\"")
        .set("sweep.min_age", "\"3500ms\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    let all = ["tx-rich", "tx-poor"];
    world.publish(0, &all);
    world.wait_done();
    world.publish(0, &all);
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let processor = world.start("one");
    world.publish(1, &all);
    // Twice in one batch: they wait for each other.
    world.publish(0, &["tx-twin", "tx-twin", "tx-twin"]);
    world.wait_done();
    assert_eq!(world.fates("tx-rich"), ["archived", "duplicate", "duplicate"]);
    assert_eq!(world.fates("tx-poor"), ["declined", "duplicate", "duplicate"]);
    assert_eq!(world.fates("tx-twin"), ["archived", "duplicate", "duplicate"]);
    for id in ["tx-rich", "tx-poor", "tx-twin"] {
        assert_eq!(world.attempts(id).len(), 1, "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// While the store can't answer nobody is asked for the first time; and nothing is lost.
#[test]
fn point_07_without_the_store_there_is_no_first_attempt() {
    let world = World::new(Plan { postgres: true, ..Plan::default() });
    let processor = world.start_warm("one");
    world.store_link.cut();
    world.publish(0, &ids("tx", 10));
    wait("the temp queue", || world.depths() == (10, 0));
    wait("an unready processor", || processor.readiness().contains("\"ready\":false"));
    stays("no request", WHILE, || world.attempts_of("tx-") == 0);
    world.store_link.pass();
    world.wait_done();
    assert_eq!(world.charges().len(), 11);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Nor what it was asked about before it went, and has not left yet.
#[test]
fn point_07_what_the_store_was_asked_about_before_it_went_does_not_leave() {
    let plan = Plan { postgres: true, ..Plan::default() }.set("gateway.max_in_flight", "1");
    let world = World::new(plan.patient());
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 10));
    wait("the first request", || world.attempts_of("tx-") == 1);
    wait("the temp queue", || world.depths() == (10, 0));
    world.store_link.cut();
    // What comes now finds out that the store is gone.
    world.publish(0, &ids("more", 2));
    wait("an unready processor", || processor.readiness().contains("\"ready\":false"));
    world.gateway_link.release(ToClient);
    wait("its approval", || world.depths() == (11, 1));
    stays("no other request", WHILE, || world.attempts_of("") == 2);
    world.store_link.pass();
    world.wait_done();
    assert_eq!(world.charges().len(), 13);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// The same, with the setting that lets charging go on through an outage of the store.
#[test]
fn point_07_what_was_surely_never_attempted_may_be_charged_without_the_store_where_that_is_allowed()
{
    let plan =
        Plan { postgres: true, ..Plan::default() }.set("charge.ask_store", "\"when_available\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.store_link.cut();
    world.publish(0, &ids("tx", 10));
    wait("the archive queue", || world.depths() == (0, 10));
    assert_eq!(world.rows_of("tx-"), 0);
    world.store_link.pass();
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A batch that was refused is tried again as it was, whatever else has come meanwhile; one whose answer was lost is
/// not stored or told twice.
#[test]
fn point_14_a_batch_stays_the_same_while_it_is_tried_again() {
    let plan = Plan { postgres: true, ..Plan::default() }
        .patient()
        .set("flush.max_rows", "10")
        .set("flush.workers", "1")
        .set("charge.ask_store", "\"when_available\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.store_link.cut();
    world.gateway_link.hold(ToClient);
    world.publish(0, &["first"]);
    wait("the first request", || world.attempts_of("first") == 1);
    world.gateway_link.release(ToClient);
    wait("the first batch", || world.depths() == (0, 1));
    wait("a try", || processor.metric("tollbridge_store_retries_total", "") >= 1);
    world.publish(0, &ids("then", 14));
    wait("more to store", || world.depths() == (0, 15));
    world.store_link.pass();
    world.wait_done();
    let together = world.sql(
        "SELECT count(*) FROM transactions \
         WHERE xmin = (SELECT xmin FROM transactions WHERE transaction_id = 'first')",
    );
    assert_eq!(together, "1", "nothing else came with the first one");

    // The answer is lost after the rows are there.
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("lost", 5));
    wait("all requests", || world.attempts_of("lost-") == 5);
    world.store_link.hold(ToClient);
    world.gateway_link.release(ToClient);
    wait("a row", || world.rows_of("lost-") > 0);
    world.store_link.sever();
    world.store_link.release(ToClient);
    world.wait_done();
    assert_eq!(world.attempts_of("lost-"), 5);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
