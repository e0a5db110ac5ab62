//! The books of a payment gateway: which keys it remembers and what it charged. Pure: told the time, asked one step
//! at a time, so that whoever drives it may put a crash, a delay or a disk between the steps.
//!
//! A charge takes three steps: [`Book::begin`], [`Book::decide`], [`Book::enter`]. Between the first and the last the
//! key is in use, and a second request with it is told so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::replies;
use crate::domain::answer::Response;
use crate::domain::id::TransactionId;
use crate::domain::money::{Amount, Currency};
use crate::domain::time::Wall;

/// A payment method that starts with this is always declined.
pub const DECLINED_METHOD: &str = "pm_decline";

/// The code of such a decline.
pub const DECLINED_CODE: &str = "card_declined";

/// A decision, as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts the entries; the gateway's id is made of it.
    pub number: u64,
    pub key: Arc<str>,
    pub transaction_id: TransactionId,
    pub amount: Amount,
    pub currency: Currency,
    /// `None`: charged. `Some`: declined with this code.
    pub declined: Option<Arc<str>>,
    pub at: Wall,
    /// Which request with this key it was, counted from 1.
    pub attempt: u32,
    pub body_sha256: [u8; 32],
    /// Whether the key stands for this decision from now on.
    pub kept: bool,
}

impl Entry {
    /// `ch_000000000042`
    #[must_use]
    pub fn gateway_id(&self) -> String {
        format!("ch_{:012}", self.number)
    }
}

/// A request whose decision is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    key: Arc<str>,
    transaction_id: TransactionId,
    amount: Amount,
    currency: Currency,
    attempt: u32,
    body_sha256: [u8; 32],
    /// The payment method asks to be declined.
    pub declines: bool,
}

/// What became of a request at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Answered without a new decision: a replay, a key in use, a reused key, an invalid body.
    Answered(Response),
    /// To be decided and entered, or abandoned.
    Started(Ticket),
}

#[derive(Debug, Default)]
pub struct Book {
    keys: HashMap<Arc<str>, Key>,
    /// By transaction id; a charge is never replaced by a decline.
    records: HashMap<Arc<str>, Arc<Entry>>,
    /// Declines that another decision has replaced, the latest last: a lookup that lags behind still shows them.
    overtaken: HashMap<Arc<str>, Vec<Arc<Entry>>>,
    entered: u64,
}

#[derive(Debug, Default)]
struct Key {
    requests: u32,
    state: KeyState,
}

#[derive(Debug, Default)]
enum KeyState {
    #[default]
    Free,
    Running([u8; 32]),
    Decided(Arc<Entry>),
}

/// The body of a charge request. Fields beyond these are ignored.
#[derive(Deserialize)]
struct ChargeBody<'a> {
    #[serde(borrow)]
    transaction_id: std::borrow::Cow<'a, str>,
    amount: i64,
    #[serde(borrow)]
    currency: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    payment_method: std::borrow::Cow<'a, str>,
}

impl Book {
    /// Counts a request with `key`, whatever becomes of it. Returns its number, counted from 1.
    pub fn count(&mut self, key: &str) -> u32 {
        let requests = match self.keys.get_mut(key) {
            Some(known) => &mut known.requests,
            None => &mut self.keys.entry(key.into()).or_default().requests,
        };
        *requests = requests.saturating_add(1);
        *requests
    }

    /// Looks at the key, which [`Self::count`] has counted.
    pub fn begin(&mut self, now: Wall, key: &str, body: &[u8], key_ttl: Duration) -> Begun {
        let Some(mut ticket) = read(key, body) else {
            return Begun::Answered(replies::error(400, "invalid_request"));
        };
        let known = match self.keys.get_mut(key) {
            Some(known) => known,
            None => self.keys.entry(key.into()).or_default(),
        };
        match &known.state {
            KeyState::Decided(entry) if now < entry.at + key_ttl => {
                return Begun::Answered(if entry.body_sha256 == ticket.body_sha256 {
                    Response { replayed: true, ..replies::record(entry) }
                } else {
                    replies::error(422, "key_reused")
                });
            }
            KeyState::Running(hash) => {
                return Begun::Answered(if *hash == ticket.body_sha256 {
                    replies::error(409, "in_progress")
                } else {
                    replies::error(422, "key_reused")
                });
            }
            KeyState::Decided(_) | KeyState::Free => {}
        }
        known.state = KeyState::Running(ticket.body_sha256);
        ticket.attempt = known.requests;
        Begun::Started(ticket)
    }

