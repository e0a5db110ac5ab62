//! An alert as people and machines read it on `tx-alerts`. Plain data; the decisions are in [`super::alerts`].

use super::time::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    Raised,
    Cleared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Warning,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The same for the raising and the clearing; tells repeats apart.
    pub alert_id: String,
    /// One of [`super::alerts::Rule`] by its name, or of a single transaction: `other_payload`, `in_doubt`.
    pub rule: String,
    pub state: AlertState,
    pub severity: Severity,
    /// In `unit`.
    pub observed: u64,
    pub threshold: u64,
    pub unit: String,
    /// The process that tells it.
    pub instance: String,
    pub since: Wall,
    pub at: Wall,
    /// What, how much, and the first thing to do. No payload.
    pub message: String,
}

impl AlertState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Raised, Self::Cleared].into_iter().find(|state| state.as_str() == text)
    }
}

impl Severity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Warning, Self::Critical].into_iter().find(|severity| severity.as_str() == text)
    }
}
