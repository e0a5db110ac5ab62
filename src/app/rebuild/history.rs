//! What the events of one id tell together: the row that must stand under it, and what brings the store there. The
//! precedence is the store's own (`Outcome::supersedes`): an approval stands over everything, and a doubt that was
//! resolved as not charged gives way to a later place. Pure: nothing is read or written here.

use std::cmp::Ordering;

use super::doubt::{Content, Doubt};
use crate::domain::id::Place;
use crate::domain::outcome::{EventId, Fate, Outcome};
use crate::domain::resolution::{Finding, Resolution};
use crate::domain::time::Wall;

/// Everything that was reported of one id, duplicates apart.
#[derive(Debug, Default)]
pub struct History {
    /// One a place.
    links: Vec<Link>,
    /// Two events of one place contradict each other.
    torn: Option<String>,
}

/// What was reported of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    /// Archived or declined: the row as it was stored.
    Final(Box<Outcome>),
    Doubt {
        place: Place,
        /// `None` where only its resolution is still on Kafka.
        letter: Option<Box<Doubt>>,
        resolution: Option<Box<Resolved>>,
    },
}

/// An event that ends a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    event_id: EventId,
    /// The row that it left.
    row: Outcome,
}

/// What there is to do about an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The row says what the events say.
    Stands,
    /// The row is of a place that was not finished when the offsets were read: a processor is ahead of us.
    Ahead,
    /// In this order, each a call of its own.
    Lacks(Vec<Step>),
    /// The dead letter does not hold its record: that at this place has to be looked at.
    NeedsRecord(Place),
    /// The events contradict each other.
    OtherEvents(String),
    /// The row says something else, and is left alone.
    OtherRow(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Store(Box<Outcome>),
    Resolve(Resolution),
}

impl History {
    /// An event of an archived or declined transaction.
    pub fn outcome(&mut self, outcome: Box<Outcome>) {
        match self.at(&outcome.source) {
            None => self.links.push(Link::Final(outcome)),
            Some(Link::Final(first)) if *first == outcome => {}
            Some(link) => {
                let (was, place) = (link.word(), link.place());
                let torn = format!("{place} is reported as {was} and as {}", outcome.fate);
                self.torn = Some(torn);
            }
        }
    }

    /// A dead letter of a doubt.
    pub fn doubt(&mut self, doubt: Doubt) {
        let at = self.links.iter_mut().find(|link| *link.place() == doubt.place);
        match at {
            None => self.links.push(Link::Doubt {
                place: doubt.place.clone(),
                letter: Some(Box::new(doubt)),
                resolution: None,
            }),
            Some(Link::Doubt { letter, .. }) => {
                letter.get_or_insert(Box::new(doubt));
            }
            Some(Link::Final(outcome)) => {
                let (place, was) = (&doubt.place, outcome.fate);
                self.torn = Some(format!("{place} is reported as {was} and as in_doubt"));
            }
        }
    }

    /// An event that resolves a doubt; `resolves` is the id of the event that told of it. The same may be published
    /// more than once.
    pub fn resolution(&mut self, event: Outcome, resolves: EventId) {
        let place = event.source.clone();
        let fate = if event.fate == Fate::Archived { Fate::Archived } else { Fate::InDoubt };
        let event_id = event.event_id;
        let row = Outcome { event_id: resolves, fate, ..event };
        let resolved = Box::new(Resolved { event_id, row });
        let at = self.links.iter_mut().find(|link| *link.place() == place);
        match at {
            None => {
                let resolution = Some(resolved);
                self.links.push(Link::Doubt { place, letter: None, resolution });
            }
            Some(Link::Doubt { resolution: Some(first), .. }) if *first != resolved => {
                self.torn = Some(format!("{place} was resolved in two ways"));
            }
            Some(Link::Doubt { resolution, .. }) => *resolution = Some(resolved),
            Some(Link::Final(outcome)) => {
                let was = outcome.fate;
                self.torn = Some(format!("{place} is reported as {was}, and was resolved"));
            }
        }
    }

    /// The dead letter of this place.
    #[must_use]
    pub fn letter(&self, place: &Place) -> Option<&Doubt> {
        match self.at(place)? {
            Link::Final(_) => None,
            Link::Doubt { letter, .. } => letter.as_deref(),
        }
    }

    /// What a dead letter did not hold.
    pub fn fill(&mut self, place: &Place, content: Content) {
        for link in &mut self.links {
            if let Link::Doubt { place: at, letter: Some(letter), .. } = link
                && at == place
            {
                letter.content = Some(content.clone());
            }
        }
    }

    /// What is to be done, given the row that stands. `is_ahead` tells of a place whether it was finished only after
    /// the events were read.
    #[must_use]
    pub fn judge(&self, row: Option<&Outcome>, is_ahead: impl Fn(&Place) -> bool) -> Verdict {
        let want = match self.last() {
            Ok(want) => want,
            Err(why) => return Verdict::OtherEvents(why),
        };
        match row {
            None => want.made(Vec::new()),
            Some(row) if want.is_met_by(row) => Verdict::Stands,
            Some(row) if is_ahead(&row.source) => Verdict::Ahead,
            Some(row) => self.go_on_from(row, want),
        }
    }

    /// From a row that is not the last one to it, where the events tell of both.
    fn go_on_from(&self, row: &Outcome, want: &Link) -> Verdict {
        let other = || Verdict::OtherRow(want.contradiction(row));
        let Some(link) = self.at(&row.source) else { return other() };
        let (mut steps, mut standing) = (Vec::new(), row.clone());
        if !link.is_met_by(row) {
            let Some((step, resolved)) = link.resolving(row) else { return other() };
            steps.push(step);
            standing = resolved;
        }
        if link == want {
            return Verdict::Lacks(steps);
        }
        match want.first() {
            Some(first) if !first.supersedes(&standing) => other(),
            _ => want.made(steps),
        }
    }

