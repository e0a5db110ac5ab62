//! Events on the dead letter topic: key, value and headers of the source record byte for byte, and behind them our
//! own headers, of which `tollbridge-fate` is the first. What they tell is also told in the headers that Kafka
//! Connect and Spring Kafka write, for the tools that read those. No header holds anything of the payload.
//!
//! A record that the topic can't hold is cut: the value first, then the key, then the source's headers from the last
//! one on. Each part that was cut has its whole length and SHA-256 in `tollbridge-cut-<part>-length` and
//! `tollbridge-cut-<part>-sha256`. For headers the length is that of all names and values, and the hash goes over
//! each name and each value, as a little-endian `u32` length (`0xFFFFFFFF` for a null) and the bytes.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::events::{About, Event, EventCodec, Sheet, header, is_traceparent, trace_headers};
use crate::domain::hex::hex;
use crate::domain::id::{Place, TransactionId};
use crate::domain::outcome::{EventId, Fate, Outcome};
use crate::domain::record::{Header, Record};
use crate::domain::time::Wall;

/// What our own headers take at most, with room to spare; a topic for dead letters must hold at least this.
pub const BYTES_MIN: usize = 8 * 1024;
/// The most characters of a text that others chose, in a header.
const TEXT_CHARS_MAX: usize = 200;
/// What Kafka adds to a batch of one record: the batch's header, and length, attributes, time, offset and the three
/// lengths of the record, each at its longest.
const RECORD_OVERHEAD_BYTES: usize = 61 + 5 + 1 + 10 + 5 + 3 * 5;
/// The two lengths of a header, each at its longest.
const HEADER_OVERHEAD_BYTES: usize = 2 * 5;
/// The two headers about a part that is cut, at their longest.
const CUT_HEADERS_BYTES: usize = 2 * (HEADER_OVERHEAD_BYTES + 32) + 20 + 64;

/// A source record whose fate is not for `tx-archived` or `tx-declined`.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    pub place: &'a Place,
    pub record: &'a Record,
    /// `None` where it could not be read.
    pub transaction_id: Option<&'a TransactionId>,
    pub event_id: EventId,
    /// When its fate was known.
    pub at: Wall,
    pub reason: Reason<'a>,
}

/// Why.
#[derive(Debug, Clone, Copy)]
pub enum Reason<'a> {
    /// `code` and `message` of the rejection.
    Rejected { code: &'a str, message: &'a str },
    /// The same id stands at another place, maybe with another payload.
    Duplicate { of: &'a Place, other_payload: bool },
    /// It may have been charged; the outcome is its row.
    InDoubt(&'a Outcome),
}

impl Reason<'_> {
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Self::Rejected { .. } => Fate::Rejected,
            Self::Duplicate { .. } => Fate::Duplicate,
            Self::InDoubt(_) => Fate::InDoubt,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Rejected { code, .. } => code,
            Self::Duplicate { other_payload: false, .. } => "same_payload",
            Self::Duplicate { other_payload: true, .. } => "other_payload",
            Self::InDoubt(outcome) => outcome.code.as_deref().unwrap_or("unknown"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Rejected { message, .. } => (*message).to_owned(),
            Self::Duplicate { of, other_payload } => {
                let payload = if *other_payload { "another" } else { "the same" };
                format!("the same transaction id stands at {of}, with {payload} payload")
            }
            Self::InDoubt(outcome) => format!(
                "transaction {} may have been charged; look it up at the gateway, then run tollbridge resolve",
                outcome.transaction_id
            ),
        }
    }

    /// As a class of exceptions, for readers that expect one.
    fn class(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "dev.tollbridge.Rejected",
            Self::Duplicate { .. } => "dev.tollbridge.Duplicate",
            Self::InDoubt(_) => "dev.tollbridge.InDoubt",
        }
    }

    /// Where in Kafka Connect's terms it happened.
    fn stage(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "VALUE_CONVERTER",
            Self::Duplicate { .. } | Self::InDoubt(_) => "TASK_PUT",
        }
    }
}

