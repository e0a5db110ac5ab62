//! What is told to Kafka: in transactions alone (point 3), by whoever owns the partition (points 4 and 5), and
//! nothing before it is said (points 5 and 8).

use std::time::Duration;

use tollbridge_rig::Direction::{ToClient, ToService};

use crate::offset_log::commits;
use crate::sight::{Monitor, holds_within, stays, wait};
use crate::topics::ids;
use crate::world::{Plan, World};

const WHILE: Duration = Duration::from_millis(500);

/// Two lives of a processor, one ended by a kill: every commit of the group in the broker's log is part of a
/// transaction.
#[test]
fn point_03_there_is_no_commit_outside_a_transaction() {
    let world = World::new(Plan { partitions: 2, ..Plan::default() }.quick());
    let processor = world.start_warm("one");
    world.publish(0, &ids("tx", 30));
    wait("some of them", || world.rows_of("tx-") > 0);
    processor.kill();
    let processor = world.start("one");
    world.publish(1, &ids("next", 30));
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));

    let commits = commits(&world);
    for partition in [0, 1] {
        let (done, _) = world.committed(partition).unwrap();
        let of = commits.iter().filter(|commit| commit.partition.unsigned_abs() == partition);
        assert!(of.clone().count() >= 3, "two claims and an outcome at least");
        assert_eq!(of.map(|commit| commit.offset).max(), Some(done));
    }
    for commit in &commits {
        assert!(commit.in_transaction && commit.producer >= 0, "{commit:?}");
    }
    world.balance();
}

