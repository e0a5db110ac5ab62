//! `tollbridge dlq list`: a line for each dead letter, and how many there are of what.

use clap::Args;
use serde_json::{Value, json};

use super::super::progress::Steps;
use super::super::{ConfigArgs, print};
use super::{FilterArgs, shown};
use crate::app::dlq::{self, Listing, Standing};
use crate::app::exit::Exit;
use crate::config::Config;

/// List dead letters, the latest last
///
/// Each line: place on the topic of dead letters, when it was written, fate, code, where its record stood, the
/// transaction's id where it could be read, how often the record was replayed. Nothing of the payload. How many
/// there are of each fate and code is told on stderr, over all that the filters let through.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge dlq list --config tollbridge.toml --since 24h
  tollbridge dlq list --config tollbridge.toml --fate rejected --code bad_amount --json | jq -r .place")]
pub struct ListArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show no more than so many of them, the latest; the others are only counted
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(config: &Config, args: ListArgs) -> anyhow::Result<Exit> {
    let mut steps = Steps::default();
    let listing = dlq::list(config, args.filter.into(), args.limit, &mut steps);
    steps.finish();
    let listing = listing?;
    let topic = &config.kafka.topics.dead_letter;
    for standing in &listing.letters {
        print(&match args.json {
            true => as_json(topic, standing).to_string(),
            false => line(topic, standing),
        })?;
    }
    for count in counts(&listing) {
        eprintln!("{count}");
    }
    Ok(Exit::Done)
}

fn line(topic: &str, standing: &Standing) -> String {
    let (place, at) = (format!("{topic}/{}", standing.spot), shown(standing.at_ms));
    let letter = match &standing.told {
        Ok(letter) => letter,
        Err(why) => return format!("{place}  {at}  no dead letter of ours: {why}"),
    };
    let (fate, code, source) = (letter.fate, &letter.code, &letter.place);
    let id = letter.transaction_id.as_ref().map_or("-", |id| id.as_str());
    let replays = standing.replays.map_or("?".to_owned(), |replays| replays.to_string());
    let cut = if standing.cut.is_empty() { "" } else { "  cut" };
    format!("{place}  {at}  {fate}  {code}  source {source}  id {id}  replays {replays}{cut}")
}

/// What `list` and `show` tell alike.
pub(super) fn as_json(topic: &str, standing: &Standing) -> Value {
    let mut all = json!({
        "place": format!("{topic}/{}", standing.spot),
        "written_at_ms": standing.at_ms,
    });
    match &standing.told {
        Err(why) => all["unreadable"] = why.to_string().into(),
        Ok(letter) => {
            all["fate"] = letter.fate.as_str().into();
            all["code"] = letter.code.as_str().into();
            all["event_id"] = (*letter.event_id.to_hex()).into();
            all["source"] = letter.place.to_string().into();
            all["transaction_id"] = letter.transaction_id.as_ref().map(|id| id.as_str()).into();
            all["duplicate_of"] = letter.duplicate_of.as_ref().map(ToString::to_string).into();
            all["replays"] = standing.replays.into();
            all["cut"] = standing.cut.clone().into();
        }
    }
    all
}

fn counts(listing: &Listing) -> Vec<String> {
    let mut lines = Vec::new();
    if listing.more > 0 {
        lines.push(format!("{:>8}  earlier ones, not shown (--limit)", listing.more));
    }
    for (kind, count) in &listing.counts {
        lines.push(match kind {
            Some((fate, code)) => format!("{count:>8}  {fate} {code}"),
            None => format!("{count:>8}  no dead letters of ours"),
        });
    }
    let all: u64 = listing.counts.values().sum();
    lines.push(format!("{all:>8}  dead letters"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::balance::Spot;
    use crate::domain::id::{Offset, Partition, Place};
    use crate::domain::outcome::{EventId, Fate};
    use crate::wire::dead_letter::{BadLetter, Letter};

    fn standing() -> Standing {
        let letter = Letter {
            place: Place {
                topic: "transactions".into(),
                partition: Partition(3),
                offset: Offset(7),
            },
            event_id: EventId([0xAB; 16]),
            fate: Fate::Rejected,
            code: "bad_amount".into(),
            transaction_id: None,
            duplicate_of: None,
        };
        Standing {
            spot: Spot { partition: Partition(0), offset: Offset(12) },
            at_ms: Some(86_400_500),
            told: Ok(letter),
            replays: Some(2),
            cut: Vec::new(),
        }
    }

    #[test]
    fn a_line_tells_where_it_stands_why_and_where_it_came_from() {
        let expected = "dlq/0/12  1970-01-02T00:00:00.500Z  rejected  bad_amount  \
                        source transactions/3/7  id -  replays 2";
        assert_eq!(line("dlq", &standing()), expected);
        let unclear = Standing { replays: None, cut: vec!["value".into()], ..standing() };
        assert!(line("dlq", &unclear).ends_with("replays ?  cut"));
        let foreign = Standing { told: Err(BadLetter("tollbridge-fate")), ..standing() };
        let said = line("dlq", &foreign);
        assert!(said.ends_with(
            "no dead letter of ours: header tollbridge-fate is missing or can't be read"
        ));
        assert!(as_json("dlq", &foreign)["unreadable"].is_string());
        let told = as_json("dlq", &standing());
        assert_eq!((&told["place"], &told["replays"]), (&"dlq/0/12".into(), &2.into()));
    }

    #[test]
    fn what_is_not_shown_is_counted_all_the_same() {
        let kind = |fate, code: &str| Some((fate, code.to_owned()));
        let counts_of = [(kind(Fate::InDoubt, "mismatch"), 1), (None, 2)].into();
        let lines = counts(&Listing { letters: Vec::new(), more: 3, counts: counts_of });
        let expected = [
            "       3  earlier ones, not shown (--limit)",
            "       2  no dead letters of ours",
            "       1  in_doubt mismatch",
            "       3  dead letters",
        ];
        assert_eq!(lines, expected);
    }
}
