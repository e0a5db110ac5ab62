//! `[transactions]` and `[events]`: how records are read from the source topic, and how ours are written.

use std::path::PathBuf;

use super::reader::Reader;

#[derive(Debug, Clone)]
pub struct Transactions {
    pub format: Format,
    /// The Avro schema that producers write with; unset: `schemas/avro/transaction.avsc`.
    pub schema_file: Option<PathBuf>,
    /// A record whose key, value and headers have more bytes is rejected.
    pub max_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Each record says what it is: content type, schema id, first byte.
    Auto,
    AvroConfluent,
    Avro,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    pub format: EventFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFormat {
    Json,
    /// Without a frame, written with `schemas/avro/outcome.avsc` and `alert.avsc`.
    Avro,
}

impl Transactions {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let format = r.choice(
            "transactions.format",
            Format::Auto,
            &[
                ("auto", Format::Auto),
                ("avro-confluent", Format::AvroConfluent),
                ("avro", Format::Avro),
                ("json", Format::Json),
            ],
        );
        let schema_file = r.file("transactions.schema_file");
        let max_bytes = r.size("transactions.max_bytes", "64KiB", ["256B", "1MiB"]);
        r.unsupported("schema_registry", "Remove the section.");
        Self { format, schema_file, max_bytes }
    }
}

impl Events {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let words = [("json", EventFormat::Json), ("avro", EventFormat::Avro)];
        let instead = "Choose \"json\" or \"avro\".";
        r.later("events.format", &["avro-confluent"], instead);
        Self { format: r.choice("events.format", EventFormat::Json, &words) }
    }
}
