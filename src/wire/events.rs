//! Events as Kafka takes them: key, value and headers. One codec for all topics, so that they carry the same
//! CloudEvents headers (binary mode) and W3C trace context. Which topic an event goes to is not decided here.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use super::datum::AvroType;
use super::{alert, dead_letter, outcome};
use crate::domain::alert::Alert;
use crate::domain::hex::Digits;
use crate::domain::id::TransactionId;
use crate::domain::outcome::{EventId, Outcome};
use crate::domain::record::{Header, Record};
use crate::domain::time::Wall;

pub use super::dead_letter::{BYTES_MIN as DEAD_LETTER_BYTES_MIN, DeadLetter, Reason};

/// The header of an event that ends an `in_doubt`: the id of the event that reported it, in hexadecimal digits.
pub const RESOLVES: &str = "tollbridge-resolves";

/// How the values of outcomes and alerts are written. Dead letters keep the bytes of their source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsFormat {
    Json,
    /// Avro alone, written with the published schema.
    Avro,
    /// Avro in Confluent frame, with the ids that a registry gave to the two schemas.
    AvroConfluent {
        outcome: u32,
        alert: u32,
    },
}

/// An event without its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// Writes events.
#[derive(Debug, Clone)]
pub struct EventCodec {
    format: EventsFormat,
    group: String,
    /// `/tollbridge/` and the group.
    source: Bytes,
}

/// The bytes of an event's headers, roughly.
const HEADERS_BYTES: usize = 256;

/// One allocation for the bytes of all headers: each value is written behind the one before, and cut off.
#[derive(Debug)]
pub(super) struct Sheet(BytesMut);

impl Sheet {
    pub(super) fn new() -> Self {
        Self(BytesMut::with_capacity(HEADERS_BYTES))
    }

    fn text(&mut self, parts: &[&str]) -> Bytes {
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
        self.0.split().freeze()
    }
}

/// What CloudEvents wants to know of an event.
pub(super) struct About<'a> {
    pub id: &'a str,
    /// Behind `dev.tollbridge.`, in two halves.
    pub kind: [&'a str; 2],
    pub at: Wall,
    pub subject: Option<&'a str>,
}

