//! `tollbridge run`: the processor. Only arguments; the work is `app::run`.

use clap::Args;

use super::ConfigArgs;
use super::progress::Progress;
use crate::app::exit::Exit;
use crate::app::limits;
use crate::app::run::RunOptions;
use crate::config::Config;
use crate::config::units::Period;

/// Process transactions until told to stop
///
/// Joins the consumer group, has every transaction charged, stored and reported, and hands its partitions on when it
/// ends. Start more processes to share the work. SIGTERM or Ctrl-C ends it in order, a second one at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge run --config tollbridge.toml
  tollbridge run --config tollbridge.toml --set kafka.instance_id=tollbridge-1
  tollbridge run --config tollbridge.toml --until-idle 10s    # work off what is there, then end")]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Begin again where Kafka has lost the group's offsets although the store knows the partition
    #[arg(long)]
    pub accept_offset_reset: bool,
    /// End with 0 once every partition of the topic has been worked off, by whomever, for this long (as 10s)
    #[arg(long, value_name = "DURATION")]
    pub until_idle: Option<Period>,
}

pub fn run(config: Config, args: &RunArgs) -> anyhow::Result<Exit> {
    limits::check(&config)?;
    let options = RunOptions {
        accept_offset_reset: args.accept_offset_reset,
        until_idle: args.until_idle.map(|period| period.0),
    };
    let bar = args.until_idle.map(|_| Progress::new("working off", 0));
    let sources = args.config.sources();
    let ended = crate::app::run::run(config, sources, options, |done, total| {
        if let Some(bar) = &bar {
            bar.set(done, total);
        }
    });
    if let Some(bar) = bar {
        bar.finish();
    }
    ended
}
