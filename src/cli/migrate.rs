//! `tollbridge migrate`: makes or upgrades the store's tables.

use anyhow::anyhow;
use clap::Args;

use super::{ConfigArgs, block_on, print};
use crate::app::exit::Exit;
use crate::app::store::AnyStore;
use crate::config::Config;
use crate::domain::hex::hex;
use crate::ports::store::StoreError;

/// Make or upgrade the store's tables
///
/// May be run again at any time, also while processors run. Writes the store's id the first time: a processor refuses
/// to go on with another store than the one it began with.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tollbridge migrate --config tollbridge.toml")]
pub struct MigrateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
}

pub fn run(config: &Config) -> anyhow::Result<Exit> {
    block_on(async {
        let store = AnyStore::of(&config.store).map_err(|error| Exit::BadConfig.because(error))?;
        let done = store.migrate().await;
        store.close().await;
        let done = done.map_err(|error| match error {
            StoreError::Transient(_) | StoreError::Unknown(_) => Exit::Unavailable
                .because(anyhow!("{}: {error}; start it, or correct store.url", config.store.url)),
            StoreError::Permanent(_) | StoreError::Poison(_) => {
                anyhow!("{}: {error}", config.store.url)
            }
        })?;
        let id = hex(&done.id.0);
        print(&match done.from {
            None => {
                format!("{}: made the tables, version {}; store {id}", config.store.url, done.to)
            }
            Some(from) if from == done.to => {
                format!(
                    "{}: nothing to do, the tables have version {from}; store {id}",
                    config.store.url
                )
            }
            Some(from) => format!(
                "{}: brought the tables from version {from} to {}; store {id}",
                config.store.url, done.to
            ),
        })?;
        Ok(Exit::Done)
    })
}
