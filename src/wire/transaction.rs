//! Records of the source topic, read as transactions: which format a record has, and whether it keeps every rule.
//! A record that breaks one is rejected with a code and a message; the message never holds a payload or a payment
//! method. Registries are not asked here: whoever does, tells what they say with [`Decoder::learn`].

mod avro;
mod encode;
mod fields;
mod framing;
mod json;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

pub use self::avro::BadSchema;
pub use self::encode::{confluent_frame, encode_avro, encode_json};

use self::avro::WriterSchema;
use self::framing::Framing;
use crate::domain::record::Record;
use crate::domain::schema::{Registered, SchemaRef};
use crate::domain::transaction::Transaction;

/// The schema of `transactions`, as it is registered and published.
pub const TRANSACTION_AVSC: &str = include_str!("../../schemas/avro/transaction.avsc");

/// It, parsed: what is parsed stays until the process ends, and a simulation makes many decoders.
static PUBLISHED: LazyLock<Result<Arc<WriterSchema>, BadSchema>> =
    LazyLock::new(|| WriterSchema::parse(TRANSACTION_AVSC, &[]).map(Arc::new));

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
    /// Where a record names no schema, or names one and there is no registry.
    schema: Arc<WriterSchema>,
    /// What a registry has told, and why a record can't be read with it; `None` where there is no registry.
    registered: Option<BTreeMap<SchemaRef, Result<WriterSchema, String>>>,
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
        let schema = match writer_schema {
            Some(schema) => Arc::new(WriterSchema::parse(schema, &[])?),
            None => PUBLISHED.clone()?,
        };
        Ok(Self { format, max_bytes, schema, registered: None })
    }

    /// There is a registry: a record that names a schema is read with what it holds under that name, and with nothing
    /// else.
    #[must_use]
    pub fn with_registry(mut self) -> Self {
        self.registered = Some(BTreeMap::new());
        self
    }

    /// Takes what the registry says of a name; a schema that is known stays.
    ///
    /// # Errors
    /// Why records that name it can't be read: all of them are rejected from now on.
    pub fn learn(&mut self, name: SchemaRef, said: &Registered) -> Result<(), String> {
        let registered = self.registered.get_or_insert_default();
        if let Some(Ok(_)) = registered.get(&name) {
            return Ok(());
        }
        let learnt = match said {
            Registered::Avro { schema, references } => WriterSchema::parse(schema, references)
                .map_err(|why| format!("its schema is none of transactions: {why}")),
            Registered::Other(kind) => Err(format!("its schema is {kind}, and not Avro")),
            Registered::Nothing => Err("the registry does not know it".to_owned()),
        };
        let why = learnt.as_ref().err().cloned();
        registered.insert(name, learnt);
        why.map_or(Ok(()), Err)
    }

    /// The schema that this record names, where there is a registry that has to be asked for it before
    /// [`Self::decode`]: that it is down is no fault of the record.
    #[must_use]
    pub fn unknown_schema(&self, record: &Record) -> Option<SchemaRef> {
        let registered = self.registered.as_ref()?;
        named_schema(self.format, record).filter(|name| !registered.contains_key(name))
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
        let (Some(name), Some(registered)) = (name, &self.registered) else {
            return Ok(&self.schema);
        };
        let why = match registered.get(&name) {
            Some(Ok(schema)) => return Ok(schema),
            Some(Err(why)) => why,
            None => "nobody has asked the registry for it",
        };
        let message = format!("the record was written with schema {name}: {why}");
        Err(Rejection::new(code::UNKNOWN_SCHEMA, message))
    }
}

/// The schema that a record names, where it names one in a way that can be read.
#[must_use]
pub fn named_schema(format: Format, record: &Record) -> Option<SchemaRef> {
    let value = record.value.as_ref()?;
    match framing::of(format, &record.headers, value) {
        Ok(Framing::Avro { schema, .. }) => schema,
        _ => None,
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
