//! `tollbridge reconcile`: the balance between the source topic, the events, the rows and the gateway's ledger. Here
//! it is shown; it is drawn up in `app::reconcile` and judged in `domain::balance`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::progress::Steps;
use super::{ConfigArgs, block_on, print};
use crate::app::exit::Exit;
use crate::app::reconcile::{self, Columns, Ledger};
use crate::config::Config;
use crate::domain::balance::{Finding, Line, Report, Sum};
use crate::domain::money::Currency;

/// Check that every finished record has one fate, one event, one row and one charge
///
/// Trusts no counter: it reads the topics, the table and, where given, the gateway's ledger, and joins them offset by
/// offset. What is not finished yet is waiting. May be run while processors run. Ends with 3 where they do not
/// balance, and names each record that fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge reconcile --config tollbridge.toml --ledger ledger.jsonl
  tollbridge reconcile --config tollbridge.toml --ledger charges.csv \\
      --ledger-columns transaction_id=Reference,amount=Minor,currency=Currency,outcome=Status,charged=succeeded")]
pub struct ReconcileArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The gateway's own record of charges: JSON lines with key, transaction_id, amount (minor units), currency,
    /// outcome (charged, declined), at; or CSV, where its name ends with .csv
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// The ledger is CSV, and its columns are called so: FIELD=COLUMN,… for transaction_id, amount, currency, outcome
    /// and key; charged=VALUE is what the outcome's column holds where it was charged
    #[arg(long, value_name = "MAP", requires = "ledger")]
    pub ledger_columns: Option<Columns>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl ReconcileArgs {
    fn ledger(&self) -> Option<Ledger> {
        let path = self.ledger.clone()?;
        let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
        let columns = self.ledger_columns.clone().or_else(|| is_csv.then(Columns::default));
        Some(Ledger { path, columns })
    }
}

pub fn run(config: &Config, args: &ReconcileArgs) -> anyhow::Result<Exit> {
    let ledger = args.ledger();
    let mut steps = Steps::default();
    let report = block_on(reconcile::draw_up(config, ledger.as_ref(), &mut steps))?;
    steps.finish();
    if args.json {
        print(&as_json(&report, ledger.is_some()).to_string())?;
    } else {
        show(&report, ledger.is_some())?;
    }
    Ok(if report.is_balanced() { Exit::Done } else { Exit::FoundProblems })
}

/// A line of the balance in one currency, or in all.
struct Shown<'a> {
    line: Line,
    /// `None` for all currencies together.
    currency: Option<Option<&'a Currency>>,
    sum: Sum,
    is_spoiled: bool,
}

/// Every line, over all currencies and in each of those that it has.
fn lines(report: &Report, has_ledger: bool) -> Vec<Shown<'_>> {
    let mut all = Vec::new();
    for line in Line::ALL.into_iter().filter(|line| has_ledger || *line != Line::Charges) {
        let sum = Sum { count: report.count(line), minor_units: 0 };
        all.push(Shown { line, currency: None, sum, is_spoiled: report.is_spoiled(line) });
        for (currency, sums) in &report.sums {
            let Some(sum) = sums.get(&line).copied() else { continue };
            let is_spoiled = report.spoiled.contains(&(*currency, line));
            all.push(Shown { line, currency: Some(currency.as_ref()), sum, is_spoiled });
        }
    }
    all
}

fn show(report: &Report, has_ledger: bool) -> anyhow::Result<()> {
    for finding in &report.findings {
        print(&sentence(finding))?;
    }
    let hidden = report.found() - report.findings.len() as u64;
    if hidden > 0 {
        print(&format!("…and {hidden} more"))?;
    }
    if !report.is_balanced() {
        print("")?;
    }
    print(&format!("{:<16} {:<8} {:>12} {:>24}", "line", "currency", "count", "amount"))?;
    for shown in lines(report, has_ledger) {
        let name = if shown.currency.is_none() { shown.line.as_str() } else { "" };
        let currency = match shown.currency {
            None => "all",
            Some(None) => "none",
            Some(Some(currency)) => currency.as_str(),
        };
        let amount = match shown.currency {
            Some(Some(currency)) => decimal(shown.sum.minor_units, currency),
            _ => String::new(),
        };
        let verdict = if shown.is_spoiled { "NOT BALANCED" } else { "balanced" };
        let count = shown.sum.count;
        print(&format!("{name:<16} {currency:<8} {count:>12} {amount:>24}  {verdict}"))?;
    }
    print(&remarks(report, has_ledger))?;
    print(&verdict(report))
}

