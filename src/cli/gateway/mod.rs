//! `tollbridge gateway`: what the profile makes of a real gateway, and the profiles that come with the program.
//! Arguments and words; the work is `app::gateway_check`.

mod check;

use clap::{Args, Subcommand};

use super::{ConfigArgs, print};
use crate::app::exit::Exit;
use crate::config::Config;
use crate::wire::gateway::BUILT_IN;

/// Try a gateway's profile, and show the built-in ones
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge gateway show stripe > gateway.toml    # to start one of your own from
  tollbridge gateway check --config tollbridge.toml --account acct-1 --payment-method pm_card_visa \\
      --amount 100 --currency EUR")]
pub struct GatewayCommand {
    #[command(subcommand)]
    command: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    Check(check::CheckArgs),
    Show(ShowArgs),
}

/// Print a built-in profile
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollbridge gateway show stripe > gateway.toml")]
pub struct ShowArgs {
    /// Its name
    #[arg(value_name = "NAME", value_parser = BUILT_IN.map(|(name, _)| name))]
    name: String,
}

impl GatewayCommand {
    pub(super) fn config_args(&self) -> Option<&ConfigArgs> {
        match &self.command {
            Which::Check(args) => Some(&args.config),
            Which::Show(_) => None,
        }
    }
}

pub fn run(config: Option<&Config>, args: GatewayCommand) -> anyhow::Result<Exit> {
    match (args.command, config) {
        (Which::Check(args), Some(config)) => check::run(config, &args),
        (Which::Check(_), None) => anyhow::bail!("this command needs a configuration"),
        (Which::Show(args), _) => {
            let (_, text) =
                BUILT_IN.into_iter().find(|(name, _)| *name == args.name).unwrap_or_default();
            print(text.trim_end())?;
            Ok(Exit::Done)
        }
    }
}
