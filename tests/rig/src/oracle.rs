//! A second opinion on the promise: source records, events, rows and the gateway's ledger, joined place by
//! place and id by id. It shares nothing with the product's own `reconcile`: other readers, other code.
//! It deliberately judges only a finished run: everything consumed, nobody writing any more.

use crate::error::{Doing, Error, Result};
use crate::kafka::Record;
use crate::process::Launch;
use crate::stack::{OUTCOMES, Stack, TRANSACTIONS};
use crate::temp::TempDir;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

const SQL_LIMIT: Duration = Duration::from_secs(60);
/// What [`row`] reads, asked of any store.
pub const ROWS: &str = "SELECT transaction_id, fate, amount, currency, source_partition, source_offset \
                    FROM transactions";
/// So many findings are told; the rest is counted.
const TOLD_MAX: usize = 20;

/// Partition and offset on the source topic.
pub type Place = (i32, i64);

/// An event, or a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// Of the source record.
    pub place: Place,
    /// `archived`, `declined`, `duplicate`, `rejected` or `in_doubt`.
    pub fate: String,
    /// Empty where the record could not be read.
    pub id: String,
    /// Minor units; 0 for dead letters.
    pub amount: i64,
    /// Empty for dead letters.
    pub currency: String,
}

/// A charge in the gateway's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The transaction's id.
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

/// All that is known from outside after a run.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Where records were published.
    pub places: BTreeSet<Place>,
    /// What was reported, resolutions left out.
    pub events: Vec<Outcome>,
    /// What was stored.
    pub rows: Vec<Outcome>,
    /// What was charged.
    pub charges: Vec<Charge>,
}

/// The records of the topics that are judged, as a `read_committed` consumer sees them.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Of the source topic.
    pub source: Vec<Record>,
    /// Of [`OUTCOMES`], the alerts left out.
    pub outcomes: [Vec<Record>; 3],
    /// The alerts.
    pub alerts: Vec<Record>,
}

impl Records {
    /// Reads them.
    ///
    /// # Errors
    /// When a reader fails.
    pub fn read(stack: &Stack) -> Result<Self> {
        let [a, b, c, d] = OUTCOMES;
        let [source, archived, declined, dead, alerts] =
            stack.kafka.read_committed_all([TRANSACTIONS, a, b, c, d])?;
        Ok(Self { source, outcomes: [archived, declined, dead], alerts })
    }

    /// What was reported and in which record, resolutions left out.
    ///
    /// # Errors
    /// When an event cannot be read.
    pub fn events(&self) -> Result<Vec<(&Record, Outcome)>> {
        let [archived, declined, dead] = &self.outcomes;
        let told = archived.iter().chain(declined);
        let told = told.filter(|record| record.header("tollbridge-resolves").is_none());
        let told = told.map(|record| Ok((record, event(record)?)));
        told.chain(dead.iter().map(|record| Ok((record, dead_letter(record)?)))).collect()
    }
}

impl Evidence {
    /// Collects it from a stack that stands still.
    ///
    /// # Errors
    /// When a part cannot be read.
    pub fn of(stack: &Stack) -> Result<Self> {
        Self::beside(&Records::read(stack)?, stack)
    }

    /// The same, with records that were read already.
    ///
    /// # Errors
    /// When a part cannot be read.
    pub fn beside(records: &Records, stack: &Stack) -> Result<Self> {
        let source = records.source.iter();
        Ok(Self {
            places: source.map(|record| (record.partition, record.offset)).collect(),
            events: records.events()?.into_iter().map(|(_, event)| event).collect(),
            rows: query(stack, ROWS)?.lines().map(row).collect::<Result<_>>()?,
            charges: charges(stack)?,
        })
    }

