//! How much the gateway is asked, as the gateway sees it: its rate, its pace, how often while it is away, how often for
//! what it does not answer, and how soon again where it has said when.

use std::time::Duration;

use tollbridge_rig::Direction;

use crate::sight::{holds_within, stays, wait};
use crate::topics::ids;
use crate::world::{Plan, Processor, World};

/// Three processes share a rate by their partitions.
#[test]
fn a_rate_limit_holds_for_all_processes_together() {
    const RATE: usize = 150;
    const SECONDS: usize = 10;
    let plan = Plan { partitions: 6, ..Plan::default() };
    let world = World::new(plan.set("gateway.rate_limit", "150"));
    let processors = ["one", "two", "three"].map(|name| world.start(name));
    wait("a third for each", || processors.iter().all(|p| p.owned().len() == 2));
    let share = |p: &Processor| p.metric("tollbridge_rate_limit", "");
    wait("its share for each", || processors.iter().all(|p| share(p) == 50));
    for partition in 0..6 {
        world.publish(partition, &ids(&format!("tx-{partition}"), RATE * (SECONDS + 3) / 6));
    }
    world.wait_done();
    let mut at: Vec<i64> = world.all_attempts().iter().map(|attempt| attempt.at_us).collect();
    at.sort_unstable();
    // Without the first second, in which a process may have saved up, or still be reading.
    let begun = at[0] + 1_000_000;
    let within = |from: i64, seconds: i64| {
        at.iter().filter(|at| (from..from + seconds * 1_000_000).contains(at)).count()
    };
    let all = within(begun, i64::try_from(SECONDS).unwrap());
    assert!((RATE * SECONDS * 95..=RATE * SECONDS * 105).contains(&(all * 100)), "{all}");
    for second in 0..SECONDS {
        let count = within(begun + i64::try_from(second).unwrap() * 1_000_000, 1);
        assert!(count <= RATE * 12 / 10, "{count} in second {second}");
    }
    for processor in processors {
        assert_eq!(processor.terminate(), Some(0));
    }
    world.balance();
}

