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
    /// The gateway's record of a charge, or as much of one as a refusal carries.
    Record(Record<'a>),
    /// No record, but a code, and what the profile takes it to mean; `None` where it names no such answer.
    Error { code: String, means: Option<Means> },
    /// Neither; the text says why and quotes nothing of the body.
    Unreadable(String),
}

/// A charge as the gateway tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    pub gateway_id: Option<String>,
    pub decision: Decision,
    pub transaction_id: Echo<Cow<'a, str>>,
    /// Minor units, whatever number stood there.
    pub amount: Echo<i64>,
    /// In upper case.
    pub currency: Echo<Cow<'a, str>>,
}

/// What an answer repeats of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo<T> {
    Told(T),
    /// The gateway repeats it in such an answer, and this one lacks it.
    Missing,
    /// The gateway does not repeat it in such an answer.
    Untold,
}

/// What the gateway decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Approved,
    Declined {
        code: String,
    },
    /// Declined with a code that may point at an earlier charge of the same transaction.
    Duplicate {
        code: String,
    },
    /// Not decided yet.
    Running,
}

/// What an answer without a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Means {
    /// The gateway has surely not taken this request.
    NotTaken,
    /// An earlier request with the key is still being worked on.
    StillRunning,
    /// The key stands for another body.
    KeyReused,
    /// The gateway has no record of the transaction.
    NeverSeen,
}
