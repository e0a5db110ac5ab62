//! The gateway's ledger, as JSON lines or as CSV. Amounts are integers of minor units; nothing is guessed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use crate::domain::balance::{Balance, Charge, Flaw, Money};
use crate::domain::id::TransactionId;
use crate::domain::money::Currency;

/// A file that the gateway, or its operator, wrote.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub path: PathBuf,
    /// It is CSV, with these columns; else JSON lines.
    pub columns: Option<Columns>,
}

/// Which column of a CSV ledger holds what: `transaction_id=Reference,amount=Amount,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Our name, then the column's.
    names: BTreeMap<&'static str, String>,
    /// What the outcome's column holds where it was charged; anything else counts as not charged.
    charged: String,
}

const FIELDS: [&str; 5] = ["key", "transaction_id", "amount", "currency", "outcome"];

impl Default for Columns {
    fn default() -> Self {
        let names = FIELDS.into_iter().map(|name| (name, name.to_owned())).collect();
        Self { names, charged: "charged".to_owned() }
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = Self::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, column) = pair.split_once('=').ok_or_else(|| {
                format!("{pair:?} is no FIELD=COLUMN; an example is transaction_id=Reference")
            })?;
            let (name, column) = (name.trim(), column.trim().to_owned());
            match FIELDS.into_iter().find(|field| *field == name) {
                Some(field) => drop(columns.names.insert(field, column)),
                None if name == "charged" => columns.charged = column,
                None => {
                    let known = FIELDS.join(", ");
                    return Err(format!("{name:?} is no field; there are {known} and charged"));
                }
            }
        }
        Ok(columns)
    }
}

/// A line, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    key: Option<String>,
    transaction_id: String,
    amount: i64,
    currency: String,
    outcome: String,
}

/// A line that was read; `charged` tells what its outcome means.
#[derive(Debug)]
pub(super) struct Entry {
    line: Line,
    charged: bool,
}

impl Ledger {
    /// Hands every line to `each`. The last line of a ledger in JSON may be torn by a crash, or half written: where it
    /// has no end and can't be read, it is passed over.
    pub(super) fn read(&self, each: impl FnMut(Entry)) -> anyhow::Result<()> {
        let shown = self.path.display();
        let file = File::open(&self.path).with_context(|| format!("--ledger {shown}"))?;
        let reader = BufReader::new(file);
        match &self.columns {
            None => read_json(reader, each),
            Some(columns) => read_csv(reader, columns, each),
        }
        .with_context(|| format!("--ledger {shown}"))
    }
}

fn read_json(mut reader: impl BufRead, mut each: impl FnMut(Entry)) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let is_torn = line.last() != Some(&b'\n');
        if line.trim_ascii().is_empty() {
            continue;
        }
        match json_line(&line) {
            Ok(entry) => each(entry),
            Err(_) if is_torn => break,
            Err(why) => return Err(why.context(format!("line {number}"))),
        }
    }
    Ok(())
}

fn json_line(line: &[u8]) -> anyhow::Result<Entry> {
    let line: Line = serde_json::from_slice(line)?;
    let charged = match line.outcome.as_str() {
        "charged" => true,
        "declined" => false,
        other => bail!("outcome is {other:?}; it must be \"charged\" or \"declined\""),
    };
    Ok(Entry { line, charged })
}

fn read_csv(
    mut reader: impl BufRead,
    columns: &Columns,
    mut each: impl FnMut(Entry),
) -> anyhow::Result<()> {
    let (mut header, mut record) = (None, String::new());
    for number in 1_u64.. {
        record.clear();
        // A quoted cell may hold line ends: a record ends where all quotes are closed.
        while reader.read_line(&mut record)? > 0 && record.matches('"').count() % 2 == 1 {}
        if record.is_empty() {
            break;
        }
        let cells = cells(record.trim_end_matches(['\r', '\n']));
        if cells.iter().all(String::is_empty) {
            continue;
        }
        match &header {
            None => header = Some(Header::new(&cells, columns)?),
            Some(header) => {
                each(header.entry(&cells).with_context(|| format!("record {number}"))?);
            }
        }
    }
    Ok(())
}

/// Where our fields stand.
struct Header<'a> {
    columns: &'a Columns,
    at: BTreeMap<&'static str, usize>,
}

impl<'a> Header<'a> {
    fn new(cells: &[String], columns: &'a Columns) -> anyhow::Result<Self> {
        let mut at = BTreeMap::new();
        for (field, column) in &columns.names {
            let first = cells.iter().map(|cell| cell.trim_start_matches('\u{feff}').trim());
            match first.into_iter().position(|cell| cell == column) {
                Some(position) => drop(at.insert(*field, position)),
                // Not every gateway gives the key back.
                None if *field == "key" => {}
                None => bail!(
                    "there is no column {column:?} for {field}; say which it is with \
                     --ledger-columns {field}=COLUMN"
                ),
            }
        }
        Ok(Self { columns, at })
    }

