//! `tollbridge rebuild`: rows that a store has lost, made again from the events. Here it is shown; the work is
//! `app::rebuild`.

use clap::Args;
use serde_json::json;

use super::progress::Steps;
use super::{ConfigArgs, block_on, print};
use crate::app::exit::Exit;
use crate::app::rebuild::{self, Finding, Gone, Planned, Report};
use crate::config::Config;

/// Make rows again that a restored database lacks, from the topics of events
///
/// For a database that was restored from a backup: reads every event, and adds the rows and resolutions that the store
/// lacks. A row that says something else than its events is never changed: it is named, and the end is 3. Publishes
/// nothing. Stop all processors before the database is restored, and start them after this has ended with 0: an id
/// whose row is missing may be charged again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge rebuild --config tollbridge.toml --dry-run    # what is missing?
  tollbridge rebuild --config tollbridge.toml
  tollbridge reconcile --config tollbridge.toml            # does it balance now?")]
pub struct RebuildArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Say what would be made, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

pub fn run(config: &Config, args: &RebuildArgs) -> anyhow::Result<Exit> {
    let mut steps = Steps::default();
    let report = block_on(rebuild::rebuild(config, args.dry_run, &mut steps));
    steps.finish();
    let report = report?;
    if args.json {
        print(&as_json(&report).to_string())?;
    } else {
        for line in lines(&report) {
            print(&line)?;
        }
    }
    Ok(if report.is_complete() { Exit::Done } else { Exit::FoundProblems })
}

fn lines(report: &Report) -> Vec<String> {
    let hidden = report.found - report.findings.len() as u64;
    let planned = report.planned.iter().map(planned_line);
    let findings = report.findings.iter().map(finding_line);
    let hidden = (hidden > 0).then(|| format!("…and {hidden} more"));
    let gone = report.gone.iter().map(|Gone { topic, partition, begins_at }| {
        format!("{topic}/{partition} begins at {begins_at}: events before it are gone, and can't be made rows again")
    });
    let ahead = (report.ahead > 0).then(|| {
        format!(
            "{} rows are newer than what was read: a processor runs, and should not",
            report.ahead
        )
    });
    let all = planned.chain(findings).chain(hidden).chain(gone).chain(ahead);
    all.chain([done_line(report), verdict(report)]).collect()
}

/// `row  archived  tx-9`
fn planned_line(Planned { id, fate }: &Planned) -> String {
    format!("row  {:<10} {id}", fate.map_or("resolved", |fate| fate.as_str()))
}

/// As `reconcile` shows its own.
fn finding_line(finding: &Finding) -> String {
    let id = finding.id.as_ref().map_or("-", |id| id.as_str());
    format!("OFF  {:<18} {id}: {}", finding.flaw.as_str(), finding.detail)
}

fn done_line(report: &Report) -> String {
    let rows = report.rows.iter().map(|(fate, count)| format!("{fate} {count}"));
    let rows = rows.collect::<Vec<_>>().join(", ");
    let would = if report.dry_run { "would store" } else { "stored" };
    let sum: u64 = report.rows.values().sum();
    let of = if sum == 0 { String::new() } else { format!(" ({rows})") };
    format!(
        "{} events, {} rows stood; {would} {sum} rows{of}, {} resolutions, {} first offsets",
        report.events,
        report.standing,
        report.resolutions,
        report.starts.len()
    )
}

fn verdict(report: &Report) -> String {
    match (report.is_complete(), report.is_idle(), report.dry_run) {
        (false, ..) => format!("NOT COMPLETE: {} findings", report.found),
        (true, true, _) => "complete: nothing was missing".to_owned(),
        (true, false, true) => "would be complete; nothing was written".to_owned(),
        (true, false, false) => "complete: every row that events tell of stands".to_owned(),
    }
}

fn as_json(report: &Report) -> serde_json::Value {
    let finding = |finding: &Finding| {
        json!({
            "flaw": finding.flaw.as_str(),
            "transaction_id": finding.id.as_ref().map(|id| id.as_str()),
            "detail": finding.detail,
        })
    };
    let planned = |Planned { id, fate }: &Planned| {
        let does = if fate.is_some() { "store" } else { "resolve" };
        json!({ "transaction_id": id.as_str(), "does": does, "fate": fate.map(|fate| fate.as_str()) })
    };
    let gone = |gone: &Gone| {
        let Gone { topic, partition, begins_at } = gone;
        json!({ "topic": topic, "partition": partition.0, "begins_at": begins_at.0 })
    };
    let rows = report.rows.iter().map(|(fate, count)| (fate.as_str().to_owned(), (*count).into()));
    let starts = report
        .starts
        .iter()
        .map(|start| json!({ "partition": start.partition.0, "start_offset": start.start.0 }));
    json!({
        "complete": report.is_complete(),
        "dry_run": report.dry_run,
        "events": report.events,
        "rows_stood": report.standing,
        "rows_ahead": report.ahead,
        "rows": rows.collect::<serde_json::Map<_, _>>(),
        "resolutions": report.resolutions,
        "first_offsets": starts.collect::<Vec<_>>(),
        "planned": report.planned.iter().map(planned).collect::<Vec<_>>(),
        "events_gone": report.gone.iter().map(gone).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "found": report.found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::rebuild::Flaw;
    use crate::domain::id::TransactionId;
    use crate::domain::outcome::Fate;

    /// Every flaw stands in the documentation, and nothing else does.
    #[test]
    fn every_flaw_is_documented() {
        let page = include_str!("../../docs/reconcile.md");
        let table = page.split("| `rebuild` finds | means |").nth(1).unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
        let named: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        assert_eq!(named, Flaw::ALL.map(Flaw::as_str));
    }

    #[test]
    fn a_dry_run_says_what_it_would_do() {
        let id = TransactionId::parse("t-1").unwrap();
        let planned = Planned { id: id.clone(), fate: Some(Fate::InDoubt) };
        let resolved = Planned { id, fate: None };
        let report = Report {
            dry_run: true,
            events: 3,
            standing: 1,
            rows: [(Fate::InDoubt, 1)].into(),
            resolutions: 1,
            planned: vec![planned, resolved],
            ..Report::default()
        };
        let expected = [
            "row  in_doubt   t-1",
            "row  resolved   t-1",
            "3 events, 1 rows stood; would store 1 rows (in_doubt 1), 1 resolutions, 0 first offsets",
            "would be complete; nothing was written",
        ];
        assert_eq!(lines(&report), expected);
        assert_eq!(as_json(&report)["planned"][1]["does"], "resolve");
    }

    #[test]
    fn what_was_found_is_named_and_counted() {
        let id = TransactionId::parse("t-1").ok();
        let finding = Finding { flaw: Flaw::OtherRow, id, detail: "why".into() };
        let report = Report { findings: vec![finding], found: 2, ..Report::default() };
        let lines = lines(&report);
        assert_eq!(lines[0], "OFF  other-row          t-1: why");
        assert_eq!((lines[1].as_str(), &*lines[3]), ("…and 1 more", "NOT COMPLETE: 2 findings"));
    }
}