    /// What breaks the promise, a sentence each; none where it was kept.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.complete(&mut found);
        self.charged_once(&mut found);
        self.stored(&mut found);
        found
    }

    /// One event a source record, none for anything else.
    fn complete(&self, found: &mut Vec<String>) {
        let mut fates: BTreeMap<Place, Vec<&str>> = BTreeMap::new();
        for event in &self.events {
            fates.entry(event.place).or_default().push(&event.fate);
        }
        for place in &self.places {
            match fates.get(place).map(Vec::as_slice) {
                Some([_]) => {}
                Some(several) => found.push(format!("{place:?} has several events: {several:?}")),
                None => found.push(format!("{place:?} has no event")),
            }
        }
        for place in fates.keys().filter(|place| !self.places.contains(place)) {
            found.push(format!("{place:?} has an event but no record"));
        }
    }

    /// What is archived was charged, once and with this amount; what was charged is archived or in doubt.
    fn charged_once(&self, found: &mut Vec<String>) {
        let mut charges: BTreeMap<&str, &Charge> = BTreeMap::new();
        for charge in &self.charges {
            if charges.insert(&charge.id, charge).is_some() {
                found.push(format!("{} was charged more than once", charge.id));
            }
        }
        let mut archived = BTreeSet::new();
        for event in self.events.iter().filter(|event| event.fate == "archived") {
            if !archived.insert(event.id.as_str()) {
                found.push(format!("{} is reported as archived more than once", event.id));
            }
            match charges.get(event.id.as_str()) {
                None => found.push(format!("{} is archived but was not charged", event.id)),
                Some(charge)
                    if (charge.amount, &charge.currency) != (event.amount, &event.currency) =>
                {
                    found
                        .push(format!("{} is archived with another amount than charged", event.id));
                }
                Some(_) => {}
            }
        }
        let doubted = self.events.iter().filter(|event| event.fate == "in_doubt");
        let doubted: BTreeSet<&str> = doubted.map(|event| event.id.as_str()).collect();
        for id in charges.keys().filter(|id| !archived.contains(*id) && !doubted.contains(*id)) {
            found.push(format!("{id} was charged but is neither archived nor in doubt"));
        }
    }

    /// One row for each event that needs one, with the same fate, place and amount, and no other rows.
    fn stored(&self, found: &mut Vec<String>) {
        let mut rows: BTreeMap<&str, &Outcome> = BTreeMap::new();
        for row in &self.rows {
            if rows.insert(&row.id, row).is_some() {
                found.push(format!("{} has more than one row", row.id));
            }
        }
        let mut reported = BTreeSet::new();
        for event in &self.events {
            if !["archived", "declined", "in_doubt"].contains(&event.fate.as_str()) {
                continue;
            }
            reported.insert(event.id.as_str());
            match rows.get(event.id.as_str()) {
                None => found.push(format!("{} is {} but has no row", event.id, event.fate)),
                // An approval at another place replaces the row of a decline or a doubt.
                Some(row) if row.fate == "archived" && event.fate != "archived" => {}
                Some(row) if (&row.fate, row.place) != (&event.fate, event.place) => found
                    .push(format!("the row of {} says {} at {:?}", event.id, row.fate, row.place)),
                Some(row) if event.fate != "in_doubt" && row.amount != event.amount => {
                    found.push(format!("the row of {} has another amount", event.id));
                }
                Some(_) => {}
            }
        }
        for id in rows.keys().filter(|id| !reported.contains(*id)) {
            found.push(format!("{id} has a row but no event"));
        }
    }

    /// Fails with what breaks the promise.
    ///
    /// # Errors
    /// When anything does.
    pub fn judge(&self) -> Result<()> {
        let mut found = self.findings();
        if found.is_empty() {
            return Ok(());
        }
        let all = found.len();
        found.truncate(TOLD_MAX);
        Err(Error::new(format!("{all} findings:\n  {}", found.join("\n  "))))
    }
}

fn event(record: &Record) -> Result<Outcome> {
    let value = record.value.as_deref().unwrap_or_default();
    let event: Value = serde_json::from_slice(value).doing(|| "read an event as JSON".into())?;
    Ok(Outcome {
        place: (number(&event, "source_partition")?, number(&event, "source_offset")?),
        fate: text(&event, "fate")?,
        id: text(&event, "transaction_id")?,
        amount: number(&event, "amount")?,
        currency: text(&event, "currency")?,
    })
}

fn dead_letter(record: &Record) -> Result<Outcome> {
    let header = |name: &str| {
        let missing = || Error::new(format!("a dead letter has no header {name}"));
        record.header(name).ok_or_else(missing)
    };
    let whole = |name: &str| -> Result<i64> {
        header(name)?.parse().doing(|| format!("read the header {name}"))
    };
    let partition = i32::try_from(whole("__connect.errors.partition")?);
    Ok(Outcome {
        place: (partition.doing(|| "read a partition".into())?, whole("__connect.errors.offset")?),
        fate: header("tollbridge-fate")?,
        id: header("tollbridge-transaction-id").unwrap_or_default(),
        amount: 0,
        currency: String::new(),
    })
}

fn charges(stack: &Stack) -> Result<Vec<Charge>> {
    let ledger = fs::read_to_string(stack.ledger()).doing(|| "read the ledger".into())?;
    let mut charges = Vec::new();
    for line in ledger.lines() {
        let line: Value = serde_json::from_str(line).doing(|| format!("read {line:?}"))?;
        charges.extend(charge(&line)?);
    }
    Ok(charges)
}

/// The charge that a line of the ledger tells of; `None` where it tells of something else.
///
/// # Errors
/// When the line lacks a field.
pub fn charge(line: &Value) -> Result<Option<Charge>> {
    if line["outcome"] != "charged" {
        return Ok(None);
    }
    Ok(Some(Charge {
        id: text(line, "transaction_id")?,
        amount: number(line, "amount")?,
        currency: text(line, "currency")?,
    }))
}

