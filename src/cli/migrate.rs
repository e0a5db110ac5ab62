//! `tollbridge migrate`: makes or upgrades the store's tables.

use clap::Args;

use super::ConfigArgs;
use crate::app::exit::Exit;
use crate::config::Config;

/// Make or upgrade the store's tables
///
/// May be run again at any time, also while processors run. Writes the store's id the first time: a processor refuses
/// to go on with another store than the one it began with.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

pub fn run(_: &Config) -> anyhow::Result<Exit> {
    anyhow::bail!("migrate is not built yet")
}
