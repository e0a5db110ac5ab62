//! Whether Redis is what the settings say, and lets us do what we have to. For people who set it up: the route itself
//! meets each of these as an error of a call.

use std::fmt;

use redis::{FromRedisValue, Value};

use super::answers;
use super::scripts::Rights;
use super::{RedisQueue, Topology, errors};
use crate::domain::id::Partition;
use crate::ports::queue::QueueError;

/// Of a cluster.
const SLOTS: u32 = 16_384;

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Server,
    Sentinel,
    Node,
}

/// Why nothing can be done with this Redis until a person has changed it, or the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// `redis.topology` says something else than what was found.
    Topology { said: &'static str, found: Kind },
    /// No Sentinel knows a master of this name.
    Master(String),
    /// So many slots of the cluster are nobody's.
    Slots(u32),
    /// The user may not run these commands.
    Rights(Vec<String>),
}

impl Misfit {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Topology { found: Kind::Server, .. } => {
                "Set it to \"single\", or correct redis.url."
            }
            Self::Topology { found: Kind::Sentinel, .. } => {
                "Set it to \"sentinel\", or correct redis.url."
            }
            Self::Topology { found: Kind::Node, .. } => {
                "Set it to \"cluster\", or correct redis.url."
            }
            Self::Master(_) => "Correct redis.sentinel_master, or redis.url.",
            Self::Slots(_) => "Give them to a node: redis-cli --cluster fix.",
            Self::Rights(_) => "Give it the rights that stand in docs/operating.md.",
        }
    }

    /// Whether a key of the configuration is to blame.
    #[must_use]
    pub fn is_of_a_key(&self) -> bool {
        matches!(self, Self::Topology { .. } | Self::Master(_))
    }

    /// What is wrong, without the remedy.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Topology { said, found } => {
                let found = match found {
                    Kind::Server => "a server that is neither a cluster's nor a Sentinel",
                    Kind::Sentinel => "a Sentinel",
                    Kind::Node => "a node of a cluster",
                };
                format!("redis.topology is {said:?}, and this is {found}")
            }
            Self::Master(name) => {
                format!("no Sentinel knows a master called {name:?} (redis.sentinel_master)")
            }
            Self::Slots(count) => format!("{count} of the cluster's {SLOTS} slots are nobody's"),
            Self::Rights(commands) => {
                format!("its user may not run {} on our keys", commands.join(", "))
            }
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.why(), self.remedy())
    }
}

impl RedisQueue {
    /// Looks whether it is what the settings say.
    ///
    /// # Errors
    /// As for the port's calls.
    pub async fn misfit(&self) -> Result<Option<Misfit>, QueueError> {
        let topology = &self.room.topology;
        let mut held = match self.room.link.hold().await {
            Ok(held) => held,
            Err(error) => {
                let misfit = errors::misfit(&error, topology).map(Some);
                return misfit.ok_or_else(|| errors::class(&error, topology));
            }
        };
        let mut info = redis::cmd("INFO");
        let told = held.connection.everywhere(info.arg("server")).await;
        self.room.link.ended(&held, &told);
        for server in told.map_err(|e| errors::class(&e, topology))? {
            let found = answers::kind(&text(server)?);
            let is_right =
                found == if self.room.link.is_to_cluster() { Kind::Node } else { Kind::Server };
            if !is_right {
                return Ok(Some(Misfit::Topology { said: topology.name(), found }));
            }
        }
        if let Topology::Cluster = topology
            && let Some(missing) = SLOTS.checked_sub(self.covered().await?)
            && missing > 0
        {
            return Ok(Some(Misfit::Slots(missing)));
        }
        Ok(None)
    }

    /// Looks whether all may be done that the route does. Redis 7.0 or newer can tell.
    ///
    /// # Errors
    /// As for the port's calls.
    pub async fn rights(&self) -> Result<Option<Misfit>, QueueError> {
        let keys = self.keys(Partition(0));
        let reply = self.run(&self.scripts().rights, &Rights { keys: &keys }).await?;
        let refused = Vec::<String>::from_redis_value(reply);
        let refused = refused.map_err(|e| QueueError::Permanent(e.to_string()))?;
        Ok((!refused.is_empty()).then_some(Misfit::Rights(refused)))
    }

    /// How many slots have a master.
    async fn covered(&self) -> Result<u32, QueueError> {
        let mut commands = redis::pipe();
        commands.cmd("CLUSTER").arg("SLOTS");
        let (ranges,): (Vec<Value>,) = self.ask(&commands).await?;
        Ok(answers::covered(&ranges))
    }
}

fn text(value: Value) -> Result<String, QueueError> {
    String::from_redis_value(value).map_err(|e| QueueError::Permanent(e.to_string()))
}
