//! The scenarios in which Redis is several servers.

use super::{Scenario, Setup, USUAL};
use crate::strike::{processors, together};
use std::time::Duration;
use tollbridge_rig::{Queues, Store};

/// A failover takes seconds, and so does the way back to as many replicas as before.
const LONG: Duration = Duration::from_secs(600);

pub(super) const SENTINELS: Scenario = Scenario::new(
    "redis-sentinel-failover",
    "the master under Sentinels dies, stands still and comes back, or dies with what its replicas lack; others take over",
    Store::Postgres,
    &[&[together::FAILOVER]],
)
.on(Setup { queues: Queues::Sentinels, limit: LONG, ..USUAL });

pub(super) const CLUSTER: Scenario = Scenario::new(
    "redis-cluster-failover",
    "one of a cluster's three masters goes in the same ways, and its replica takes over",
    Store::Sqlite,
    &[&[together::FAILOVER]],
)
.on(Setup { queues: Queues::Cluster, limit: LONG, ..USUAL });

pub(super) const SLOTS: Scenario = Scenario::new(
    "redis-cluster-slot-migration",
    "slots of partitions move from one master of a cluster to another under load; processors are killed meanwhile",
    Store::Postgres,
    &[&[together::MOVE], &[processors::KILL]],
)
.on(Setup { queues: Queues::Cluster, landings: 10, limit: LONG, ..USUAL });
