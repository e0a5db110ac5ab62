//! What an answer means for the transaction. One pure function over an answer that has been read; it remembers
//! nothing and decides nothing about what to do next, which is the pipeline's.
//!
//! The default arm is [`Verdict::Unknown`]: only a readable record that echoes the transaction, its amount and its
//! currency can approve or decline, and only an answer that the profile names can say that nothing was taken.

use std::fmt::Display;
use std::time::Duration;

use super::answer::{Answer, Decision, Echo, Means, Reading, Record, Response};
use super::id::TransactionId;
use super::money::{Amount, Currency};
use super::transaction::Transaction;

/// What the request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    Charge {
        /// Surely no request for this transaction has ever left before, by whichever process.
        first: bool,
    },
    Lookup,
}

impl Asked {
    #[must_use]
    pub fn kind(self) -> RequestKind {
        match self {
            Self::Charge { .. } => RequestKind::Charge,
            Self::Lookup => RequestKind::Lookup,
        }
    }
}

/// What the answer has to echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    pub id: &'a TransactionId,
    pub amount: Amount,
    pub currency: Currency,
}

impl<'a> From<&'a Transaction> for Expected<'a> {
    fn from(tx: &'a Transaction) -> Self {
        Self { id: &tx.id, amount: tx.amount, currency: tx.currency }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    Charge,
    Lookup,
}

/// What one answer tells about the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Approved {
        gateway_id: String,
    },
    /// Not charged, and to be believed: on a provably first attempt, on a marked replay, or after a lookup.
    Declined {
        code: String,
        gateway_id: Option<String>,
    },
    /// Approved by an answer that does not repeat all of the request: ask what became of the id.
    Unconfirmed {
        why: String,
    },
    /// A decline that repeats less than all of the request, or that may only be about this repeat while an earlier
    /// attempt charged: ask what became of the id.
    NeedsLookup {
        code: String,
    },
    /// A decline whose code means that the transaction may have been charged before: ask what became of the id.
    DuplicateCode {
        code: String,
    },
    /// It may have been charged.
    Unknown {
        why: String,
        retry_after: Option<Duration>,
        /// Nothing came, or what a server says in trouble: the gateway itself has said nothing.
        is_outage: bool,
    },
    /// The request certainly did not reach the gateway.
    NotSent {
        why: String,
    },
    /// The request reached the gateway, and the gateway has surely not taken it. Says nothing of earlier ones.
    NotTaken {
        why: String,
        retry_after: Option<Duration>,
    },
    /// The gateway is still at it: ask again later.
    StillRunning {
        retry_after: Option<Duration>,
    },
    /// Another amount or currency, or a key that stands for another body. Never a decline.
    Mismatch {
        why: String,
    },
    /// A lookup found nothing.
    NeverSeen,
}

impl Display for Verdict {
    /// As it stands in a sentence: `approved as ch_1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Approved { gateway_id } => write!(f, "approved as {gateway_id}"),
            Self::Declined { code, .. } => write!(f, "declined, {code}"),
            Self::Unconfirmed { why } => write!(f, "approved, to be confirmed: {why}"),
            Self::NeedsLookup { code } => write!(f, "declined, to be confirmed: {code}"),
            Self::DuplicateCode { code } => write!(f, "perhaps a duplicate: {code}"),
            Self::Unknown { why, .. } => write!(f, "unknown: {why}"),
            Self::NotSent { why } => write!(f, "not sent: {why}"),
            Self::NotTaken { why, .. } => write!(f, "not taken: {why}"),
            Self::StillRunning { .. } => f.write_str("still running"),
            Self::Mismatch { why } => write!(f, "a mismatch: {why}"),
            Self::NeverSeen => f.write_str("never seen"),
        }
    }
}

/// Says what `answer` means; `read` turns a response into what it says.
pub fn classify<'a>(
    asked: Asked,
    expected: &Expected<'_>,
    answer: &'a Answer,
    read: impl FnOnce(&'a Response) -> Reading<'a>,
) -> Verdict {
    match answer {
        Answer::NotSent(why) => Verdict::NotSent { why: why.clone() },
        Answer::Lost(why) => {
            Verdict::Unknown { why: why.clone(), retry_after: None, is_outage: true }
        }
        Answer::Response(response) => match read(response) {
            Reading::Record(record) => of_record(asked, expected, response, record),
            Reading::Error { code, means } => of_error(response, &code, means),
            Reading::Unreadable(why) => unknown(response, &why),
        },
    }
}