/// `OFF  row-elsewhere  3/17  tx-9: archived, …`
fn sentence(finding: &Finding) -> String {
    let place = finding.spot.map_or("-".to_owned(), |spot| spot.to_string());
    let id = finding.id.as_ref().map_or(String::new(), |id| format!("{id}: "));
    format!("OFF  {:<24} {place:<12} {id}{}", finding.flaw.as_str(), finding.detail)
}

fn remarks(report: &Report, has_ledger: bool) -> String {
    let ledger = match has_ledger {
        true => format!("declines in the ledger {}", report.declines),
        false => "no ledger was given, so charges were not looked at".to_owned(),
    };
    format!(
        "{ledger}; events of resolutions {}, of records before the beginning {}, of records finished meanwhile {}",
        report.resolutions, report.gone, report.meanwhile
    )
}

fn verdict(report: &Report) -> String {
    let (consumed, waiting) = (report.count(Line::Consumed), report.count(Line::Waiting));
    if report.is_balanced() {
        return format!("balanced: {consumed} records finished, {waiting} waiting");
    }
    let flaws = report.flaws.iter().map(|(flaw, count)| format!("{} {count}", flaw.as_str()));
    let flaws = flaws.collect::<Vec<_>>().join(", ");
    format!("NOT BALANCED: {} findings ({flaws})", report.found())
}

/// Minor units as a decimal number of the currency.
fn decimal(minor_units: i128, currency: &Currency) -> String {
    let digits = usize::from(currency.exponent().unwrap_or_default());
    let sign = if minor_units < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor_units.unsigned_abs(), width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

fn as_json(report: &Report, has_ledger: bool) -> serde_json::Value {
    let line = |shown: Shown<'_>| {
        let currency = shown.currency.flatten().map(Currency::as_str);
        // Minor units of several currencies have no sum.
        let minor_units = currency.map(|_| shown.sum.minor_units.to_string());
        json!({
            "line": shown.line.as_str(),
            "all_currencies": shown.currency.is_none(),
            "currency": currency,
            "count": shown.sum.count,
            "minor_units": minor_units,
            "balanced": !shown.is_spoiled,
        })
    };
    let finding = |finding: &Finding| {
        json!({
            "flaw": finding.flaw.as_str(),
            "partition": finding.spot.map(|spot| spot.partition.0),
            "offset": finding.spot.map(|spot| spot.offset.0),
            "transaction_id": finding.id.as_ref().map(|id| id.as_str()),
            "detail": finding.detail,
        })
    };
    json!({
        "balanced": report.is_balanced(),
        "has_ledger": has_ledger,
        "lines": lines(report, has_ledger).into_iter().map(line).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "found": report.found(),
        "ledger_declines": report.declines,
        "resolutions": report.resolutions,
        "events_before_beginning": report.gone,
        "events_finished_meanwhile": report.meanwhile,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::balance::Flaw;

    /// Every flaw stands in the documentation, under a name of its own, and nothing else does.
    #[test]
    fn every_flaw_is_documented() {
        let page = include_str!("../../docs/reconcile.md");
        let table = page.split("| flaw | means |").nth(1).unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
        let named: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        assert_eq!(named, Flaw::ALL.map(Flaw::as_str));
    }

    #[test]
    fn amounts_are_shown_with_the_currencys_digits() {
        let shown = |units, currency: &str| decimal(units, &Currency::parse(currency).unwrap());
        assert_eq!(shown(123_456, "EUR"), "1234.56");
        assert_eq!(shown(5, "EUR"), "0.05");
        assert_eq!(shown(-5, "BHD"), "-0.005");
        assert_eq!(shown(1234, "JPY"), "1234");
        assert_eq!(shown(0, "EUR"), "0.00");
    }
}
