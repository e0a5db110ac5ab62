//! Events as foreign readers see them. tests/golden/events.py made the Avro with fastavro.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::alert::{AlertState, Severity};
use crate::domain::hex::hex;
use crate::domain::id::{Offset, Partition, Place};
use crate::domain::money::{Amount, Currency};
use crate::domain::outcome::Fate;
use crate::domain::transaction::PayloadHash;
use crate::wire::testing::any_transaction;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn golden(name: &str) -> String {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/golden/events.json")).unwrap();
    all[name].as_str().unwrap().to_owned()
}

fn place() -> Place {
    Place { topic: "transactions".into(), partition: Partition(3), offset: Offset(1_234_567) }
}

fn payload_hash() -> PayloadHash {
    let mut hash = [0; 32];
    hash.iter_mut().zip(0..).for_each(|(byte, at)| *byte = at);
    PayloadHash(hash)
}

/// What the script describes.
fn outcome() -> Outcome {
    Outcome {
        event_id: EventId::of(&place(), &payload_hash()),
        fate: Fate::Archived,
        transaction_id: TransactionId::parse("tx-1").unwrap(),
        account_id: "acct_é".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        gateway_id: Some("ch_9".into()),
        code: None,
        attempts: 2,
        source: place(),
        payload_hash: payload_hash(),
        created_at: Wall(1_700_000_000_000_001),
        admitted_at: Wall(1_700_000_000_000_002),
        decided_at: Some(Wall(1_700_000_000_000_003)),
        stored_at: None,
    }
}

fn alert() -> Alert {
    Alert {
        alert_id: "tollbridge:temp_queue_depth:1700000000000000".into(),
        rule: "temp_queue_depth".into(),
        state: AlertState::Raised,
        severity: Severity::Warning,
        observed: 12,
        threshold: 10,
        unit: "transactions".into(),
        instance: "a-1".into(),
        since: Wall(1_700_000_000_000_000),
        at: Wall(1_700_000_001_000_000),
        message: "12 transactions wait".into(),
    }
}

fn record(key: Option<&str>, headers: &[(&str, &str)]) -> Record {
    let headers =
        headers.iter().map(|(name, value)| header((*name).to_owned(), (*value).to_owned()));
    Record {
        offset: Offset(1),
        key: key.map(|key| key.to_owned().into()),
        value: Some("{}".into()),
        headers: headers.collect(),
        timestamp_ms: None,
    }
}

fn texts(event: &Event) -> Vec<(String, String)> {
    let text =
        |header: &Header| String::from_utf8(header.value.as_ref().unwrap().to_vec()).unwrap();
    event.headers.iter().map(|header| (header.name.clone().into_owned(), text(header))).collect()
}

fn codec(format: EventsFormat) -> EventCodec {
    EventCodec::new(format, "payments")
}

#[test]
fn event_ids_are_as_documented() {
    assert_eq!(*outcome().event_id.to_hex(), golden("event_id"));
    let resolution = EventId::of_resolution(&place(), &payload_hash());
    assert_eq!(*resolution.to_hex(), golden("resolution_id"));
}

#[test]
fn avro_is_what_others_write() {
    let plain = codec(EventsFormat::Avro).outcome(&outcome(), None).value.unwrap();
    assert_eq!(hex(&plain), golden("outcome"));
    let value = codec(EventsFormat::Avro).alert(&alert()).value.unwrap();
    assert_eq!(hex(&value), golden("alert"));
    let framed = codec(EventsFormat::AvroConfluent { outcome: 7, alert: 8 });
    let value = framed.outcome(&outcome(), None).value.unwrap();
    assert_eq!(hex(&value), format!("0000000007{}", golden("outcome")));
    let value = framed.alert(&alert()).value.unwrap();
    assert_eq!(hex(&value), format!("0000000008{}", golden("alert")));
}

#[test]
fn json_has_every_field_and_writes_nulls_out() {
    let value = codec(EventsFormat::Json).outcome(&outcome(), None).value.unwrap();
    let expected = format!(
        concat!(
            r#"{{"event_id":"{}","fate":"archived","transaction_id":"tx-1","account_id":"acct_é","amount":1250,"#,
            r#""currency":"EUR","gateway_id":"ch_9","code":null,"attempts":2,"source_topic":"transactions","#,
            r#""source_partition":3,"source_offset":1234567,"payload_hash":"{}","created_at":1700000000000001,"#,
            r#""admitted_at":1700000000000002,"decided_at":1700000000000003,"stored_at":null}}"#,
        ),
        golden("event_id"),
        payload_hash().to_hex(),
    );
    assert_eq!(std::str::from_utf8(&value).unwrap(), expected);
}

#[test]
fn the_headers_of_an_outcome() {
    let event = codec(EventsFormat::Json).outcome(&outcome(), Some(&record(Some("k"), &[])));
    assert_eq!(event.key.as_deref(), Some(&b"k"[..]));
    let id = golden("event_id");
    let expected = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_type", "dev.tollbridge.transaction.archived"),
        ("ce_source", "/tollbridge/payments"),
        ("ce_id", &id),
        ("ce_time", "2023-11-14T22:13:20.000003Z"),
        ("ce_subject", "tx-1"),
        ("traceparent", &format!("00-{id}-{}-00", &id[..16])),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(texts(&event), expected);
    assert_eq!(
        codec(EventsFormat::Avro).outcome(&outcome(), None).headers[0].value,
        Some("application/avro".into())
    );
}

