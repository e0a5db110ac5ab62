//! Builds the parts and runs the route until it is told to stop.

use std::time::Duration;

use super::exit::Exit;
use crate::config::Config;

/// What the command line adds to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunOptions {
    /// Begin again where Kafka has lost the group's offsets although the store knows the partition.
    pub accept_offset_reset: bool,
    /// End once every partition of the topic has been worked off for this long.
    pub until_idle: Option<Duration>,
}

/// Runs until a signal, until idle, or until something is beyond repair.
pub fn run(_: Config, _: RunOptions) -> anyhow::Result<Exit> {
    anyhow::bail!("run is not built yet")
}
