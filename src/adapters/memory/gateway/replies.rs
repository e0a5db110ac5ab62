//! What the gateway answers in the generic profile, and what a broken one may answer instead.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use super::book::Entry;
use crate::domain::answer::Response;

/// 200 with the record of a decision.
#[must_use]
pub fn record(entry: &Entry) -> Response {
    record_as(entry, entry.transaction_id.as_str(), entry.amount.minor_units())
}

/// The record, naming another transaction: a connection out of step.
#[must_use]
pub fn wrong_id(entry: &Entry) -> Response {
    record_as(entry, "someone-elses", entry.amount.minor_units())
}

/// The record, naming one minor unit more.
#[must_use]
pub fn wrong_amount(entry: &Entry) -> Response {
    record_as(entry, entry.transaction_id.as_str(), entry.amount.minor_units() + 1)
}

/// Says that it is declined with `code`, whatever was decided.
#[must_use]
pub fn declined(entry: &Entry, code: &str) -> Response {
    record(&Entry { declined: Some(code.into()), ..entry.clone() })
}

/// 200 with a decline, made before even the key was looked at: what a gateway says that checks a limit first.
#[must_use]
pub fn declined_ahead(body: &[u8], code: &str) -> Response {
    let Ok(serde_json::Value::Object(mut record)) = serde_json::from_slice(body) else {
        return error(400, "invalid_request");
    };
    record.retain(|key, _| ["transaction_id", "amount", "currency"].contains(&key.as_str()));
    for (key, value) in [("id", "ch_ahead"), ("status", "declined"), ("code", code)] {
        record.insert(key.to_owned(), value.into());
    }
    response(200, serde_json::Value::Object(record).to_string().into())
}

/// 200 with something that is no JSON.
#[must_use]
pub fn garbage() -> Response {
    response(200, Bytes::from_static(b"{\"id\":\"ch_\x00\xff<<<"))
}

/// 403 with a page for people, as firewalls send it.
#[must_use]
pub fn html() -> Response {
    response(403, Bytes::from_static(b"<!doctype html><title>403</title><h1>Forbidden</h1>\n"))
}

/// An error object.
#[must_use]
pub fn error(status: u16, code: &str) -> Response {
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"{code}\"}}}}");
    response(status, body.into())
}

/// 429 `rate_limited`.
#[must_use]
pub fn throttled(retry_after: Duration) -> Response {
    Response { retry_after: Some(retry_after), ..error(429, "rate_limited") }
}

/// Ids and codes need no escapes: both are checked where they come in.
fn record_as(entry: &Entry, id: &str, amount: i64) -> Response {
    let mut body = String::with_capacity(192);
    let (number, currency) = (entry.number, entry.currency);
    let status = if entry.declined.is_none() { "approved" } else { "declined" };
    let mut written = write!(
        body,
        "{{\"id\":\"ch_{number:012}\",\"transaction_id\":\"{id}\",\"status\":\"{status}\",\
         \"amount\":{amount},\"currency\":\"{currency}\""
    );
    if let Some(code) = &entry.declined {
        written = written.and_then(|()| write!(body, ",\"code\":\"{code}\""));
    }
    debug_assert!(written.is_ok(), "writing to a string");
    body.push('}');
    response(200, body.into())
}

fn response(status: u16, body: Bytes) -> Response {
    Response { status, replayed: false, retry_after: None, body }
}
