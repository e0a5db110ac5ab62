//! Claims 3, 4, 5 and 7: when the archive queue is stored, how much at a time, what becomes of what could not be
//! stored, and who is told when a queue grows.

use std::collections::BTreeSet;
use std::time::Duration;

use tollbridge_rig::Direction::{ToClient, ToService};

use crate::sight::{Monitor, stays, wait};
use crate::topics::ids;
use crate::world::{Plan, World};

const WHILE: Duration = Duration::from_millis(700);

fn stored_in_postgres() -> Plan {
    Plan { postgres: true, ..Plan::default() }.patient()
}

/// Not a byte goes to the database in twenty periods without anything to store.
#[test]
fn claim_3_an_empty_archive_queue_issues_no_statement() {
    // What asks the store now and then has nothing to do with the queue.
    let plan = stored_in_postgres().set("sweep.doubts", "\"off\"");
    let plan = plan.set("alerts.off", "[\"doubts_open\", \"balance_broken\"]");
    let world = World::new(plan.set("flush.interval", "\"50ms\""));
    let processor = world.start_warm("one");
    let before = world.store_link.passed_bytes(ToService);
    assert!(before > 0, "the row of the transaction before went this way");
    stays("no statement", Duration::from_secs(1), || {
        world.store_link.passed_bytes(ToService) == before
    });
    world.publish(0, &["tx"]);
    world.wait_done();
    assert!(world.store_link.passed_bytes(ToService) > before);
    assert_eq!(processor.terminate(), Some(0));
}

