//! `tollbridge trace`: the life of one transaction.

use clap::Args;

use super::ConfigArgs;
use crate::app::exit::Exit;
use crate::config::Config;

/// Show the life of one transaction: source place, attempts, where it is now, row and events
#[derive(Debug, Args)]
pub struct TraceArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The transaction's id
    #[arg(value_name = "ID")]
    pub id: String,
}

pub fn run(_: &Config, _: &TraceArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("trace is not built yet")
}
