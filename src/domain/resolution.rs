//! What a person found out about an `in_doubt`, and what that makes of its row. Whom to believe is not decided
//! here; that a row is resolved once, and only where there is a doubt, is.

use super::id::{Place, TransactionId};
use super::outcome::{Fate, NOT_CHARGED, Outcome};
use super::time::Wall;

/// What the gateway turned out to have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It charged, under this id of its own.
    Charged { gateway_id: String },
    /// It never charged; the id may be charged when it is published again.
    NotCharged,
}

impl Finding {
    /// As the store has it: `charged` with the gateway's id, or `not_charged`.
    #[must_use]
    pub fn of(name: &str, gateway_id: Option<String>) -> Self {
        match (name, gateway_id) {
            ("charged", Some(gateway_id)) => Self::Charged { gateway_id },
            _ => Self::NotCharged,
        }
    }

    /// As in the store: `charged`, `not_charged`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Charged { .. } => "charged",
            Self::NotCharged => NOT_CHARGED,
        }
    }

    /// The gateway's own id of the charge, where there was one.
    #[must_use]
    pub fn gateway_id(&self) -> Option<&str> {
        match self {
            Self::Charged { gateway_id } => Some(gateway_id),
            Self::NotCharged => None,
        }
    }
}

/// One person's finding about one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    pub id: TransactionId,
    pub finding: Finding,
    /// Who says so, for the audit.
    pub by: String,
    pub at: Wall,
}

/// A line of the audit: a resolution that was written, and what it changed in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    pub resolution: Resolution,
    /// The place of the row at that time.
    pub source: Place,
    pub before_gateway_id: Option<String>,
    pub before_code: Option<String>,
    pub before_decided_at: Option<Wall>,
}

/// The row before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub before: Outcome,
    pub after: Outcome,
    /// The same finding had been written already; nothing is to be written now.
    pub repeated: bool,
}

/// Why a resolution is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0} has no row; nothing was resolved")]
    Missing(TransactionId),
    #[error(
        "{} is {}, not in_doubt (source {}); nothing was resolved",
        .0.transaction_id, .0.fate, .0.source
    )]
    NotInDoubt(Box<Outcome>),
    #[error(
        "{} was resolved as {}{} by {:?} already; nothing was changed",
        .0.resolution.id,
        .0.resolution.finding.as_str(),
        .0.resolution.finding.gateway_id().map(|id| format!(" ({id})")).unwrap_or_default(),
        .0.resolution.by
    )]
    Otherwise(Box<Past>),
}

impl Resolution {
    /// What this finding makes of `row`; `past` is the last resolution written for the id.
    ///
    /// The same finding again is answered as before, so that a resolution that was cut short between row and
    /// event can be run again.
    pub fn decide(&self, row: Option<&Outcome>, past: Option<&Past>) -> Result<Resolved, Refusal> {
        let Some(row) = row else { return Err(Refusal::Missing(self.id.clone())) };
        match past.filter(|past| past.still_stands_in(row)) {
            Some(past) if past.resolution.finding == self.finding => {
                Ok(Resolved { before: past.before(row), after: row.clone(), repeated: true })
            }
            Some(past) => Err(Refusal::Otherwise(Box::new(past.clone()))),
            None if row.fate == Fate::InDoubt && !row.is_resolved_not_charged() => {
                Ok(Resolved { before: row.clone(), after: self.applied(row), repeated: false })
            }
            None => Err(Refusal::NotInDoubt(Box::new(row.clone()))),
        }
    }

    /// The line of the audit for a resolution of `before`.
    #[must_use]
    pub fn past(&self, before: &Outcome) -> Past {
        Past {
            resolution: self.clone(),
            source: before.source.clone(),
            before_gateway_id: before.gateway_id.clone(),
            before_code: before.code.clone(),
            before_decided_at: before.decided_at,
        }
    }

    fn applied(&self, row: &Outcome) -> Outcome {
        let mut after = row.clone();
        after.decided_at = Some(self.at);
        match &self.finding {
            Finding::Charged { gateway_id } => {
                after.fate = Fate::Archived;
                after.gateway_id = Some(gateway_id.clone());
                after.code = None;
            }
            Finding::NotCharged => after.code = Some(NOT_CHARGED.into()),
        }
        after
    }
}

impl Past {
    /// Whether the row is the one that this resolution made, not a later one of another place.
    fn still_stands_in(&self, row: &Outcome) -> bool {
        let fate = match self.resolution.finding {
            Finding::Charged { .. } => row.fate == Fate::Archived,
            Finding::NotCharged => row.is_resolved_not_charged(),
        };
        fate && row.source == self.source && row.decided_at == Some(self.resolution.at)
    }

    fn before(&self, after: &Outcome) -> Outcome {
        Outcome {
            fate: Fate::InDoubt,
            gateway_id: self.before_gateway_id.clone(),
            code: self.before_code.clone(),
            decided_at: self.before_decided_at,
            ..after.clone()
        }
    }
}
