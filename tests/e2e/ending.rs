//! How a processor ends: in order at the first signal, at once at the second, by itself where it is told to; and what
//! a fleet of them keeps whatever ends.

use std::time::Duration;

use tollbridge_rig::Direction::ToClient;
use tollbridge_rig::Signal;

use crate::sight::{holds_within, stays, wait};
use crate::topics::ids;
use crate::world::{LIMIT, Plan, World};

/// At once, on a busy machine: far below any time that would be waited for.
const SOON: Duration = Duration::from_secs(15);

/// What is in flight is finished, stored and told; nothing new is begun.
#[test]
fn sigterm_finishes_what_is_in_flight_and_ends_with_0() {
    let plan = Plan { nameless: true, ..Plan::default() }.patient();
    let world = World::new(plan.set("gateway.max_in_flight", "5"));
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 20));
    wait("all calls that may be", || world.attempts_of("tx-") == 5);
    processor.signal(Signal::TERM);
    processor.wait_says("SIGTERM");
    stays("it waits for them", Duration::from_millis(300), || processor.process.is_running());
    world.gateway_link.release(ToClient);
    assert_eq!(processor.ended(), Some(0));
    assert_eq!((world.attempts_of("tx-"), world.events().len()), (5, 6));
    // Nobody has asked for what waits in temp, and Kafka was told so: it need not age.
    let processor = world.start("two");
    assert!(holds_within(SOON, || world.attempts_of("tx-") == 20), "it is asked for at once");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Nobody can have asked for what came when nobody was there, however long that was: no key of it has run out.
#[test]
fn what_is_published_after_a_clean_end_is_charged_however_late() {
    let world = World::new(Plan::default().quick().set("gateway.key_ttl", "\"8s\""));
    let processor = world.start_warm("one");
    assert_eq!(processor.terminate(), Some(0));
    world.publish(0, &ids("tx", 20));
    stays("nobody is there", Duration::from_secs(9), || world.attempts_of("tx-") == 0);
    let processor = world.start("one");
    world.wait_done();
    let fates: Vec<String> = world.events().into_iter().map(|event| event.fate).collect();
    assert_eq!(fates, ["archived"; 21]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Whoever comes after a death waits with what may have been asked for. That fills nothing that others need.
#[test]
fn what_nobody_can_have_asked_for_does_not_wait_for_what_has_to_age() {
    let plan = Plan::default().set("gateway.max_in_flight", "64").set("redis.max_temp", "128");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 300));
    wait("all calls that may be", || world.attempts_of("tx-") == 64);
    processor.kill();
    world.gateway_link.release(ToClient);

    let never = ["--set", "sweep.min_age=1h"];
    let processor = world.start_with("one", &never);
    // The bound was at most as far ahead as the temp queue is large.
    assert!(holds_within(SOON, || world.attempts_of("tx-") >= 300 - 128), "they are asked for");
    processor.kill();
    let processor = world.start("one");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// What is stored and can't be told yet, since the list of unfinished offsets below it is full, is not waited for: the
/// next owner finds it in the store.
#[test]
fn sigterm_does_not_wait_for_what_cannot_be_told() {
    const STUCK: &str = "[[fault]]\nkind = 'error-before'\nstatus = 503\nmatch = ['stuck-']\n";
    let world = World::new(Plan { faults: STUCK, ..Plan::default() });
    let mixed: Vec<String> =
        ids("stuck", 500).into_iter().zip(ids("tx", 500)).flat_map(|(a, b)| [a, b]).collect();
    // Nobody is asked for again here.
    let long = ["gateway.timeout=1m", "sweep.min_age=1h", "shutdown.timeout=2m"];
    let processor = world.start_with("one", &long.map(|set| ["--set", set]).concat());
    world.publish(0, &mixed);
    wait("all rows that can be", || world.rows_of("tx-") == 500);
    wait("the first events", || !world.events().is_empty());
    processor.signal(Signal::TERM);
    assert!(holds_within(SOON, || !processor.process.is_running()), "it ends at once");
    assert_eq!(processor.ended(), Some(0));
    assert!(world.events().len() < 500, "some can't be told");

    let processor = world.start("one");
    world.wait_done();
    assert_eq!((world.events().len(), world.attempts_of("tx-")), (1000, 500));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let plan = Plan::default().quick().set("shutdown.timeout", "\"1m\"");
    let world = World::new(plan);
    let long = ["--set", "gateway.timeout=50s", "--set", "sweep.min_age=51s"];
    let processor = world.start_with("one", &long);
    world.gateway_link.hold(ToClient);
    world.publish(0, &["tx"]);
    wait("the request", || world.attempts_of("tx") == 1);
    processor.signal(Signal::TERM);
    processor.wait_says("SIGTERM");
    processor.signal(Signal::TERM);
    assert_eq!(processor.ended(), Some(143));
    world.gateway_link.pass();
    let processor = world.start_with("one", &["--until-idle", "500ms"]);
    assert_eq!(processor.ended(), Some(0));
    assert!(world.is_done());
    world.balance();
}

/// Two processors under load, faults of every kind at the gateway; one is killed and started again, then all of
/// Redis is wiped. Every record has one fate, every id one charge.
#[test]
fn a_fleet_survives_a_kill_and_a_wiped_redis() {
    const FAULTS: &str = "seed = 11\n\
        [[fault]]\nkind = 'timeout-after'\nrate = 0.02\n\
        [[fault]]\nkind = 'timeout-before'\nrate = 0.02\n\
        [[fault]]\nkind = 'error-after'\nstatus = 502\nrate = 0.03\n\
        [[fault]]\nkind = 'cut-midway'\nrate = 0.03\n\
        [[fault]]\nkind = 'decline'\nrate = 0.05\n";
    let plan = Plan {
        faults: FAULTS,
        partitions: 4,
        own_redis: true,
        postgres: true,
        latency: Some("20ms"),
        ..Plan::default()
    }
    .quick()
    .set("gateway.max_in_flight", "32");
    let world = World::new(plan);
    let processors = [world.start("one"), world.start("two")];
    wait("a share for each", || processors.iter().all(|p| p.owned().len() == 2));
    let [one, two] = processors;
    let publish = |wave: &str| {
        for partition in 0..4 {
            world.publish(partition, &ids(&format!("{wave}-{partition}"), 250));
        }
        // Every tenth again, on another partition.
        let again: Vec<String> = ids(&format!("{wave}-0"), 250).into_iter().step_by(10).collect();
        world.publish(1, &again);
    };
    publish("a");
    wait("the work to be under way", || world.rows_of("a-") > 100);
    one.kill();
    publish("b");
    let one = world.start("one");
    wait("more of it", || world.rows_of("b-") > 100);
    world.redis().command(&["FLUSHALL"]).unwrap();
    publish("c");
    world.wait_done();
    assert_eq!(world.events().len(), 3 * (4 * 250 + 25));
    assert!(world.attempts_of("") > world.charges().len());
    assert_eq!([one.terminate(), two.terminate()], [Some(0); 2]);
    world.balance();
    let ledger = world.ledger();
    let args = ["--ledger", ledger.to_str().unwrap()];
    world.command("reconcile", "reconcile", &args).run(LIMIT).unwrap();
}