impl EventCodec {
    /// `group` is the consumer group: the events' source. Of a longer name the first 200 characters are told.
    #[must_use]
    pub fn new(format: EventsFormat, group: &str) -> Self {
        let group = dead_letter::shortened(group);
        let source = format!("/tollbridge/{group}").into();
        Self { format, group, source }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// The event of an archived or declined transaction. `source` is its record.
    #[must_use]
    pub fn outcome(&self, outcome: &Outcome, source: Option<&Record>) -> Event {
        self.outcome_event(outcome, source, None)
    }

    /// The event that ends an `in_doubt`; `resolves` is the id of the event that reported it. The outcome's own id is
    /// [`EventId::of_resolution`].
    #[must_use]
    pub fn resolution(
        &self,
        outcome: &Outcome,
        resolves: EventId,
        source: Option<&Record>,
    ) -> Event {
        self.outcome_event(outcome, source, Some(resolves))
    }

    fn outcome_event(
        &self,
        outcome: &Outcome,
        source: Option<&Record>,
        resolves: Option<EventId>,
    ) -> Event {
        let id = outcome.event_id.to_hex();
        let at = outcome.stored_at.unwrap_or(outcome.fate_at());
        let kind = ["transaction.", outcome.fate.as_str()];
        let subject = Some(outcome.transaction_id.as_str());
        let value = outcome::encode(outcome, &id, self.avro_type(|ids| ids.0));
        let mut sheet = Sheet::new();
        let mut headers = Vec::with_capacity(OUTCOME_HEADERS_MAX);
        headers.push(self.content_type());
        self.cloud_headers(&mut headers, &mut sheet, &About { id: &id, kind, at, subject });
        let context = source.map_or(&[][..], |source| &source.headers);
        trace_headers(&mut headers, &mut sheet, context, outcome.event_id.0);
        if let Some(resolves) = resolves {
            headers.push(header(RESOLVES, resolves.to_hex().to_string()));
        }
        Event { key: Some(key(source, &outcome.transaction_id)), value: Some(value), headers }
    }

    /// The event of a transaction that was rejected, is a duplicate or in doubt. `bytes_max` is what the topic holds
    /// in one record; below [`dead_letter::BYTES_MIN`] it counts as that.
    #[must_use]
    pub fn dead_letter(&self, letter: &DeadLetter<'_>, bytes_max: usize) -> Event {
        dead_letter::event(self, letter, bytes_max)
    }

    /// The event of an alert; keyed by its rule, so that raising and clearing keep their order.
    #[must_use]
    pub fn alert(&self, alert: &Alert) -> Event {
        let kind = ["alert.", alert.state.as_str()];
        // The raising and the clearing are two events.
        let id = format!("{}:{}", alert.alert_id, alert.state.as_str());
        let mut seed = [0; 16];
        seed.copy_from_slice(&Sha256::digest(&id)[..16]);
        let about = About { id: &id, kind, at: alert.at, subject: Some(&alert.rule) };
        let mut sheet = Sheet::new();
        let mut headers = vec![self.content_type()];
        self.cloud_headers(&mut headers, &mut sheet, &about);
        trace_headers(&mut headers, &mut sheet, &[], seed);
        Event {
            key: Some(Bytes::copy_from_slice(alert.rule.as_bytes())),
            value: Some(alert::encode(alert, self.avro_type(|ids| ids.1))),
            headers,
        }
    }

    fn content_type(&self) -> Header {
        let media_type = match self.format {
            EventsFormat::Json => "application/json",
            EventsFormat::Avro | EventsFormat::AvroConfluent { .. } => "application/avro",
        };
        header("content-type", media_type)
    }

    /// `None`: JSON.
    fn avro_type(&self, which: impl Fn((u32, u32)) -> u32) -> Option<AvroType> {
        match self.format {
            EventsFormat::Json => None,
            EventsFormat::Avro => Some(AvroType::Plain),
            EventsFormat::AvroConfluent { outcome, alert } => {
                Some(AvroType::Framed(which((outcome, alert))))
            }
        }
    }

    pub(super) fn cloud_headers(
        &self,
        headers: &mut Vec<Header>,
        sheet: &mut Sheet,
        about: &About<'_>,
    ) {
        let [family, member] = about.kind;
        headers.extend([
            header("ce_specversion", "1.0"),
            header("ce_type", sheet.text(&["dev.tollbridge.", family, member])),
            header("ce_source", self.source.clone()),
            header("ce_id", sheet.text(&[about.id])),
            header("ce_time", sheet.text(&[&rfc3339(about.at)])),
        ]);
        headers.extend(about.subject.map(|subject| header("ce_subject", sheet.text(&[subject]))));
    }
}

/// Of an outcome: the content type, six of CloudEvents, two of the trace, one of a resolution.
const OUTCOME_HEADERS_MAX: usize = 10;

pub(super) fn header(name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Header {
    Header { name: name.into(), value: Some(value.into()) }
}

fn key(source: Option<&Record>, id: &TransactionId) -> Bytes {
    source
        .and_then(|source| source.key.clone())
        .unwrap_or_else(|| Bytes::copy_from_slice(id.as_str().as_bytes()))
}

/// The source's trace context where it has a valid one, else a new trace that follows from `seed`: the same event
/// has the same trace, whoever writes it.
pub(super) fn trace_headers(
    headers: &mut Vec<Header>,
    sheet: &mut Sheet,
    source: &[Header],
    seed: [u8; 16],
) {
    let value =
        |name: &str| source.iter().rfind(|h| h.name.eq_ignore_ascii_case(name))?.value.as_ref();
    let Some(parent) = value("traceparent").filter(|parent| is_traceparent(parent)) else {
        let trace = Digits::<32>::of(&nonzero(seed));
        let span = Digits::<16>::of(&nonzero(first_half(seed)));
        headers.push(header("traceparent", sheet.text(&["00-", &trace, "-", &span, "-00"])));
        return;
    };
    headers.push(header("traceparent", parent.clone()));
    headers.extend(value("tracestate").map(|state| header("tracestate", state.clone())));
}

/// All zeros mean no trace at all.
fn nonzero<const N: usize>(id: [u8; N]) -> [u8; N] {
    if id == [0; N] { [0x11; N] } else { id }
}

fn first_half(id: [u8; 16]) -> [u8; 8] {
    let mut half = [0; 8];
    half.copy_from_slice(&id[..8]);
    half
}

/// `00-<32 digits>-<16 digits>-<2 digits>`, lower case, ids not zero; a later version may have more behind a dash.
pub(super) fn is_traceparent(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let digits = |part: &str, count: usize| {
        part.len() == count && part.bytes().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|d| d == b'0');
    let [version, trace, span, flags, later @ ..] = &parts[..] else { return false };
    digits(version, 2)
        && *version != "ff"
        && digits(trace, 32)
        && !is_zero(trace)
        && digits(span, 16)
        && !is_zero(span)
        && digits(flags, 2)
        && (later.is_empty() || *version != "00")
}

/// `2023-11-14T22:13:20.000000Z`; what lies outside the calendar becomes 1970.
fn rfc3339(at: Wall) -> String {
    let time = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests;
