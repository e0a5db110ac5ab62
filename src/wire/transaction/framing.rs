//! Which format a record has, and where its datum begins. Nothing is decoded here.

use super::{Format, Rejection, code};
use crate::domain::record::Header;
use crate::domain::schema::SchemaRef;

/// The header that newer serialisers write instead of the frame: a byte 0 and a 4-byte id, or a byte 1 and a GUID.
const SCHEMA_ID_HEADER: &str = "__value_schema_id";
const CONTENT_TYPE_HEADER: &str = "content-type";

/// How to read a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing<'a> {
    Json,
    Avro { schema: Option<SchemaRef>, datum: &'a [u8] },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Json,
    Avro,
}

/// How this value is framed.
pub(super) fn of<'a>(
    format: Format,
    headers: &[Header],
    value: &'a [u8],
) -> Result<Framing<'a>, Rejection> {
    match format {
        Format::Json => Ok(Framing::Json),
        Format::Avro => Ok(Framing::Avro { schema: None, datum: value }),
        Format::AvroConfluent => framed(headers, value)?.ok_or_else(|| {
            let message = "the value has no Confluent frame: it should begin with a byte 00 and a 4-byte schema id";
            Rejection::new(code::UNDECODABLE, message)
        }),
        Format::Auto => guess(headers, value),
    }
}

fn guess<'a>(headers: &[Header], value: &'a [u8]) -> Result<Framing<'a>, Rejection> {
    match content_type(headers) {
        Some(Content::Json) => return Ok(Framing::Json),
        Some(Content::Avro) => {
            let plain = Framing::Avro { schema: None, datum: value };
            return Ok(framed(headers, value)?.unwrap_or(plain));
        }
        None => {}
    }
    if let Some(framing) = framed(headers, value)? {
        return Ok(framing);
    }
    if value.trim_ascii_start().first() == Some(&b'{') {
        return Ok(Framing::Json);
    }
    let message =
        "the value is neither JSON nor framed Avro, and no content-type header says what it is";
    Err(Rejection::new(code::UNKNOWN_FORMAT, message))
}

/// The schema id from the header or the frame; `None` where there is neither.
fn framed<'a>(headers: &[Header], value: &'a [u8]) -> Result<Option<Framing<'a>>, Rejection> {
    if let Some(header) = last(headers, SCHEMA_ID_HEADER) {
        let name = match header.split_first() {
            Some((0, id)) => id.try_into().ok().map(|id| SchemaRef::Id(u32::from_be_bytes(id))),
            Some((1, guid)) => guid.try_into().ok().map(SchemaRef::Guid),
            _ => None,
        };
        let bad = || {
            let message =
                format!("the header {SCHEMA_ID_HEADER} holds neither a schema id nor a GUID");
            Rejection::new(code::UNDECODABLE, message)
        };
        return Ok(Some(Framing::Avro { schema: Some(name.ok_or_else(bad)?), datum: value }));
    }
    let Some((0, rest)) = value.split_first() else { return Ok(None) };
    let Some((id, datum)) = rest.split_first_chunk() else {
        let message = "the value ends within the schema id of its Confluent frame";
        return Err(Rejection::new(code::UNDECODABLE, message));
    };
    let schema = Some(SchemaRef::Id(u32::from_be_bytes(*id)));
    Ok(Some(Framing::Avro { schema, datum }))
}

/// `application/json`, `application/cloudevents+json; charset=utf-8`, `avro/binary`,
/// `application/vnd.apache.avro+binary` …
fn content_type(headers: &[Header]) -> Option<Content> {
    let text = std::str::from_utf8(last(headers, CONTENT_TYPE_HEADER)?).ok()?;
    let media_type = text.split(';').next()?.trim().to_ascii_lowercase();
    if media_type.contains("avro") {
        Some(Content::Avro)
    } else if media_type.ends_with("json") {
        Some(Content::Json)
    } else {
        None
    }
}

/// The last header of that name counts, as it does for Kafka's own clients.
fn last<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    let header = headers.iter().rfind(|header| header.name.eq_ignore_ascii_case(name))?;
    header.value.as_deref()
}
