//! The balance: source records, events, rows and charges joined place by place, and every rule that they must keep.
//! It trusts no counter: what is reported, stored and charged is looked at one by one. Reading all that is not its
//! business, and neither is how findings are shown.
//!
//! What is finished is told by one reading of the committed offsets; the rest waits. So that nothing that happens
//! meanwhile looks like a fault, the order is: offsets, charges, rows, source records, events, and a second look at
//! the offsets for events that are ahead of the first, and at the rows of what was resolved.

mod books;
mod finding;
mod judge;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use books::{Books, NO_ID, Row, Seen, Whereabouts};
pub use finding::{Finding, Flaw};
use report::Findings;
pub use report::{Line, Report, Sum};
use sha2::{Digest, Sha256};

use super::id::{Offset, Partition, TransactionId};
use super::money::Currency;
use super::offsets::Told;
use super::outcome::{EventId, Fate, Outcome};

/// A place on the source topic, which is one for all of a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub partition: Partition,
    pub offset: Offset,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

/// Minor units as someone wrote them down, and their currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    pub minor_units: i64,
    pub currency: Currency,
}

/// What an outcome tells beyond its id, its place and its fate: row and event must tell it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Particulars {
    pub money: Money,
    /// The event id that follows from the place and the payload hash that are told.
    pub hashed: EventId,
    pub prints: Prints,
}

/// Fingerprints of fields that are compared and not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prints {
    pub gateway_id: u32,
    /// Of the account, the code, the attempts and the times.
    pub rest: u32,
}

impl From<&Outcome> for Particulars {
    fn from(outcome: &Outcome) -> Self {
        Self {
            money: Money { minor_units: outcome.amount.minor_units(), currency: outcome.currency },
            hashed: EventId::of(&outcome.source, &outcome.payload_hash),
            prints: Prints::of(outcome),
        }
    }
}

impl Prints {
    fn of(outcome: &Outcome) -> Self {
        let print = |text: &str| {
            let digest = Sha256::digest(text);
            u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
        };
        let Outcome { account_id, code, attempts, created_at, .. } = outcome;
        let times = (created_at, outcome.admitted_at, outcome.decided_at, outcome.stored_at);
        Self {
            gateway_id: print(&format!("{:?}", outcome.gateway_id)),
            rest: print(&format!("{:?}", (account_id, code, attempts, times))),
        }
    }
}

/// What is known of a partition before anything is read from it.
#[derive(Debug, Clone)]
pub struct Horizon {
    /// The first offset that is looked at: where the group began, or where the log begins now.
    pub start: Offset,
    /// `None` where the committed metadata can't be read: nothing of the partition can be judged.
    pub told: Option<Told>,
}

/// A record of the source topic.
#[derive(Debug, Clone)]
pub struct Source {
    pub spot: Spot,
    /// The id that its event must have.
    pub event_id: EventId,
    /// `None` where it can't be read as a transaction.
    pub content: Option<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub id: TransactionId,
    pub money: Money,
}

/// A terminal event; resolutions are apart.
#[derive(Debug, Clone)]
pub struct Event {
    pub spot: Spot,
    pub event_id: EventId,
    pub fate: Fate,
    /// `None` where the event tells none: a rejected record.
    pub id: Option<TransactionId>,
    /// `None` for dead letters.
    pub particulars: Option<Particulars>,
    pub duplicate_of: Other,
    /// Rejected for what held then, such as its age, and not for what it is.
    pub is_of_its_time: bool,
    /// It stands on another topic than events of its fate do.
    pub is_misplaced: bool,
}

/// What the event of a duplicate names as the place that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Other {
    /// Nothing that can be read; so it is for all that is no duplicate.
    #[default]
    Nothing,
    Spot(Spot),
    /// A place on another topic, which this balance does not see.
    OtherTopic,
}

