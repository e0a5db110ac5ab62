//! What a dead letter keeps, what it tells, and that it always fits.

use proptest::prelude::*;

use super::*;
use crate::domain::id::{Offset, Partition};
use crate::domain::transaction::PayloadHash;
use crate::wire::events::EventsFormat;
use crate::wire::testing::transaction;

fn codec() -> EventCodec {
    EventCodec::new(EventsFormat::Json, "payments")
}

fn place(offset: i64) -> Place {
    Place { topic: "transactions".into(), partition: Partition(3), offset: Offset(offset) }
}

fn record() -> Record {
    let named = |name: &str, value: Option<&'static [u8]>| Header {
        name: name.to_owned().into(),
        value: value.map(Bytes::from_static),
    };
    Record {
        offset: Offset(7),
        key: Some(Bytes::from_static(&[0xFF, 0, 1])),
        value: Some(Bytes::from_static(b"pm_secret")),
        headers: vec![named("a", Some(b"\xFF")), named("a", None), named("b", Some(b""))],
        timestamp_ms: Some(1_700_000_000_123),
    }
}

fn in_doubt() -> Outcome {
    let tx = transaction();
    let payload_hash = PayloadHash::of(&tx);
    Outcome {
        event_id: EventId::of(&place(7), &payload_hash),
        fate: Fate::InDoubt,
        transaction_id: tx.id,
        account_id: tx.account_id,
        amount: tx.amount,
        currency: tx.currency,
        gateway_id: Some("ch_1".into()),
        code: Some("key_expired".into()),
        attempts: 3,
        source: place(7),
        payload_hash,
        created_at: Wall(0),
        admitted_at: Wall(0),
        decided_at: None,
        stored_at: None,
    }
}

fn letter_of(record: &Record, reason: Reason<'_>, bytes_max: usize) -> Event {
    let (place, id) = (place(7), transaction().id);
    let letter = DeadLetter {
        place: &place,
        record,
        transaction_id: (reason.fate() != Fate::Rejected).then_some(&id),
        event_id: EventId([0xAB; 16]),
        at: Wall(1_700_000_001_000_000),
        reason,
    };
    codec().dead_letter(&letter, bytes_max)
}

const REJECTED: Reason<'_> = Reason::Rejected { code: "bad_amount", message: "the amount is 0" };

fn value<'a>(event: &'a Event, name: &str) -> Option<&'a [u8]> {
    let mut found = event.headers.iter().filter(|header| header.name == name);
    let value = found.next()?.value.as_deref();
    assert!(found.next().is_none(), "{name} stands twice");
    value
}

fn text<'a>(event: &'a Event, name: &str) -> &'a str {
    std::str::from_utf8(value(event, name).unwrap_or_else(|| panic!("no {name}"))).unwrap()
}

#[test]
fn the_source_is_kept_byte_for_byte_and_ours_stands_behind() {
    let event = letter_of(&record(), REJECTED, 1 << 20);
    assert_eq!((&event.key, &event.value), (&record().key, &record().value));
    assert_eq!(event.headers[..3], record().headers);
    assert_eq!(event.headers[3].name, "tollbridge-fate");
    let tombstone = Record { value: None, key: None, ..record() };
    let event = letter_of(&tombstone, REJECTED, 1 << 20);
    assert_eq!((event.key, event.value), (None, None));
}

#[test]
fn every_family_of_readers_finds_its_headers() {
    let event = letter_of(&record(), REJECTED, 1 << 20);
    for (name, expected) in [
        ("tollbridge-fate", "rejected"),
        ("tollbridge-code", "bad_amount"),
        ("tollbridge-message", "the amount is 0"),
        ("tollbridge-event-id", "abababababababababababababababab"),
        ("tollbridge-source-timestamp", "1700000000123"),
        ("__connect.errors.topic", "transactions"),
        ("__connect.errors.partition", "3"),
        ("__connect.errors.offset", "7"),
        ("__connect.errors.connector.name", "payments"),
        ("__connect.errors.task.id", "0"),
        ("__connect.errors.stage", "VALUE_CONVERTER"),
        ("__connect.errors.class.name", "dev.tollbridge.Tollbridge"),
        ("__connect.errors.exception.class.name", "dev.tollbridge.Rejected"),
        ("__connect.errors.exception.message", "the amount is 0"),
        ("kafka_dlt-original-topic", "transactions"),
        ("kafka_dlt-original-consumer-group", "payments"),
        ("kafka_dlt-exception-fqcn", "dev.tollbridge.Rejected"),
        ("kafka_dlt-exception-message", "the amount is 0"),
        ("ce_type", "dev.tollbridge.transaction.rejected"),
        ("ce_id", "abababababababababababababababab"),
        ("ce_time", "2023-11-14T22:13:21.000000Z"),
        ("traceparent", "00-abababababababababababababababab-abababababababab-00"),
    ] {
        assert_eq!(text(&event, name), expected, "{name}");
    }
    assert_eq!(value(&event, "kafka_dlt-original-partition"), Some(&[0, 0, 0, 3][..]));
    assert_eq!(value(&event, "kafka_dlt-original-offset"), Some(&7_i64.to_be_bytes()[..]));
    let at = 1_700_000_000_123_i64.to_be_bytes();
    assert_eq!(value(&event, "kafka_dlt-original-timestamp"), Some(&at[..]));
    for name in
        ["ce_subject", "tollbridge-transaction-id", "tollbridge-duplicate-of", "content-type"]
    {
        assert_eq!(value(&event, name), None, "{name}");
    }
}

