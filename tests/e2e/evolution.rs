//! A subject whose schema changes while records of all its versions are under way: fields come, go and are renamed.
//! Each record is read as what it was written with, into the same transaction as JSON that says the same.

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::{Value, json};
use tollbridge_rig::{Registry, shared_registry};

use crate::registry::{asked, framed, plan, vector};
use crate::topics::Written;
use crate::world::World;

/// One version of the schema, a record of it, and what a reader should make of the record.
struct Version {
    id: &'static str,
    schema: String,
    datum: Vec<u8>,
    amount: i64,
    description: Option<&'static str>,
    metadata: Value,
}

const TEXT: Option<&str> = Some("Tea\nand milk");

impl Version {
    /// As others encoded it, under an id of its own: all of them wrote `tx-1`, of as many bytes.
    fn golden(id: &'static str, vector_name: &str, is_full: bool) -> Self {
        let (schema, mut datum) = vector(vector_name);
        let at = datum.windows(5).position(|bytes| bytes == b"\x08tx-1").unwrap() + 1;
        datum[at..at + 4].copy_from_slice(id.as_bytes());
        let description = TEXT.filter(|_| is_full);
        let metadata = if is_full { json!({ "order": "99", "zone": "north" }) } else { json!({}) };
        Self { id, schema, datum, amount: 1250, description, metadata }
    }

    /// The same transaction without Avro.
    fn twin(&self) -> Value {
        json!({
            "transaction_id": self.id, "account_id": "acct_é€𝄞", "amount": self.amount, "currency": "EUR",
            "payment_method": "pm_visa", "created_at": 1_700_000_000_123_456_i64,
            "description": self.description, "metadata": self.metadata,
        })
    }

    fn row(&self) -> String {
        format!("{}|archived|acct_é€𝄞|{}|EUR|1700000000123456", self.id, self.amount)
    }
}

fn encoded(schema: &str, fields: Vec<(&str, Avro)>) -> Vec<u8> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(Avro::Record(fields)).unwrap()
}

fn text(text: &str) -> Avro {
    Avro::String(text.to_owned())
}

fn time() -> Avro {
    Avro::TimestampMicros(1_700_000_000_123_456)
}

