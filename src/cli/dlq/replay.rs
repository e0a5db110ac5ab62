//! `tollbridge dlq replay`: publishes the records of dead letters again. Arguments and words; what may be replayed is
//! decided in `app::dlq::judge`.

use clap::{ArgGroup, Args};

use super::super::progress::Steps;
use super::super::{ConfigArgs, block_on, print};
use super::{FilterArgs, spots};
use crate::app::dlq::{self, Judged, Named, Order, Report, Verdict, Wanted};
use crate::app::exit::Exit;
use crate::config::Config;

/// Publish the records of dead letters on the source topic again
///
/// Key, value and headers are those that the record had, byte for byte; what the dead letter added is left out. Two
/// headers are ours: tollbridge-replays counts, tollbridge-replay-of names the dead letter. It goes to the partition
/// that it came from, where it becomes a new record, which is processed as any other: what was charged before is
/// not charged again, since its id has a row.
///
/// Refused, with the reason: what is in doubt, unless it was resolved as not charged; what has no row where it must
/// have one; what was cut, or came from another topic. Refused without --force: what was replayed three times; what
/// stands on the source topic again already; a duplicate. To know the second, the source topic is read once.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["places", "all", "fate", "code", "id", "since", "until"]))]
#[command(after_help = "\
Examples:
  tollbridge dlq replay --config tollbridge.toml --fate rejected --since 24h --dry-run
  tollbridge dlq replay --config tollbridge.toml tx-dead-letter/0/12 tx-dead-letter/0/15
  tollbridge dlq replay --config tollbridge.toml --code bad_amount --rate 20 --max 5000")]
pub struct ReplayArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// TOPIC/PARTITION/OFFSET or PARTITION/OFFSET on the topic of dead letters, as `dlq list` shows it
    #[arg(value_name = "PLACE", conflicts_with_all = ["all", "fate", "code", "id", "since", "until"])]
    places: Vec<Named>,
    /// All of them
    #[arg(long, conflicts_with_all = ["fate", "code", "id", "since", "until"])]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Records a second, at most
    #[arg(long, value_name = "R", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// No more than so many records; how many are left is told
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    max: usize,
    /// Replay also what was replayed three times, what stands on the source topic again already, and duplicates
    #[arg(long)]
    force: bool,
}

pub fn run(config: &Config, args: ReplayArgs) -> anyhow::Result<Exit> {
    let wanted = match args.places.is_empty() {
        true => Wanted::Like(args.filter.into()),
        false => Wanted::At(spots(config, &args.places)),
    };
    let order =
        Order { wanted, dry_run: args.dry_run, rate: args.rate, most: args.max, force: args.force };
    let (mut steps, mut report) = (Steps::default(), Report::default());
    let done = block_on(dlq::replay(config, &order, &mut steps, &mut report));
    steps.finish();
    for judged in &report.judged {
        print(&line(config, judged, args.dry_run))?;
    }
    print(&summary(&report, args.dry_run))?;
    done?;
    Ok(if report.counts().1 == 0 { Exit::Done } else { Exit::FoundProblems })
}

fn line(config: &Config, judged: &Judged, dry_run: bool) -> String {
    let topics = &config.kafka.topics;
    let told = judged.standing.as_ref().and_then(|standing| standing.told.as_ref().ok());
    let what = told.map(|letter| format!("  {} {}", letter.fate, letter.code));
    let place = format!("{}/{}{}", topics.dead_letter, judged.spot, what.unwrap_or_default());
    match &judged.verdict {
        Verdict::Refused(why) => format!("refused   {place}: {why}"),
        Verdict::Replayed { to, replays } => {
            let word = if dry_run { "would be  " } else { "replayed  " };
            let to = to.map_or(String::new(), |partition| format!("/{partition}"));
            format!("{word}{place}: to {}{to}, replay {replays}", topics.transactions)
        }
    }
}

fn summary(report: &Report, dry_run: bool) -> String {
    let (replayed, refused) = report.counts();
    let left = match report.left {
        0 => String::new(),
        left => format!(", left {left} (--max)"),
    };
    match dry_run {
        true => {
            format!("would replay {replayed}, would refuse {refused}{left}; nothing was changed")
        }
        false => format!("replayed {replayed}, refused {refused}{left}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::dlq::judge::Refusal;
    use crate::domain::balance::Spot;
    use crate::domain::id::{Offset, Partition};

    fn report() -> Report {
        let judged = |offset, verdict| Judged {
            spot: Spot { partition: Partition(0), offset: Offset(offset) },
            standing: None,
            verdict,
        };
        let replayed = Verdict::Replayed { to: Some(Partition(3)), replays: 2 };
        let judged = vec![judged(12, replayed), judged(13, Verdict::Refused(Refusal::Gone))];
        Report { judged, left: 0 }
    }

    #[test]
    fn the_summary_tells_what_was_done_and_what_is_left() {
        assert_eq!(summary(&report(), false), "replayed 1, refused 1");
        let more = Report { left: 4, ..report() };
        let said = "would replay 1, would refuse 1, left 4 (--max); nothing was changed";
        assert_eq!(summary(&more, true), said);
    }
}
