//! How a gateway is spoken to, apart from the socket: what a request's body is, where it goes, and how an answer
//! reads. A gateway is described by a [`Profile`], which is data; it holds no connection and decides nothing.

mod body;
mod json;
mod profile;
mod read;

pub use body::{RECIPE, charge_body};
pub use profile::{BodyKind, Endpoints, Fields, Pointer, Profile};

use crate::domain::answer::Answer;
use crate::domain::classify::{Asked, Expected, Verdict, classify};
use crate::domain::transaction::Transaction;

impl Profile {
    /// The body of every charge request for `tx`: the same bytes on every attempt.
    #[must_use]
    pub fn charge_body(&self, tx: &Transaction) -> bytes::Bytes {
        match self.body {
            BodyKind::GenericJson => charge_body(tx),
        }
    }

    /// Reads `answer` and says what it means.
    #[must_use]
    pub fn verdict(&self, asked: Asked, expected: &Expected<'_>, answer: &Answer) -> Verdict {
        classify(&self.rules, asked, expected, answer, |body| self.read(body))
    }
}

#[cfg(test)]
#[path = "gateway/verdict_tests.rs"]
mod verdict_tests;
