//! The rules. Each function holds one kind of thing against the others; none changes what was read, but for the
//! notes about who may have been charged.

use super::books::{Books, Known, NO_ID, Row, Seen, Whereabouts};
use super::report::{Findings, Line};
use super::{Event, Finding, Flaw, Other, Resolving, Spot};
use crate::domain::id::{Partition, TransactionId};
use crate::domain::money::Currency;
use crate::domain::outcome::Fate;

/// A flaw of one record, before it is known where it stands.
type Found = (Flaw, String);

/// What an event says that its record does not bear out.
pub(super) fn contradictions(seen: &Seen, id: Option<&TransactionId>, event: &Event) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(first) = seen.fate {
        found.push((
            Flaw::TwoEvents,
            format!("reported as {first} and once more as {}", event.fate),
        ));
    }
    if event.event_id != seen.event_id {
        let detail = format!("event id {:?}, it must be {:?}", event.event_id, seen.event_id);
        found.push((Flaw::WrongEventId, detail));
    }
    if event.is_misplaced {
        let detail = format!("an event of fate {} on another topic than theirs", event.fate);
        found.push((Flaw::WrongTopic, detail));
    }
    let mut other = |what: &str| {
        found.push((Flaw::OtherContent, format!("the event tells another {what} than its record")));
    };
    if event.id.as_ref().is_some_and(|told| Some(told) != id) {
        other("transaction id");
    }
    if let Some(told) = event.particulars {
        if Some(told.money) != seen.money {
            other("amount");
        }
        if told.hashed != seen.event_id {
            other("payload hash");
        }
    }
    found
}

impl Books {
    pub(super) fn judge(&mut self, findings: &mut Findings) {
        let partitions: Vec<Partition> = self.logs.keys().copied().collect();
        for partition in &partitions {
            self.judge_log(*partition, findings);
        }
        self.judge_resolutions(findings);
        for known in &self.known {
            self.judge_rows(known, findings);
            if self.has_ledger {
                judge_charges(known, findings);
            }
        }
        for spot in &self.ahead {
            let detail = "reported, and Kafka does not call it finished".to_owned();
            let seen = self.seen(*spot);
            let finding = Finding {
                flaw: Flaw::EventAhead,
                line: Some(Line::Waiting),
                spot: Some(*spot),
                id: seen.and_then(|seen| self.id_of(seen)).cloned(),
                detail,
            };
            findings.add(finding, seen.and_then(currency));
        }
    }

    fn judge_log(&mut self, partition: Partition, findings: &mut Findings) {
        let length = self.logs.get(&partition).map_or(0, |log| log.seen.len());
        for at in 0..length {
            let Some(seen) = self.logs.get(&partition).and_then(|log| log.seen.get(at)) else {
                continue;
            };
            if !seen.is_finished {
                continue;
            }
            let spot = Spot { partition, offset: seen.offset };
            let line = seen.fate.map_or(Line::Consumed, Line::from);
            if seen.fate.is_some() {
                findings.report.add(line, seen.money);
            }
            for (flaw, detail) in self.judge_seen(spot, seen) {
                let id = self.id_of(seen).cloned();
                let finding = Finding { flaw, line: Some(line), spot: Some(spot), id, detail };
                findings.add(finding, currency(seen));
            }
            let (fate, known) = (seen.fate, seen.known);
            self.note_charges(spot, fate, known);
        }
    }

    /// Who must have been charged, and who may have been.
    fn note_charges(&mut self, spot: Spot, fate: Option<Fate>, known: u32) {
        let resolved = self.resolutions.get(&spot).map(|resolving| resolving.charged);
        let Some(known) = self.known.get_mut(known as usize) else { return };
        match (fate, resolved) {
            (Some(Fate::Archived), _) | (Some(Fate::InDoubt), Some(true)) => {
                known.archived.get_or_insert(spot);
            }
            // What has no event can't be judged further.
            (Some(Fate::InDoubt) | None, None) | (None, Some(_)) => known.may_be_charged = true,
            (Some(Fate::InDoubt), Some(false))
            | (Some(Fate::Declined | Fate::Duplicate | Fate::Rejected), _) => {}
        }
    }

    fn judge_seen(&self, spot: Spot, seen: &Seen) -> Vec<Found> {
        let Some(fate) = seen.fate else {
            return vec![(Flaw::NoEvent, "finished, and no event tells how".to_owned())];
        };
        let Some(known) = self.known.get(seen.known as usize) else {
            return match fate {
                Fate::Rejected => Vec::new(),
                other => {
                    let detail = format!("reported as {other}, though it can't be read");
                    vec![(Flaw::Unreadable, detail)]
                }
            };
        };
        match fate {
            Fate::Archived => archived(spot, known).into_iter().collect(),
            Fate::Declined => declined(spot, known).into_iter().collect(),
            Fate::InDoubt => self.in_doubt(spot, known).into_iter().collect(),
            Fate::Duplicate => self.duplicate(spot, seen, known).into_iter().collect(),
            Fate::Rejected if self.of_its_time.contains(&spot) => Vec::new(),
            Fate::Rejected => {
                vec![(Flaw::NotRejected, "rejected, though it can be read".to_owned())]
            }
        }
    }

