//! How a gateway is spoken to, apart from the socket: what a request carries, where it goes, and how an answer reads. A
//! gateway is described by a [`Profile`], which is data; it holds no connection and decides nothing.

mod amount;
mod builtin;
mod describe;
mod json;
mod profile;
mod read;
mod template;
mod write;

use bytes::Bytes;

pub use builtin::{BUILT_IN, RECIPE};
pub use describe::Flaw;
pub use profile::{Auth, Endpoints, Profile, Replays, Request};
pub use template::{Encoding, Field, Text};
pub use write::Fill;

use crate::domain::answer::Answer;
use crate::domain::classify::{Asked, Expected, Verdict, classify};
use crate::domain::id::TransactionId;
use crate::domain::transaction::Transaction;

impl Profile {
    /// The body of every charge request for `tx`: the same bytes on every attempt.
    #[must_use]
    pub fn charge_body(&self, tx: &Transaction) -> Bytes {
        self.body.write(self.encoding, Fill::Transaction(tx))
    }

    /// Reads `answer` and says what it means.
    #[must_use]
    pub fn verdict(&self, asked: Asked, expected: &Expected<'_>, answer: &Answer) -> Verdict {
        classify(asked, expected, answer, |response| self.read(asked.kind(), expected, response))
    }
}

impl Request {
    /// The body of a lookup; empty where it has none.
    #[must_use]
    pub fn body_for(&self, id: &TransactionId) -> Bytes {
        let written =
            |(encoding, body): &(Encoding, template::Value)| body.write(*encoding, Fill::Id(id));
        self.lookup_body.as_ref().map(written).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "gateway/outcome_tests.rs"]
mod outcome_tests;
#[cfg(test)]
#[path = "gateway/verdict_tests.rs"]
mod verdict_tests;