/// A period longer than any test: only full batches go. With a short one everything that waits does.
#[test]
fn claim_3_a_full_batch_goes_early_and_the_rest_with_the_period() {
    let plan = stored_in_postgres().set("flush.max_rows", "5");
    let world = World::new(plan);
    let processor = world.start_with("one", &["--set", "flush.interval=1m"]);
    world.publish(0, &ids("tx", 13));
    wait("all approvals and two full batches", || {
        world.attempts_of("tx-") == 13 && world.rows_of("tx-") == 10
    });
    wait("the rest in the archive queue", || world.depths() == (0, 3));
    stays("the rest waits", WHILE, || world.rows_of("tx-") == 10);
    assert_eq!(batches(&world), [5, 5]);
    processor.kill();

    let set =
        ["flush.interval=1s", "flush.max_rows=1000", "gateway.timeout=2s", "sweep.min_age=3s"];
    let processor = world.start_with("one", &set.map(|set| ["--set", set]).concat());
    world.wait_done();
    assert_eq!(world.rows_of("tx-"), 13);
    assert_eq!(world.attempts_of("tx-"), 13);

    // What trickles in is stored once a period, not one by one.
    for id in ids("slow", 12) {
        world.publish(0, &[id]);
        std::thread::sleep(Duration::from_millis(100));
    }
    world.wait_done();
    let times = world.sql(
        "SELECT DISTINCT (extract(epoch FROM stored_at) * 1000)::bigint FROM transactions \
         WHERE transaction_id LIKE 'slow-%' ORDER BY 1",
    );
    let times: Vec<i64> = times.lines().map(|ms| ms.parse().unwrap()).collect();
    assert!(times.len() >= 2, "more than a second of arrivals: {times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 999), "{times:?}");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// How many rows each of the database's transactions has brought, in their order.
fn batches(world: &World) -> Vec<usize> {
    let sizes =
        world.sql("SELECT count(*) FROM transactions GROUP BY xmin ORDER BY xmin::text::bigint");
    sizes.lines().map(|size| size.parse().unwrap()).collect()
}

/// While the table is locked, exactly as many batches wait for it as there are workers, and charging goes on.
#[test]
fn claim_4_at_most_a_preset_number_is_taken_at_a_time_by_several_workers() {
    let plan = stored_in_postgres()
        .set("flush.max_rows", "10")
        .set("flush.workers", "3")
        .set("store.timeout", "\"30s\"");
    let world = World::new(plan);
    let processor = world.start("one");
    // The store is asked before each first attempt: that must be over before the lock.
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 95));
    wait("all requests", || world.attempts_of("tx-") == 95);
    world.lock_table();
    world.gateway_link.release(ToClient);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
    wait("three batches at the lock", || world.sql(waiting) == "3");
    wait("everything in the archive queue", || world.depths() == (0, 95));
    stays("no fourth batch", WHILE, || world.sql(waiting) == "3");
    world.unlock_table();

    world.wait_done();
    let sizes = batches(&world);
    assert_eq!(sizes.iter().sum::<usize>(), 95);
    assert!(sizes.iter().all(|size| *size <= 10), "{sizes:?}");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Where the interval is the group's, processes that come make no more batches of the same load.
#[test]
fn the_store_gets_as_many_batches_from_three_processes_as_from_one() {
    /// All that is published in six seconds, twelve intervals.
    const EACH: usize = 120;
    let plan = Plan { partitions: 6, ..stored_in_postgres() };
    let world = World::new(
        plan.set("flush.interval", "\"500ms\"")
            .set("flush.interval_of", "\"group\"")
            .set("gateway.rate_limit", "120"),
    );
    let batches_of = |name: &str| -> usize {
        for partition in 0..6 {
            world.publish(partition, &ids(&format!("{name}-{partition}"), EACH));
        }
        world.wait_done();
        let sql = "SELECT count(DISTINCT xmin::text) FROM transactions WHERE transaction_id LIKE";
        world.sql(&format!("{sql} '{name}-%'")).parse().unwrap()
    };
    let mut processors = vec![world.start_warm("one")];
    let alone = batches_of("alone");
    assert!((8..=20).contains(&alone), "{alone}");
    processors.extend(["two", "three"].map(|name| world.start(name)));
    wait("a third for each", || processors.iter().all(|p| p.owned().len() == 2));
    let together = batches_of("together");
    assert!(together <= alone + alone / 2, "{alone} batches of one, {together} of three");
    for processor in processors {
        assert_eq!(processor.terminate(), Some(0));
    }
    world.balance();
}

/// What the store does not take stays in the archive queue, is tried again, and leaves once it is stored.
#[test]
fn claim_5_what_could_not_be_stored_waits_and_is_deleted_only_once_stored() {
    let world = World::new(stored_in_postgres());
    let processor = world.start_warm("one");
    let monitor = Monitor::of(&world);
    world.gateway_link.hold(ToClient);
    let ids = ids("tx", 20);
    world.publish(0, &ids);
    wait("all requests", || world.attempts_of("tx-") == 20);
    world.store_link.cut();
    world.gateway_link.release(ToClient);
    wait("the archive queue", || world.depths() == (0, 20));
    wait("two tries", || processor.metric("tollbridge_store_retries_total", "") >= 2);
    assert_eq!((world.depths(), world.rows_of("tx-"), world.events().len()), ((0, 20), 0, 1));

    world.store_link.pass();
    world.wait_done();
    assert_eq!(world.rows_of("tx-"), 20);
    for id in &ids {
        assert_eq!(monitor.moves(id).last().unwrap(), "HDEL archive", "{id}");
        assert_eq!(world.attempts(id).len(), 1, "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Each queue fills up in turn, behind a silent gateway and a dead store; both are told of, and that it is over.
#[test]
fn claim_7_an_alert_is_raised_above_a_threshold_and_cleared() {
    let plan = stored_in_postgres()
        .set("alerts.temp_depth.raise", "5")
        .set("alerts.temp_depth.clear", "1")
        .set("alerts.temp_depth.for", "\"0s\"")
        .set("alerts.archive_depth.raise", "5")
        .set("alerts.archive_depth.clear", "1")
        .set("alerts.archive_depth.for", "\"0s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    let states = |rule: &str| -> Vec<String> {
        let all = world.alerts(rule);
        all.iter().map(|alert| alert["state"].as_str().unwrap().to_owned()).collect()
    };
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 6));
    wait("an alert for the temp queue", || states("temp_queue_depth") == ["raised"]);
    assert!(states("archive_queue_depth").is_empty());

    world.store_link.cut();
    world.gateway_link.release(ToClient);
    wait("the end of it", || states("temp_queue_depth") == ["raised", "cleared"]);
    wait("an alert for the archive queue", || states("archive_queue_depth") == ["raised"]);
    world.store_link.pass();
    wait("the end of it", || states("archive_queue_depth") == ["raised", "cleared"]);

    for rule in ["temp_queue_depth", "archive_queue_depth"] {
        let alerts = world.alerts(rule);
        let ids: BTreeSet<&str> = alerts.iter().map(|a| a["alert_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 1, "raised and cleared are the same alert: {alerts:?}");
        assert_eq!((&alerts[0]["threshold"], &alerts[1]["threshold"]), (&5.into(), &1.into()));
        assert!(alerts[0]["observed"].as_u64().unwrap() >= 5);
        assert!(alerts[1]["observed"].as_u64().unwrap() <= 1);
    }
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