/// Four times the latency: half of the calls at once within five seconds, and all of them once it is over.
#[test]
fn calls_at_once_follow_the_latency() {
    let plan = Plan { latency: Some("50ms"), ..Plan::default() };
    let world = World::new(plan.set("gateway.max_in_flight", "32"));
    let processor = world.start("one");
    let limit = || processor.metric("tollbridge_in_flight_limit", "");
    world.publish(0, &ids("tx", 8_000));
    // A machine that is busy with other tests is slow for a moment too, and the limit follows it. It comes back.
    wait("the usual pace", || world.attempts_of("tx") > 1_500 && limit() == 32);

    world.gateway_link.delay(Direction::ToClient, Duration::from_millis(150));
    assert!(holds_within(Duration::from_secs(5), || limit() <= 16), "{}", limit());
    world.gateway_link.delay(Direction::ToClient, Duration::ZERO);
    wait("all of the calls", || limit() == 32);
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// At least once in so many seconds, and at most once in each.
fn is_tried_by_single_calls(processor: &Processor, seconds: u64, is_away: impl Fn() -> bool) {
    let asked = || processor.metric("tollbridge_gateway_requests_total", "");
    let before = asked();
    stays("away", Duration::from_secs(seconds), is_away);
    let tries = asked() - before;
    assert!((1..=seconds + 1).contains(&tries), "{tries}");
}

/// While it is away it is tried once a second at most, and records stay in Kafka. Then all goes on.
#[test]
fn a_gateway_that_is_away_is_tried_once_a_second_at_most_and_intake_pauses() {
    let world = World::new(Plan::default().quick().set("redis.max_temp", "100000"));
    let processor = world.start_warm("one");
    let is_open = || processor.metric("tollbridge_breaker_open", "") == 1;
    world.gateway_link.cut();
    // More than are ever taken in ahead.
    world.publish(0, &ids("tx", 5_000));
    wait("an open breaker", is_open);
    let paused = || processor.metric("tollbridge_intake_paused", "reason=\"gateway_away\"") == 1;
    wait("the pause", paused);
    wait("what was on its way", || processor.metric("tollbridge_in_flight", "") <= 1);

    let read = processor.metric("tollbridge_records_consumed_total", "");
    is_tried_by_single_calls(&processor, 8, || is_open() && paused());
    assert_eq!(processor.metric("tollbridge_records_consumed_total", ""), read);
    assert!(processor.readiness().contains("gateway"), "{}", processor.readiness());

    world.gateway_link.pass();
    wait("a closed breaker", || !is_open());
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// One that refuses every charge and answers lookups is away all the same: what is learnt of the past says nothing of
/// the next charge.
#[test]
fn a_gateway_that_refuses_charges_and_answers_lookups_is_tried_once_a_second_at_most() {
    const UNCLEAR: &str = "[[fault]]\nkind = 'timeout-before'\nmatch = ['unclear-']\n";
    const REFUSES: &str = "[[fault]]\nkind = 'error-before'\nstatus = 503\nattempts = 'all'\n";
    const MANY: usize = 64;
    let plan = Plan { faults: UNCLEAR, ..Plan::default() }.quick();
    let world = World::new(plan.set("redis.max_temp", "100000"));
    let processor = world.start_warm("one");
    let lookups = || processor.metric("tollbridge_gateway_requests_total", "kind=\"lookup\"");
    let is_open = || processor.metric("tollbridge_breaker_open", "") == 1;
    world.publish(0, &ids("unclear", MANY));
    wait("first attempts", || world.attempts_of("unclear") == MANY);
    world.restart_gateway(REFUSES);
    world.publish(0, &ids("tx", 5_000));
    wait("an open breaker", is_open);
    wait("a lookup", || lookups() > 0);
    wait("what was on its way", || processor.metric("tollbridge_in_flight", "") <= 1);

    let before = lookups();
    is_tried_by_single_calls(&processor, 10, is_open);
    assert!(lookups() > before, "none was looked up meanwhile");

    world.restart_gateway("");
    wait("a closed breaker", || !is_open());
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// What the gateway never decides is asked for again within the budget, however much of it there is.
#[test]
fn repeats_that_bring_nothing_keep_within_their_budget() {
    const FAULTS: &str =
        "[[fault]]\nkind = 'error-before'\nstatus = 409\nattempts = 'all'\nmatch = ['stuck-']\n";
    const STUCK: usize = 300;
    let plan = Plan { faults: FAULTS, ..Plan::default() }.quick();
    let world = World::new(plan.set("gateway.max_in_flight", "16"));
    let processor = world.start("one");
    world.publish(0, &ids("stuck", STUCK));
    wait("first attempts", || world.attempts_of("stuck") >= STUCK);
    // Each is due again four times meanwhile. What the first ones took counts too, and how late this thread wakes up.
    const SECONDS: usize = 6;
    std::thread::sleep(Duration::from_secs(SECONDS as u64));
    let repeats = world.attempts_of("stuck") - STUCK;
    let most = 16 + STUCK / 10 + 10 * (SECONDS + 4);
    assert!((20..=most).contains(&repeats), "{repeats}, of {most} at most");

    world.restart_gateway("");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// It says when to come again, once because it is asked too much and once because it is in trouble. So long these two
/// transactions wait, which would else be asked for again within two seconds; others don't.
#[test]
fn a_transaction_waits_for_as_long_as_the_gateway_says() {
    const FAULTS: &str = "\
        [[fault]]\nkind = 'throttle'\nretry_after = '4s'\nmatch = ['tx-429']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 503\nretry_after = '4s'\nmatch = ['tx-503']\n";
    const AFTER_US: i64 = 4_000_000;
    /// More than it should take, for a machine that stands still for a while.
    const LATE_US: i64 = 10_000_000;
    let world = World::new(Plan { faults: FAULTS, ..Plan::default() }.quick());
    let processor = world.start_warm("one");
    let told = ["tx-429", "tx-503"];
    world.publish(0, &told);
    wait("both to be put off", || world.attempts_of("tx-") == 2);
    world.publish(0, &["other"]);
    world.wait_done();

    let at = |id: &str| world.attempts(id).iter().map(|attempt| attempt.at_us).collect::<Vec<_>>();
    let other = at("other");
    for id in told {
        let [first, second] = at(id)[..] else { panic!("{id}: {:?}", at(id)) };
        let waited = second - first;
        assert!((AFTER_US..AFTER_US + LATE_US).contains(&waited), "{id}: {waited} us");
        assert!(other.len() == 1 && other[0] < second, "{id} held another one up: {other:?}");
        assert_eq!((world.fates(id), world.charged(id)), (vec!["archived".to_owned()], 1), "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
