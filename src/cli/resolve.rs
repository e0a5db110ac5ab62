//! `tollbridge resolve`: a person's word on a transaction that is in doubt.

use clap::Args;

use super::ConfigArgs;
use crate::app::exit::Exit;
use crate::config::Config;

/// End an in_doubt transaction, after asking the gateway's operators
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("word").required(true).args(["charged", "not_charged"]))]
#[command(after_help = "\
Examples:
  tollbridge resolve --config tollbridge.toml tx-81 --charged ch_9f2 --by alice
  tollbridge resolve --config tollbridge.toml tx-81 --not-charged --by alice")]
pub struct ResolveArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The transaction's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// It was charged: the gateway's own id of the charge
    #[arg(long, value_name = "GATEWAY_ID")]
    pub charged: Option<String>,
    /// It was never charged; published again, it will be
    #[arg(long)]
    pub not_charged: bool,
    /// Who says so; kept in the audit line
    #[arg(long, value_name = "NAME")]
    pub by: String,
}

pub fn run(_: &Config, _: &ResolveArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("resolve is not built yet")
}