/// The event; [`record_bytes`] of it is at most `bytes_max`, or [`BYTES_MIN`] where that is less.
pub(super) fn event(codec: &EventCodec, letter: &DeadLetter<'_>, bytes_max: usize) -> Event {
    let source = letter.record;
    let own = own_headers(codec, letter);
    let mut headers = source.headers.clone();
    headers.extend(own.iter().cloned());
    let whole = Event { key: source.key.clone(), value: source.value.clone(), headers };
    if record_bytes(&whole) <= bytes_max.max(BYTES_MIN) {
        return whole;
    }
    cut(source, own, bytes_max.max(BYTES_MIN))
}

/// How many bytes Kafka counts for this event in a batch of its own; never less than that, compression aside.
#[must_use]
pub fn record_bytes(event: &Event) -> usize {
    RECORD_OVERHEAD_BYTES
        + length(event.key.as_ref())
        + length(event.value.as_ref())
        + headers_bytes(&event.headers)
}

fn headers_bytes(headers: &[Header]) -> usize {
    headers.iter().map(header_bytes).sum()
}

fn header_bytes(header: &Header) -> usize {
    HEADER_OVERHEAD_BYTES + header.name.len() + length(header.value.as_ref())
}

fn length(bytes: Option<&Bytes>) -> usize {
    bytes.map_or(0, Bytes::len)
}

/// What does not fit goes, in the order value, key, headers; what was cut is named.
fn cut(source: &Record, mut own: Vec<Header>, bytes_max: usize) -> Event {
    let taken = RECORD_OVERHEAD_BYTES + headers_bytes(&own) + 3 * CUT_HEADERS_BYTES;
    let mut room = bytes_max.saturating_sub(taken);
    let mut headers = Vec::with_capacity(source.headers.len() + own.len());
    for header in &source.headers {
        let Some(left) = room.checked_sub(header_bytes(header)) else { break };
        room = left;
        headers.push(header.clone());
    }
    let mut keep = |part: &Option<Bytes>| {
        let kept = part.as_ref().map(|bytes| bytes.slice(..room.min(bytes.len())));
        room -= length(kept.as_ref());
        kept
    };
    let (key, value) = (keep(&source.key), keep(&source.value));
    if value != source.value {
        own.extend(cut_headers("value", length(source.value.as_ref()), sha256(&source.value)));
    }
    if key != source.key {
        own.extend(cut_headers("key", length(source.key.as_ref()), sha256(&source.key)));
    }
    if headers.len() < source.headers.len() {
        let part = |header: &Header| header.name.len() + length(header.value.as_ref());
        let bytes = source.headers.iter().map(part).sum();
        own.extend(cut_headers("headers", bytes, headers_sha256(&source.headers)));
    }
    headers.append(&mut own);
    Event { key, value, headers }
}

fn cut_headers(part: &str, bytes: usize, sha256: String) -> [Header; 2] {
    [
        header(format!("tollbridge-cut-{part}-length"), bytes.to_string()),
        header(format!("tollbridge-cut-{part}-sha256"), sha256),
    ]
}

fn sha256(bytes: &Option<Bytes>) -> String {
    hex(&Sha256::digest(bytes.as_deref().unwrap_or_default()))
}

fn headers_sha256(headers: &[Header]) -> String {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut hash = Sha256::new();
    for header in headers {
        hash.update(size(header.name.as_bytes()));
        hash.update(header.name.as_bytes());
        match &header.value {
            Some(value) => {
                hash.update(size(value));
                hash.update(value);
            }
            None => hash.update(u32::MAX.to_le_bytes()),
        }
    }
    hex(&hash.finalize())
}