/// The answer to a commit is lost after the broker has carried it out. What it said is read before anything is said
/// again.
#[test]
fn point_03_an_unclear_commit_leads_to_a_reread_and_no_second_event() {
    let plan = Plan { kafka_link: true, ..Plan::default() }.patient();
    let world = World::new(plan);
    let processor = world.start_warm("one");
    let unclear =
        || processor.metric("tollbridge_publish_transactions_total", "result=\"unclear\"");
    // A machine that stands still for a second lets the answer through: another round then.
    for round in 1..=8 {
        let id = format!("tx-{round}");
        world.kafka_link().delay(ToClient, Duration::from_millis(600));
        world.publish(0, &[&id]);
        // Seen by readers: the broker has ended the transaction, and its answer is still on its way.
        wait("the event", || !world.fates(&id).is_empty());
        world.kafka_link().cut();
        world.publish(0, &[format!("{id}-next")]);
        let is_lost = holds_within(Duration::from_secs(10), || unclear() > 0);
        world.kafka_link().pass();
        world.wait_done();
        if is_lost {
            break;
        }
    }
    assert!(unclear() > 0, "no answer was lost");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// The bound that a claim commits is as far ahead as there may be calls. What lies above it waits until Kafka has
/// acknowledged a higher one, and leaves then.
#[test]
fn point_08_no_request_leaves_at_or_above_the_bound_that_kafka_holds() {
    let plan = Plan { kafka_link: true, postgres: true, ..Plan::default() }
        .patient()
        // Three times as many are read ahead at least.
        .set("gateway.max_in_flight", "2000")
        .set("kafka.session_timeout", "\"120s\"")
        .set("kafka.transaction_timeout", "\"110s\"")
        .set("kafka.request_timeout", "\"60s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    // Without the store's word nothing leaves, so that the bound stays where it is while all of it is read.
    world.store_link.cut();
    world.publish(0, &ids("tx", 6000));
    wait("the temp queue", || world.depths() == (6000, 0));
    assert_eq!(world.attempts_of("tx-"), 0);
    world.kafka_link().hold(ToService);
    world.store_link.pass();
    // Offset 0 was the first one's.
    wait("all requests that may be", || world.attempts_of("tx-") >= 1999);
    stays("no more of them", WHILE, || world.attempts_of("tx-") == 1999);
    world.kafka_link().release(ToService);
    wait("the others", || world.attempts_of("tx-") == 6000);
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A member is cut off in the middle of a commit for longer than its session. Another takes over; what the first one
/// still has to say comes through afterwards, and does not count.
#[test]
fn point_04_what_a_member_says_after_it_has_lost_its_partition_does_not_count() {
    let plan = Plan { kafka_link: true, postgres: true, ..Plan::default() }.quick().soon_lost();
    let world = World::new(plan);
    let one = world.start_warm("one");
    let direct = format!("kafka.brokers={}", world.kafka().bootstrap());
    let two = world.start_with("two", &["--set", &direct]);
    assert!(two.owned().is_empty());
    world.lock_table();
    world.publish(0, &ids("tx", 10));
    wait("the archive queue", || world.depths() == (0, 10));
    world.kafka_link().hold(ToService);
    world.unlock_table();
    wait("the rows", || world.rows_of("tx-") == 10);
    wait("the other one", || two.owned() == [0]);
    world.publish(0, &ids("next", 5));
    wait("all of it", || world.is_done());
    world.kafka_link().release(ToService);
    world.wait_done();
    world.publish(0, &ids("last", 5));
    world.wait_done();
    assert_eq!([one.terminate(), two.terminate()], [Some(0); 2]);
    world.balance();
}

/// Each answer of the broker takes a while, so a claim takes at least two of those from its commit to its
/// acknowledgement. Redis and the gateway hear nothing of the partition until then.
#[test]
fn point_05_nothing_is_admitted_before_kafka_has_the_claim() {
    const ANSWER: Duration = Duration::from_millis(100);
    let plan = Plan { kafka_link: true, ..Plan::default() }.patient();
    let world = World::new(plan);
    world.publish(0, &ids("tx", 5));
    let monitor = Monitor::of(&world);
    world.kafka_link().delay(ToClient, ANSWER);
    let processor = world.launch("one", &[]);
    wait("the rows", || world.rows_of("tx-") == 5);
    world.kafka_link().pass();
    world.wait_done();

    let claimed = commits(&world)[0].at_ms;
    // The commit of the offsets, and the end of the transaction.
    let acknowledged = claimed + 2 * i64::try_from(ANSWER.as_millis()).unwrap();
    let first = monitor.first_ms("HSET").min(monitor.first_ms("SET"));
    assert!(first >= acknowledged, "redis heard of it at {first}, acknowledged at {acknowledged}");
    for attempt in world.attempts("tx-000") {
        assert!(attempt.at_us / 1000 >= acknowledged, "{attempt:?}, acknowledged {acknowledged}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Frozen for longer than its session, with answers of the gateway on their way to it: it wakes up when another has
/// taken over and finished. It changes nothing, says nothing, and joins again.
#[test]
fn point_05_a_process_that_was_frozen_commits_nothing() {
    let plan = Plan { partitions: 2, ..Plan::default() }.patient().soon_lost();
    let world = World::new(plan);
    let one = world.start_warm("one");
    let two =
        world.start_with("two", &["--set", "gateway.timeout=2s", "--set", "sweep.min_age=3s"]);
    wait("a partition each", || one.owned().len() == 1 && two.owned().len() == 1);
    let theirs = u32::try_from(one.owned()[0]).unwrap();
    world.gateway_link.hold(ToClient);
    world.publish(theirs, &ids("tx", 10));
    wait("all requests", || world.attempts_of("tx-") == 10);
    one.process.pause().unwrap();
    wait("the other one to take over", || two.owned() == [0, 1]);
    world.gateway_link.release(ToClient);
    wait("all of it", || world.is_done());
    let (attempts, events) = (world.attempts_of("tx-"), world.events().len());

    one.process.resume().unwrap();
    wait("it to join again", || one.owned().len() == 1 && two.owned().len() == 1);
    stays("nothing changes", WHILE, || {
        world.attempts_of("tx-") == attempts && world.events().len() == events
    });
    let its = u32::try_from(two.owned()[0]).unwrap();
    world.publish(its, &ids("next", 3));
    world.wait_done();
    assert_eq!([one.terminate(), two.terminate()], [Some(0); 2]);
    world.balance();
}