    fn at(&self, place: &Place) -> Option<&Link> {
        self.links.iter().find(|link| link.place() == place)
    }

    /// The place whose row stands in the end.
    fn last(&self) -> Result<&Link, String> {
        if let Some(torn) = &self.torn {
            return Err(torn.clone());
        }
        let only = |links: Vec<&Link>| match links.as_slice() {
            [one, other, ..] => {
                Err(format!("{} and {}: no store keeps both", one.words(), other.words()))
            }
            _ => Ok(()),
        };
        let archived: Vec<&Link> = self.links.iter().filter(|link| link.is_archived()).collect();
        let lasting: Vec<&Link> = self.links.iter().filter(|link| !link.is_not_charged()).collect();
        let best = if archived.is_empty() { &lasting } else { &archived };
        only(best.clone())?;
        let last = best.first().copied().or_else(|| self.links.iter().max_by(Link::by_end));
        last.ok_or_else(|| "no event tells of it".to_owned())
    }
}

impl Link {
    fn place(&self) -> &Place {
        match self {
            Self::Final(outcome) => &outcome.source,
            Self::Doubt { place, .. } => place,
        }
    }

    fn resolved(&self) -> Option<&Resolved> {
        match self {
            Self::Final(_) => None,
            Self::Doubt { resolution, .. } => resolution.as_deref(),
        }
    }

    fn is_archived(&self) -> bool {
        match self {
            Self::Final(outcome) => outcome.fate == Fate::Archived,
            Self::Doubt { .. } => self.resolved().is_some_and(|r| r.row.fate == Fate::Archived),
        }
    }

    fn is_not_charged(&self) -> bool {
        self.resolved().is_some_and(|resolved| resolved.row.is_resolved_not_charged())
    }

    fn by_end(one: &&Self, other: &&Self) -> Ordering {
        let end = |link: &Self| {
            (link.resolved().and_then(|resolved| resolved.row.decided_at), link.place().clone())
        };
        end(one).cmp(&end(other))
    }

    /// As in `archived`, `in_doubt`.
    fn word(&self) -> &'static str {
        match self {
            Self::Final(outcome) => outcome.fate.as_str(),
            Self::Doubt { .. } => Fate::InDoubt.as_str(),
        }
    }

    fn words(&self) -> String {
        let place = self.place();
        match (self, self.is_archived()) {
            (Self::Doubt { .. }, true) => format!("resolved as charged at {place}"),
            _ => format!("{} at {place}", self.word()),
        }
    }

    fn contradiction(&self, row: &Outcome) -> String {
        if row.source == *self.place() {
            let note = match self {
                Self::Doubt { resolution: None, .. }
                    if row.is_resolved_not_charged() || row.fate == Fate::Archived =>
                {
                    "; no event tells of its resolution: run the same resolve again"
                }
                _ => "",
            };
            return format!("its row ({}) says something else than its events{note}", row.fate);
        }
        format!("its row is {} at {}, its events make it {}", row.fate, row.source, self.words())
    }

    /// The row as it was first stored; `None` where the letter does not hold what it takes.
    fn first(&self) -> Option<Outcome> {
        match self {
            Self::Final(outcome) => Some((**outcome).clone()),
            Self::Doubt { letter, resolution: None, .. } => letter.as_ref()?.row(),
            Self::Doubt { letter, resolution: Some(resolved), .. } => {
                let letter = letter.as_deref();
                let row = &resolved.row;
                let told = letter.and_then(|letter| letter.gateway_id.clone());
                Some(Outcome {
                    fate: Fate::InDoubt,
                    code: letter.map(|letter| letter.code.clone()),
                    // A resolution as not charged leaves the gateway's id as it was.
                    gateway_id: if self.is_archived() { told } else { row.gateway_id.clone() },
                    decided_at: letter.map(|letter| letter.at),
                    ..row.clone()
                })
            }
        }
    }

    /// Whether the row is the one that this place leaves.
    fn is_met_by(&self, row: &Outcome) -> bool {
        match self {
            Self::Final(outcome) => **outcome == *row,
            Self::Doubt { resolution: Some(resolved), .. } => resolved.row == *row,
            Self::Doubt { letter, .. } => letter.as_ref().is_some_and(|letter| letter.tells(row)),
        }
    }

    /// What makes of `row`, an open doubt, the row that this place leaves, and that row.
    fn resolving(&self, row: &Outcome) -> Option<(Step, Outcome)> {
        let resolved = self.resolved()?;
        let resolution = resolved.resolution();
        let after = resolution.decide(Some(row), None).ok()?.after;
        (after == resolved.row).then_some((Step::Resolve(resolution), after))
    }

    /// What else makes the row, behind `steps`.
    fn made(&self, mut steps: Vec<Step>) -> Verdict {
        let Some(first) = self.first() else {
            return Verdict::NeedsRecord(self.place().clone());
        };
        let resolving = self.resolving(&first).map(|(step, _)| step);
        steps.push(Step::Store(Box::new(first)));
        steps.extend(resolving);
        Verdict::Lacks(steps)
    }
}

impl Resolved {
    /// As a person's word again. Who it was stands in no event.
    fn resolution(&self) -> Resolution {
        let row = &self.row;
        let finding = match (row.fate, &row.gateway_id) {
            (Fate::Archived, Some(id)) => Finding::Charged { gateway_id: id.clone() },
            _ => Finding::NotCharged,
        };
        let by = format!("tollbridge rebuild, from event {}", &*self.event_id.to_hex());
        let at = row.decided_at.unwrap_or(Wall(0));
        Resolution { id: row.transaction_id.clone(), finding, by, at }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