/// An event that ends an `in_doubt`.
#[derive(Debug, Clone, Copy)]
pub struct Resolving {
    pub spot: Spot,
    /// Its own event id is the one that it must have.
    pub is_named_right: bool,
    /// The id of the event that told of the doubt.
    pub resolves: EventId,
    pub charged: bool,
    pub particulars: Particulars,
}

impl Resolving {
    /// From the event, and the id that it names as the one it resolves.
    #[must_use]
    pub fn new(event: &Outcome, resolves: EventId) -> Self {
        let name = EventId::of_resolution(&event.source, &event.payload_hash);
        Self {
            spot: Spot { partition: event.source.partition, offset: event.source.offset },
            is_named_right: event.event_id == name,
            resolves,
            charged: event.fate == Fate::Archived,
            particulars: event.into(),
        }
    }
}

/// A line of the gateway's ledger.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The idempotency key, where the ledger has it.
    pub key: Option<String>,
    pub id: TransactionId,
    pub money: Money,
    /// Else it was declined.
    pub charged: bool,
}

/// Collects what was read, then judges it.
#[derive(Debug)]
pub struct Balance {
    books: Books,
    findings: Findings,
}

impl Balance {
    /// `findings_max` findings are kept in full, all are counted. Without a ledger nothing is said of charges.
    #[must_use]
    pub fn new(
        horizons: BTreeMap<Partition, Horizon>,
        has_ledger: bool,
        findings_max: usize,
    ) -> Self {
        Self { books: Books::new(horizons, has_ledger), findings: Findings::new(findings_max) }
    }

    /// Something that can't be read, so that nothing can be joined to it.
    pub fn unreadable(&mut self, flaw: Flaw, detail: String) {
        self.findings.add(Finding { flaw, line: None, spot: None, id: None, detail }, None);
    }

    pub fn charge(&mut self, charge: &Charge) {
        if !charge.charged {
            self.findings.report.declines += 1;
            return;
        }
        self.findings.report.add(Line::Charges, Some(charge.money));
        if let Some(key) = charge.key.as_deref().filter(|key| *key != charge.id.as_str()) {
            let detail = format!("charged under the key {key:?}, which is not its id");
            let finding = Finding::of_id(Flaw::OtherKey, &charge.id, detail);
            self.findings.add(finding, Some(charge.money.currency));
        }
        let known = self.books.known_mut(&charge.id);
        known.charge.get_or_insert(charge.money);
        known.charges = known.charges.saturating_add(1);
    }

    pub fn row(&mut self, row: &Outcome) {
        let read = Row::from(row);
        self.findings.report.add(Line::Rows, Some(read.particulars.money));
        let known = self.books.known_mut(&row.transaction_id);
        known.rows = known.rows.saturating_add(1);
        known.row.get_or_insert(read);
    }

    /// The row of an id whose resolution was read after its row: it may have been resolved in between.
    pub fn row_again(&mut self, row: &Outcome) {
        self.books.known_mut(&row.transaction_id).row = Some(Row::from(row));
    }

    /// Records come in offset order within a partition; what lies before the horizon is passed over.
    pub fn source(&mut self, source: Source) {
        let Source { spot, event_id, content } = source;
        let Some(log) = self.books.logs.get(&spot.partition) else { return };
        if spot.offset < log.horizon.start {
            return;
        }
        let told = log.horizon.told.as_ref();
        let is_finished = told.is_some_and(|told| told.is_finished(spot.offset));
        let (known, money) = match content {
            None => (NO_ID, None),
            Some(Content { id, money }) => {
                let number = self.books.number(&id);
                let known = &mut self.books.known[number as usize];
                known.has_places = true;
                known.may_be_charged |= !is_finished;
                (number, Some(money))
            }
        };
        let line = if is_finished { Line::Consumed } else { Line::Waiting };
        self.findings.report.add(line, money);
        let offset = spot.offset;
        let seen = Seen { offset, event_id, known, money, fate: None, prints: None, is_finished };
        if let Some(log) = self.books.logs.get_mut(&spot.partition) {
            log.seen.push(seen);
        }
    }