/// What the store answers: a row a line, columns parted by `|`.
///
/// # Errors
/// When it refuses.
pub fn query(stack: &Stack, sql: &str) -> Result<String> {
    if let Some(postgres) = &stack.postgres {
        return postgres.psql(sql);
    }
    if let Some(clickhouse) = &stack.clickhouse {
        // `final` stands for every table of the statement: one row an id, as views show them.
        return clickhouse.query(&format!("{sql} SETTINGS final = 1"));
    }
    let output = TempDir::new("sqlite3")?;
    let stdout = output.join("stdout");
    let query = Launch::new("sqlite3").args(["-readonly", "-separator", "|"]);
    query.arg(stack.file("tollbridge.db")).arg(sql).stdout(&stdout).run(SQL_LIMIT)?;
    fs::read_to_string(stdout).doing(|| "read the rows".into())
}

/// A row as every store prints it, its columns parted by `|`.
///
/// # Errors
/// When it reads otherwise.
pub fn row(line: &str) -> Result<Outcome> {
    let unread = || Error::new(format!("a row reads {line:?}"));
    let fields: Vec<&str> = line.split('|').collect();
    let [id, fate, amount, currency, partition, offset] = fields[..] else { return Err(unread()) };
    Ok(Outcome {
        place: (partition.parse().map_err(|_| unread())?, offset.parse().map_err(|_| unread())?),
        fate: fate.to_owned(),
        id: id.to_owned(),
        amount: amount.parse().map_err(|_| unread())?,
        currency: currency.to_owned(),
    })
}

fn text(line: &Value, field: &str) -> Result<String> {
    let text = line[field].as_str().map(str::to_owned);
    text.ok_or_else(|| Error::new(format!("no {field} in {line}")))
}

fn number<T: TryFrom<i64>>(line: &Value, field: &str) -> Result<T> {
    let number = line[field].as_i64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Error::new(format!("no {field} in {line}")))
}

#[cfg(test)]
mod tests {
    use super::{Charge, Evidence, Outcome, row};

    fn outcome(offset: i64, fate: &str, id: &str) -> Outcome {
        let (amount, currency) = (100, "EUR".to_owned());
        Outcome { place: (0, offset), fate: fate.into(), id: id.into(), amount, currency }
    }

    fn charge(id: &str) -> Charge {
        Charge { id: id.into(), amount: 100, currency: "EUR".into() }
    }

    /// One of each fate, all in order.
    fn good() -> Evidence {
        let stored =
            [outcome(0, "archived", "a"), outcome(1, "declined", "d"), outcome(2, "in_doubt", "i")];
        let other = [outcome(3, "duplicate", "a"), outcome(4, "rejected", "")];
        Evidence {
            places: (0..5).map(|offset| (0, offset)).collect(),
            events: stored.iter().chain(&other).cloned().collect(),
            rows: stored.into(),
            charges: vec![charge("a"), charge("i")],
        }
    }

    fn check(needle: &str, spoil: impl FnOnce(&mut Evidence)) {
        let mut evidence = good();
        assert_eq!(evidence.findings(), Vec::<String>::new());
        spoil(&mut evidence);
        let found = evidence.findings().join("; ");
        assert!(found.contains(needle), "{needle:?} is not in {found:?}");
        assert!(evidence.judge().is_err());
    }

    #[test]
    fn every_broken_promise_is_found() {
        check("(0, 5) has no event", |e| assert!(e.places.insert((0, 5))));
        check("(0, 4) has several events", |e| e.events.push(e.events[4].clone()));
        check("an event but no record", |e| assert!(e.places.remove(&(0, 3))));
        check("a was charged more than once", |e| e.charges.push(charge("a")));
        check("a is archived but was not charged", |e| drop(e.charges.remove(0)));
        check("a is archived with another amount", |e| e.charges[0].amount = 99);
        check("a is archived with another amount", |e| e.charges[0].currency = "USD".into());
        check("a is reported as archived more than once", |e| e.events[3].fate = "archived".into());
        check("d was charged but is neither", |e| e.charges.push(charge("d")));
        check("x was charged but is neither", |e| e.charges.push(charge("x")));
        check("a is archived but has no row", |e| drop(e.rows.remove(0)));
        check("a has more than one row", |e| e.rows.push(e.rows[0].clone()));
        check("the row of d says archived", |e| {
            e.rows[0].fate = "declined".into();
            e.rows[1].fate = "archived".into();
            e.events[1].fate = "archived".into();
            e.rows[1].place = (0, 9);
        });
        check("the row of a says declined at (0, 0)", |e| e.rows[0].fate = "declined".into());
        check("the row of a has another amount", |e| e.rows[0].amount = 99);
        check("x has a row but no event", |e| e.rows.push(outcome(9, "declined", "x")));
    }

    #[test]
    fn rows_are_read_as_every_store_prints_them() {
        let read = row("tx-1|archived|1250|EUR|3|77").unwrap();
        assert_eq!((read.place, read.amount, read.id.as_str()), ((3, 77), 1250, "tx-1"));
        assert!(row("tx-1|archived|1250|EUR|3").is_err());
        assert!(row("tx-1|archived|1250|EUR|3|x").is_err());
    }
}
