//! The gateway in memory, speaking the generic profile: what the simulation charges against. It keeps keys for a
//! while, replays what it decided, and can be told to misbehave, one request at a time.
//!
//! Not a port by itself: a step takes effect at once and its answer is returned, so that whoever drives it can lose
//! the answer, delay it, or let the request arrive late. No clock and no chance in it.

pub mod book;
pub mod replies;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use self::book::{Begun, Book, Entry, Ticket};
use crate::domain::answer::Response;
use crate::domain::id::TransactionId;
use crate::domain::time::Wall;
use crate::ports::gateway::Charge;

/// How the gateway treats one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Whim {
    /// As it promises to.
    #[default]
    Honest,
    /// Declines, if this request is the one that is decided.
    Decline { code: &'static str },
    /// Declines and does not remember it: the next request is decided anew.
    DeclineUnkept { code: &'static str },
    /// Takes the request, and decides only when told to ([`MemoryGateway::complete`]).
    Late,
    /// Answers with this status and has not taken the request.
    RefuseUntaken { status: u16 },
    /// Has not taken the request, says so, and asks to wait.
    Throttle { retry_after: Duration },
    /// Takes the request, and answers with this status all the same.
    ErrorAfter { status: u16 },
    /// Takes the request, and says that it is declined as a duplicate.
    DuplicateCode,
    /// Takes the request; the answer names another transaction.
    WrongId,
    /// Takes the request; the answer names another amount.
    WrongAmount,
    /// Takes the request; the answer can't be read.
    Garbage,
    /// Has not taken the request; answers with a page for people.
    Html,
    /// Breaks its promise: has forgotten the key, and decides anew.
    ForgetKey,
}

/// What a request led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    Answered(Response),
    /// To be completed later, whether anyone still waits for the answer or not.
    Late(Ticket),
}

/// A request, as the gateway saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub at: Wall,
    pub id: TransactionId,
    pub body_sha256: [u8; 32],
    /// Counted from 1 for each key.
    pub attempt: u32,
}

#[derive(Debug)]
pub struct MemoryGateway {
    book: Book,
    key_ttl: Duration,
    ledger: Vec<Entry>,
    seen: Vec<Seen>,
}

impl MemoryGateway {
    #[must_use]
    pub fn new(key_ttl: Duration) -> Self {
        Self { book: Book::default(), key_ttl, ledger: Vec::new(), seen: Vec::new() }
    }

    /// A charge request arrives.
    pub fn apply(&mut self, now: Wall, charge: &Charge, whim: &Whim) -> Applied {
        let key = charge.id.as_str();
        let attempt = self.book.count(key);
        let body_sha256 = Sha256::digest(&charge.body).into();
        self.seen.push(Seen { at: now, id: charge.id.clone(), body_sha256, attempt });
        match whim {
            Whim::RefuseUntaken { status } => {
                return Applied::Answered(replies::error(*status, "internal"));
            }
            Whim::Throttle { retry_after } => {
                return Applied::Answered(replies::throttled(*retry_after));
            }
            Whim::Html => return Applied::Answered(replies::html()),
            Whim::ForgetKey => self.book.forget(key),
            _ => {}
        }
        match self.book.begin(now, key, &charge.body, self.key_ttl) {
            // What is not decided here (a replay, a refusal) is told truly, unless no answer is readable.
            Begun::Answered(_) if *whim == Whim::Garbage => Applied::Answered(replies::garbage()),
            Begun::Answered(response) => match whim {
                Whim::ErrorAfter { status } => {
                    Applied::Answered(replies::error(*status, "internal"))
                }
                _ => Applied::Answered(response),
            },
            Begun::Started(ticket) if *whim == Whim::Late => Applied::Late(ticket),
            Begun::Started(ticket) => Applied::Answered(self.finish(now, ticket, whim)),
        }
    }

    /// Decides a request that was taken late.
    pub fn complete(&mut self, now: Wall, ticket: Ticket) -> Response {
        self.finish(now, ticket, &Whim::Honest)
    }

    /// A lookup arrives.
    #[must_use]
    pub fn lookup(&self, id: &TransactionId) -> Response {
        self.lookup_as_of(id, Wall(i64::MAX))
    }

    /// A lookup that shows what was decided by then: of a gateway whose lookups lag behind.
    #[must_use]
    pub fn lookup_as_of(&self, id: &TransactionId, as_of: Wall) -> Response {
        self.book.lookup(id.as_str(), as_of)
    }

    /// Every decision, in order; the truth about charges.
    #[must_use]
    pub fn ledger(&self) -> &[Entry] {
        &self.ledger
    }

    /// Every charge request, in order.
    #[must_use]
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    fn finish(&mut self, now: Wall, ticket: Ticket, whim: &Whim) -> Response {
        let declined: Option<Arc<str>> = match whim {
            Whim::Decline { code } | Whim::DeclineUnkept { code } => Some((*code).into()),
            _ => ticket.declines.then(|| book::DECLINED_CODE.into()),
        };
        let mut entry = self.book.decide(now, ticket, declined);
        entry.kept = !matches!(whim, Whim::DeclineUnkept { .. });
        self.ledger.push(entry.clone());
        let truth = self.book.enter(entry.clone());
        match whim {
            Whim::ErrorAfter { status } => replies::error(*status, "internal"),
            Whim::DuplicateCode => replies::declined(&entry, "duplicate_transaction"),
            Whim::WrongId => replies::wrong_id(&entry),
            Whim::WrongAmount => replies::wrong_amount(&entry),
            Whim::Garbage => replies::garbage(),
            _ => truth,
        }
    }
}

#[cfg(test)]
#[path = "gateway/tests.rs"]
mod tests;
