//! The payment gateway, as raw answers. What an answer means is decided by `wire::gateway` and
//! `domain::classify`, never here.

use bytes::Bytes;

pub use crate::domain::answer::{Answer, Response};
use crate::domain::id::TransactionId;

/// One request for a charge. The body is the same bytes on every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The idempotency key.
    pub id: TransactionId,
    pub body: Bytes,
}

/// One request a call; no resend, no redirect.
pub trait Gateway {
    fn charge(&self, charge: &Charge) -> impl Future<Output = Answer> + Send;
    /// Asks what became of an id, without charging it.
    fn lookup(&self, id: &TransactionId) -> impl Future<Output = Answer> + Send;
}
