//! `tollbridge generate`: a producer of realistic transactions.

use clap::Args;

use super::ConfigArgs;
use crate::app::exit::Exit;
use crate::config::Config;

/// Produce realistic transactions
#[derive(Debug, Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

pub fn run(_: &Config, _: &GenerateArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("generate is not built yet")
}