#[test]
fn each_fate_tells_what_is_its_own() {
    let of = place(5);
    let duplicate = Reason::Duplicate { of: &of, other_payload: true };
    let event = letter_of(&record(), duplicate, 1 << 20);
    assert_eq!(text(&event, "tollbridge-fate"), "duplicate");
    assert_eq!(text(&event, "tollbridge-code"), "other_payload");
    assert_eq!(text(&event, "tollbridge-duplicate-of"), "transactions/3/5");
    assert_eq!(text(&event, "ce_subject"), "tx-1");

    let outcome = in_doubt();
    let event = letter_of(&record(), Reason::InDoubt(&outcome), 1 << 20);
    assert_eq!(text(&event, "tollbridge-fate"), "in_doubt");
    assert_eq!(text(&event, "tollbridge-code"), "key_expired");
    assert_eq!(text(&event, "tollbridge-transaction-id"), "tx-1");
    assert_eq!(text(&event, "tollbridge-attempts"), "3");
    assert_eq!(text(&event, "tollbridge-gateway-id"), "ch_1");
    assert_eq!(text(&event, "tollbridge-payload-hash"), &*outcome.payload_hash.to_hex());
    assert_eq!(text(&event, "__connect.errors.stage"), "TASK_PUT");
    for header in &event.headers {
        let value = header.value.as_deref().unwrap_or_default();
        assert!(!value.windows(6).any(|part| part == b"secret"), "{}", header.name);
    }
}

#[test]
fn a_trace_of_the_source_is_left_alone() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut record = record();
    record.headers.push(header("traceparent", parent));
    assert_eq!(text(&letter_of(&record, REJECTED, 1 << 20), "traceparent"), parent);
}

#[test]
fn what_does_not_fit_is_cut_and_named() {
    let fits = record_bytes(&letter_of(&record(), REJECTED, 1 << 20));
    let record = Record { value: Some(vec![b'x'; 20_000].into()), ..record() };
    let whole = fits + 20_000 - "pm_secret".len();
    assert_eq!(letter_of(&record, REJECTED, whole).value, record.value);
    let event = letter_of(&record, REJECTED, whole - 1);
    let left = event.value.as_ref().unwrap().len();
    assert!((19_000..20_000).contains(&left), "{left}");
    assert_eq!((&event.key, &event.headers[..3]), (&record.key, &record.headers[..]));
    assert_eq!(text(&event, "tollbridge-cut-value-length"), "20000");
    let expected = hex(&Sha256::digest(vec![b'x'; 20_000]));
    assert_eq!(text(&event, "tollbridge-cut-value-sha256"), expected);
    assert_eq!(value(&event, "tollbridge-cut-key-length"), None);
}

#[test]
fn a_key_and_headers_that_alone_are_too_large_are_cut_too() {
    let mut record = record();
    record.key = Some(vec![b'k'; 30_000].into());
    let event = letter_of(&record, REJECTED, 10_000);
    assert_eq!(event.value.as_deref(), Some(&b""[..]));
    assert!(!event.key.as_ref().unwrap().is_empty());
    assert_eq!(event.headers[..3], record.headers);
    assert_eq!(text(&event, "tollbridge-cut-key-length"), "30000");
    assert_eq!(value(&event, "tollbridge-cut-headers-length"), None);

    record.headers.push(header("large", vec![0; 30_000]));
    record.headers.push(header("small", "s"));
    let event = letter_of(&record, REJECTED, 10_000);
    assert_eq!(event.headers[..3], record.headers[..3]);
    assert_eq!(event.headers[3].name, "tollbridge-fate");
    // a FF, a null, b "", large 30000, small s
    assert_eq!(text(&event, "tollbridge-cut-headers-length"), "30015");
    assert_eq!(text(&event, "tollbridge-cut-headers-sha256"), headers_sha256(&record.headers));
}

