//! What is charged when, where the configuration says so: order by key, and an age that is too old.

use std::time::SystemTime;

use crate::sight::wait;
use crate::topics::{Written, transaction};
use crate::world::{Plan, World};

/// One of a key after another, also where one is not answered for a while, or never; other keys go on meanwhile.
#[test]
fn transactions_of_one_key_are_charged_one_after_another() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nmatch = ['a-0']\n\
                          [[fault]]\nkind = 'decline'\nmatch = ['a-1']\n";
    let plan = Plan { faults: FAULTS, latency: Some("20ms"), ..Plan::default() }.quick();
    let world = World::new(plan.set("charge.order", "\"key\""));
    let processor = world.start_warm("one");
    // An odd one has no key, and no order.
    let ids = ["a-0", "b-0", "a-1", "none-0", "b-1", "a-2", "b-2", "none-1", "a-3"];
    let values: Vec<String> = ids.iter().map(|id| transaction(id)).collect();
    let records: Vec<Written<'_>> = ids
        .iter()
        .zip(&values)
        .map(|(id, value)| {
            let key = id.split('-').next().filter(|key| *key != "none").map(str::as_bytes);
            Written { key, ..Written::of(value.as_bytes()) }
        })
        .collect();
    world.publish_records(0, &records);
    wait("others", || ["b-2", "none-1"].iter().all(|id| world.attempts(id).len() == 1));
    assert!(world.attempts("a-1").is_empty(), "what became of a-0 is not known");
    world.wait_done();

    let (first, last) = (
        |id: &str| world.attempts(id).first().unwrap().at_us,
        |id: &str| world.attempts(id).last().unwrap().at_us,
    );
    for of in ["a", "b"] {
        for number in 1..3 {
            let (before, after) = (format!("{of}-{}", number - 1), format!("{of}-{number}"));
            let apart = first(&after) - last(&before);
            assert!(apart >= 20_000, "{after} left {apart} µs after {before}");
        }
    }
    assert_eq!(world.attempts("a-0").len(), 2);
    assert_eq!((world.fates("a-1"), world.fates("a-3")), (said("declined"), said("archived")));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// What is too old and was never asked for is rejected; what may have been asked for is resolved all the same.
#[test]
fn what_is_too_old_is_rejected_unless_it_may_have_been_asked_for() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-after'\nmatch = ['asked']\n";
    let world = World::new(Plan { faults: FAULTS, ..Plan::default() }.quick());
    let processor = world.start_with("one", &["--set", "sweep.min_age=1h"]);
    world.publish(0, &["asked"]);
    wait("its request", || world.attempts("asked").len() == 1);
    // In order, so that the next owner knows how far anything was asked for.
    assert_eq!(processor.terminate(), Some(0));

    let processor = world.start_with("one", &["--set", "charge.max_age=1h"]);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let young = transaction("young").replace("1700000000000000", &now.to_string());
    world.publish_values(0, &[transaction("old"), young]);
    world.wait_done();
    assert_eq!((world.fates("young"), world.fates("asked")), (said("archived"), said("archived")));
    let event = world.events_of("old").pop().unwrap();
    assert_eq!((event.fate.as_str(), event.code.as_str()), ("rejected", "expired"));
    assert!(world.attempts("old").is_empty() && world.rows_of("old") == 0);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

fn said(fate: &str) -> Vec<String> {
    vec![fate.to_owned()]
}
