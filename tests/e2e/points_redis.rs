//! Redis may lose anything (point 8), answer twice or not at all (point 9), and only has so much room (points 9
//! and 17).

use std::time::Duration;

use tollbridge_rig::Direction::{ToClient, ToService};

use crate::sight::{stays, wait};
use crate::topics::ids;
use crate::world::{Plan, World};

const WHILE: Duration = Duration::from_millis(500);

/// Transactions in every state: some wait for the gateway, some for the store.
fn with_full_queues(world: &World) {
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("approved", 10));
    wait("the first requests", || world.attempts_of("approved-") == 10);
    world.lock_table();
    world.gateway_link.release(ToClient);
    wait("the archive queue", || world.depths() == (0, 10));
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("asked", 10));
    wait("both queues", || world.depths() == (10, 10) && world.attempts_of("asked-") == 10);
}

fn own_redis() -> Plan {
    Plan { own_redis: true, postgres: true, ..Plan::default() }
        .patient()
        .set("store.timeout", "\"30s\"")
}

#[test]
fn point_08_a_wiped_redis_is_refilled() {
    wiped(own_redis());
}

/// The other program that speaks Redis' protocol does what the whole route asks of one.
#[test]
fn point_08_a_wiped_valkey_is_refilled() {
    wiped(Plan { valkey: true, ..own_redis() });
}

