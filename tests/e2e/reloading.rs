//! A configuration that changes while a processor runs: at SIGHUP, and where its file has changed.

use std::time::Duration;

use tollbridge_rig::Signal;

use crate::sight::{stays, wait};
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
