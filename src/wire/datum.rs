//! One value of ours in Avro or JSON, written and read by its serde fields. For the events that we define; the
//! transactions that others write are read in `transaction`.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a datum stands in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AvroType {
    Plain,
    /// Behind a byte 00 and this schema id.
    Framed(u32),
}

/// Parses a schema that is compiled in.
///
/// # Panics
/// Where it is no schema; a test parses each.
pub(super) fn schema(json: &str) -> Schema {
    match Schema::parse_str(json) {
        Ok(schema) => schema,
        Err(why) => panic!("a built-in schema is no schema: {why}"),
    }
}

/// Writes `fields` behind what `out` holds, as JSON where `avro` is `None`.
///
/// # Panics
/// Where schema and fields don't fit each other; both are compiled in, and tests write all of them.
pub(super) fn write(
    out: &mut BytesMut,
    fields: &impl Serialize,
    schema: &Schema,
    avro: Option<AvroType>,
) {
    let written = match avro {
        None => serde_json::to_writer(out.writer(), fields).map_err(|why| why.to_string()),
        Some(avro) => {
            if let AvroType::Framed(id) = avro {
                out.put_u8(0);
                out.put_u32(id);
            }
            let writer = GenericDatumWriter::builder(schema).build();
            let written = writer.and_then(|writer| writer.write_ser(&mut out.writer(), fields));
            written.map(|_| ()).map_err(|why| why.to_string())
        }
    };
    if let Err(why) = written {
        panic!("a built-in schema does not fit: {why}");
    }
}

/// Reads JSON, framed Avro or plain Avro, told by the first byte: `{`, 00 or neither. A plain datum of ours begins
/// with the length of a text that is not empty: not 00, and never `{`, which as a length would be below zero.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8], schema: &Schema) -> Result<T, String> {
    let mut datum = match value {
        [b'{', ..] => {
            return serde_json::from_slice(value).map_err(|why| {
                format!("the JSON goes wrong at line {}, column {}", why.line(), why.column())
            });
        }
        [0, _, _, _, _, datum @ ..] => datum,
        plain => plain,
    };
    // The library's messages quote the whole schema.
    let fields = GenericDatumReader::builder(schema)
        .build()
        .and_then(|reader| reader.read_deser(&mut datum))
        .map_err(|_| "the Avro does not fit its schema".to_owned())?;
    if datum.is_empty() { Ok(fields) } else { Err(format!("{} bytes are left over", datum.len())) }
}
