//! One value of ours in Avro or JSON, written and read by its serde fields. For the events that we define; the
//! transactions that others write are read in `transaction`.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use bytes::{BufMut, Bytes};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a datum stands in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AvroType {
    Plain,
    /// Behind a byte 00 and this schema id.
    Framed(u32),
}

/// Writes and reads with a schema that is compiled in.
pub(super) struct Codec {
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

impl Codec {
    /// # Panics
    /// Where it is no schema; a test parses each.
    pub(super) fn of(schema: &str) -> Self {
        let made = || {
            // There are two of them, and they are used until the process ends.
            let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(schema)?));
            let writer = GenericDatumWriter::builder(schema).build()?;
            Ok(Self { writer, reader: GenericDatumReader::builder(schema).build()? })
        };
        match made() {
            Ok(codec) => codec,
            Err::<_, apache_avro::Error>(why) => panic!("a built-in schema is no schema: {why}"),
        }
    }

    /// As JSON where `avro` is `None`. `bytes` is about how many it will be.
    ///
    /// # Panics
    /// Where schema and fields don't fit each other; both are compiled in, and tests write all of them.
    pub(super) fn write(
        &self,
        fields: &impl Serialize,
        avro: Option<AvroType>,
        bytes: usize,
    ) -> Bytes {
        let mut out = Vec::with_capacity(bytes);
        let written = match avro {
            None => serde_json::to_writer(&mut out, fields).map_err(|why| why.to_string()),
            Some(avro) => {
                if let AvroType::Framed(id) = avro {
                    out.put_u8(0);
                    out.put_u32(id);
                }
                self.writer.write_ser(&mut out, fields).map(drop).map_err(|why| why.to_string())
            }
        };
        match written {
            Ok(()) => out.into(),
            Err(why) => panic!("a built-in schema does not fit: {why}"),
        }
    }

    /// Reads JSON, framed Avro or plain Avro, told by the first byte: `{`, 00 or neither. A plain datum of ours begins
    /// with the length of a text that is not empty: not 00, and never `{`, which as a length would be below zero.
    pub(super) fn decode<T: DeserializeOwned>(&self, value: &[u8]) -> Result<T, String> {
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
        let fields = self.reader.read_deser(&mut datum);
        let fields = fields.map_err(|_| "the Avro does not fit its schema".to_owned())?;
        match datum.len() {
            0 => Ok(fields),
            left => Err(format!("{left} bytes are left over")),
        }
    }
}
