//! `tollbridge dlq`: what stands on the topic of dead letters. Arguments and words; the work is `app::dlq`.

mod list;
mod purge;
mod replay;
mod show;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime};
use clap::{Args, Subcommand, ValueEnum};

use super::ConfigArgs;
use crate::adapters::system::SystemClock;
use crate::app::dlq::{Filter, Named};
use crate::app::exit::Exit;
use crate::config::Config;
use crate::config::units::Period;
use crate::domain::balance::Spot;
use crate::domain::id::TransactionId;
use crate::domain::outcome::Fate;
use crate::ports::time::Clock;

/// List, show, replay and purge dead letters
///
/// Dead letters are records that were rejected, are duplicates, or in doubt. They stand on a topic of their own, byte
/// for byte, with the reason in headers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge dlq list --config tollbridge.toml --since 24h
  tollbridge dlq show --config tollbridge.toml tx-dead-letter/0/12
  tollbridge dlq replay --config tollbridge.toml --code bad_amount --dry-run")]
pub struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Replay(replay::ReplayArgs),
    Purge(purge::PurgeArgs),
}

impl DlqArgs {
    pub(super) fn config(&self) -> &ConfigArgs {
        match &self.command {
            DlqCommand::List(args) => &args.config,
            DlqCommand::Show(args) => &args.config,
            DlqCommand::Replay(args) => &args.config,
            DlqCommand::Purge(args) => &args.config,
        }
    }
}

pub fn run(config: &Config, args: DlqArgs) -> anyhow::Result<Exit> {
    match args.command {
        DlqCommand::List(args) => list::run(config, args),
        DlqCommand::Show(args) => show::run(config, &args),
        DlqCommand::Replay(args) => replay::run(config, args),
        DlqCommand::Purge(args) => purge::run(config, &args),
    }
}

/// Which dead letters. All that is given must hold.
#[derive(Debug, Clone, Default, Args)]
struct FilterArgs {
    /// Only those of this fate
    #[arg(long, value_name = "FATE")]
    fate: Option<FateArg>,
    /// Only those with this code, such as bad_amount, key_expired or other_payload
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only those of this transaction; a record that could not be read tells no id
    #[arg(long, value_name = "ID", value_parser = TransactionId::parse)]
    id: Option<TransactionId>,
    /// Only those written then or later: 2026-01-31T08:00:00Z, 2026-01-31 (UTC), or so long ago: 90m, 24h, 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only those written before then
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FateArg {
    Rejected,
    Duplicate,
    #[value(name = "in_doubt")]
    InDoubt,
}

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Self {
        let fate = args.fate.map(|fate| match fate {
            FateArg::Rejected => Fate::Rejected,
            FateArg::Duplicate => Fate::Duplicate,
            FateArg::InDoubt => Fate::InDoubt,
        });
        let (since_ms, until_ms) = (args.since, args.until);
        Self { fate, code: args.code, id: args.id, since_ms, until_ms }
    }
}

/// Milliseconds since 1970.
fn time(text: &str) -> Result<i64, String> {
    if let Ok(Period(ago)) = text.parse() {
        return Ok((SystemClock.now().wall - ago).0 / 1_000);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    let day: Result<NaiveDate, _> = text.parse();
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    day.map(midnight).map_err(|_| {
        "a time is 2026-01-31T08:00:00Z, 2026-01-31, or a duration that it is ago, such as 24h"
            .into()
    })
}

/// `2023-11-14T22:13:20.123Z`
fn shown(at_ms: Option<i64>) -> String {
    match at_ms.and_then(DateTime::from_timestamp_millis) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        None => "at an unknown time".to_owned(),
    }
}

/// Places on the configured topic. One on another is wrong usage, and ends the program as such.
fn spots(config: &Config, named: &[Named]) -> BTreeSet<Spot> {
    let ours = &config.kafka.topics.dead_letter;
    if let Some(other) = named.iter().filter_map(|it| it.topic.as_ref()).find(|it| *it != ours) {
        let why = format!(
            "{other:?} is not the topic of dead letters (kafka.topics.dead_letter), {ours:?}\n"
        );
        clap::Error::raw(clap::error::ErrorKind::ValueValidation, why).exit();
    }
    named.iter().map(|named| named.spot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_a_day_or_so_long_ago() {
        assert_eq!(time("1970-01-02T00:00:00.5Z"), Ok(86_400_500));
        assert_eq!(time("1970-01-02T01:00:00+01:00"), Ok(86_400_000));
        assert_eq!(time("1970-01-02"), Ok(86_400_000));
        let ago = SystemClock.now().wall.0 / 1_000 - time("2h").unwrap();
        assert!((7_200_000..7_260_000).contains(&ago), "{ago}");
        for bad in ["", "yesterday", "12", "1970-13-01", "1970-01-02T00:00:00"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        assert_eq!(shown(Some(86_400_500)), "1970-01-02T00:00:00.500Z");
    }
}