    /// Puts the decision in words. Nothing is charged before it is entered.
    pub fn decide(&mut self, now: Wall, ticket: Ticket, declined: Option<Arc<str>>) -> Entry {
        self.entered += 1;
        Entry {
            number: self.entered,
            key: ticket.key,
            transaction_id: ticket.transaction_id,
            amount: ticket.amount,
            currency: ticket.currency,
            declined,
            at: now,
            attempt: ticket.attempt,
            body_sha256: ticket.body_sha256,
            kept: true,
        }
    }

    /// Makes the decision count: from here on the key replays it and a lookup tells it.
    pub fn enter(&mut self, entry: Entry) -> Response {
        self.entered = self.entered.max(entry.number);
        let entry = Arc::new(entry);
        let known = match self.keys.get_mut(&entry.key) {
            Some(known) => known,
            None => self.keys.entry(Arc::clone(&entry.key)).or_default(),
        };
        known.requests = known.requests.max(entry.attempt);
        known.state =
            if entry.kept { KeyState::Decided(Arc::clone(&entry)) } else { KeyState::Free };
        let id = entry.transaction_id.as_str();
        let charged = self.records.get(id).is_some_and(|record| record.declined.is_none());
        if (!charged || entry.declined.is_none())
            && let Some(before) = self.records.insert(id.into(), Arc::clone(&entry))
        {
            self.overtaken.entry(id.into()).or_default().push(before);
        }
        replies::record(&entry)
    }

    /// Forgets a request that was begun: nothing was decided, the key is free.
    pub fn abandon(&mut self, ticket: &Ticket) {
        self.forget(&ticket.key);
    }

    /// Breaks the promise: the key stands for nothing any more. What was charged stays charged.
    pub fn forget(&mut self, key: &str) {
        if let Some(known) = self.keys.get_mut(key) {
            known.state = KeyState::Free;
        }
    }

    /// What the gateway has of a transaction: the charge, else the latest decline, else nothing. A request that is
    /// being worked on is told as such.
    #[must_use]
    pub fn lookup(&self, id: &str, as_of: Wall) -> Response {
        let earlier = self.overtaken.get(id).into_iter().flat_map(|all| all.iter().rev());
        let record = self.records.get(id).into_iter().chain(earlier).find(|r| r.at <= as_of);
        let charged = record.filter(|record| record.declined.is_none());
        let running = matches!(self.keys.get(id).map(|key| &key.state), Some(KeyState::Running(_)));
        match (charged, running, record) {
            (Some(entry), _, _) | (None, false, Some(entry)) => replies::record(entry),
            (None, true, _) => replies::error(409, "in_progress"),
            (None, false, None) => replies::error(404, "not_found"),
        }
    }
}

/// A ticket without its number; `None` where the body breaks a rule.
fn read(key: &str, body: &[u8]) -> Option<Ticket> {
    let charge: ChargeBody<'_> = serde_json::from_slice(body).ok()?;
    if key.is_empty() || charge.payment_method.is_empty() {
        return None;
    }
    Some(Ticket {
        key: key.into(),
        transaction_id: TransactionId::parse(&charge.transaction_id).ok()?,
        amount: Amount::new(charge.amount).ok()?,
        currency: Currency::parse(&charge.currency)?,
        attempt: 0,
        body_sha256: Sha256::digest(body).into(),
        declines: charge.payment_method.starts_with(DECLINED_METHOD),
    })
}
