//! A configuration that changes while a processor runs: at SIGHUP, and where its file has changed.

use std::time::Duration;

use tollbridge_rig::{Direction, Signal};

use crate::sight::{holds_within, stays, wait};
use crate::topics::ids;
use crate::world::{Plan, Processor, World};

const WHILE: Duration = Duration::from_secs(3);

/// Writes a key over what the file of a processor has of it.
fn write(world: &World, processor: &Processor, key: &str, value: &str) {
    let path = world.folder.join(format!("{}.toml", processor.name));
    let text = std::fs::read_to_string(&path).unwrap();
    let rest = text.lines().filter(|line| !line.starts_with(&format!("{key} = ")));
    let lines: Vec<&str> = rest.collect();
    std::fs::write(&path, format!("{}\n{key} = {value}\n", lines.join("\n"))).unwrap();
}

/// The emergency stop: nothing is asked for any more and nothing is lost; it ends as soon as the file says so.
#[test]
fn the_emergency_stop_holds_every_request_and_ends_without_a_restart() {
    let world = World::new(Plan::default());
    let processor = world.start_warm("one");
    write(&world, &processor, "charge.pause", "true");
    processor.signal(Signal::HUP);
    processor.wait_says("charge.pause is true, it was false");
    let paused = || processor.metric("tollbridge_intake_paused", "reason=\"told\"") == 1;
    wait("the pause", paused);
    world.publish(0, &ids("tx", 50));
    stays("without a request", WHILE, || paused() && world.attempts_of("tx") == 0);

    write(&world, &processor, "charge.pause", "false");
    processor.wait_says("the file has changed; charge.pause is false, it was true");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

#[test]
fn what_can_change_does_and_what_cannot_is_named() {
    let world = World::new(Plan::default().set("gateway.max_in_flight", "64"));
    let processor = world.start_warm("one");
    let limit = || processor.metric("tollbridge_in_flight_limit", "");
    assert_eq!(limit(), 64);
    for (key, value, says) in [
        ("gateway.max_in_flight", "8", "gateway.max_in_flight is 8, it was 64"),
        ("gateway.rate_limit", "70", "gateway.rate_limit is 70, it was not set"),
        ("store.timeout", "\"4s\"", "store.timeout is \"4s\", it was \"5s\": needs a restart"),
    ] {
        write(&world, &processor, key, value);
        processor.signal(Signal::HUP);
        processor.wait_says(says);
    }
    wait("both limits", || limit() == 8 && processor.metric("tollbridge_rate_limit", "") == 70);
    write(&world, &processor, "log.level", "\"error\"");
    processor.signal(Signal::HUP);
    processor.wait_says("log.level is \"error\", it was \"info\"");
    write(&world, &processor, "gateway.rate_limit", "60");
    processor.signal(Signal::HUP);
    wait("the limit", || processor.metric("tollbridge_rate_limit", "") == 60);
    let log = processor.process.log();
    assert!(!log.contains("gateway.rate_limit is 60"), "it says less now");

    write(&world, &processor, "gateway.breaker", "0");
    processor.signal(Signal::HUP);
    processor.wait_says("nothing is changed: gateway.breaker = 0");
    processor.signal(Signal::HUP);
    world.publish(0, &ids("tx", 20));
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// What stands in the queue is the same all the while: only what the file says of it changes.
#[test]
fn an_alert_follows_its_levels() {
    let plan = Plan::default()
        .patient()
        .set("alerts.temp_depth.raise", "1000")
        .set("alerts.temp_depth.clear", "0")
        .set("alerts.temp_depth.for", "\"0s\"");
    let world = World::new(plan);
    let processor = world.start_warm("one");
    world.gateway_link.hold(Direction::ToClient);
    world.publish(0, &ids("tx", 3));
    let reads = |depth| {
        let shown = processor.metric("tollbridge_alert_reading", "temp_queue_depth");
        shown == depth && world.depths().0 == 3
    };
    wait("a reading", || reads(3));
    let alerts = || world.alerts("temp_queue_depth");
    stays("below the level", WHILE, || reads(3) && alerts().is_empty());

    write(&world, &processor, "alerts.temp_depth.raise", "2");
    processor.wait_says("the file has changed; alerts.temp_depth.raise is 2, it was 1000");
    wait("the alert", || !alerts().is_empty());
    let raised = &alerts()[0];
    assert_eq!((&raised["state"], &raised["observed"]), (&"raised".into(), &3.into()));
    assert_eq!(raised["threshold"], 2);
    stays("raised", WHILE, || reads(3) && alerts().len() == 1);

    write(&world, &processor, "alerts.temp_depth.raise", "900");
    write(&world, &processor, "alerts.temp_depth.clear", "3");
    processor.signal(Signal::HUP);
    processor.wait_says("alerts.temp_depth.clear is 3, it was 0");
    wait("the end of the alert", || alerts().len() == 2);
    let cleared = &alerts()[1];
    assert_eq!((&cleared["state"], &cleared["observed"]), (&"cleared".into(), &3.into()));
    assert_eq!(cleared["alert_id"], raised["alert_id"]);
    assert!(reads(3), "the queue is as it was");

    world.gateway_link.release(Direction::ToClient);
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Four times the latency, as in `governors`: all of the calls at once where the file says so, and half of them as soon
/// as it no longer does.
#[test]
fn calls_at_once_follow_the_latency_only_while_they_are_told_to() {
    const MOST: u64 = 32;
    let plan = Plan { latency: Some("50ms"), ..Plan::default() };
    let world = World::new(plan.set("gateway.max_in_flight", "32"));
    let processor = world.start("one");
    let limit = || processor.metric("tollbridge_in_flight_limit", "");
    world.publish(0, &ids("tx", 8_000));
    // What is usual is learned meanwhile.
    wait("the usual pace", || world.attempts_of("tx") > 1_000 && limit() == MOST);

    write(&world, &processor, "gateway.concurrency", "\"fixed\"");
    processor.signal(Signal::HUP);
    processor.wait_says("gateway.concurrency is \"fixed\", it was \"adaptive\"");
    world.gateway_link.delay(Direction::ToClient, Duration::from_millis(150));
    let before = world.attempts_of("tx");
    stays("at all of them", WHILE, || limit() == MOST);
    assert!(world.attempts_of("tx") > before + 100, "the gateway was asked meanwhile");

    write(&world, &processor, "gateway.concurrency", "\"adaptive\"");
    processor.signal(Signal::HUP);
    processor.wait_says("gateway.concurrency is \"adaptive\", it was \"fixed\"");
    let halved = holds_within(Duration::from_secs(10), || limit() <= MOST / 2);
    assert!(halved, "{}", limit());
    assert!(world.attempts_of("tx") < 8_000, "there was no need for more");
    world.gateway_link.delay(Direction::ToClient, Duration::ZERO);
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
