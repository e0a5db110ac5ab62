//! What can be wrong, each with a name that scripts can match and the line of the balance that it spoils.

use super::{Line, Spot};
use crate::domain::id::TransactionId;

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// The committed metadata of a partition can't be read: nothing of it can be judged.
    BadMetadata,
    NoEvent,
    TwoEvents,
    WrongEventId,
    /// The event tells another id, amount, currency or payload hash than its record.
    OtherContent,
    /// The event stands on another topic than those of its fate.
    WrongTopic,
    /// An event of a record that Kafka does not call finished.
    EventAhead,
    EventWithoutRecord,
    UnreadableEvent,
    NoRow,
    /// The row at this place says something else than record and event.
    OtherRow,
    /// The id's row stands at another place, and nothing explains it.
    RowElsewhere,
    /// A row of a finished record that was not reported as having one.
    RowWithoutEvent,
    RowWithoutRecord,
    TwoRows,
    NoCharge,
    TwoCharges,
    /// Charged with another amount or currency.
    OtherCharge,
    /// Charged, though reported as declined or not charged.
    ChargedAnyway,
    ChargeWithoutRecord,
    /// Charged under an idempotency key that is not the id.
    OtherKey,
    /// Reported as a duplicate, and the other place does not bear it out.
    BadDuplicate,
    /// Rejected, though it can be read.
    NotRejected,
    /// Not rejected, though it can't be read.
    Unreadable,
    /// The row was resolved, and no event tells of it.
    NoResolution,
    /// Resolved, though it was not reported as in doubt.
    ResolutionWithoutDoubt,
    /// The event of a resolution and the row contradict each other.
    OtherResolution,
}

impl Flaw {
    /// Every one, in the order of the documentation.
    pub const ALL: [Self; 27] = [
        Self::BadMetadata,
        Self::NoEvent,
        Self::TwoEvents,
        Self::WrongEventId,
        Self::OtherContent,
        Self::WrongTopic,
        Self::EventAhead,
        Self::EventWithoutRecord,
        Self::UnreadableEvent,
        Self::NoRow,
        Self::OtherRow,
        Self::RowElsewhere,
        Self::RowWithoutEvent,
        Self::RowWithoutRecord,
        Self::TwoRows,
        Self::NoCharge,
        Self::TwoCharges,
        Self::OtherCharge,
        Self::ChargedAnyway,
        Self::ChargeWithoutRecord,
        Self::OtherKey,
        Self::BadDuplicate,
        Self::NotRejected,
        Self::Unreadable,
        Self::NoResolution,
        Self::ResolutionWithoutDoubt,
        Self::OtherResolution,
    ];

    /// As in the output: `no-event`, `two-charges`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadMetadata => "bad-metadata",
            Self::NoEvent => "no-event",
            Self::TwoEvents => "two-events",
            Self::WrongEventId => "wrong-event-id",
            Self::OtherContent => "other-content",
            Self::WrongTopic => "wrong-topic",
            Self::EventAhead => "event-ahead",
            Self::EventWithoutRecord => "event-without-record",
            Self::UnreadableEvent => "unreadable-event",
            Self::NoRow => "no-row",
            Self::OtherRow => "other-row",
            Self::RowElsewhere => "row-elsewhere",
            Self::RowWithoutEvent => "row-without-event",
            Self::RowWithoutRecord => "row-without-record",
            Self::TwoRows => "two-rows",
            Self::NoCharge => "no-charge",
            Self::TwoCharges => "two-charges",
            Self::OtherCharge => "other-charge",
            Self::ChargedAnyway => "charged-anyway",
            Self::ChargeWithoutRecord => "charge-without-record",
            Self::OtherKey => "other-key",
            Self::BadDuplicate => "bad-duplicate",
            Self::NotRejected => "not-rejected",
            Self::Unreadable => "unreadable",
            Self::NoResolution => "no-resolution",
            Self::ResolutionWithoutDoubt => "resolution-without-doubt",
            Self::OtherResolution => "other-resolution",
        }
    }

    /// The line that it spoils, beside that of the record's fate.
    #[must_use]
    pub fn line(self) -> Line {
        match self {
            Self::BadMetadata => Line::Consumed,
            Self::NoEvent
            | Self::TwoEvents
            | Self::WrongEventId
            | Self::OtherContent
            | Self::WrongTopic
            | Self::EventAhead
            | Self::EventWithoutRecord
            | Self::UnreadableEvent => Line::Events,
            Self::NoRow
            | Self::OtherRow
            | Self::RowElsewhere
            | Self::RowWithoutEvent
            | Self::RowWithoutRecord
            | Self::TwoRows => Line::Rows,
            Self::NoCharge
            | Self::TwoCharges
            | Self::OtherCharge
            | Self::ChargedAnyway
            | Self::ChargeWithoutRecord
            | Self::OtherKey => Line::Charges,
            Self::BadDuplicate => Line::Duplicate,
            Self::NotRejected | Self::Unreadable => Line::Rejected,
            Self::NoResolution | Self::ResolutionWithoutDoubt | Self::OtherResolution => {
                Line::InDoubt
            }
        }
    }
}

/// One broken rule: where, whose, and what exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub flaw: Flaw,
    /// The line of the record's fate, which does not balance either.
    pub line: Option<Line>,
    pub spot: Option<Spot>,
    pub id: Option<TransactionId>,
    /// A half sentence for people; nothing of a payload.
    pub detail: String,
}

impl Finding {
    pub(super) fn of_id(flaw: Flaw, id: &TransactionId, detail: String) -> Self {
        Self { flaw, line: None, spot: None, id: Some(id.clone()), detail }
    }

    pub(super) fn at(flaw: Flaw, spot: Spot, detail: String) -> Self {
        Self { flaw, line: None, spot: Some(spot), id: None, detail }
    }
}