    fn in_doubt(&self, spot: Spot, known: &Known) -> Option<Found> {
        let resolved = self.resolutions.get(&spot).map(|resolving| resolving.charged);
        let row = match row_of(known, Fate::InDoubt) {
            Ok(row) => row,
            Err(found) => return Some(found),
        };
        if row.spot != spot {
            // Another place took the row: by an approval, or after this one was resolved as not charged.
            let is_explained = row.fate == Fate::Archived || resolved == Some(false);
            return (!is_explained).then(|| elsewhere(row));
        }
        let says = match (row.fate, row.is_not_charged) {
            (Fate::Archived, _) => Some(true),
            (Fate::InDoubt, true) => Some(false),
            (Fate::InDoubt, false) => None,
            (other, _) => {
                return Some((Flaw::OtherRow, format!("in doubt, its row says {other}")));
            }
        };
        match (says, self.resolutions.get(&spot)) {
            (None, None) => None,
            (Some(says), Some(resolving)) if resolving.agrees_with(says, row) => None,
            (Some(_), None) => {
                let detail = "its row is resolved and no event tells of it; run resolve again";
                Some((Flaw::NoResolution, detail.to_owned()))
            }
            _ => {
                let detail = "its row says something else than the event that resolves it";
                Some((Flaw::OtherResolution, detail.to_owned()))
            }
        }
    }

    fn duplicate(&self, spot: Spot, seen: &Seen, known: &Known) -> Option<Found> {
        let bad = |detail: String| Some((Flaw::BadDuplicate, detail));
        let other = match self.duplicates.get(&spot).copied().unwrap_or_default() {
            Other::Spot(other) => other,
            Other::OtherTopic => return None,
            Other::Nothing => {
                return bad("a duplicate whose event names no other place".to_owned());
            }
        };
        if other == spot {
            return bad("reported as a duplicate of itself".to_owned());
        }
        match self.whereabouts(other) {
            Whereabouts::Nowhere => {
                return bad(format!("a duplicate of {other}, where no record is"));
            }
            Whereabouts::Gone => {}
            Whereabouts::Finished | Whereabouts::Ahead => {
                if self.seen(other).is_some_and(|there| there.known != seen.known) {
                    return bad(format!("a duplicate of {other}, where another id stands"));
                }
            }
        }
        match &known.row {
            None => bad(format!("a duplicate of {other}, and the id has no row")),
            Some(row) if row.spot == spot => {
                Some((Flaw::RowWithoutEvent, "a duplicate, and the id's row is its own".into()))
            }
            Some(_) => None,
        }
    }

    fn judge_resolutions(&self, findings: &mut Findings) {
        for (spot, resolving) in &self.resolutions {
            // What waits is not judged; it may have been finished a moment ago.
            if self.whereabouts(*spot) == Whereabouts::Ahead {
                continue;
            }
            let seen = self.seen(*spot);
            let is_doubt = seen.is_some_and(|seen| seen.fate == Some(Fate::InDoubt));
            let detail = if !is_doubt {
                "resolved, though it was not reported as in doubt".to_owned()
            } else if seen.is_some_and(|seen| seen.event_id != resolving.resolves) {
                format!("the event that resolves it names event {:?}", resolving.resolves)
            } else {
                continue;
            };
            let id = seen.and_then(|seen| self.id_of(seen)).cloned();
            let flaw = Flaw::ResolutionWithoutDoubt;
            let finding = Finding { flaw, line: None, spot: Some(*spot), id, detail };
            findings.add(finding, seen.and_then(currency));
        }
    }

