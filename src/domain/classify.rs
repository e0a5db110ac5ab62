//! What an answer means for the transaction. One pure function over an answer that has been read; it remembers
//! nothing and decides nothing about what to do next, which is the pipeline's.
//!
//! The default arm is [`Verdict::Unknown`]: only a readable record that echoes the transaction, its amount and its
//! currency can approve or decline, and only an answer that the profile names can say that nothing was taken.

use std::time::Duration;

use super::answer::{Answer, Decision, Reading, Record, Response};
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

/// The part of a gateway's profile that says what its answers mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Statuses under which a record counts.
    pub record_statuses: Vec<u16>,
    /// Errors that say something; every other one leaves it unknown.
    pub errors: Vec<ErrorRule>,
    /// Codes of a decline that may point at an earlier charge of the same transaction.
    pub duplicate_codes: Vec<String>,
}

/// One error that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRule {
    pub to: RequestKind,
    pub status: u16,
    pub code: String,
    pub means: Means,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    Charge,
    Lookup,
}

/// What an error says.
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
    /// A decline that may only be about this repeat while an earlier attempt charged: ask what became of the id.
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

/// Says what `answer` means; `read` turns a response's body into what it says.
pub fn classify(
    rules: &Rules,
    asked: Asked,
    expected: &Expected<'_>,
    answer: &Answer,
    read: impl FnOnce(&[u8]) -> Reading<'_>,
) -> Verdict {
    match answer {
        Answer::NotSent(why) => Verdict::NotSent { why: why.clone() },
        Answer::Lost(why) => Verdict::Unknown { why: why.clone(), retry_after: None },
        Answer::Response(response) => match read(&response.body) {
            Reading::Record(record) if rules.record_statuses.contains(&response.status) => {
                of_record(rules, asked, expected, response, record)
            }
            Reading::Record(_) => unknown(response, "with a record that does not belong there"),
            Reading::Error(code) => of_error(rules, asked, response, &code),
            Reading::Unreadable(why) => unknown(response, &why),
        },
    }
}

fn of_record(
    rules: &Rules,
    asked: Asked,
    expected: &Expected<'_>,
    response: &Response,
    record: Record<'_>,
) -> Verdict {
    match &record.transaction_id {
        Some(id) if id == expected.id.as_str() => {}
        Some(_) => return unknown(response, "about another transaction"),
        None => return unknown(response, "without the transaction's id"),
    }
    match record.amount {
        Some(amount) if amount == expected.amount.minor_units() => {}
        Some(amount) => return mismatch("amount", amount, expected.amount.minor_units()),
        None => return unknown(response, "without the amount"),
    }
    match &record.currency {
        Some(currency) if currency == expected.currency.as_str() => {}
        Some(currency) => return mismatch("currency", brief(currency), expected.currency),
        None => return unknown(response, "without the currency"),
    }
    match (record.decision, record.gateway_id) {
        (Decision::Approved, Some(gateway_id)) => Verdict::Approved { gateway_id },
        (Decision::Approved, None) => unknown(response, "approved, without the gateway's id"),
        (Decision::Declined { code }, id) => of_decline(rules, asked, response.replayed, code, id),
        (Decision::Running, _) => Verdict::StillRunning { retry_after: response.retry_after },
    }
}

fn of_decline(
    rules: &Rules,
    asked: Asked,
    replayed: bool,
    code: String,
    gateway_id: Option<String>,
) -> Verdict {
    let duplicate = rules.duplicate_codes.contains(&code);
    match asked {
        // The gateway's record of this very id: nothing can be asked that knows better.
        Asked::Lookup => Verdict::Declined { code, gateway_id },
        Asked::Charge { .. } if duplicate => Verdict::DuplicateCode { code },
        Asked::Charge { first } if first || replayed => Verdict::Declined { code, gateway_id },
        Asked::Charge { .. } => Verdict::NeedsLookup { code },
    }
}

fn of_error(rules: &Rules, asked: Asked, response: &Response, code: &str) -> Verdict {
    let kind = match asked {
        Asked::Charge { .. } => RequestKind::Charge,
        Asked::Lookup => RequestKind::Lookup,
    };
    let rule = rules
        .errors
        .iter()
        .find(|rule| rule.to == kind && rule.status == response.status && rule.code == code);
    let retry_after = response.retry_after;
    match rule.map(|rule| rule.means) {
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
    Verdict::Unknown { why: status_and(response, what), retry_after: response.retry_after }
}

fn mismatch(
    field: &str,
    found: impl std::fmt::Display,
    expected: impl std::fmt::Display,
) -> Verdict {
    Verdict::Mismatch { why: format!("the gateway names {field} {found}, not {expected}") }
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
