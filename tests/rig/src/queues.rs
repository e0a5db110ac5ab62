//! The servers that a stack's queues are in: one, several under Sentinels, or a cluster.

use crate::error::{Error, Result};
use crate::sentinels::MASTER;
use crate::stack::Stack;
use crate::{Cluster, Redis, RedisOptions, Reply, Sentinels};

/// How many there are, and who decides which is a master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queues {
    /// One server.
    Single,
    /// Sentinels decide.
    Sentinels,
    /// The servers themselves.
    Cluster,
}

/// Several servers.
#[derive(Debug)]
pub enum Together {
    /// One master.
    Sentinels(Sentinels),
    /// Three masters.
    Cluster(Cluster),
}

/// Starts them. Where they are several, the one beside them is not started.
pub(crate) fn start(queues: Queues, options: &RedisOptions) -> Result<(Redis, Option<Together>)> {
    let together = match queues {
        Queues::Single => return Ok((Redis::start_with(options.clone())?, None)),
        Queues::Sentinels => Together::Sentinels(Sentinels::start()?),
        Queues::Cluster => Together::Cluster(Cluster::start()?),
    };
    Ok((Redis::stopped(options.clone())?, Some(together)))
}

impl Together {
    /// Lines of a configuration: section, key, value as TOML.
    pub(crate) fn settings(&self) -> Vec<(String, String, String)> {
        let line = |key: &str, value: &str| ("redis".into(), key.into(), format!("{value:?}"));
        match self {
            Self::Sentinels(servers) => vec![
                line("url", &servers.url()),
                line("topology", "sentinel"),
                line("sentinel_master", MASTER),
            ],
            Self::Cluster(servers) => {
                vec![line("url", &servers.url()), line("topology", "cluster")]
            }
        }
    }

    /// The servers that are masters now.
    #[must_use]
    pub fn masters(&self) -> Vec<&Redis> {
        match self {
            Self::Sentinels(servers) => servers.master().into_iter().collect(),
            Self::Cluster(servers) => servers.masters(),
        }
    }
}

impl Stack {
    /// Runs a command on the server that has this key.
    ///
    /// # Errors
    /// When none answers, or it answers with an error.
    pub fn queue_command(&self, words: &[&str]) -> Result<Reply> {
        let Some(together) = &self.together else { return self.redis.command(words) };
        let mut answers = together.masters().into_iter().map(|master| master.command(words));
        answers.find(Result::is_ok).unwrap_or_else(|| Err(Error::new("no master answers")))
    }
}
