//! What was rebuilt, and what stands in the way. Data only.

use std::collections::BTreeMap;

use crate::domain::id::{Offset, Partition, TransactionId};
use crate::domain::outcome::Fate;
use crate::ports::store::SourceStart;

/// Findings, and rows of a dry run, that are kept in full; more are only counted.
const KEPT_MAX: usize = 100_000;

/// Of a dry run it says what would have been done.
#[derive(Debug, Default)]
pub struct Report {
    pub dry_run: bool,
    /// Events of our topic.
    pub events: u64,
    /// Ids whose row says what their events say.
    pub standing: u64,
    /// Ids whose row is newer than what was read: a processor runs.
    pub ahead: u64,
    /// Rows that were stored, by the fate that they were stored with.
    pub rows: BTreeMap<Fate, u64>,
    /// Resolutions that were written again.
    pub resolutions: u64,
    /// First offsets that were written again.
    pub starts: Vec<SourceStart>,
    /// Logs of events whose beginning is gone: what stood there can't be made again.
    pub gone: Vec<Gone>,
    /// What a dry run would store or resolve.
    pub planned: Vec<Planned>,
    pub findings: Vec<Finding>,
    /// How many there are, those that are not kept included.
    pub found: u64,
}

/// A log that begins behind its first offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    pub topic: String,
    pub partition: Partition,
    pub begins_at: Offset,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub id: TransactionId,
    /// As which its row is stored; `None` for a resolution of it.
    pub fate: Option<Fate>,
}

/// What stands in the way of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Its row says something else than its events.
    OtherRow,
    /// Its events contradict each other.
    OtherEvents,
    /// Its dead letter was cut, and its record is gone.
    NoRecord,
    /// A record on a topic of events is no event.
    UnreadableEvent,
}

impl Flaw {
    pub const ALL: [Self; 4] =
        [Self::OtherRow, Self::OtherEvents, Self::NoRecord, Self::UnreadableEvent];

    /// As in the output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherRow => "other-row",
            Self::OtherEvents => "other-events",
            Self::NoRecord => "no-record",
            Self::UnreadableEvent => "unreadable-event",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub flaw: Flaw,
    pub id: Option<TransactionId>,
    /// A half sentence for people; nothing of a payload.
    pub detail: String,
}

impl Report {
    /// Every row that the events tell of stands, or would.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.found == 0
    }

    /// Nothing was missing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rows.is_empty() && self.resolutions == 0 && self.starts.is_empty()
    }

    pub(super) fn find(&mut self, flaw: Flaw, id: Option<TransactionId>, detail: String) {
        self.found += 1;
        if self.findings.len() < KEPT_MAX {
            self.findings.push(Finding { flaw, id, detail });
        }
    }

    pub(super) fn plan(&mut self, planned: Planned) {
        if self.planned.len() < KEPT_MAX {
            self.planned.push(planned);
        }
    }
}
