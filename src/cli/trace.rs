//! `tollbridge trace`: the life of one transaction. Here it is shown; it is gathered in `app::trace`.

use clap::Args;
use serde_json::{Value, json};

use super::progress::Steps;
use super::{ConfigArgs, block_on, print};
use crate::app::exit::Exit;
use crate::app::reconcile::ToldEvent;
use crate::app::trace::{self, AtSource, Life, Queued, Reported, State};
use crate::config::Config;
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::domain::time::Wall;
use crate::wire::queue_entry::EntryState;

/// Show the life of one transaction: its source place, attempts, where it is, its row and its events
///
/// Reads the source topic and the topics of events from their beginnings. Ends with 1 where nothing knows the id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge trace --config tollbridge.toml tx-81
  tollbridge trace --config tollbridge.toml --json tx-81 | jq .row")]
pub struct TraceArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The transaction's id
    #[arg(value_name = "ID", value_parser = TransactionId::parse)]
    pub id: TransactionId,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

pub fn run(config: &Config, args: &TraceArgs) -> anyhow::Result<Exit> {
    let mut steps = Steps::default();
    let life = block_on(trace::trace(config, &args.id, &mut steps));
    steps.finish();
    let life = life?;
    if args.json {
        print(&as_json(&args.id, &life).to_string())?;
    } else {
        for line in lines(&life) {
            print(&line)?;
        }
    }
    if life.is_empty() && life.unknown.is_empty() {
        anyhow::bail!("{}: neither the topics nor the queues nor the store know it", args.id);
    }
    Ok(if life.unknown.is_empty() { Exit::Done } else { Exit::Unavailable })
}

fn lines(life: &Life) -> Vec<String> {
    let sources = life.sources.iter().map(source_line);
    let queued = life.queued.iter().map(queue_line);
    let row = life.row.iter().map(|row| format!("row     {}", outcome_words(row)));
    let events = life.events.iter().map(event_line);
    let unknown = life.unknown.iter().map(|why| format!("unknown {why}"));
    sources.chain(queued).chain(row).chain(events).chain(unknown).collect()
}

fn source_line(source: &AtSource) -> String {
    let AtSource { spot, published_ms, money, state } = source;
    let at = published_ms.map_or("at an unknown time".to_owned(), |ms| time(Wall(ms * 1_000)));
    let state = match state {
        State::Finished => "finished",
        State::Unfinished => "not finished, while later ones are",
        State::Waiting { attempted: true } => "waiting; a request may have been sent",
        State::Waiting { attempted: false } => "waiting; no request was ever sent",
        State::Untold => "the group has committed nothing that can be read",
    };
    let (units, currency) = (money.minor_units, money.currency);
    format!("source  {spot}  published {at}, {units} minor units {currency}: {state}")
}

fn queue_line(queued: &Queued) -> String {
    let Queued { spot, archived, entry } = queued;
    let queue = if *archived { "archive" } else { "temp" };
    format!(
        "queue   {spot}  in the {queue} queue, {}; attempts {}, admitted {}",
        state_word(&entry.state),
        entry.attempts,
        time(entry.admitted_at)
    )
}

fn state_word(state: &EntryState) -> &'static str {
    match state {
        EntryState::Waiting => "waits for the gateway",
        EntryState::Approved { .. } => "approved",
        EntryState::Declined { .. } => "declined",
        EntryState::InDoubt { .. } => "in doubt",
    }
}

fn event_line(event: &Reported) -> String {
    let Reported { topic, partition, offset, told } = event;
    let words = match told {
        ToldEvent::Outcome(outcome) => outcome_words(outcome),
        ToldEvent::Resolution(outcome, resolves) => {
            format!("{}; it resolves event {resolves:?}", outcome_words(outcome))
        }
        ToldEvent::Letter(letter) => {
            let of = letter.duplicate_of.as_ref().map(|of| format!(" of {of}"));
            let (fate, code, of) = (letter.fate, &letter.code, of.unwrap_or_default());
            format!("{fate}{of} ({code}), source {}", letter.place)
        }
    };
    format!("event   {topic}/{partition}/{offset}  {words}")
}

fn outcome_words(outcome: &Outcome) -> String {
    let part = |name: &str, value: Option<String>| value.map(|value| format!(", {name} {value}"));
    let parts = [
        part("gateway id", outcome.gateway_id.clone()),
        part("code", outcome.code.clone()),
        part("attempts", Some(outcome.attempts.to_string())),
        part("admitted", Some(time(outcome.admitted_at))),
        part("decided", outcome.decided_at.map(time)),
        part("stored", outcome.stored_at.map(time)),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    format!("{}, source {}{parts}", outcome.fate, outcome.source)
}

/// `2023-11-14T22:13:20.000Z`
fn time(at: Wall) -> String {
    let time = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn as_json(id: &TransactionId, life: &Life) -> Value {
    let source = |source: &AtSource| {
        json!({
            "partition": source.spot.partition.0,
            "offset": source.spot.offset.0,
            "published_at_ms": source.published_ms,
            "amount": source.money.minor_units,
            "currency": source.money.currency.as_str(),
            "state": match source.state {
                State::Finished => "finished",
                State::Unfinished => "unfinished",
                State::Waiting { .. } => "waiting",
                State::Untold => "untold",
            },
            "may_have_been_attempted": match source.state {
                State::Waiting { attempted } => attempted,
                State::Finished | State::Unfinished | State::Untold => true,
            },
        })
    };
    let queued = |queued: &Queued| {
        json!({
            "queue": if queued.archived { "archive" } else { "temp" },
            "partition": queued.spot.partition.0,
            "offset": queued.spot.offset.0,
            "state": state_word(&queued.entry.state),
            "attempts": queued.entry.attempts,
            "admitted_at": queued.entry.admitted_at.0,
        })
    };
    let event = |event: &Reported| {
        let mut told = match &event.told {
            ToldEvent::Outcome(outcome) => outcome_json(outcome),
            ToldEvent::Resolution(outcome, resolves) => {
                let mut told = outcome_json(outcome);
                told["resolves"] = (*resolves.to_hex()).into();
                told
            }
            ToldEvent::Letter(letter) => json!({
                "event_id": &*letter.event_id.to_hex(),
                "fate": letter.fate.as_str(),
                "code": letter.code,
                "source": letter.place.to_string(),
                "duplicate_of": letter.duplicate_of.as_ref().map(ToString::to_string),
            }),
        };
        told["topic"] = event.topic.clone().into();
        told["partition"] = event.partition.0.into();
        told["offset"] = event.offset.0.into();
        told
    };
    json!({
        "transaction_id": id.as_str(),
        "sources": life.sources.iter().map(source).collect::<Vec<_>>(),
        "queues": life.queued.iter().map(queued).collect::<Vec<_>>(),
        "row": life.row.as_ref().map(outcome_json),
        "events": life.events.iter().map(event).collect::<Vec<_>>(),
        "unknown": life.unknown,
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "event_id": &*outcome.event_id.to_hex(),
        "fate": outcome.fate.as_str(),
        "amount": outcome.amount.minor_units(),
        "currency": outcome.currency.as_str(),
        "gateway_id": outcome.gateway_id,
        "code": outcome.code,
        "attempts": outcome.attempts,
        "source": outcome.source.to_string(),
        "admitted_at": outcome.admitted_at.0,
        "decided_at": outcome.decided_at.map(|at| at.0),
        "stored_at": outcome.stored_at.map(|at| at.0),
    })
}