/// Everything is gone, epochs too: the partition is claimed again, and everything is back.
fn wiped(plan: Plan) {
    let world = World::new(plan);
    let processor = world.start_warm("one");
    with_full_queues(&world);
    world.redis().command(&["FLUSHALL"]).unwrap();
    wait("both queues again", || world.depths() == (10, 10));
    wait("a claim", || processor.metric("tollbridge_reclaims_total", "") >= 1);
    world.gateway_link.release(ToClient);
    world.unlock_table();
    world.wait_done();
    assert_eq!(world.attempts_of(""), 21, "nobody was asked for again");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Only the newest part is gone, as after a failover: the epoch is there, so the entries themselves are looked at.
#[test]
fn point_08_a_lost_tail_is_noticed_at_the_next_sweep() {
    let world = World::new(own_redis());
    let processor = world.start_warm("one");
    with_full_queues(&world);
    for number in 5..10 {
        for (queue, prefix) in [("temp", "asked"), ("archive", "approved")] {
            let id = format!("{prefix}-{number:03}");
            world.redis().command(&["HDEL", &world.key(0, queue), &id]).unwrap();
        }
    }
    // And some moves are undone: what is approved stands in the temp queue again.
    let back = "local v = redis.call('HGET', KEYS[1], ARGV[1]) redis.call('HDEL', KEYS[1], ARGV[1]) \
                return redis.call('HSET', KEYS[2], ARGV[1], v)";
    for number in 0..5 {
        let (archive, temp) = (world.key(0, "archive"), world.key(0, "temp"));
        let id = format!("approved-{number:03}");
        world.redis().command(&["EVAL", back, "2", &archive, &temp, &id]).unwrap();
    }
    wait("both queues again", || world.depths() == (10, 10));
    wait("the count", || processor.metric("tollbridge_refilled_total", "") >= 10);
    assert_eq!(processor.metric("tollbridge_reclaims_total", ""), 0);
    world.gateway_link.release(ToClient);
    world.unlock_table();
    world.wait_done();
    assert_eq!(world.attempts_of(""), 21, "nobody was asked for again");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Redis starts from a snapshot that was taken some time ago: what came since is missing, what has moved since has not,
/// what has left since is there again, and the epoch is the owner's.
#[test]
fn point_08_an_old_snapshot_is_noticed_and_refilled() {
    let world = World::new(own_redis());
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("early", 10));
    wait("the first requests", || world.attempts_of("early-") == 10 && world.depths() == (10, 0));
    world.redis().command(&["SAVE"]).unwrap();
    world.gateway_link.release(ToClient);
    world.wait_done();
    wait("empty queues", || world.depths() == (0, 0));
    with_full_queues(&world);
    world.redis().restart().unwrap();
    assert_eq!(world.depths(), (10, 0), "the snapshot");
    wait("both queues again", || world.depths() == (10, 10));
    wait("the count", || processor.metric("tollbridge_refilled_total", "") >= 20);
    assert_eq!(processor.metric("tollbridge_reclaims_total", ""), 0);
    world.gateway_link.release(ToClient);
    world.unlock_table();
    world.wait_done();
    assert_eq!(world.attempts_of("early-"), 10, "nobody was asked for again");
    assert_eq!(world.attempts_of(""), 31, "nobody was asked for again");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// The process and all of Redis are gone at the same time: only Kafka, the store and the gateway are left.
#[test]
fn point_08_a_wiped_redis_and_a_killed_process_repeat_requests_under_the_same_keys() {
    let world = World::new(Plan { own_redis: true, ..Plan::default() }.quick());
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 20));
    wait("all requests", || world.attempts_of("tx-") == 20);
    processor.kill();
    world.redis().command(&["FLUSHALL"]).unwrap();
    world.gateway_link.pass();
    let processor = world.start("one");
    world.wait_done();
    for id in ids("tx", 20) {
        let attempts = world.attempts(&id);
        assert!(attempts.iter().all(|again| again.body_sha256 == attempts[0].body_sha256));
        assert_eq!((world.charged(&id), world.fates(&id).len()), (1, 1), "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// What an old replica brings back for an offset that is finished is deleted: not stored, asked or told again.
#[test]
fn point_06_what_redis_holds_of_a_finished_offset_is_deleted() {
    let world = World::new(Plan { own_redis: true, ..Plan::default() }.patient());
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &["tx"]);
    wait("the request", || world.attempts("tx").len() == 1);
    // A replica that stopped here.
    let dump = |queue| {
        let key = world.key(0, queue);
        world.redis().command(&["COPY", &key, &format!("{key}:old")]).unwrap()
    };
    assert_eq!(dump("temp").integer(), Some(1));
    world.gateway_link.release(ToClient);
    world.wait_done();
    processor.kill();
    let (temp, archive) = (world.key(0, "temp"), world.key(0, "archive"));
    world.redis().command(&["COPY", &format!("{temp}:old"), &temp]).unwrap();
    world.redis().command(&["COPY", &format!("{temp}:old"), &archive]).unwrap();
    assert_eq!(world.depths(), (1, 1));

    let soon = ["--set", "gateway.timeout=1s", "--set", "sweep.min_age=1500ms"];
    let processor = world.start_with("one", &soon);
    wait("empty queues", || world.depths() == (0, 0));
    world.publish(0, &["next"]);
    world.wait_done();
    assert_eq!(world.attempts("tx").len(), 1);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Each script's answer is lost once: it is run again, and nothing happens twice.
#[test]
fn point_09_a_script_whose_answer_is_lost_is_run_again_without_harm() {
    let plan = Plan { postgres: true, kafka_link: true, ..Plan::default() }.patient();
    let world = World::new(plan);
    let processor = world.start_warm("one");
    let lose_the_answer = |what: &str, done: &dyn Fn() -> bool| {
        wait(what, done);
        world.redis_link.sever();
        world.redis_link.release(ToClient);
    };

    world.gateway_link.hold(ToClient);
    world.redis_link.hold(ToClient);
    world.publish(0, &ids("tx", 5));
    lose_the_answer("the temp queue", &|| world.depths().0 > 0);
    wait("all requests", || world.attempts_of("tx-") == 5);

    world.redis_link.hold(ToClient);
    world.gateway_link.release(ToClient);
    lose_the_answer("the archive queue", &|| world.depths().1 > 0);
    world.kafka_link().hold(ToService);
    wait("all rows", || world.rows_of("tx-") == 5);
    let before = world.depths().1;

    world.redis_link.hold(ToClient);
    world.kafka_link().release(ToService);
    lose_the_answer("the deletion", &|| world.depths().1 < before.max(1));
    world.wait_done();
    world.publish(0, &["next"]);
    world.wait_done();
    assert_eq!(world.attempts_of("tx-"), 5);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Out of memory: nothing more is admitted and intake pauses, but what is there moves on and leaves.
#[test]
fn point_09_a_full_redis_admits_nothing_and_still_drains() {
    let world = World::new(Plan { own_redis: true, ..Plan::default() }.patient());
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("before", 5));
    wait("all requests", || world.attempts_of("before-") == 5);
    world.redis().command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    world.publish(0, &ids("tx", 5));
    let paused = || processor.metric("tollbridge_intake_paused", "reason=\"redis_full\"");
    wait("a pause", || paused() == 1);
    world.gateway_link.release(ToClient);
    wait("the others to drain", || world.rows_of("before-") == 5 && world.depths() == (0, 0));
    stays("nothing is charged", WHILE, || world.attempts_of("tx-") == 0 && paused() == 1);
    assert!(processor.readiness().contains("\"ready\":false"));

    world.redis().command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    world.wait_done();
    wait("the end of the pause", || paused() == 0);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A Redis that drops entries to save memory is refused, with the remedy.
#[test]
fn point_09_a_redis_that_evicts_is_refused_at_the_start() {
    let world = World::new(Plan { own_redis: true, ..Plan::default() });
    world.redis().command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).unwrap();
    let processor = world.launch("one", &[]);
    assert_eq!(processor.ended(), Some(69));
    assert!(
        processor.process.log().contains("set it to noeviction"),
        "{}",
        processor.process.log()
    );
    world.redis().command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
    let processor = world.start("one");
    assert_eq!(processor.terminate(), Some(0));
}

/// Each bound in turn: calls in flight, the temp queue, the archive queue. Kafka keeps the backlog.
#[test]
fn point_17_bounds_pause_the_intake_and_say_why() {
    let plan = Plan { postgres: true, ..Plan::default() }
        .patient()
        .set("gateway.max_in_flight", "8")
        .set("redis.max_temp", "20")
        .set("redis.max_archive", "15")
        .set("flush.max_rows", "5")
        .set("store.timeout", "\"30s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    let paused =
        |why: &str| processor.metric("tollbridge_intake_paused", &format!("reason=\"{why}\""));
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 60));
    wait("a full temp queue", || world.depths() == (20, 0) && paused("temp_full") == 1);
    wait("all calls that may be", || world.attempts_of("tx-") == 8);
    stays("within the bounds", WHILE, || {
        world.depths() == (20, 0) && world.attempts_of("tx-") == 8 && paused("temp_full") == 1
    });
    wait("their count", || processor.metric("tollbridge_in_flight", "") == 8);

    world.lock_table();
    world.gateway_link.release(ToClient);
    wait("a full archive queue", || world.depths().1 == 15 && paused("archive_full") == 1);
    stays("within the bounds", WHILE, || {
        let (temp, archive) = world.depths();
        temp <= 20 && archive == 15 && world.attempts_of("tx-") == 15 && paused("archive_full") == 1
    });

    world.unlock_table();
    world.wait_done();
    wait("the end of the pauses", || paused("temp_full") + paused("archive_full") == 0);
    assert_eq!(world.attempts_of("tx-"), 60);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Far below the bounds: what would only wait stays in Kafka. 2,048 may wait for their first request, beside a
/// thousand that the store is being asked about.
#[test]
fn point_17_no_more_is_read_ahead_than_the_gateway_soon_needs() {
    let world = World::new(Plan { postgres: true, ..Plan::default() }.patient());
    let processor = world.start_warm("one");
    let paused = || processor.metric("tollbridge_intake_paused", "reason=\"ahead_full\"");
    world.store_link.cut();
    world.publish(0, &ids("tx", 4000));
    wait("the end of reading ahead", || world.depths().0 >= 2000 && paused() == 1);
    stays("as much", WHILE, || world.depths().0 <= 3100);
    world.store_link.pass();
    world.wait_done();
    wait("the end of the pause", || paused() == 0);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
