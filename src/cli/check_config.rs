//! `tollbridge check-config`: is the configuration right, and is everything there that it names?

use clap::Args;

use super::{ConfigArgs, block_on, print};
use crate::app::check::{self, State};
use crate::app::exit::Exit;
use crate::app::{limits, settings};
use crate::config::Config;

/// Check the configuration, then every connection and topic
///
/// Prints one line for each part: what is fine, or what is wrong, where, and what to do. Ends with 78 where a key is
/// wrong and with 69 where a part does not answer or is not set up as it has to be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge check-config --config tollbridge.toml
  tollbridge check-config --config tollbridge.toml --skip-connections    # in a build pipeline")]
pub struct CheckConfigArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Check keys and inequalities only
    #[arg(long)]
    pub skip_connections: bool,
}

pub fn run(config: &Config, args: &CheckConfigArgs) -> anyhow::Result<Exit> {
    limits::check(config)?;
    settings::decoder(config)?;
    settings::profile(config)?;
    print("ok    configuration: every key and inequality holds")?;
    if args.skip_connections {
        return Ok(Exit::Done);
    }
    let mut exit = Exit::Done;
    block_on(async {
        check::connections(config, |finding| {
            exit = worse(exit, &finding.state);
            print(&finding.to_string()).ok();
        })
        .await;
        Ok(())
    })?;
    Ok(exit)
}

/// A wrong key outweighs a dead part: no waiting mends it.
fn worse(exit: Exit, state: &State) -> Exit {
    match state {
        State::BadKey(..) => Exit::BadConfig,
        State::Wrong(..) if exit == Exit::Done => Exit::Unavailable,
        _ => exit,
    }
}
