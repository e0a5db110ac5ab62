//! A record of the source topic, as Kafka holds it: bytes whose meaning nobody has read yet.

use std::borrow::Cow;

use bytes::Bytes;

use super::id::Offset;

/// One record of the source topic, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
    /// Milliseconds since 1970, as the broker gives it; `None` where the record has none.
    pub timestamp_ms: Option<i64>,
}

/// A record header; names may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Borrowed where it is one of ours.
    pub name: Cow<'static, str>,
    pub value: Option<Bytes>,
}
