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
    /// The same behind a frame that names the schema in the registry.
    AvroConfluent,
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
        Self { format, schema_file, max_bytes }
    }
}

impl Events {
    /// Where there is a registry, consumers of events know it, too.
    pub(super) fn read(r: &mut Reader<'_>, has_registry: bool) -> Self {
        const KEY: &str = "events.format";
        let words = [
            ("json", EventFormat::Json),
            ("avro", EventFormat::Avro),
            ("avro-confluent", EventFormat::AvroConfluent),
        ];
        let default = if has_registry { EventFormat::AvroConfluent } else { EventFormat::Json };
        let format = r.choice(KEY, default, &words);
        if format == EventFormat::AvroConfluent && !has_registry {
            let remedy = "Set schema_registry.url, or choose \"avro\" or \"json\".";
            r.refuse(KEY, "its frame needs a schema registry", remedy);
        }
        Self { format }
    }
}
