//! The rules, one by one, and that no record can hurt or leak.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::domain::id::Offset;
use crate::domain::record::Header;
use crate::wire::testing::{any_transaction, transaction};

const MAX_BYTES: usize = 262_144;

fn record(value: impl Into<Bytes>) -> Record {
    Record {
        offset: Offset(1),
        key: None,
        value: Some(value.into()),
        headers: vec![],
        timestamp_ms: None,
    }
}

fn header(name: &str, value: &[u8]) -> Header {
    Header { name: name.to_owned().into(), value: Some(value.to_vec().into()) }
}

fn decoder(format: Format) -> Decoder {
    Decoder::new(format, None, MAX_BYTES).unwrap()
}

fn read(json: &str) -> Result<Transaction, Rejection> {
    decoder(Format::Json).decode(&record(json.to_owned()))
}

/// The plain transaction as JSON, with one field written otherwise.
fn with(field: &str, json: &str) -> String {
    let good = [
        ("transaction_id", r#""tx-1""#),
        ("account_id", r#""acct_7""#),
        ("amount", "1250"),
        ("currency", r#""EUR""#),
        ("payment_method", r#""pm_secret""#),
        ("created_at", "1700000000000000"),
        ("description", r#""Tea""#),
        ("metadata", r#"{"order":"99"}"#),
    ];
    let fields = good.map(|(name, value)| {
        let value = if name == field { json } else { value };
        format!("{name:?}:{value}")
    });
    format!("{{{}}}", fields.join(","))
}

#[track_caller]
fn refused(field: &str, json: &str, code: &str) {
    let rejection = read(&with(field, json)).unwrap_err();
    assert_eq!(rejection.code, code, "{field} {json}: {rejection}");
    assert!(rejection.message.contains(field), "{rejection}");
}

#[test]
fn the_plain_one_is_read() {
    assert_eq!(read(&with("", "")), Ok(transaction()));
    let unknown = with("", "").replacen('{', r#" {"later":{"a":[1.5,{"a":null}]},"#, 1);
    assert_eq!(read(&unknown), Ok(transaction()));
}

#[test]
fn times_are_integers_or_rfc_3339() {
    for at in [
        r#""2023-11-14T22:13:20Z""#,
        r#""2023-11-14T23:13:20.000000+01:00""#,
        r#""2023-11-14T22:13:20.0000009Z""#,
    ] {
        assert_eq!(read(&with("created_at", at)), Ok(transaction()), "{at}");
    }
    for at in [
        "-1",
        "253402300800000000",
        "1e15",
        "1.5",
        "null",
        r#""yesterday""#,
        r#""1700000000""#,
        r#""2023-11-14""#,
        "18446744073709551615",
        "true",
    ] {
        let code = if at == "null" { code::MISSING_FIELD } else { code::BAD_FIELD };
        refused("created_at", at, code);
    }
}

#[test]
fn money_is_never_a_float() {
    for amount in [
        "1.0",
        "1e3",
        "12.5",
        "0",
        "-1",
        "-0",
        "1000000000000001",
        "9223372036854775808",
        "99999999999999999999999999",
        r#""1250""#,
        "true",
        "[1]",
        r#"{"v":1}"#,
    ] {
        refused("amount", amount, code::BAD_AMOUNT);
    }
    refused("amount", "null", code::MISSING_FIELD);
    assert_eq!(
        read(&with("amount", "1000000000000000")).unwrap().amount.minor_units(),
        1_000_000_000_000_000
    );
}

#[test]
fn every_field_has_its_rule() {
    for id in [r#""""#, r#""-a""#, r#""a b""#, r#""a\r\nb""#, "7", &format!("{:?}", "x".repeat(65))]
    {
        refused("transaction_id", id, code::BAD_ID);
    }
    for currency in [r#""eur""#, r#""ZZZ""#, r#""EURO""#, r#""""#] {
        refused("currency", currency, code::UNKNOWN_CURRENCY);
    }
    refused("currency", "978", code::BAD_FIELD);
    let long = |chars: usize| format!("{:?}", "é".repeat(chars));
    for field in ["account_id", "payment_method"] {
        for bad in [r#""""#, r#""a\u0000b""#, r#""a\nb""#, "1", &long(129)] {
            refused(field, bad, code::BAD_FIELD);
        }
        assert!(read(&with(field, &long(128))).is_ok());
    }
    for bad in [long(513), r#""\u0000""#.to_owned(), "{}".to_owned()] {
        refused("description", &bad, code::BAD_FIELD);
    }
    let entries = |n: usize| {
        let entries: Vec<_> = (0..n).map(|i| format!(r#""k{i}":"v""#)).collect();
        format!("{{{}}}", entries.join(","))
    };
    for bad in [
        r#"{"a":1}"#,
        r#"{"a":null}"#,
        r#"{"a":{"b":"c"}}"#,
        r#"{"":"a"}"#,
        "[]",
        r#""a""#,
        &entries(33),
        &format!("{{{}:\"\"}}", long(65)),
        &format!("{{\"a\":{}}}", long(513)),
    ] {
        refused("metadata", bad, code::BAD_FIELD);
    }
    assert_eq!(read(&with("metadata", &entries(32))).unwrap().metadata.len(), 32);
    for (field, empty) in [("description", "null"), ("metadata", "null"), ("metadata", "{}")] {
        assert!(read(&with(field, empty)).is_ok());
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    for extra in [r#""amount":1250"#, r#""am\u006funt":99"#, r#""x":1,"x":2"#] {
        let json = with("", "").replacen('{', &format!("{{{extra},"), 1);
        assert_eq!(read(&json).unwrap_err().code, code::DUPLICATE_FIELD, "{extra}");
    }
    refused("metadata", r#"{"a":"1","a":"2"}"#, code::DUPLICATE_FIELD);
}

#[test]
fn card_numbers_are_refused_and_not_repeated() {
    for number in ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "4222222222222"]
    {
        let rejection = read(&with("payment_method", &format!("{number:?}"))).unwrap_err();
        assert_eq!(rejection.code, code::CARD_NUMBER);
        assert!(!rejection.message.contains("42") && !rejection.message.contains("37"));
    }
    for token in ["pm_4242424242424242", "4242424242424241", "424242424242", "42424242424242424242"]
    {
        assert!(read(&with("payment_method", &format!("{token:?}"))).is_ok(), "{token}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let good = with("", "");
    for bad in [
        "",
        " ",
        "[]",
        "null",
        "\"pm_secret\"",
        "{",
        "{}}",
        "{\"a\":1,}",
        &format!("{good}x"),
        &good[..40],
    ] {
        let rejection = read(bad).unwrap_err();
        assert_eq!(rejection.code, code::UNDECODABLE, "{bad}");
        assert!(!rejection.message.contains("secret"));
    }
    let not_utf8 = [b"{\"description\":\"", &[0xFF][..], b"\"}"].concat();
    let rejection = decoder(Format::Json).decode(&record(not_utf8)).unwrap_err();
    assert_eq!(rejection.code, code::UNDECODABLE);
    assert_eq!(read("{}").unwrap_err().code, code::MISSING_FIELD);
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    assert_eq!(read(&deep).unwrap_err().code, code::UNDECODABLE);
    let deep = with("metadata", &"{\"a\":".repeat(1_000));
    assert_eq!(read(&deep).unwrap_err().code, code::UNDECODABLE);
}

#[test]
fn size_and_tombstones() {
    let json = with("", "");
    let decoder = Decoder::new(Format::Json, None, json.len() + 10).unwrap();
    let mut record = record(json);
    record.key = Some("12345".into());
    record.headers = vec![header("abc", b"de")];
    assert!(decoder.decode(&record).is_ok());
    record.headers.push(header("x", b""));
    assert_eq!(decoder.decode(&record).unwrap_err().code, code::TOO_LARGE);
    record.value = None;
    assert_eq!(decoder.decode(&record).unwrap_err().code, code::TOMBSTONE);
}

#[test]
fn auto_takes_the_content_type_then_the_schema_id_then_the_first_byte() {
    let (json, avro) = (encode_json(&transaction()), encode_avro(&transaction()));
    let framed = confluent_frame(7, &avro);
    let id = header("__value_schema_id", &[0, 0, 0, 0, 7]);
    let auto = |value: &[u8], headers: &[Header]| {
        let record = Record { headers: headers.to_vec(), ..record(value.to_vec()) };
        decoder(Format::Auto).decode(&record).map_err(|rejection| rejection.code)
    };
    let json_type = header("content-type", b"application/json; charset=utf-8");
    let avro_type = header("Content-Type", b"application/avro");
    let other_type = header("content-type", b"text/plain");
    let good = Ok(transaction());
    assert_eq!(auto(&json, &[]), good);
    assert_eq!(auto(&[b"\n ", &json[..]].concat(), &[]), good);
    assert_eq!(auto(&json, &[json_type.clone(), id.clone()]), good);
    assert_eq!(auto(&json, std::slice::from_ref(&other_type)), good);
    assert_eq!(auto(&avro, std::slice::from_ref(&avro_type)), good);
    assert_eq!(auto(&framed, std::slice::from_ref(&avro_type)), good);
    assert_eq!(auto(&framed, &[]), good);
    assert_eq!(auto(&framed, &[other_type]), good);
    assert_eq!(auto(&avro, std::slice::from_ref(&id)), good);
    assert_eq!(auto(&avro, &[avro_type, json_type.clone()]), Err(code::UNDECODABLE));
    assert_eq!(auto(&framed, &[json_type]), Err(code::UNDECODABLE));
    assert_eq!(auto(&framed, &[id]), Err(code::UNDECODABLE));
    assert_eq!(auto(&avro, &[]), Err(code::UNKNOWN_FORMAT));
    assert_eq!(auto(b"", &[]), Err(code::UNKNOWN_FORMAT));
    assert_eq!(auto(&framed[..4], &[]), Err(code::UNDECODABLE));
    for bad in [&[][..], &[0, 1], &[1, 2, 3], &[2, 0, 0, 0, 1]] {
        assert_eq!(auto(&avro, &[header("__value_schema_id", bad)]), Err(code::UNDECODABLE));
    }
}

#[test]
fn schemas_that_can_not_be_transactions_are_refused_at_once() {
    let bad = |schema: &str| Decoder::new(Format::Avro, Some(schema), 1).unwrap_err();
    assert!(matches!(bad("{"), BadSchema::Unparsable(_)));
    assert_eq!(bad("\"string\""), BadSchema::NoRecord);
    let none = r#"{"type":"record","name":"T","fields":[{"name":"a","type":"int"}]}"#;
    assert_eq!(bad(none), BadSchema::Missing("transaction_id"));
    let double = TRANSACTION_AVSC.replace(r#""type": "long","#, r#""type": "double","#);
    assert!(matches!(bad(&double), BadSchema::Type { field: "amount", .. }));
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    let endless = TRANSACTION_AVSC
        .replace(r#""fields": ["#, &format!(r#""fields": [{{"name":"l","type":{list}}},"#));
    assert_eq!(bad(&endless), BadSchema::Recursive("L".into()));
    let twice = TRANSACTION_AVSC
        .replace(r#""transaction_id","#, r#""id","#)
        .replace(r#""account_id","#, r#""account_id", "aliases": ["transaction_id"],"#);
    assert_eq!(bad(&twice), BadSchema::Twice("account_id"));
}

#[test]
fn an_avro_claim_of_much_is_refused_before_it_costs() {
    for value in [&[0xFE, 0xFF, 0xFF, 0xFF, 0x0F][..], &[0xFF; 10], &[1], &[]] {
        let rejection = decoder(Format::Avro).decode(&record(value.to_vec())).unwrap_err();
        assert_eq!(rejection.code, code::UNDECODABLE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_we_write_we_read(tx in any_transaction()) {
        let json = record(encode_json(&tx));
        let avro = record(confluent_frame(1, &encode_avro(&tx)));
        for record in [json, avro] {
            let read = decoder(Format::Auto).decode(&record).map_err(|rejection| rejection.to_string());
            prop_assert_eq!(read, Ok(tx.clone()));
        }
    }

    /// Whatever is done to a record: no panic, and the secret does not come back in the message.
    #[test]
    fn no_record_hurts_or_leaks(
        json in any::<bool>(),
        edits in prop::collection::vec((any::<Index>(), prop::collection::vec(any::<u8>(), 0..4)), 1..6),
    ) {
        let tx = transaction();
        let (mut value, format) =
            if json { (encode_json(&tx), Format::Json) } else { (encode_avro(&tx), Format::Avro) };
        for (at, bytes) in edits {
            let at = at.index(value.len() + 1);
            value.splice(at..(at + bytes.len()).min(value.len()), bytes);
        }
        match decoder(format).decode(&record(value)) {
            Ok(read) => prop_assert!(read.amount.minor_units() > 0),
            Err(rejection) => prop_assert!(!rejection.message.contains("secret"), "{}", rejection),
        }
    }

    #[test]
    fn any_bytes_are_safe(value in prop::collection::vec(any::<u8>(), 0..300), which in 0..4_usize) {
        let format = [Format::Auto, Format::AvroConfluent, Format::Avro, Format::Json][which];
        prop_assert!(decoder(format).decode(&record(value)).is_err());
    }
}