fn of_record(
    asked: Asked,
    expected: &Expected<'_>,
    response: &Response,
    record: Record<'_>,
) -> Verdict {
    let untold = match untold(expected, &record) {
        Ok(untold) => untold,
        Err(Odd::Silent(what)) => return unknown(response, what),
        Err(Odd::Other(why)) => return Verdict::Mismatch { why },
    };
    let retry_after = response.retry_after;
    match (record.decision, untold, asked) {
        (Decision::Running, ..) => Verdict::StillRunning { retry_after },
        // There is nothing that could be asked to confirm a lookup.
        (_, Some(what), Asked::Lookup) => unknown(response, what),
        (Decision::Approved, untold, _) => match (record.gateway_id, untold) {
            (None, _) => unknown(response, "approved, without the gateway's id"),
            (Some(gateway_id), None) => Verdict::Approved { gateway_id },
            (Some(_), Some(what)) => Verdict::Unconfirmed { why: status_and(response, what) },
        },
        (Decision::Duplicate { code }, _, Asked::Charge { .. }) => Verdict::DuplicateCode { code },
        (Decision::Declined { code }, Some(_), Asked::Charge { .. }) => {
            Verdict::NeedsLookup { code }
        }
        (Decision::Declined { code } | Decision::Duplicate { code }, ..) => {
            of_decline(asked, response.replayed, code, record.gateway_id)
        }
    }
}

/// Why a record can't be used.
enum Odd {
    /// It says nothing of this transaction.
    Silent(&'static str),
    /// It says something else of it.
    Other(String),
}

/// Holds what the record repeats against the request. Names what such an answer does not repeat.
fn untold(expected: &Expected<'_>, record: &Record<'_>) -> Result<Option<&'static str>, Odd> {
    const ID: &str = "without the transaction's id";
    const AMOUNT: &str = "without the amount";
    const CURRENCY: &str = "without the currency";
    let mut untold = None;
    match &record.transaction_id {
        Echo::Told(id) if id == expected.id.as_str() => {}
        Echo::Told(_) => return Err(Odd::Silent("about another transaction")),
        Echo::Missing => return Err(Odd::Silent(ID)),
        Echo::Untold => untold = Some(ID),
    }
    match record.amount {
        Echo::Told(amount) if amount == expected.amount.minor_units() => {}
        Echo::Told(amount) => {
            return Err(Odd::Other(other("amount", amount, expected.amount.minor_units())));
        }
        Echo::Missing => return Err(Odd::Silent(AMOUNT)),
        Echo::Untold => untold = untold.or(Some(AMOUNT)),
    }
    match &record.currency {
        Echo::Told(currency) if currency == expected.currency.as_str() => {}
        Echo::Told(currency) => {
            return Err(Odd::Other(other("currency", brief(currency), expected.currency)));
        }
        Echo::Missing => return Err(Odd::Silent(CURRENCY)),
        Echo::Untold => untold = untold.or(Some(CURRENCY)),
    }
    Ok(untold)
}

fn of_decline(asked: Asked, replayed: bool, code: String, gateway_id: Option<String>) -> Verdict {
    let is_believed = match asked {
        // The gateway's record of this very id: nothing can be asked that knows better.
        Asked::Lookup => true,
        Asked::Charge { first } => first || replayed,
    };
    match is_believed {
        true => Verdict::Declined { code, gateway_id },
        false => Verdict::NeedsLookup { code },
    }
}

fn of_error(response: &Response, code: &str, means: Option<Means>) -> Verdict {
    let retry_after = response.retry_after;
    match means {
        Some(Means::NotTaken) => {
            Verdict::NotTaken { why: status_and(response, &error(code)), retry_after }
        }
        Some(Means::StillRunning) => Verdict::StillRunning { retry_after },
        Some(Means::KeyReused) => {
            Verdict::Mismatch { why: "the gateway knows the key with another body".into() }
        }
        Some(Means::NeverSeen) => Verdict::NeverSeen,
        None => unknown(response, &error(code)),
    }
}

fn unknown(response: &Response, what: &str) -> Verdict {
    Verdict::Unknown {
        why: status_and(response, what),
        retry_after: response.retry_after,
        is_outage: is_trouble(response.status),
    }
}

/// Statuses that say something of the way there, of who asks, or of the server's own trouble.
#[must_use]
pub fn is_trouble(status: u16) -> bool {
    matches!(status, 401 | 403 | 407 | 408 | 421 | 425 | 429 | 500..)
}

fn other(field: &str, found: impl Display, expected: impl Display) -> String {
    format!("the gateway names {field} {found}, not {expected}")
}

fn status_and(response: &Response, what: &str) -> String {
    format!("status {}, {what}", response.status)
}

fn error(code: &str) -> String {
    format!("error {}", brief(code))
}

/// A text from outside, fit for a log: at most 64 printable ASCII characters.
fn brief(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(64).collect()
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
