//! The rules of the group on `tx-alerts`: each is raised by what it is about and cleared once that is over, once
//! each, whoever speaks meanwhile.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use tollbridge_rig::Direction::ToClient;

use crate::sight::wait;
use crate::topics::{Written, ids, transaction};
use crate::world::{LIMIT, Plan, World};

/// `raised`, `cleared`, in order.
fn states(world: &World, rule: &str) -> Vec<String> {
    let all = world.alerts(rule);
    all.iter().map(|alert| alert["state"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn wait_raised(world: &World, rule: &str) {
    wait(&format!("{rule} to be raised"), || states(world, rule) == ["raised"]);
}

/// It is over, and was told of once; what was told.
#[track_caller]
fn wait_cleared(world: &World, rule: &str) -> [Value; 2] {
    wait(&format!("{rule} to be cleared"), || states(world, rule) == ["raised", "cleared"]);
    let [raised, cleared]: [Value; 2] = world.alerts(rule).try_into().unwrap();
    assert_eq!((&raised["alert_id"], &raised["since"]), (&cleared["alert_id"], &cleared["since"]));
    let message = raised["message"].as_str().unwrap();
    for part in [raised["observed"].to_string(), raised["threshold"].to_string()] {
        assert!(message.contains(&part), "{part} is not in {message}");
    }
    [raised, cleared]
}

fn plan() -> Plan {
    let told_at_once =
        |plan: Plan, rule: &'static str, raise: &'static str, clear: &'static str| {
            let key = |part: &str| -> &'static str { format!("alerts.{rule}.{part}").leak() };
            plan.set(key("raise"), raise).set(key("clear"), clear).set(key("for"), "\"0s\"")
        };
    let ages = ["temp_age", "archive_age", "breaker_open", "store_failing"];
    let plan = ages
        .into_iter()
        .fold(Plan::default(), |plan, rule| told_at_once(plan, rule, "\"2s\"", "\"0s\""));
    let counts = ["temp_depth", "consumer_lag", "doubts_open", "balance_broken"];
    counts.into_iter().fold(plan, |plan, rule| told_at_once(plan, rule, "1", "0"))
}

/// Killed while it is raised, and taken over by another one while it is raised: nobody raises it again, and whoever
/// speaks in the end clears what was raised.
#[test]
fn what_was_raised_is_not_raised_again_after_a_restart_and_a_rebalance() {
    let world = World::new(plan().quick().soon_lost());
    let one = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 3));
    wait_raised(&world, "temp_queue_depth");
    wait_raised(&world, "consumer_lag");

    one.kill();
    let again = world.start("one");
    wait("the new life to speak", || again.metric("tollbridge_alert_raised", "consumer_lag") == 1);
    let two = world.start("two");
    again.kill();
    wait("the other one to own it", || two.owned() == [0]);
    wait("the other one to speak", || two.metric("tollbridge_alert_raised", "consumer_lag") == 1);
    for rule in ["temp_queue_depth", "consumer_lag"] {
        assert_eq!(states(&world, rule), ["raised"]);
    }

    world.gateway_link.release(ToClient);
    world.wait_done();
    for rule in ["temp_queue_depth", "consumer_lag"] {
        let [raised, cleared] = wait_cleared(&world, rule);
        assert_eq!(
            (raised["instance"].as_str(), cleared["instance"].as_str()),
            (Some("one"), Some("two"))
        );
    }
    assert_eq!(two.terminate(), Some(0));
    world.balance();
}