fn own_headers(codec: &EventCodec, letter: &DeadLetter<'_>) -> Vec<Header> {
    let reason = &letter.reason;
    let event_id = letter.event_id.to_hex();
    let message = shortened(&reason.message());
    let mut headers = vec![
        header("tollbridge-fate", reason.fate().as_str()),
        header("tollbridge-code", shortened(reason.code())),
        header("tollbridge-message", message.clone()),
        header("tollbridge-event-id", event_id.to_string()),
    ];
    if let Some(at) = letter.record.timestamp_ms {
        headers.push(header("tollbridge-source-timestamp", at.to_string()));
    }
    headers.extend(reason_headers(letter));
    headers.extend(connect_headers(codec, letter, &message));
    headers.extend(spring_headers(codec, letter, &message));
    let about = About {
        id: &event_id,
        kind: ["transaction.", reason.fate().as_str()],
        at: letter.at,
        subject: letter.transaction_id.map(TransactionId::as_str),
    };
    let mut sheet = Sheet::new();
    codec.cloud_headers(&mut headers, &mut sheet, &about);
    // The source's own trace context stands there already.
    let source = &letter.record.headers;
    let traced = source.iter().rfind(|header| header.name.eq_ignore_ascii_case("traceparent"));
    if !traced.and_then(|h| h.value.as_ref()).is_some_and(|value| is_traceparent(value)) {
        trace_headers(&mut headers, &mut sheet, &[], letter.event_id.0);
    }
    headers
}

fn reason_headers(letter: &DeadLetter<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    if let Some(id) = letter.transaction_id {
        headers.push(header("tollbridge-transaction-id", id.as_str().to_owned()));
    }
    match letter.reason {
        Reason::Rejected { .. } => {}
        Reason::Duplicate { of, .. } => {
            headers.push(header("tollbridge-duplicate-of", of.to_string()));
        }
        Reason::InDoubt(outcome) => {
            headers.push(header("tollbridge-attempts", outcome.attempts.to_string()));
            headers
                .push(header("tollbridge-payload-hash", outcome.payload_hash.to_hex().to_string()));
            let gateway_id = outcome.gateway_id.as_deref().map(shortened);
            headers.extend(gateway_id.map(|id| header("tollbridge-gateway-id", id)));
        }
    }
    headers
}

/// Numbers are decimal text, as Kafka Connect's error reporter writes them.
fn connect_headers(codec: &EventCodec, letter: &DeadLetter<'_>, message: &str) -> Vec<Header> {
    let Place { topic, partition, offset } = letter.place;
    let class = letter.reason.class();
    [
        ("topic", topic.to_string()),
        ("partition", partition.to_string()),
        ("offset", offset.to_string()),
        ("connector.name", codec.group().to_owned()),
        ("task.id", "0".to_owned()),
        ("stage", letter.reason.stage().to_owned()),
        ("class.name", "dev.tollbridge.Tollbridge".to_owned()),
        ("exception.class.name", class.to_owned()),
        ("exception.message", message.to_owned()),
    ]
    .map(|(name, value)| header(format!("__connect.errors.{name}"), value))
    .into()
}

/// Numbers are big-endian, as Spring Kafka's recoverer writes them. The kind of timestamp is left out: a consumer's
/// record does not tell it.
fn spring_headers(codec: &EventCodec, letter: &DeadLetter<'_>, message: &str) -> Vec<Header> {
    let Place { topic, partition, offset } = letter.place;
    let bytes = |number: &[u8]| Bytes::copy_from_slice(number);
    let mut values = vec![
        ("original-topic", Bytes::from(topic.to_string())),
        ("original-partition", bytes(&partition.0.to_be_bytes())),
        ("original-offset", bytes(&offset.0.to_be_bytes())),
    ];
    if let Some(at) = letter.record.timestamp_ms {
        values.push(("original-timestamp", bytes(&at.to_be_bytes())));
    }
    values.extend([
        ("original-consumer-group", Bytes::from(codec.group().to_owned())),
        ("exception-fqcn", Bytes::from_static(letter.reason.class().as_bytes())),
        ("exception-message", Bytes::from(message.to_owned())),
    ]);
    let named = |(name, value): (&str, Bytes)| header(format!("kafka_dlt-{name}"), value);
    values.into_iter().map(named).collect()
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

mod read;
pub use read::{BadLetter, Letter, read};

#[cfg(test)]
mod tests;