    /// From the row's side: that it stands where a record of its id is that was reported as having one.
    fn judge_rows(&self, known: &Known, findings: &mut Findings) {
        let Some(row) = &known.row else { return };
        let mut add = |flaw, detail: String| {
            let (spot, id) = (Some(row.spot), Some(known.id.clone()));
            let line = Some(Line::from(row.fate));
            findings.add(
                Finding { flaw, line, spot, id, detail },
                Some(row.particulars.money.currency),
            );
        };
        if known.rows > 1 {
            add(Flaw::TwoRows, format!("has {} rows", known.rows));
        }
        if self.whereabouts(row.spot) == Whereabouts::Gone {
            return;
        }
        let Some(seen) = self.seen(row.spot) else {
            return add(Flaw::RowWithoutRecord, "a row whose place has no record".to_owned());
        };
        if self.id_of(seen) != Some(&known.id) {
            return add(Flaw::RowWithoutRecord, "a row whose place has another id".to_owned());
        }
        let mut other = |what: &str| {
            add(Flaw::OtherRow, format!("the row has another {what} than its record or event"));
        };
        if row.event_id != seen.event_id {
            other("event id");
        }
        if Some(row.particulars.money) != seen.money {
            other("amount");
        }
        if row.particulars.hashed != seen.event_id {
            other("payload hash");
        }
        // A doubt is told by a dead letter, and what resolved it is compared apart.
        if let Some(told) = seen.prints.filter(|_| seen.fate == Some(row.fate)) {
            if row.particulars.prints.gateway_id != told.gateway_id {
                other("gateway id");
            }
            if row.particulars.prints.rest != told.rest {
                other("account, code, number of attempts or time");
            }
        }
        if seen.fate == Some(Fate::Rejected) {
            add(Flaw::RowWithoutEvent, format!("a row ({}) that no event tells of", row.fate));
        }
    }
}

impl Resolving {
    fn agrees_with(&self, charged: bool, row: &Row) -> bool {
        self.charged == charged && self.particulars == row.particulars
    }
}

impl Row {
    /// In doubt, and nobody has found out.
    fn is_in_doubt(&self) -> bool {
        self.fate == Fate::InDoubt && !self.is_not_charged
    }
}

/// The row of an id that must have one.
fn row_of(known: &Known, fate: Fate) -> Result<&Row, Found> {
    known.row.as_ref().ok_or_else(|| (Flaw::NoRow, format!("{fate}, and the id has no row")))
}

fn elsewhere(row: &Row) -> Found {
    let detail = format!("the id's row ({}) stands at {}", row.fate, row.spot);
    (Flaw::RowElsewhere, detail)
}

fn archived(spot: Spot, known: &Known) -> Option<Found> {
    match row_of(known, Fate::Archived) {
        Err(found) => Some(found),
        Ok(row) if row.spot != spot => Some(elsewhere(row)),
        Ok(row) if row.fate != Fate::Archived => {
            Some((Flaw::OtherRow, format!("archived, its row says {}", row.fate)))
        }
        Ok(_) => None,
    }
}

fn declined(spot: Spot, known: &Known) -> Option<Found> {
    match row_of(known, Fate::Declined) {
        Err(found) => Some(found),
        // An approval at another place took the row.
        Ok(row) if row.spot != spot && row.fate == Fate::Archived => None,
        Ok(row) if row.spot != spot => Some(elsewhere(row)),
        Ok(row) if row.fate != Fate::Declined => {
            Some((Flaw::OtherRow, format!("declined, its row says {}", row.fate)))
        }
        Ok(_) => None,
    }
}

/// One charge for what is archived, none for what is not; where something waits or is in doubt, at most one.
fn judge_charges(known: &Known, findings: &mut Findings) {
    let row = known.row.as_ref();
    let charged = known.charge.map(|money| money.currency);
    let currency = charged.or_else(|| row.map(|row| row.particulars.money.currency));
    let mut add = |flaw, line: Option<Line>, detail: String| {
        let spot = known.archived.or_else(|| row.map(|row| row.spot));
        findings.add(Finding { flaw, line, spot, id: Some(known.id.clone()), detail }, currency);
    };
    if known.charges > 1 {
        add(Flaw::TwoCharges, None, format!("charged {} times", known.charges));
    }
    match known.charge {
        None if known.archived.is_some() => {
            add(Flaw::NoCharge, Some(Line::Archived), "archived, and never charged".to_owned());
        }
        None => {}
        Some(money) => {
            let is_archived_row = row.is_some_and(|row| row.fate == Fate::Archived);
            let is_other = row.is_some_and(|row| row.particulars.money != money);
            if known.archived.is_some() || is_archived_row {
                if is_other {
                    let detail = "charged with another amount than its row has".to_owned();
                    add(Flaw::OtherCharge, Some(Line::Archived), detail);
                }
            } else if !known.may_be_charged && !row.is_some_and(Row::is_in_doubt) {
                match (row, known.has_places) {
                    (None, false) => {
                        let detail = "charged, and no record has this id".to_owned();
                        add(Flaw::ChargeWithoutRecord, None, detail);
                    }
                    (row, _) => {
                        let fate = row.map_or("not stored", |row| row.fate.as_str());
                        add(Flaw::ChargedAnyway, None, format!("charged, and {fate}"));
                    }
                }
            }
        }
    }
}

fn currency(seen: &Seen) -> Option<Currency> {
    debug_assert_eq!(seen.money.is_none(), seen.known == NO_ID);
    seen.money.map(|money| money.currency)
}
