//! Records of the source topic. What is read follows every rule, is what a second reader finds, and reads back
//! the same from each format; what is rejected says so without its payload, and goes on byte for byte.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;
use tollbridge::domain::id::{Offset, Partition, Place};
use tollbridge::domain::outcome::EventId;
use tollbridge::domain::record::{Header, Record};
use tollbridge::domain::schema::{Registered, SchemaRef};
use tollbridge::domain::time::Wall;
use tollbridge::domain::transaction::{PayloadHash, Transaction};
use tollbridge::wire::dead_letter::{self, BYTES_MIN, record_bytes};
use tollbridge::wire::events::{DeadLetter, Event, EventCodec, EventsFormat, Reason};
use tollbridge::wire::gateway::Profile;
use tollbridge::wire::transaction::{
    Decoder, Format, Rejection, code, confluent_frame, encode_avro, encode_json,
};

use super::Input;

/// The longest record that is read.
const BYTES_MAX: usize = 64 * 1024;
/// No message is longer: the longest quotes 64 characters, each escaped.
const MESSAGE_BYTES_MAX: usize = 800;
/// What the second schema is registered under.
const OTHER_ID: u32 = 7;

/// What a producer may write with in place of ours: other types for the same fields, and fields of its own.
const OTHER_SCHEMA: &str = r#"{"type":"record","name":"Payment","fields":[
    {"name":"note","type":["null",{"type":"array","items":["null","long","string"]}]},
    {"name":"id","aliases":["transaction_id"],"type":"string"},
    {"name":"account_id","type":["null","string"]},
    {"name":"amount","type":["null",{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}]},
    {"name":"currency","type":{"type":"enum","name":"Currency","symbols":["EUR","USD","JPY","BHD"]}},
    {"name":"payment_method","type":"string"},
    {"name":"created_at","type":[{"type":"long","logicalType":"timestamp-millis"},"string"]},
    {"name":"metadata","type":["null",{"type":"map","values":["string","null","int"]}]},
    {"name":"tail","type":{"type":"record","name":"Tail","fields":[
        {"name":"flag","type":"boolean"},{"name":"rate","type":"double"},
        {"name":"mac","type":{"type":"fixed","name":"Mac","size":4}}]}}]}"#;

fn decoder(format: Format, schema: Option<&str>) -> Decoder {
    // Read back from another format a record may be longer than it was.
    Decoder::new(format, schema, 4 * BYTES_MAX).unwrap()
}

static PROFILE: LazyLock<Profile> = LazyLock::new(Profile::generic);
static JSON: LazyLock<Decoder> = LazyLock::new(|| decoder(Format::Json, None));
static AVRO: LazyLock<Decoder> = LazyLock::new(|| decoder(Format::Avro, None));
static OTHER: LazyLock<Decoder> = LazyLock::new(|| decoder(Format::Avro, Some(OTHER_SCHEMA)));
static FRAMED: LazyLock<Decoder> = LazyLock::new(|| decoder(Format::AvroConfluent, None));
static AUTO: LazyLock<Decoder> = LazyLock::new(|| decoder(Format::Auto, None));
static REGISTERED: LazyLock<Decoder> = LazyLock::new(|| {
    let mut decoder = decoder(Format::AvroConfluent, None);
    let said = Registered::Avro { schema: OTHER_SCHEMA.into(), references: Vec::new() };
    decoder.learn(SchemaRef::Id(OTHER_ID), &said).unwrap();
    decoder
});

/// The whole input is a value in JSON.
pub fn json(data: &[u8]) {
    let record = plain(data);
    let decoded = JSON.decode(&record);
    check(&record, &decoded);
    // A header that says the same changes nothing.
    let told = Record { headers: vec![header("content-type", b"application/json")], ..plain(data) };
    assert_eq!(AUTO.decode(&told), decoded);
    let second: Option<Value> = serde_json::from_slice(data).ok();
    match (&decoded, second) {
        (Ok(tx), Some(second)) => same_as_a_second_reader(tx, &second),
        // In fields that are passed over, the second reader minds depth, fractions and surrogates; nobody else does.
        (Ok(_), None) => assert!(serde_json::from_slice::<IgnoredAny>(data).is_ok()),
        (Err(why), Some(second)) => keeps_the_payment_method(why, data, &second),
        (Err(_), None) => {}
    }
}

/// A byte for the writer's schema, then a datum.
pub fn avro(data: &[u8]) {
    let (first, datum) = data.split_first().unwrap_or((&0, &[]));
    let record = plain(datum);
    if first % 2 == 0 {
        let decoded = AVRO.decode(&record);
        check(&record, &decoded);
        let framed = plain(&confluent_frame(u32::from(*first), datum));
        assert_eq!(FRAMED.decode(&framed), decoded, "the frame changes what is read");
        assert_eq!(AUTO.decode(&framed), decoded);
    } else {
        let decoded = OTHER.decode(&record);
        check(&record, &decoded);
        let framed = plain(&confluent_frame(OTHER_ID, datum));
        assert_eq!(REGISTERED.decode(&framed), decoded);
    }
}

/// The whole input is a value in Confluent's frame.
pub fn confluent(data: &[u8]) {
    let record = plain(data);
    check(&record, &FRAMED.decode(&record));
    let decoded = REGISTERED.decode(&record);
    check(&record, &decoded);
    let is_unknown = decoded.is_err_and(|why| why.code == code::UNKNOWN_SCHEMA);
    assert_eq!(REGISTERED.unknown_schema(&record).is_some(), is_unknown);
}

