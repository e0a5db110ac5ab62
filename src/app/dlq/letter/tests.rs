//! Held against dead letters as they are written, so that what is known here of their headers stays true.

use super::*;
use crate::domain::id::TransactionId;
use crate::domain::outcome::{EventId, Fate};
use crate::domain::time::Wall;
use crate::wire::events::{DeadLetter, EventCodec, EventsFormat, Reason};

const ROOMY: usize = 1 << 20;

fn header(name: &str, value: Option<&[u8]>) -> Header {
    Header { name: name.to_owned().into(), value: value.map(Bytes::copy_from_slice) }
}

fn place(topic: &str, offset: i64) -> Place {
    Place { topic: topic.into(), partition: Partition(3), offset: Offset(offset) }
}

fn record(headers: Vec<Header>) -> Record {
    Record {
        offset: Offset(7),
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from(vec![b'v'; 9_000])),
        headers,
        timestamp_ms: Some(1_700_000_000_123),
    }
}

/// The record's dead letter, as it stands on its topic at offset 20.
fn letter_of(record: &Record, bytes_max: usize) -> Record {
    let (place, other) = (place("transactions", 7), place("transactions", 5));
    let id = TransactionId::parse("tx-1").unwrap();
    let letter = DeadLetter {
        place: &place,
        record,
        transaction_id: Some(&id),
        event_id: EventId([0xAB; 16]),
        at: Wall(0),
        reason: Reason::Duplicate { of: &other, other_payload: false },
    };
    let event = EventCodec::new(EventsFormat::Json, "g").dead_letter(&letter, bytes_max);
    let (key, value, headers) = (event.key, event.value, event.headers);
    Record { offset: Offset(20), key, value, headers, timestamp_ms: Some(9) }
}

fn standing(record: &Record) -> Standing {
    Standing::of(Partition(0), record)
}

#[test]
fn a_letter_is_read_and_what_its_record_had_is_told_from_what_it_added() {
    let theirs = vec![header("a", Some(b"\xFF")), header("a", None), header("b", Some(b""))];
    let letter = letter_of(&record(theirs.clone()), ROOMY);
    assert_eq!(split(&letter.headers).0, theirs);
    assert_eq!(split(&letter.headers).1[0].name, FIRST);
    let found = standing(&letter);
    let told = found.told.unwrap();
    assert_eq!((told.fate, told.code.as_str()), (Fate::Duplicate, "same_payload"));
    assert_eq!(told.place, place("transactions", 7));
    let spot = Spot { partition: Partition(0), offset: Offset(20) };
    assert_eq!((found.spot, found.at_ms, found.replays), (spot, Some(9), Some(0)));
    assert_eq!(found.cut, [""; 0]);
}

#[test]
fn a_record_made_again_has_its_own_headers_and_counts() {
    let theirs = vec![header("a", Some(b"\xFF")), header("a", None), header("b", Some(b""))];
    let mut headers = theirs.clone();
    for (before, offset) in [(0, 20), (1, 21), (2, 22)] {
        let letter = letter_of(&record(headers), ROOMY);
        assert_eq!(standing(&letter).replays, Some(before));
        headers = headers_again(&letter.headers, before, &place("tx-dead-letter", offset));
        assert_eq!(headers[..3], theirs);
        let count = (before + 1).to_string();
        let of = format!("tx-dead-letter/3/{offset}");
        let ours =
            [header(REPLAYS, Some(count.as_bytes())), header(REPLAY_OF, Some(of.as_bytes()))];
        assert_eq!(headers[3..], ours);
        assert_eq!(replay_of(&headers), Some(of.as_str()));
    }
    assert_eq!(standing(&letter_of(&record(headers), ROOMY)).replays, Some(3));
}

/// Others may publish a dead letter again with all its headers: those are the record's then.
#[test]
fn headers_of_ours_that_a_record_came_with_are_the_records() {
    let first = letter_of(&record(vec![header("a", None)]), ROOMY);
    let second = letter_of(&Record { offset: Offset(7), ..first.clone() }, ROOMY);
    assert_eq!(split(&second.headers).0, first.headers);
    let again = headers_again(&second.headers, 0, &place("tx-dead-letter", 1));
    assert_eq!(again[..first.headers.len()], first.headers);
}

#[test]
fn a_count_that_cannot_be_read_is_none() {
    for bad in
        [None, Some(&b""[..]), Some(b"many"), Some(b"-1"), Some(b"\xFF"), Some(b"99999999999")]
    {
        let letter = letter_of(&record(vec![header(REPLAYS, bad)]), ROOMY);
        assert_eq!(standing(&letter).replays, None, "{bad:?}");
    }
    // Behind the record's headers stand only ours, and no count is among them.
    let mut letter = letter_of(&record(vec![]), ROOMY);
    letter.headers.push(header(REPLAYS, Some(b"7")));
    assert_eq!(standing(&letter).replays, Some(0));
    assert_eq!(replay_of(&[]), None);
    assert_eq!(replay_of(&[header(REPLAY_OF, Some(b"\xFF"))]), None);
}

#[test]
fn what_was_cut_is_seen_and_a_records_own_header_of_that_name_is_not() {
    let long = header("h", Some(&[b'x'; 9_000]));
    assert_eq!(standing(&letter_of(&record(vec![]), 9_000)).cut, ["value"]);
    let both = standing(&letter_of(&record(vec![long]), 9_000)).cut;
    assert_eq!(both, ["value", "headers"]);
    let named = header("tollbridge-cut-value-length", Some(b"1"));
    assert_eq!(standing(&letter_of(&record(vec![named]), ROOMY)).cut, [""; 0]);
}

#[test]
fn what_is_no_dead_letter_of_ours_says_what_it_lacks() {
    let foreign = record(vec![header("a", None)]);
    assert_eq!(standing(&foreign).told, Err(BadLetter(FIRST)));
    assert_eq!(split(&foreign.headers), (&foreign.headers[..], &[][..]));
}

#[test]
fn a_place_is_written_with_its_topic_or_without() {
    let spot = Spot { partition: Partition(2), offset: Offset(31) };
    let named = |topic: Option<&str>| Ok(Named { topic: topic.map(str::to_owned), spot });
    assert_eq!("2/31".parse(), named(None));
    assert_eq!("tx-dead-letter/2/31".parse(), named(Some("tx-dead-letter")));
    for bad in ["", "31", "a/b", "-1/3", "1/-3", "/1/3", "2:31", "t/2/31/"] {
        assert!(bad.parse::<Named>().is_err(), "{bad}");
    }
}
