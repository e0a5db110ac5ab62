//! What came back from the gateway: first as bytes with a status, then as what the body says. Nothing here tells
//! what it means for the transaction; that is `classify`.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The request certainly did not reach the gateway: refused, no route, no TLS, no connection in time.
    NotSent(String),
    /// A whole response.
    Response(Response),
    /// It may have reached the gateway, and there is no whole response: deadline, cut, body over its cap.
    Lost(String),
}

/// A whole response, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// `Idempotent-Replayed: true` or what the profile names.
    pub replayed: bool,
    /// `Retry-After`, where it was given in seconds or can be told from the response's own `Date`.
    pub retry_after: Option<Duration>,
    /// At most the configured cap.
    pub body: Bytes,
}

/// What a body says, read by a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<'a> {
    /// A charge object.
    Record(Record<'a>),
    /// An error object, with its code.
    Error(String),
    /// Neither; the text says why and quotes nothing of the body.
    Unreadable(String),
}

/// A charge as the gateway tells it. What it does not echo is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    pub gateway_id: Option<String>,
    pub decision: Decision,
    pub transaction_id: Option<Cow<'a, str>>,
    /// Minor units, whatever number stood there.
    pub amount: Option<i64>,
    /// In upper case.
    pub currency: Option<Cow<'a, str>>,
}

/// What the gateway decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Approved,
    Declined {
        code: String,
    },
    /// Not decided yet.
    Running,
}