/// Format, headers, key, value: a whole record.
pub fn auto(data: &[u8]) {
    let mut input = Input(data);
    let decoder = match input.byte() % 5 {
        0 | 1 => &AUTO,
        2 => &REGISTERED,
        3 => &JSON,
        _ => &AVRO,
    };
    let headers = (0..input.byte() % 5).map(|_| {
        let name = String::from_utf8_lossy(input.sized().unwrap_or_default()).into_owned();
        Header { name: Cow::Owned(name), value: input.sized().map(Bytes::copy_from_slice) }
    });
    let headers = headers.collect();
    let key = input.sized().map(Bytes::copy_from_slice);
    let value = (input.byte() != 255).then(|| Bytes::copy_from_slice(input.0));
    let record = Record { headers, key, value, timestamp_ms: Some(1), ..plain(&[]) };
    check(&record, &decoder.decode(&record));
}

fn plain(value: &[u8]) -> Record {
    Record {
        offset: Offset(41),
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

fn header(name: &'static str, value: &'static [u8]) -> Header {
    Header { name: Cow::Borrowed(name), value: Some(Bytes::from_static(value)) }
}

fn check(record: &Record, decoded: &Result<Transaction, Rejection>) {
    match decoded {
        Ok(tx) => taken(tx),
        Err(why) => rejected(record, why),
    }
}

/// What was read reads back the same, from each format that we write.
fn taken(tx: &Transaction) {
    let from_json = plain(&encode_json(tx));
    assert_eq!(JSON.decode(&from_json).as_ref(), Ok(tx));
    assert_eq!(AUTO.decode(&from_json).as_ref(), Ok(tx));
    let datum = encode_avro(tx);
    assert_eq!(AVRO.decode(&plain(&datum)).as_ref(), Ok(tx));
    assert_eq!(AUTO.decode(&plain(&confluent_frame(1, &datum))).as_ref(), Ok(tx));

    let body = PROFILE.charge_body(tx);
    assert_eq!(body, PROFILE.charge_body(&tx.clone()));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["transaction_id"], tx.id.as_str());
    assert_eq!(body["amount"], tx.amount.minor_units());
    assert_eq!(body["payment_method"], tx.payment_method.as_str());
    assert!(tx.amount.minor_units() > 0 && tx.created_at.0 >= 0);
}

fn same_as_a_second_reader(tx: &Transaction, second: &Value) {
    assert_eq!(second["transaction_id"], tx.id.as_str());
    assert_eq!(second["account_id"], tx.account_id.as_str());
    assert_eq!(second["amount"], tx.amount.minor_units());
    assert_eq!(second["currency"], tx.currency.as_str());
    assert_eq!(second["payment_method"], tx.payment_method.as_str());
    assert_eq!(second["description"].as_str(), tx.description.as_deref());
    let metadata = second["metadata"].as_object();
    assert_eq!(metadata.map_or(0, serde_json::Map::len), tx.metadata.len());
    for (name, value) in &tx.metadata {
        assert_eq!(second["metadata"][name], value.as_str());
    }
}

/// A payment method that stands nowhere else in the record is not in the message either.
fn keeps_the_payment_method(why: &Rejection, data: &[u8], second: &Value) {
    let Some(method) = second["payment_method"].as_str() else { return };
    let text = String::from_utf8_lossy(data);
    if method.starts_with("pm_") && method.len() > 8 && text.matches(method).count() == 1 {
        assert!(!why.message.contains(method), "{why}");
    }
}

fn rejected(record: &Record, why: &Rejection) {
    assert!(why.message.len() <= MESSAGE_BYTES_MAX, "{why}");
    let place =
        Place { topic: "transactions".into(), partition: Partition(3), offset: record.offset };
    let hash = PayloadHash::of_bytes(record.value.as_deref());
    let letter = DeadLetter {
        place: &place,
        record,
        transaction_id: None,
        event_id: EventId::of(&place, &hash),
        at: Wall(1),
        reason: Reason::Rejected { code: why.code, message: &why.message },
    };
    let codec = EventCodec::new(EventsFormat::Json, "fuzz");
    let whole = codec.dead_letter(&letter, 8 * BYTES_MAX);
    assert_eq!((&whole.key, &whole.value), (&record.key, &record.value));
    assert_eq!(whole.headers[..record.headers.len()], record.headers[..]);
    tells(&letter, &whole);
    let cut = codec.dead_letter(&letter, BYTES_MIN);
    assert!(record_bytes(&cut) <= BYTES_MIN, "{} bytes", record_bytes(&cut));
    begins(&record.value, &cut.value);
    begins(&record.key, &cut.key);
    tells(&letter, &cut);
}

fn begins(whole: &Option<Bytes>, kept: &Option<Bytes>) {
    assert_eq!(whole.is_some(), kept.is_some());
    assert!(whole.as_deref().unwrap_or_default().starts_with(kept.as_deref().unwrap_or_default()));
}

/// The headers of a dead letter tell which record it is and what became of it, whatever headers the record has.
fn tells(letter: &DeadLetter<'_>, event: &Event) {
    let read = dead_letter::read(&event.headers).unwrap();
    assert_eq!((&read.place, read.event_id), (letter.place, letter.event_id));
    let Reason::Rejected { code, .. } = letter.reason else { return };
    assert_eq!((read.code.as_str(), read.fate), (code, letter.reason.fate()));
    assert_eq!(read.transaction_id, None);
}
