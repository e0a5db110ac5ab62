//! The payment gateway, as raw answers. What an answer means is decided by `wire::gateway` and
//! `domain::classify`, never here.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::id::TransactionId;

/// One request for a charge. The body is the same bytes on every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The idempotency key.
    pub id: TransactionId,
    pub body: Bytes,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The request certainly did not reach the gateway: refused, no route, no TLS, no connection in time.
    NotSent(String),
    /// A whole response.
    Response(Response),
    /// It may have reached the gateway, and there is no whole response: deadline, cut, body over its cap.
    Lost(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// `Idempotent-Replayed: true` or what the profile names.
    pub replayed: bool,
    /// `Retry-After`, where it was given in seconds.
    pub retry_after: Option<Duration>,
    /// At most the configured cap.
    pub body: Bytes,
}

/// One request a call; no resend, no redirect.
pub trait Gateway {
    fn charge(&self, charge: &Charge) -> impl Future<Output = Answer> + Send;
    /// Asks what became of an id, without charging it.
    fn lookup(&self, id: &TransactionId) -> impl Future<Output = Answer> + Send;
}
