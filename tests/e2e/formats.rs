//! The other ways to run: Avro in and out, the newer group protocol.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::sight::wait;
use crate::topics::{Written, transaction};
use crate::world::{Plan, World};

fn schema(file: &str) -> Schema {
    let path = format!("{}/schemas/avro/{file}", env!("CARGO_MANIFEST_DIR"));
    Schema::parse_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn avro(id: &str) -> Vec<u8> {
    let text = |text: &str| Value::String(text.to_owned());
    let fields = [
        ("transaction_id", text(id)),
        ("account_id", text("acc-1")),
        ("amount", Value::Long(1250)),
        ("currency", text("EUR")),
        ("payment_method", text("pm_card")),
        ("created_at", Value::TimestampMicros(1_700_000_000_000_000)),
        ("description", Value::Union(1, Box::new(text("a café")))),
        ("metadata", Value::Map([("order".to_owned(), text("7"))].into())),
    ];
    let record = Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).into());
    let schema = schema("transaction.avsc");
    GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(record).unwrap()
}

fn framed(id: &str) -> Vec<u8> {
    [&[0, 0, 0, 0, 7], avro(id).as_slice()].concat()
}

/// JSON, framed Avro, and plain Avro with a header, side by side.
#[test]
fn each_record_says_what_it_is() {
    let world = World::new(Plan::default());
    let processor = world.start("one");
    let (json, framed, plain) = (transaction("json"), framed("framed"), avro("plain"));
    let content: (&str, Option<&[u8]>) = ("content-type", Some(b"avro/binary"));
    world.publish_records(
        0,
        &[
            Written::of(json.as_bytes()),
            Written::of(&framed),
            Written { headers: vec![content], ..Written::of(&plain) },
        ],
    );
    world.wait_done();
    for id in ["json", "framed", "plain"] {
        assert_eq!((world.fates(id), world.charged(id)), (vec!["archived".to_owned()], 1), "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
}

/// Avro throughout: a format that is named, and events that the published schemas read.
#[test]
fn avro_in_and_avro_out() {
    let plan = Plan::default()
        .set("transactions.format", "\"avro\"")
        .set("events.format", "\"avro\"")
        .set("alerts.temp_depth.raise", "1")
        .set("alerts.temp_depth.clear", "0")
        .set("alerts.temp_depth.for", "\"0s\"");
    let world = World::new(plan);
    let processor = world.start("one");
    world.gateway_link.hold(tollbridge_rig::Direction::ToClient);
    let values = ["tx-1", "tx-2"].map(avro);
    world.publish_records(0, &values.each_ref().map(|value| Written::of(value)));
    wait("both alerts", || {
        let alerts = world.read(&["alerts"]).len();
        if alerts == 1 {
            world.gateway_link.release(tollbridge_rig::Direction::ToClient);
        }
        alerts == 2
    });
    world.wait_done();

    let outcomes = world.read(&["archived"]);
    let ids: Vec<Value> = outcomes
        .iter()
        .map(|event| field("outcome.avsc", &event.value, "transaction_id"))
        .collect();
    assert_eq!(ids, [Value::String("tx-1".into()), Value::String("tx-2".into())]);
    let states: Vec<Value> = world
        .read(&["alerts"])
        .iter()
        .map(|alert| field("alert.avsc", &alert.value, "state"))
        .collect();
    assert_eq!(states, [Value::String("raised".into()), Value::String("cleared".into())]);
    assert_eq!(processor.terminate(), Some(0));
}

/// A field of a datum that was written with this schema.
fn field(file: &str, mut datum: &[u8], name: &str) -> Value {
    let schema = schema(file);
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let Value::Record(fields) = reader.read_value(&mut datum).unwrap() else { panic!("{file}") };
    assert!(datum.is_empty());
    fields.into_iter().find(|(field, _)| field == name).unwrap().1
}

/// `kafka.protocol = "consumer"`: two members share the work, and one hands it over.
#[test]
fn the_newer_group_protocol_works() {
    let mut plan = Plan { partitions: 2, nameless: true, ..Plan::default() }
        .quick()
        .soon_lost()
        .set("kafka.protocol", "\"consumer\"");
    plan.without = vec!["kafka.session_timeout"];
    let world = World::new(plan);
    let one = world.start_warm("one");
    let two = world.start("two");
    wait("a partition each", || one.owned().len() == 1 && two.owned().len() == 1);
    world.publish(0, &["a-0", "a-1"]);
    world.publish(1, &["b-0", "b-1"]);
    world.wait_done();
    assert_eq!(one.terminate(), Some(0));
    wait("all for the other one", || two.owned() == [0, 1]);
    world.publish(0, &["c-0"]);
    world.publish(1, &["c-1"]);
    world.wait_done();
    assert_eq!(two.terminate(), Some(0));
    world.balance();
}