/// A gateway that is gone: what waits for it grows old, and nothing but single requests leaves.
#[test]
fn a_gateway_that_is_away_is_told_by_age_and_breaker() {
    let world = World::new(plan().quick());
    let processor = world.start_warm("one");
    world.gateway_link.cut();
    world.publish(0, &ids("tx", 20));
    for rule in ["temp_queue_age", "breaker_open"] {
        wait_raised(&world, rule);
    }
    world.gateway_link.pass();
    world.wait_done();
    let [raised, cleared] = wait_cleared(&world, "temp_queue_age");
    assert_eq!((raised["unit"].as_str(), &cleared["observed"]), (Some("seconds"), &0.into()));
    let [raised, _] = wait_cleared(&world, "breaker_open");
    assert_eq!(raised["severity"], "critical");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A store that is gone: what is approved grows old.
#[test]
fn a_store_that_is_away_is_told_by_age_and_by_its_silence() {
    let plan = Plan { postgres: true, ..plan().quick() };
    let world = World::new(plan.set("charge.ask_store", "\"when_available\""));
    let processor = world.start_warm("one");
    world.store_link.cut();
    world.publish(0, &ids("tx", 5));
    for rule in ["archive_queue_age", "store_failing"] {
        wait_raised(&world, rule);
    }
    world.store_link.pass();
    world.wait_done();
    for rule in ["archive_queue_age", "store_failing"] {
        wait_cleared(&world, rule);
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A gateway that declines everything.
#[test]
fn a_low_rate_of_approvals_is_told() {
    const DECLINES: &str = "[[fault]]\nkind = 'decline'\nmatch = ['no-']\n";
    let plan = Plan { faults: DECLINES, ..plan().quick() };
    let world = World::new(plan.set("alerts.success_rate.for", "\"0s\""));
    let processor = world.start_warm("one");
    world.publish(0, &ids("yes", 30));
    world.wait_done();
    world.publish(0, &ids("no", 40));
    wait_raised(&world, "success_rate");
    let alert = world.alerts("success_rate").pop().unwrap();
    assert_eq!((alert["unit"].as_str(), alert["threshold"].as_u64()), (Some("percent"), Some(50)));
    assert!(alert["observed"].as_u64().unwrap() <= 50, "{alert}");
    world.publish(0, &ids("again", 200));
    world.wait_done();
    wait_cleared(&world, "success_rate");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// The oldest record that nobody has finished, against what the topic keeps.
#[test]
fn a_watermark_that_comes_near_the_end_of_the_retention_is_told() {
    let plan = plan().quick().set("alerts.watermark_retention.for", "\"0s\"");
    let world = World::new(
        plan.set("alerts.watermark_retention.raise", "10")
            .set("alerts.watermark_retention.clear", "5"),
    );
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    // Brokers keep records for seven days.
    let two_days_ago = SystemTime::UNIX_EPOCH.elapsed().unwrap() - Duration::from_hours(48);
    let timestamp_ms = i64::try_from(two_days_ago.as_millis()).ok();
    let value = transaction("tx-1");
    let old = Written { timestamp_ms, ..Written::of(value.as_bytes()) };
    world.publish_records(0, &[old]);
    wait_raised(&world, "watermark_retention");
    world.gateway_link.release(ToClient);
    world.wait_done();
    let [raised, _] = wait_cleared(&world, "watermark_retention");
    assert_eq!((raised["observed"].as_u64(), raised["unit"].as_str()), (Some(28), Some("percent")));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Raised while a doubt stands, cleared once a person has resolved it.
#[test]
fn doubts_are_told_until_they_are_resolved() {
    const SILENT: &str = "[[fault]]\nkind = 'timeout-after'\nattempts = 'all'\nmatch = ['tx-']\n\
         [[fault]]\nkind = 'error-before'\non = 'lookup'\nattempts = 'all'\nmatch = ['tx-']\n";
    let plan = Plan { faults: SILENT, ..plan().quick() };
    let world = World::new(plan.set("gateway.key_ttl", "\"8s\""));
    let processor = world.start_warm("one");
    world.publish(0, &["tx-1"]);
    world.wait_done();
    wait_raised(&world, "doubts_open");
    let args = ["tx-1", "--charged", "ch_1", "--by", "ada"];
    world.command("resolve", "resolve", &args).run(LIMIT).unwrap();
    wait_cleared(&world, "doubts_open");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

#[test]
fn a_redis_that_fills_up_is_told_before_it_is_full() {
    let plan = Plan { own_redis: true, ..plan().quick() };
    let world = World::new(plan.set("alerts.redis_memory.for", "\"0s\""));
    let processor = world.start_warm("one");
    let used = world.redis().used_memory().unwrap();
    let set_max = |bytes: u64| {
        world.redis().command(&["CONFIG", "SET", "maxmemory", &bytes.to_string()]).unwrap();
    };
    // Nine tenths of it are used.
    set_max(used * 10 / 9);
    wait_raised(&world, "redis_memory");
    set_max(used * 3);
    wait_cleared(&world, "redis_memory");
    set_max(0);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A row that somebody has deleted: told while it is missing, and over once it is put back.
#[test]
fn a_row_that_is_gone_is_told_until_it_is_back() {
    let world = World::new(Plan { postgres: true, ..plan().quick() });
    let processor = world.start_warm("one");
    world.publish(0, &ids("tx", 5));
    world.wait_done();
    world.sql("DELETE FROM transactions WHERE transaction_id = 'tx-003'");
    wait_raised(&world, "balance_broken");
    world.command("rebuild", "rebuild", &[]).run(LIMIT).unwrap();
    wait_cleared(&world, "balance_broken");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Rules that are off are silent, and others speak.
#[test]
fn a_rule_that_is_off_says_nothing() {
    let world = World::new(plan().quick().set("alerts.off", "[\"consumer_lag\"]"));
    let processor = world.start_warm("one");
    world.gateway_link.hold(ToClient);
    world.publish(0, &ids("tx", 3));
    wait_raised(&world, "temp_queue_age");
    world.gateway_link.release(ToClient);
    world.wait_done();
    wait_cleared(&world, "temp_queue_age");
    assert!(states(&world, "consumer_lag").is_empty());
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
