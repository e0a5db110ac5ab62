//! `tollbridge dlq purge`: deletes old dead letters for ever. Arguments and words; what has to stay is decided in
//! `app::dlq`.

use clap::Args;

use super::super::progress::Steps;
use super::super::{ConfigArgs, block_on, print};
use super::time;
use crate::app::dlq::{self, Purge, Purged};
use crate::app::exit::Exit;
use crate::config::Config;

/// Delete dead letters that were written before a time, for ever
///
/// Kafka deletes from the beginning of a partition on: one that has to stay keeps all that were written after it. What
/// is in doubt stays until it was resolved, always. What reconcile would miss stays as long as its record stands on
/// the source topic. Rows are not touched. Retention (retention.ms) deletes by itself and heeds none of this.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge dlq purge --config tollbridge.toml --until 90d --dry-run
  tollbridge dlq purge --config tollbridge.toml --until 2026-01-31")]
pub struct PurgeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Those written before then: 2026-01-31T08:00:00Z, 2026-01-31 (UTC), or so long ago: 90m, 24h, 90d
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: i64,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete also those whose records still stand on the source topic; reconcile names each as no-event from then on
    #[arg(long)]
    force: bool,
}

pub fn run(config: &Config, args: &PurgeArgs) -> anyhow::Result<Exit> {
    let PurgeArgs { until: until_ms, dry_run, force, .. } = *args;
    let mut steps = Steps::default();
    let done = block_on(dlq::purge(config, &Purge { until_ms, dry_run, force }, &mut steps));
    steps.finish();
    let done = done?;
    for purged in &done {
        for line in lines(&config.kafka.topics.dead_letter, purged, dry_run) {
            print(&line)?;
        }
    }
    print(&summary(&done, dry_run))?;
    let is_all = done.iter().all(|purged| purged.stays.is_none());
    Ok(if is_all { Exit::Done } else { Exit::FoundProblems })
}

fn lines(topic: &str, purged: &Purged, dry_run: bool) -> Vec<String> {
    let Purged { partition, letters, begins, stays } = purged;
    let mut lines = Vec::new();
    if *letters > 0 {
        let word = if dry_run { "would be purged" } else { "purged" };
        lines.push(format!("{word}  {topic}/{partition}: {letters}; it begins at {begins}"));
    }
    if let Some((spot, why)) = stays {
        lines.push(format!("stays   {topic}/{spot}, with all behind it: {why}"));
    }
    lines
}

fn summary(done: &[Purged], dry_run: bool) -> String {
    let letters: u64 = done.iter().map(|purged| purged.letters).sum();
    let kept = done.iter().filter(|purged| purged.stays.is_some()).count();
    let kept = match kept {
        0 => String::new(),
        kept => format!("; {kept} partitions keep some"),
    };
    match dry_run {
        true => format!("would purge {letters}{kept}; nothing was changed"),
        false => format!("purged {letters}{kept}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::dlq::Stays;
    use crate::domain::balance::Spot;
    use crate::domain::id::{Offset, Partition};

    #[test]
    fn it_says_what_went_and_what_stays() {
        let spot = Spot { partition: Partition(1), offset: Offset(7) };
        let stays = Some((spot, Stays::Nameless));
        let one = Purged { partition: Partition(0), letters: 3, begins: Offset(9), stays: None };
        let two = Purged { partition: Partition(1), letters: 0, begins: Offset(7), stays };
        assert_eq!(lines("d", &one, false), ["purged  d/0: 3; it begins at 9"]);
        let told = "stays   d/1/7, with all behind it: it tells of a doubt and names no id";
        assert_eq!(lines("d", &two, false), [told]);
        let both = [one, two];
        assert_eq!(summary(&both, false), "purged 3; 1 partitions keep some");
        let said = "would purge 3; 1 partitions keep some; nothing was changed";
        assert_eq!(summary(&both, true), said);
        assert_eq!(summary(&both[..1], false), "purged 3");
    }
}
