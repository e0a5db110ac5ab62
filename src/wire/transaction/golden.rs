//! Records that foreign encoders wrote: tests/golden/transactions.py made them, with fastavro, Apache's Avro and
//! Confluent's serialisers.

use bytes::Bytes;

use super::*;
use crate::domain::id::{Offset, TransactionId};
use crate::domain::money::{Amount, Currency};
use crate::domain::record::Header;
use crate::domain::time::Wall;

struct Vector {
    schema: String,
    record: Record,
}

fn bytes(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn vector(name: &str) -> Vector {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/golden/transactions.json")).unwrap();
    let vector = all.as_array().unwrap().iter().find(|vector| vector["name"] == name);
    let vector = vector.unwrap_or_else(|| panic!("no vector {name:?}"));
    let headers = vector["headers"].as_array().unwrap().iter().map(|header| Header {
        name: header[0].as_str().unwrap().to_owned().into(),
        value: Some(bytes(header[1].as_str().unwrap())),
    });
    let record = Record {
        offset: Offset(0),
        key: None,
        value: Some(bytes(vector["value"].as_str().unwrap())),
        headers: headers.collect(),
        timestamp_ms: None,
    };
    Vector { schema: vector["schema"].to_string(), record }
}

fn avro(schema: &str) -> Registered {
    Registered::Avro { schema: schema.to_owned(), references: Vec::new() }
}

fn read(name: &str, format: Format) -> Result<Transaction, Rejection> {
    let vector = vector(name);
    Decoder::new(format, Some(&vector.schema), 65_536).unwrap().decode(&vector.record)
}

/// The transaction that the script describes.
fn full() -> Transaction {
    Transaction {
        id: TransactionId::parse("tx-1").unwrap(),
        account_id: "acct_é€𝄞".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: "pm_visa".into(),
        created_at: Wall(1_700_000_000_123_456),
        description: Some("Tea\nand milk".into()),
        metadata: [("order", "99"), ("zone", "north")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

#[test]
fn every_way_to_write_the_same_transaction() {
    for name in [
        "full",
        "full, Apache's encoder",
        "decimal bytes",
        "decimal fixed",
        "decimal in a union",
        "int amount",
        "plain long time",
        "enum currency",
        "unions",
        "fields that we don't know",
        "alias",
    ] {
        assert_eq!(read(name, Format::Avro), Ok(full()), "{name}");
    }
    let millis = Transaction { created_at: Wall(1_700_000_000_123_000), ..full() };
    assert_eq!(read("timestamp-millis", Format::Avro), Ok(millis));
    let uuid = TransactionId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
    assert_eq!(read("uuid id", Format::Avro), Ok(Transaction { id: uuid, ..full() }));
    let yen = Transaction { currency: Currency::parse("JPY").unwrap(), ..full() };
    assert_eq!(read("decimal of yen", Format::Avro), Ok(yen));
}

#[test]
fn what_is_left_out_takes_its_default() {
    let bare = Transaction { description: None, metadata: [].into(), ..full() };
    for name in ["defaults", "an older writer without the optional fields"] {
        assert_eq!(read(name, Format::Avro), Ok(bare.clone()), "{name}");
    }
}

#[test]
fn money_that_does_not_fit_is_refused() {
    for (name, code) in [
        ("decimal below zero", code::BAD_AMOUNT),
        ("decimal beyond 64 bits", code::BAD_AMOUNT),
        ("decimal of another currency", code::BAD_AMOUNT),
        ("null in a union", code::MISSING_FIELD),
    ] {
        assert_eq!(read(name, Format::Avro).unwrap_err().code, code, "{name}");
    }
}

#[test]
fn both_framings_are_told_by_themselves() {
    for format in [Format::Auto, Format::AvroConfluent] {
        assert_eq!(read("Confluent frame", format), Ok(full()));
        assert_eq!(read("Confluent header with a GUID", format), Ok(full()));
    }
    let refusal = read("full", Format::AvroConfluent).unwrap_err();
    assert_eq!(refusal.code, code::UNDECODABLE);
    assert_eq!(read("full", Format::Auto).unwrap_err().code, code::UNKNOWN_FORMAT);
}

#[test]
fn a_registry_names_the_schema() {
    let framed = vector("Confluent frame");
    let guid = vector("Confluent header with a GUID");
    let decoder = Decoder::new(Format::Auto, None, 65_536).unwrap();
    assert_eq!(decoder.unknown_schema(&framed.record), None, "without a registry nobody is asked");
    let mut decoder = decoder.with_registry();
    assert_eq!(decoder.unknown_schema(&framed.record), Some(SchemaRef::Id(1)));
    assert_eq!(decoder.decode(&framed.record).unwrap_err().code, code::UNKNOWN_SCHEMA);
    decoder.learn(SchemaRef::Id(1), &avro(&framed.schema)).unwrap();
    assert_eq!(decoder.unknown_schema(&framed.record), None);
    assert_eq!(decoder.decode(&framed.record), Ok(full()));
    // The other is not read with a schema that it does not name.
    let name = decoder.unknown_schema(&guid.record).unwrap();
    assert!(matches!(name, SchemaRef::Guid(_)));
    assert_eq!(decoder.decode(&guid.record).unwrap_err().code, code::UNKNOWN_SCHEMA);
    assert_eq!(
        decoder.learn(name, &Registered::Nothing).unwrap_err(),
        "the registry does not know it"
    );
    assert_eq!(decoder.unknown_schema(&guid.record), None, "it was asked");
    let why = decoder.decode(&guid.record).unwrap_err();
    assert_eq!(why.code, code::UNKNOWN_SCHEMA);
    assert!(why.message.ends_with("the registry does not know it"), "{why}");
    // What is known stays, and what was not is learnt.
    decoder.learn(name, &avro(&guid.schema)).unwrap();
    decoder.learn(name, &Registered::Nothing).unwrap();
    assert_eq!(decoder.decode(&guid.record), Ok(full()));
}

/// Schemas that no transaction can be read with, in a registry.
#[test]
fn what_a_registry_holds_may_be_of_no_use() {
    let mut decoder = Decoder::new(Format::Auto, None, 65_536).unwrap().with_registry();
    let mut says = |said: &Registered| decoder.learn(SchemaRef::Id(9), said).unwrap_err();
    let protobuf = Registered::Other("PROTOBUF".into());
    assert_eq!(says(&protobuf), "its schema is PROTOBUF, and not Avro");
    for (schema, why) in [
        ("{", "it is no Avro schema"),
        ("\"long\"", "it is no record"),
        (r#"{"type": "record", "name": "T", "fields": []}"#, "it has no field transaction_id"),
    ] {
        let said = says(&avro(schema));
        assert!(said.contains("none of transactions") && said.contains(why), "{said}");
    }
}

/// A type of a field may stand in a schema of its own.
#[test]
fn a_schema_may_refer_to_others() {
    let framed = vector("Confluent frame");
    let mut schema: serde_json::Value = serde_json::from_str(&framed.schema).unwrap();
    let extra = serde_json::json!({ "name": "shop", "type": ["null", "acme.Shop"] });
    schema["fields"].as_array_mut().unwrap().push(extra);
    let shop = r#"{"type": "record", "name": "Shop", "namespace": "acme", "fields": [
        {"name": "id", "type": "string"}, {"name": "kind", "type": "acme.Kind"}]}"#;
    let kind = r#"{"type": "enum", "name": "Kind", "namespace": "acme", "symbols": ["A", "B"]}"#;
    let said = Registered::Avro {
        schema: schema.to_string(),
        references: [kind, shop].map(str::to_owned).into(),
    };
    let mut decoder = Decoder::new(Format::Auto, None, 65_536).unwrap().with_registry();
    decoder.learn(SchemaRef::Id(1), &said).unwrap();
    let with = |tail: &[u8]| {
        let value = [framed.record.value.as_deref().unwrap(), tail].concat();
        decoder.decode(&Record { value: Some(value.into()), ..framed.record.clone() })
    };
    assert_eq!(with(&[0]), Ok(full()));
    assert_eq!(with(&[2, 2, b'x', 2]), Ok(full()));
    assert_eq!(with(&[2, 2, b'x', 4]).unwrap_err().code, code::UNDECODABLE);
}

/// The library reads a cut string or union as null; we must not.
#[test]
fn a_cut_or_padded_datum_is_refused() {
    for name in ["full", "decimal bytes", "unions", "fields that we don't know"] {
        let Vector { schema, record } = vector(name);
        let decoder = Decoder::new(Format::Avro, Some(&schema), 65_536).unwrap();
        let value = record.value.clone().unwrap();
        for end in 0..value.len() {
            let cut = Record { value: Some(value.slice(..end)), ..record.clone() };
            assert_eq!(decoder.decode(&cut).unwrap_err().code, code::UNDECODABLE, "{name} {end}");
        }
        let longer = Record { value: Some([&value[..], &[0]].concat().into()), ..record };
        assert_eq!(decoder.decode(&longer).unwrap_err().code, code::UNDECODABLE);
    }
}

#[test]
fn what_we_write_is_what_they_write() {
    let Vector { record, .. } = vector("full");
    assert_eq!(encode_avro(&full()), record.value.unwrap());
    let Vector { record, .. } = vector("Confluent frame");
    assert_eq!(confluent_frame(1, &encode_avro(&full())), record.value.unwrap());
}