    fn entry(&self, cells: &[String]) -> anyhow::Result<Entry> {
        let find = |field| Some(cells.get(*self.at.get(field)?)?.trim().to_owned());
        let need = |field| find(field).ok_or_else(|| anyhow!("it has no {field}"));
        let amount = need("amount")?;
        let amount = amount.parse();
        let line = Line {
            key: find("key"),
            transaction_id: need("transaction_id")?,
            amount: amount.context("amount is no integer of minor units")?,
            currency: need("currency")?,
            outcome: need("outcome")?,
        };
        let charged = line.outcome == self.columns.charged;
        Ok(Entry { line, charged })
    }
}

/// Splits a record at its commas; a cell may stand in quotes, where two stand for one.
fn cells(record: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut chars = record.chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cells[cell].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells[cell].push(other),
        }
    }
    cells
}

/// A charge that can't belong to any record is a finding, not an error of reading.
pub(super) fn enter(balance: &mut Balance, entry: Entry) {
    let Entry { line, charged } = entry;
    let id = TransactionId::parse(&line.transaction_id).ok();
    match (id, Currency::parse(&line.currency)) {
        (Some(id), Some(currency)) => {
            let money = Money { minor_units: line.amount, currency };
            balance.charge(&Charge { key: line.key, id, money, charged });
        }
        _ if charged => {
            let (id, currency) = (line.transaction_id, line.currency);
            let detail = format!("the ledger charged {id:?} in {currency:?}, which no record can");
            balance.unreadable(Flaw::ChargeWithoutRecord, detail);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str, columns: &str) -> anyhow::Result<Vec<(String, i64, String, bool)>> {
        let mut all = Vec::new();
        let columns = columns.parse().map_err(anyhow::Error::msg)?;
        read_csv(text.as_bytes(), &columns, |e| {
            all.push((e.line.transaction_id, e.line.amount, e.line.currency, e.charged));
        })?;
        Ok(all)
    }

    #[test]
    fn a_csv_ledger_is_read_by_its_columns() {
        let text = "\u{feff}Ref,State,\"Amount, minor\",Cur\r\n\
            a-1,ok,1250,EUR\r\n\"b \"\"x\"\"\ny\",failed,7,JPY\n";
        let columns = "transaction_id=Ref,outcome=State,currency=Cur,charged=ok";
        let wrong = csv(text, columns).unwrap_err().to_string();
        assert!(wrong.contains("no column \"amount\""), "{wrong}");
        let text = text.replace("\"Amount, minor\"", "Minor");
        let all = csv(&text, &format!("{columns},amount=Minor")).unwrap();
        let line = |id: &str, amount, currency: &str, charged| {
            (id.to_owned(), amount, currency.to_owned(), charged)
        };
        let first = line("a-1", 1250, "EUR", true);
        assert_eq!(all, [first, line("b \"x\"\ny", 7, "JPY", false)]);
        let fraction = csv(&text.replace("1250", "12.50"), &format!("{columns},amount=Minor"));
        assert!(format!("{:#}", fraction.unwrap_err()).starts_with("record 2: amount"));
    }

    #[test]
    fn a_wrong_column_map_says_what_there_is() {
        for (text, needle) in [("amount", "no FIELD=COLUMN"), ("sum=x", "\"sum\" is no field")] {
            let why = Columns::from_str(text).unwrap_err();
            assert!(why.contains(needle), "{why}");
        }
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_any_other_is_an_error() {
        let line = r#"{"key":"a","transaction_id":"a","amount":5,"currency":"EUR","outcome":"charged","at":1}"#;
        let count = |text: &str| {
            let mut entries = 0;
            read_json(text.as_bytes(), |_| entries += 1).map(|()| entries)
        };
        assert_eq!(count(&format!("{line}\n\n{line}\n")).unwrap(), 2);
        assert_eq!(count(&format!("{line}\n{line}")).unwrap(), 2);
        assert_eq!(count(&format!("{line}\n{}", &line[..40])).unwrap(), 1);
        let why = count(&format!("{line}\n{}\n{line}\n", &line[..40])).unwrap_err();
        assert!(format!("{why:#}").starts_with("line 2"), "{why:#}");
        let other = line.replace("charged", "maybe");
        assert!(count(&format!("{other}\n")).is_err());
    }
}