    pub fn event(&mut self, event: &Event) {
        let spot = event.spot;
        match self.books.whereabouts(spot) {
            Whereabouts::Gone => self.findings.report.gone += 1,
            // Where nothing is known to be finished, nothing can be ahead.
            Whereabouts::Ahead if !self.books.is_told(spot.partition) => {}
            Whereabouts::Ahead => self.books.ahead.push(spot),
            Whereabouts::Nowhere => {
                let detail =
                    format!("reported as {}, and the topic has no such record", event.fate);
                let flaw = Flaw::EventWithoutRecord;
                let finding =
                    Finding { flaw, line: None, spot: Some(spot), id: event.id.clone(), detail };
                self.findings.add(finding, event.particulars.map(|told| told.money.currency));
            }
            Whereabouts::Finished => self.terminal(event),
        }
    }

    fn terminal(&mut self, event: &Event) {
        let Some(seen) = self.books.seen(event.spot) else { return };
        let currency = seen.money.map(|money| money.currency);
        let id = self.books.id_of(seen);
        for (flaw, detail) in judge::contradictions(seen, id, event) {
            let finding =
                Finding { flaw, line: None, spot: Some(event.spot), id: id.cloned(), detail };
            self.findings.add(finding, currency);
        }
        self.findings.report.add(Line::Events, seen.money);
        let is_first = seen.fate.is_none();
        if is_first && event.fate == Fate::Duplicate {
            self.books.duplicates.insert(event.spot, event.duplicate_of);
        }
        if is_first && event.is_of_its_time {
            self.books.of_its_time.insert(event.spot);
        }
        if let Some(seen) = self.books.seen_mut(event.spot)
            && is_first
        {
            seen.fate = Some(event.fate);
            seen.prints = event.particulars.map(|told| told.prints);
        }
    }

    /// The same resolution may be published more than once.
    pub fn resolution(&mut self, resolving: Resolving) {
        if self.books.whereabouts(resolving.spot) == Whereabouts::Gone {
            return;
        }
        self.findings.report.resolutions += 1;
        if !resolving.is_named_right {
            let detail = "the event that resolves it has another event id than it must".to_owned();
            self.findings.add(Finding::at(Flaw::WrongEventId, resolving.spot, detail), None);
        }
        let first = self.books.resolutions.entry(resolving.spot).or_insert(resolving);
        if first.charged != resolving.charged {
            let detail = "resolved both as charged and as not charged".to_owned();
            self.findings.add(Finding::at(Flaw::OtherResolution, resolving.spot, detail), None);
        }
    }

    /// The ids whose resolution was read: their rows are to be read again.
    #[must_use]
    pub fn resolved_ids(&self) -> Vec<TransactionId> {
        let seen = self.books.resolutions.keys().filter_map(|spot| self.books.seen(*spot));
        seen.filter_map(|seen| self.books.id_of(seen)).cloned().collect()
    }

    /// Whether events are ahead of the first reading of the offsets, so that a second is wanted.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        !self.books.ahead.is_empty()
    }

    /// A second reading of the offsets, made after the events: what it calls finished was finished meanwhile.
    pub fn look_again(&mut self, told: &BTreeMap<Partition, Told>) {
        let before = self.books.ahead.len();
        self.books.ahead.retain(|spot| {
            !told.get(&spot.partition).is_some_and(|told| told.is_finished(spot.offset))
        });
        self.findings.report.meanwhile += (before - self.books.ahead.len()) as u64;
    }

    /// Everything was read: holds it against each other.
    #[must_use]
    pub fn judge(mut self) -> Report {
        self.books.judge(&mut self.findings);
        self.findings.report
    }
}

impl From<&Outcome> for Row {
    fn from(row: &Outcome) -> Self {
        Self {
            spot: Spot { partition: row.source.partition, offset: row.source.offset },
            event_id: row.event_id,
            fate: row.fate,
            is_not_charged: row.is_resolved_not_charged(),
            particulars: row.into(),
        }
    }
}
