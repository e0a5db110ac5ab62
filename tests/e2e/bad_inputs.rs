//! What producers get wrong: each record has its fate, unchanged on the dead letter topic, and the group goes on. And
//! what they take back.

use std::time::Duration;

use crate::sight::{Event, stays};
use crate::topics::{Written, ids, transaction, transaction_of};
use crate::world::{Plan, World};

/// Values that are no transaction, with the code of their rejection.
fn bad() -> Vec<(Option<Vec<u8>>, &'static str)> {
    let good = transaction("tx-bad");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        Some(good.replacen(from, to, 1).into_bytes())
    };
    vec![
        (None, "tombstone"),
        (Some(b"\x00\x01".to_vec()), "undecodable"),
        (Some(vec![0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff]), "undecodable"),
        (Some(b"hello".to_vec()), "unknown_format"),
        (Some(b"{\"transaction_id\":\"tx-bad\",".to_vec()), "undecodable"),
        (Some(b"{}".to_vec()), "missing_field"),
        (with("\"amount\":1250", "\"amount\":1250,\"amount\":1"), "duplicate_field"),
        (with("\"EUR\"", "\"EURO\""), "unknown_currency"),
        (with("\"EUR\"", "\"eur\""), "unknown_currency"),
        (with("\"EUR\"", "\"XQQ\""), "unknown_currency"),
        (with("pm_card", "4242 4242 4242 4242"), "card_number"),
        (with("1250", "0"), "bad_amount"),
        (with("1250", "-5"), "bad_amount"),
        (with("1250", "12.5"), "bad_amount"),
        (with("tx-bad", "tx bad\\n"), "bad_id"),
        (with("acc-1", &"x".repeat(129)), "bad_field"),
        (with("pm_card", &"x".repeat(3000)), "too_large"),
    ]
}

#[test]
fn bad_inputs_are_rejected_byte_for_byte_and_the_group_goes_on() {
    let plan = Plan { partitions: 2, ..Plan::default() }.set("transactions.max_bytes", "\"2KiB\"");
    let world = World::new(plan);
    let processor = world.start("one");
    world.publish(0, &["before"]);
    let bad = bad();
    let headers: Vec<(&str, Option<&[u8]>)> =
        vec![("trace", Some(b"\x00\xfe")), ("trace", Some(b"again")), ("none", None)];
    let records: Vec<Written<'_>> = bad
        .iter()
        .map(|(value, _)| Written {
            key: Some(b"\xffkey"),
            value: value.as_deref(),
            headers: headers.clone(),
            timestamp_ms: None,
        })
        .collect();
    world.publish_records(0, &records);
    world.publish(0, &["after"]);
    world.publish(0, &["after"]);
    world.publish_values(1, &[transaction_of("before", 1, "pm_other")]);
    world.wait_done();

    let events = world.events();
    for (at, (value, code)) in bad.iter().enumerate() {
        let offset = i64::try_from(at).unwrap() + 1;
        let of: Vec<&Event> =
            events.iter().filter(|e| (e.partition, e.offset) == (0, offset)).collect();
        let [event] = of.as_slice() else { panic!("{code}: {of:?}") };
        assert_eq!((event.fate.as_str(), event.code.as_str()), ("rejected", *code), "{event:?}");
        assert_eq!(event.read.key.as_deref(), Some(b"\xffkey".as_slice()));
        assert_eq!(&event.read.value, value.as_deref().unwrap_or_default(), "{code}");
        // Before ours, in their order; bytes that are no text read as U+FFFD here.
        let theirs: Vec<(&str, &str)> =
            event.read.headers[..3].iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(theirs, [("trace", "\0\u{fffd}"), ("trace", "again"), ("none", "")], "{code}");
        assert_eq!(event.read.headers[3].0, "tollbridge-fate");
    }
    assert_eq!(world.fates("after"), ["archived", "duplicate"]);
    let mut twice = world.fates("before");
    twice.sort_unstable();
    assert_eq!(twice, ["archived", "duplicate"]);
    assert_eq!(world.charges().len(), 2);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A shop that publishes in transactions: nothing of one is charged before it ends, and of one that was taken back
/// nothing ever, whether somebody reads along or comes later.
#[test]
fn what_a_producer_takes_back_is_never_charged() {
    let world = World::new(Plan::default());
    let processor = world.start_warm("one");
    let gone = world.begin(0, &ids("gone", 20));
    stays("unasked while it may yet be taken back", Duration::from_millis(700), || {
        world.attempts_of("gone") == 0
    });
    gone.abort();
    let kept = world.begin(0, &ids("kept", 20));
    stays("unasked before the end", Duration::from_millis(700), || world.attempts_of("kept") == 0);
    kept.commit();
    world.wait_done();
    assert_eq!((world.attempts_of("kept"), world.rows_of("kept-")), (20, 20));
    assert_eq!(processor.terminate(), Some(0));

    world.begin(0, &ids("gone-too", 20)).abort();
    world.publish(0, &["last"]);
    let processor = world.start("one");
    world.wait_done();
    assert_eq!((world.attempts_of("gone"), world.attempts_of("last")), (0, 1));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
