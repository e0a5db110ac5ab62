//! Records of the source topic, read as transactions: which format a record has, and whether it keeps every rule.
//! A record that breaks one is rejected with a code and a message; the message never holds a payload or a payment
//! method. Registries are not asked here: whoever does, adds what they know with [`Decoder::add_schema`].

mod avro;
mod encode;
mod fields;
mod framing;
mod json;

use std::collections::BTreeMap;
use std::fmt;

pub use self::avro::BadSchema;
pub use self::encode::{confluent_frame, encode_avro, encode_json};
pub use self::framing::SchemaRef;

use self::avro::WriterSchema;
use self::framing::Framing;
use crate::domain::record::Record;
use crate::domain::transaction::Transaction;

/// The schema of `transactions`, as it is registered and published.
pub const TRANSACTION_AVSC: &str = include_str!("../../schemas/avro/transaction.avsc");

/// What a rejected record's `code` can be.
pub mod code {
    pub const TOO_LARGE: &str = "too_large";
    pub const TOMBSTONE: &str = "tombstone";
    pub const UNKNOWN_FORMAT: &str = "unknown_format";
    pub const UNKNOWN_SCHEMA: &str = "unknown_schema";
    pub const UNDECODABLE: &str = "undecodable";
    pub const DUPLICATE_FIELD: &str = "duplicate_field";
    pub const MISSING_FIELD: &str = "missing_field";
    pub const BAD_FIELD: &str = "bad_field";
    pub const BAD_ID: &str = "bad_id";
    pub const BAD_AMOUNT: &str = "bad_amount";
    pub const UNKNOWN_CURRENCY: &str = "unknown_currency";
    pub const CARD_NUMBER: &str = "card_number";
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Told record by record: the `content-type` header for JSON or Avro, then the schema-id header, then a first
    /// byte 00 (Confluent frame), then `{` (JSON).
    #[default]
    Auto,
    /// Avro behind a byte 00 and a 4-byte schema id, or with the schema id in a header.
    AvroConfluent,
    /// Avro alone.
    Avro,
    Json,
}

/// Why a record is no transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// One of [`code`].
    pub code: &'static str,
    /// Names the field and what is wrong with it, for people.
    pub message: String,
}

impl Rejection {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Reads records.
pub struct Decoder {
    format: Format,
    max_bytes: usize,
    /// Where a record names no schema, or names one and no registry is known.
    schema: WriterSchema,
    registered: BTreeMap<SchemaRef, WriterSchema>,
}

impl Decoder {
    /// `writer_schema` is the Avro schema that producers write with; without one it is [`TRANSACTION_AVSC`].
    /// `max_bytes` bounds a record's key, value and headers together.
    ///
    /// # Errors
    /// Where the schema can't be parsed, or what it describes can't be read as a transaction.
    pub fn new(
        format: Format,
        writer_schema: Option<&str>,
        max_bytes: usize,
    ) -> Result<Self, BadSchema> {
        avro::limit_allocations(max_bytes);
        let schema = WriterSchema::parse(writer_schema.unwrap_or(TRANSACTION_AVSC))?;
        Ok(Self { format, max_bytes, schema, registered: BTreeMap::new() })
    }

    /// Adds what a registry holds under an id. From then on a record with an unknown id is no longer read with the
    /// one schema given to [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn add_schema(&mut self, name: SchemaRef, schema: &str) -> Result<(), BadSchema> {
        self.registered.insert(name, WriterSchema::parse(schema)?);
        Ok(())
    }

    /// The schema that this record names and that [`Self::add_schema`] was not given. With a registry, ask it and
    /// add the schema before [`Self::decode`]: that the registry is down is no fault of the record.
    #[must_use]
    pub fn unknown_schema(&self, record: &Record) -> Option<SchemaRef> {
        let value = record.value.as_ref()?;
        match framing::of(self.format, &record.headers, value) {
            Ok(Framing::Avro { schema: Some(name), .. }) => {
                (!self.registered.contains_key(&name)).then_some(name)
            }
            _ => None,
        }
    }

    /// Reads a record and checks every rule.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn decode(&self, record: &Record) -> Result<Transaction, Rejection> {
        let bytes = size(record);
        if bytes > self.max_bytes {
            let message =
                format!("the record has {bytes} bytes, at most {} are allowed", self.max_bytes);
            return Err(Rejection::new(code::TOO_LARGE, message));
        }
        let Some(value) = &record.value else {
            return Err(Rejection::new(code::TOMBSTONE, "the record has no value"));
        };
        let draft = match framing::of(self.format, &record.headers, value)? {
            Framing::Json => json::read(value)?,
            Framing::Avro { schema, datum } => self.writer_schema(schema)?.read(datum)?,
        };
        draft.finish()
    }

    fn writer_schema(&self, name: Option<SchemaRef>) -> Result<&WriterSchema, Rejection> {
        match name {
            Some(name) if !self.registered.is_empty() => {
                self.registered.get(&name).ok_or_else(|| {
                    let message =
                        format!("the record was written with schema {name}, which is not known");
                    Rejection::new(code::UNKNOWN_SCHEMA, message)
                })
            }
            _ => Ok(&self.schema),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Bytes of key, value and headers.
fn size(record: &Record) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers = record.headers.iter().map(|header| header.name.len() + length(&header.value));
    length(&record.key) + length(&record.value) + headers.sum::<usize>()
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
