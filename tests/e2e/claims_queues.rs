//! Claims 1, 2 and 6: the two queues, and what the gateway's answers do to them.

use std::time::Duration;

use tollbridge_rig::Direction::{ToClient, ToService};

use crate::sight::{Monitor, stays, wait};
use crate::topics::transaction_of;
use crate::world::{Plan, World};

const WHILE: Duration = Duration::from_millis(500);

fn gated() -> World {
    let plan = Plan { postgres: true, kafka_link: true, ..Plan::default() }.patient();
    World::new(plan)
}

/// Each step is held back in turn, and nothing of the next one is seen meanwhile.
#[test]
fn claim_1_temp_queue_then_gateway_then_archive_queue_then_row_then_event() {
    let world = gated();
    let processor = world.start_warm("one");
    let monitor = Monitor::of(&world);

    world.redis_link.hold(ToClient);
    world.publish(0, &["tx"]);
    wait("the temp queue", || world.depths() == (1, 0));
    stays("no request before Redis has answered", WHILE, || world.attempts("tx").is_empty());

    world.gateway_link.hold(ToClient);
    world.redis_link.release(ToClient);
    wait("the request", || world.attempts("tx").len() == 1);
    stays("in temp before the gateway has answered", WHILE, || world.depths() == (1, 0));

    world.store_link.hold(ToService);
    world.gateway_link.release(ToClient);
    wait("the archive queue", || world.depths() == (0, 1));
    stays("no row before the store has it", WHILE, || world.rows_of("tx") == 0);

    world.kafka_link().hold(ToService);
    world.store_link.release(ToService);
    wait("the row", || world.rows_of("tx") == 1);
    assert!(world.fates("tx").is_empty());
    stays("in Redis before Kafka has the event", WHILE, || world.depths() == (0, 1));

    world.kafka_link().release(ToService);
    wait("the event", || world.fates("tx") == ["archived"]);
    world.wait_done();
    assert_eq!(world.attempts("tx").len(), 1);
    assert_eq!(monitor.moves("tx"), ["HSET temp", "HSET archive", "HDEL temp", "HDEL archive"]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// What a killed process leaves in the archive queue is stored from there: the gateway is not asked again.
#[test]
fn claim_1_what_stands_in_the_archive_queue_is_stored_from_redis_alone() {
    let world = World::new(Plan { postgres: true, ..Plan::default() }.patient());
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &["tx-1", "tx-2"]);
    wait("both requests", || world.attempts_of("tx-") == 2);
    world.store_link.cut();
    world.gateway_link.release(ToClient);
    wait("the archive queue", || world.depths() == (0, 2));
    processor.kill();
    assert_eq!((world.rows_of("tx-"), world.depths()), (0, (0, 2)));

    world.store_link.pass();
    // Nothing can come from there.
    world.gateway_link.cut();
    let processor = world.start("one");
    world.wait_done();
    assert_eq!(world.rows_of("tx-"), 2);
    assert_eq!([world.fates("tx-1"), world.fates("tx-2")], [["archived"], ["archived"]]);
    assert_eq!(world.attempts_of("tx-"), 2);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A decline stays in temp until its row and its event are safe, and never touches the archive queue.
#[test]
fn claim_2_a_decline_leaves_temp_after_row_and_event_and_never_enters_the_archive_queue() {
    let world = gated();
    let processor = world.start_warm("one");
    let monitor = Monitor::of(&world);
    world.gateway_link.hold(ToClient);
    world.publish_values(0, &[transaction_of("tx", 700, "pm_decline_always")]);
    wait("the request", || world.attempts("tx").len() == 1);
    world.store_link.hold(ToService);
    world.gateway_link.release(ToClient);
    wait("the mark in temp", || monitor.moves("tx") == ["HSET temp", "HSET temp"]);
    stays("in temp without a row", WHILE, || world.depths() == (1, 0) && world.rows_of("tx") == 0);

    world.kafka_link().hold(ToService);
    world.store_link.release(ToService);
    wait("the row", || world.rows_of("tx") == 1);
    assert!(world.fates("tx").is_empty());
    stays("in temp without an event", WHILE, || world.depths() == (1, 0));

    world.kafka_link().release(ToService);
    wait("the event", || world.fates("tx") == ["declined"]);
    world.wait_done();
    assert_eq!(monitor.moves("tx"), ["HSET temp", "HSET temp", "HDEL temp"]);
    let row = world.rows().pop().unwrap();
    assert_eq!((row.fate.as_str(), row.code.as_str()), ("declined", "card_declined"));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Two timeouts, one before and one after the charge: both stay in temp, and are asked for again once they have aged,
/// with the same key and body, unless a lookup has told what became of it.
#[test]
fn claim_6_a_timeout_stays_in_temp_and_is_asked_for_again_once_it_has_aged() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nmatch = ['tx-before']\n\
                          [[fault]]\nkind = 'timeout-after'\nmatch = ['tx-after']\n";
    let plan = Plan { faults: FAULTS, ..Plan::default() }
        .set("gateway.timeout", "\"1s\"")
        .set("gateway.connect_timeout", "\"500ms\"")
        .set("sweep.min_age", "\"5s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.publish(0, &["tx-before", "tx-after"]);
    wait("both requests", || world.attempts_of("tx-") == 2);
    // Longer than the gateway's deadline, shorter than the age.
    stays("in temp, and left alone", Duration::from_millis(1500), || {
        world.depths() == (2, 0) && world.attempts_of("tx-") == 2
    });
    world.wait_done();

    let (before, after) = (world.attempts("tx-before"), world.attempts("tx-after"));
    assert_eq!(before.len(), 2, "asked again under the same key");
    assert_eq!(before[0].body_sha256, before[1].body_sha256);
    let age = Duration::from_micros(u64::try_from(before[1].at_us - before[0].at_us).unwrap());
    assert!(age >= Duration::from_secs(5), "asked again after {age:?}");
    assert_eq!(after.len(), 1, "a lookup told what had become of it");
    for id in ["tx-before", "tx-after"] {
        assert_eq!((world.charged(id), world.fates(id)), (1, vec!["archived".to_owned()]), "{id}");
    }
    wait("their count", || processor.metric("tollbridge_swept_total", "") >= 2);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
