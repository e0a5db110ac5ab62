//! `tollbridge config show`: which value each key has, and which layer it comes from. It checks nothing else.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{ConfigArgs, print};
use crate::app::exit::Exit;
use crate::config::show::{Shown, as_toml};
use crate::config::{Config, ConfigErrors};

const EXAMPLES: &str = "\
Examples:
  tollbridge config show --config tollbridge.toml
  tollbridge config show --config tollbridge.toml --json | jq '.[] | select(.origin != \"default\")'";

/// Show the configuration that holds
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigCommand {
    #[command(subcommand)]
    pub does: Does,
}

#[derive(Debug, Subcommand)]
pub enum Does {
    Show(ShowArgs),
}

/// Print every key with its value and where that comes from
///
/// In the form of the file, in the order of its sections. Behind each value stands its origin: the file, the
/// environment variable, the command line, or the default. What is secret is shown as ***.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ShowArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
}

impl ConfigCommand {
    pub fn config_args(&self) -> &ConfigArgs {
        let Does::Show(args) = &self.does;
        &args.config
    }
}

pub fn run(args: &ConfigCommand) -> anyhow::Result<Exit> {
    let Does::Show(ShowArgs { config, json }) = &args.does;
    let shown = Config::with_shown(&config.sources());
    let (_, shown) = shown.map_err(|errors: ConfigErrors| Exit::BadConfig.because(errors))?;
    if *json {
        print(&as_json(&shown).to_string())?;
    } else {
        for line in as_toml(&shown) {
            print(&line)?;
        }
    }
    Ok(Exit::Done)
}

fn as_json(shown: &[Shown]) -> serde_json::Value {
    let key = |shown: &Shown| {
        json!({
            "key": format!("{}.{}", shown.section, shown.name),
            "value": shown.value,
            "origin": shown.origin,
        })
    };
    shown.iter().map(key).collect()
}