#[test]
fn without_a_source_key_the_id_is_the_key() {
    for source in [None, Some(&record(None, &[]))] {
        let event = codec(EventsFormat::Json).outcome(&outcome(), source);
        assert_eq!(event.key.as_deref(), Some(&b"tx-1"[..]));
    }
}

#[test]
fn a_resolution_names_what_it_resolves() {
    let first = outcome().event_id;
    let resolved =
        Outcome { event_id: EventId::of_resolution(&place(), &payload_hash()), ..outcome() };
    let event = codec(EventsFormat::Json).resolution(&resolved, first, None);
    let headers = texts(&event);
    assert!(headers.contains(&("tollbridge-resolves".into(), golden("event_id"))));
    assert!(headers.contains(&("ce_id".into(), golden("resolution_id"))));
    let plain = codec(EventsFormat::Json).outcome(&resolved, None);
    assert!(!texts(&plain).iter().any(|(name, _)| name == "tollbridge-resolves"));
}

#[test]
fn a_valid_trace_goes_on_and_an_invalid_one_is_made_anew() {
    let traced = |parent: &str| {
        let source = record(None, &[("traceparent", parent), ("tracestate", "a=b")]);
        let headers = texts(&codec(EventsFormat::Json).outcome(&outcome(), Some(&source)));
        headers.into_iter().filter(|(name, _)| name.starts_with("trace")).collect::<Vec<_>>()
    };
    let kept = |parent: &str| {
        vec![("traceparent".into(), parent.into()), ("tracestate".into(), "a=b".into())]
    };
    assert_eq!(traced(PARENT), kept(PARENT));
    let later = PARENT.replacen("00", "01", 1) + "-more";
    assert_eq!(traced(&later), kept(&later));
    for bad in [
        "",
        "x",
        &PARENT[1..],
        &PARENT.to_uppercase(),
        &format!("{PARENT}-more"),
        &PARENT.replacen("00", "ff", 1),
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ] {
        let headers = traced(bad);
        assert_eq!(headers.len(), 1, "{bad}");
        assert!(is_traceparent(headers[0].1.as_bytes()), "{headers:?}");
    }
    let mut headers = Vec::new();
    trace_headers(&mut headers, &mut Sheet::new(), &[], [0; 16]);
    assert!(is_traceparent(headers[0].value.as_ref().unwrap()));
}

#[test]
fn raising_and_clearing_are_two_events_in_order() {
    let raised = codec(EventsFormat::Json).alert(&alert());
    let cleared = Alert { state: AlertState::Cleared, ..alert() };
    let cleared = codec(EventsFormat::Json).alert(&cleared);
    assert_eq!(raised.key, cleared.key);
    let id = |event: &Event| texts(event).into_iter().find(|(name, _)| name == "ce_id").unwrap();
    assert_ne!(id(&raised), id(&cleared));
    for format in [
        EventsFormat::Json,
        EventsFormat::Avro,
        EventsFormat::AvroConfluent { outcome: 1, alert: 2 },
    ] {
        let value = codec(format).alert(&self::alert()).value.unwrap();
        assert_eq!(alert::decode(&value), Ok(self::alert()));
    }
}

#[test]
fn what_is_no_event_is_refused() {
    for bad in [&b""[..], b"{}", b"[]", &[0; 6], &[2; 40]] {
        assert!(matches!(outcome::decode(bad), Err(outcome::BadOutcome::Undecodable(_))));
        assert!(matches!(alert::decode(bad), Err(alert::BadAlert::Undecodable(_))));
    }
    let json = codec(EventsFormat::Json).outcome(&outcome(), None).value.unwrap();
    let json = String::from_utf8(json.to_vec()).unwrap().replace("archived", "eaten");
    assert_eq!(outcome::decode(json.as_bytes()), Err(outcome::BadOutcome::Field("fate")));
    let avro = codec(EventsFormat::Avro).outcome(&outcome(), None).value.unwrap();
    for end in 0..avro.len() {
        assert!(outcome::decode(&avro[..end]).is_err(), "{end}");
    }
    assert!(outcome::decode(&[&avro[..], &[0]].concat()).is_err());
}

prop_compose! {
    fn any_outcome()(
        tx in any_transaction(),
        fate in prop::sample::select(vec![Fate::Archived, Fate::Declined, Fate::InDoubt]),
        (gateway_id, code) in (prop::option::of(".{0,40}"), prop::option::of(".{0,40}")),
        (attempts, partition, offset) in (any::<u32>(), any::<i32>(), any::<i64>()),
        times in any::<(i64, Option<i64>, Option<i64>)>(),
    ) -> Outcome {
        let source = Place { topic: Arc::from("t"), partition: Partition(partition), offset: Offset(offset) };
        let payload_hash = PayloadHash::of(&tx);
        Outcome {
            event_id: EventId::of(&source, &payload_hash), fate, transaction_id: tx.id, account_id: tx.account_id,
            amount: tx.amount, currency: tx.currency, gateway_id, code, attempts, source, payload_hash,
            created_at: tx.created_at, admitted_at: Wall(times.0), decided_at: times.1.map(Wall),
            stored_at: times.2.map(Wall),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_outcome_comes_back(outcome in any_outcome()) {
        for format in [EventsFormat::Json, EventsFormat::Avro, EventsFormat::AvroConfluent { outcome: 1, alert: 2 }] {
            let value = codec(format).outcome(&outcome, None).value.unwrap();
            prop_assert_eq!(outcome::decode(&value), Ok(outcome.clone()));
        }
    }

    #[test]
    fn any_bytes_are_safe(value in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(outcome::decode(&value).is_err());
        prop_assert!(alert::decode(&value).is_err());
    }
}