/// One of our optional fields is gone, the other one is there.
fn without_description() -> Version {
    let (schema, _) = vector("full");
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    schema["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "description");
    let schema = schema.to_string();
    let fields = vec![
        ("transaction_id", text("tx-5")),
        ("account_id", text("acct_é€𝄞")),
        ("amount", Avro::Long(500)),
        ("currency", text("EUR")),
        ("payment_method", text("pm_visa")),
        ("created_at", time()),
        ("metadata", Avro::Map([("order".to_owned(), text("7"))].into())),
    ];
    let datum = encoded(&schema, fields);
    let metadata = json!({ "order": "7" });
    Version { id: "tx-5", schema, datum, amount: 500, description: None, metadata }
}

/// Another name for the record and for most fields, ours as aliases, in another order; a new field between them. The
/// defaults are the writer's, for readers of what was written before: what a record says counts.
fn renamed() -> Version {
    let named = |name: &str, alias: &str, of: Value| json!({ "name": name, "aliases": [alias], "type": of });
    let micros = json!({ "type": "long", "logicalType": "timestamp-micros" });
    let mut note = named("note", "description", json!("string"));
    note["default"] = json!("nothing was said");
    let mut tags = named("tags", "metadata", json!({ "type": "map", "values": "string" }));
    tags["default"] = json!({ "order": "0" });
    let schema = json!({
        "type": "record", "name": "Order", "namespace": "shop.v9", "aliases": ["dev.tollbridge.Transaction"],
        "fields": [
            note, named("cents", "amount", json!("long")),
            { "name": "channel", "type": "string", "default": "web" },
            named("orderId", "transaction_id", json!("string")), named("at", "created_at", micros),
            named("payer", "account_id", json!("string")), { "name": "currency", "type": "string" },
            named("token", "payment_method", json!("string")), tags,
        ],
    });
    let schema = schema.to_string();
    let fields = vec![
        ("note", text("by the writer")),
        ("cents", Avro::Long(999)),
        ("channel", text("till")),
        ("orderId", text("tx-6")),
        ("at", time()),
        ("payer", text("acct_é€𝄞")),
        ("currency", text("EUR")),
        ("token", text("pm_visa")),
        ("tags", Avro::Map([].into())),
    ];
    let datum = encoded(&schema, fields);
    let description = Some("by the writer");
    Version { id: "tx-6", schema, datum, amount: 999, description, metadata: json!({}) }
}

/// Registers all versions under one subject, in order; their ids.
fn registered(registry: &Registry, subject: &str, versions: &[Version]) -> Vec<u32> {
    let register = |version: &Version| registry.register(subject, &version.schema).unwrap();
    let ids: Vec<u32> = versions.iter().map(register).collect();
    let numbers: Vec<usize> = (1..=versions.len()).collect();
    assert_eq!(asked(registry, &format!("/subjects/{subject}/versions")), json!(numbers));
    ids
}

/// Newest first, so that each is read while others are known already. Rows tell most of it; that optional fields are
/// the same, and those that are missing have our defaults, a JSON twin tells: its payload is the same, or it is not.
#[test]
fn every_version_of_a_subject_is_read_as_it_was_written() {
    let registry = shared_registry();
    let world = World::new(plan(registry));
    let versions = [
        Version::golden("tx-1", "an older writer without the optional fields", false),
        Version::golden("tx-2", "full", true),
        Version::golden("tx-3", "fields that we don't know", true),
        Version::golden("tx-4", "alias", true),
        without_description(),
        renamed(),
    ];
    let subject = format!("{}-value", world.topic("transactions"));
    let ids = registered(registry, &subject, &versions);
    let processor = world.start("one");
    let frames = ids.iter().zip(&versions).map(|(id, version)| framed(*id, &version.datum));
    let frames: Vec<Vec<u8>> = frames.rev().collect();
    world.publish_records(0, &frames.iter().map(|frame| Written::of(frame)).collect::<Vec<_>>());
    world.wait_done();
    let rows = world.sql(
        "SELECT transaction_id, fate, account_id, amount, currency, created_at FROM transactions \
         ORDER BY transaction_id",
    );
    let expected: Vec<String> = versions.iter().map(Version::row).collect();
    assert_eq!(rows.lines().collect::<Vec<_>>(), expected);

    let twins: Vec<String> = versions.iter().map(|version| version.twin().to_string()).collect();
    world.publish_values(0, &twins);
    // What our defaults stand for is compared, too: nothing is not the same as an empty text.
    let mut other = versions[0].twin();
    other["description"] = json!("");
    world.publish_values(0, &[other.to_string()]);
    world.wait_done();
    let told = |id: &str| -> Vec<String> {
        let told = world.events_of(id).into_iter();
        told.map(|event| format!("{} {}", event.fate, event.code)).collect()
    };
    for version in &versions[1..] {
        assert_eq!(told(version.id), ["archived ", "duplicate same_payload"], "{}", version.id);
    }
    assert_eq!(told("tx-1"), ["archived ", "duplicate same_payload", "duplicate other_payload"]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// We have no default for an amount: whoever leaves it out, or calls it what we don't know, is told so.
#[test]
fn a_version_without_what_must_be_there_is_no_transaction() {
    let registry = shared_registry();
    let world = World::new(plan(registry));
    let (schema, datum) = vector("full");
    let mut without: Value = serde_json::from_str(&schema).unwrap();
    let fields = without["fields"].as_array_mut().unwrap();
    let amount = fields.iter_mut().find(|field| field["name"] == "amount").unwrap();
    *amount = json!({ "name": "cents", "type": "long", "default": 1 });
    let subject = format!("{}-value", world.topic("transactions"));
    let bad = framed(registry.register(&subject, &without.to_string()).unwrap(), &datum);
    let good = framed(registry.register(&subject, &schema).unwrap(), &datum);
    let processor = world.start("one");
    world.publish_records(0, &[Written::of(&bad), Written::of(&good)]);
    world.wait_done();
    let told = world.events();
    let of: Vec<(&str, &str)> = told.iter().map(|it| (&*it.fate, &*it.code)).collect();
    assert_eq!(of, [("rejected", "unknown_schema"), ("archived", "")]);
    let why = told[0].read.header("tollbridge-message");
    assert!(why.contains("it has no field amount, nor one with that alias"), "{why}");
    assert_eq!(world.charged("tx-1"), 1);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