/// Everything that others choose at its longest: ours must still fit in the least that a topic may hold.
#[test]
fn our_own_headers_fit_in_the_least_room() {
    let long = "\u{10FFFF}".repeat(5_000);
    let codec = EventCodec::new(EventsFormat::Json, &long);
    let place = Place {
        topic: "t".repeat(249).into(),
        partition: Partition(i32::MAX),
        offset: Offset(i64::MAX),
    };
    let record = Record {
        key: Some(vec![1; 9_000].into()),
        value: Some(vec![2; 90_000].into()),
        headers: vec![header(long.clone(), vec![3; 9_000])],
        timestamp_ms: Some(i64::MIN),
        ..record()
    };
    let outcome = Outcome {
        code: Some(long.clone()),
        gateway_id: Some(long.clone()),
        attempts: u32::MAX,
        ..in_doubt()
    };
    let id = TransactionId::parse(&"i".repeat(64)).unwrap();
    for reason in [
        Reason::Rejected { code: "x", message: &long },
        Reason::Duplicate { of: &place, other_payload: true },
        Reason::InDoubt(&outcome),
    ] {
        let letter = DeadLetter {
            place: &place,
            record: &record,
            transaction_id: Some(&id),
            event_id: EventId([1; 16]),
            at: Wall(i64::MAX),
            reason,
        };
        let event = codec.dead_letter(&letter, 0);
        assert!(record_bytes(&event) <= BYTES_MIN, "{}", record_bytes(&event));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_never_exceeds_the_limit(
        value in prop::option::of(0..40_000_usize),
        key in prop::option::of(0..20_000_usize),
        headers in prop::collection::vec((0..40_usize, prop::option::of(0..9_000_usize)), 0..6),
        limit in BYTES_MIN..60_000,
    ) {
        let bytes = |n: usize| Bytes::from(vec![b'x'; n]);
        let headers = headers.iter().map(|(name, value)| Header { name: "n".repeat(*name).into(), value: value.map(bytes) });
        let record = Record { key: key.map(bytes), value: value.map(bytes), headers: headers.collect(), ..record() };
        let whole = letter_of(&record, REJECTED, usize::MAX);
        let event = letter_of(&record, REJECTED, limit);
        prop_assert!(record_bytes(&event) <= limit);
        // Nothing is cut without need, and what is there is a beginning of what was there.
        prop_assert_eq!(event == whole, record_bytes(&whole) <= limit);
        let begins = |part: &Option<Bytes>, all: &Option<Bytes>| match (part, all) {
            (Some(part), Some(all)) => all.starts_with(part),
            (part, all) => part == all,
        };
        prop_assert!(begins(&event.value, &record.value) && begins(&event.key, &record.key));
        let kept = event.headers.iter().position(|header| header.name == "tollbridge-fate").unwrap();
        prop_assert_eq!(&event.headers[..kept], &record.headers[..kept]);
        let told = |part: &str| event.headers.iter().any(|h| h.name == format!("tollbridge-cut-{part}-sha256"));
        prop_assert_eq!(event.value != record.value, told("value"));
        prop_assert_eq!(event.key != record.key, told("key"));
        prop_assert_eq!(kept < record.headers.len(), told("headers"));
    }
}

#[test]
fn what_is_written_is_read_back() {
    let doubt = in_doubt();
    let of = place(3);
    let reasons = [
        (REJECTED, None),
        (Reason::Duplicate { of: &of, other_payload: true }, Some(of.clone())),
        (Reason::InDoubt(&doubt), None),
    ];
    for (reason, duplicate_of) in reasons {
        let letter = Letter {
            place: place(7),
            event_id: EventId([0xAB; 16]),
            fate: reason.fate(),
            code: reason.code().to_owned(),
            transaction_id: (reason.fate() != Fate::Rejected).then(|| transaction().id),
            duplicate_of,
        };
        assert_eq!(read(&letter_of(&record(), reason, 1 << 20).headers), Ok(letter));
    }
}

#[test]
fn a_dead_letter_that_was_published_again_is_read_by_its_own_headers() {
    let of = place(3);
    let first = letter_of(&record(), Reason::Duplicate { of: &of, other_payload: false }, 1 << 20);
    let again = Record { headers: first.headers, ..record() };
    let letter = read(&letter_of(&again, REJECTED, 1 << 20).headers).unwrap();
    let Letter { fate, transaction_id, duplicate_of, .. } = letter;
    assert_eq!((fate, transaction_id, duplicate_of), (Fate::Rejected, None, None));
}

#[test]
fn a_header_that_is_missing_or_strange_is_named() {
    let good = letter_of(&record(), REJECTED, 1 << 20).headers;
    let names = [
        ("tollbridge-fate", "archived"),
        ("tollbridge-event-id", "ab"),
        ("__connect.errors.partition", "4294967296"),
        ("__connect.errors.offset", "x"),
    ];
    for (name, strange) in names {
        let without: Vec<Header> = good.iter().filter(|h| h.name != name).cloned().collect();
        assert_eq!(read(&without), Err(BadLetter(name)));
        let mut spoiled = good.clone();
        let found = spoiled.iter_mut().find(|h| h.name == name).unwrap();
        found.value = Some(Bytes::from_static(strange.as_bytes()));
        assert_eq!(read(&spoiled), Err(BadLetter(name)));
    }
}
