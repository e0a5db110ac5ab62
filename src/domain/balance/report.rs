//! What a balance comes to: sums for each currency, and what does not balance.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Flaw, Money};
use crate::domain::money::Currency;
use crate::domain::outcome::Fate;

/// A line of the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Source records that Kafka calls finished.
    Consumed,
    Archived,
    Declined,
    Duplicate,
    Rejected,
    InDoubt,
    /// Source records without a fate.
    Waiting,
    /// Charges in the gateway's ledger.
    Charges,
    Rows,
    /// Terminal events of finished records.
    Events,
}

impl Line {
    /// In the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Consumed,
        Self::Archived,
        Self::Declined,
        Self::Duplicate,
        Self::Rejected,
        Self::InDoubt,
        Self::Waiting,
        Self::Charges,
        Self::Rows,
        Self::Events,
    ];

    /// As in the output: `consumed`, `gateway_charges`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumed => "consumed",
            Self::Archived => "archived",
            Self::Declined => "declined",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
            Self::InDoubt => "in_doubt",
            Self::Waiting => "waiting",
            Self::Charges => "gateway_charges",
            Self::Rows => "rows",
            Self::Events => "events",
        }
    }
}

impl From<Fate> for Line {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Archived => Self::Archived,
            Fate::Declined => Self::Declined,
            Fate::Duplicate => Self::Duplicate,
            Fate::Rejected => Self::Rejected,
            Fate::InDoubt => Self::InDoubt,
        }
    }
}

/// How many, and how much in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub count: u64,
    pub minor_units: i128,
}

/// The balance. `None` as the currency stands for records that can't be read, which have none.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub sums: BTreeMap<Option<Currency>, BTreeMap<Line, Sum>>,
    /// Lines that a finding spoils.
    pub spoiled: BTreeSet<(Option<Currency>, Line)>,
    /// The first ones, in full.
    pub findings: Vec<Finding>,
    /// All of them.
    pub flaws: BTreeMap<Flaw, u64>,
    /// Declines in the ledger.
    pub declines: u64,
    /// Events that resolve an `in_doubt`.
    pub resolutions: u64,
    /// Events of records before what was looked at.
    pub gone: u64,
    /// Events of records that were finished while the balance was drawn up.
    pub meanwhile: u64,
}

impl Report {
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.flaws.is_empty()
    }

    /// All currencies together; there is no sum of money.
    #[must_use]
    pub fn count(&self, line: Line) -> u64 {
        self.sums.values().filter_map(|sums| sums.get(&line)).map(|sum| sum.count).sum()
    }

    /// Whether the line is spoiled in any currency.
    #[must_use]
    pub fn is_spoiled(&self, line: Line) -> bool {
        self.spoiled.iter().any(|(_, spoiled)| *spoiled == line)
    }

    #[must_use]
    pub fn found(&self) -> u64 {
        self.flaws.values().sum()
    }

    pub(super) fn add(&mut self, line: Line, money: Option<Money>) {
        let sums = self.sums.entry(money.map(|money| money.currency)).or_default();
        let sum = sums.entry(line).or_default();
        sum.count += 1;
        sum.minor_units += money.map_or(0, |money| i128::from(money.minor_units));
    }
}

/// Collects findings: the first in full, all in numbers.
#[derive(Debug)]
pub(super) struct Findings {
    pub report: Report,
    full_max: usize,
}

impl Findings {
    pub(super) fn new(full_max: usize) -> Self {
        Self { report: Report::default(), full_max }
    }

    pub(super) fn add(&mut self, finding: Finding, currency: Option<Currency>) {
        let report = &mut self.report;
        for line in [Some(finding.flaw.line()), finding.line].into_iter().flatten() {
            report.spoiled.insert((currency, line));
            // So that the line is shown though nothing was counted in it.
            report.sums.entry(currency).or_default().entry(line).or_default();
        }
        *report.flaws.entry(finding.flaw).or_default() += 1;
        if report.findings.len() < self.full_max {
            report.findings.push(finding);
        }
    }
}
