//! The table of scenarios: a name that says what is done, a sentence, and which faults strike. Faults of one lane
//! strike one after another, lanes side by side.

use crate::strike::{Fault, gateway, kafka, processors, redis, store};
use tollbridge_rig::Store;

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// What is done.
    pub name: &'static str,
    /// The same, in a sentence.
    pub what: &'static str,
    /// Where rows are stored.
    pub store: Store,
    /// Whether the group speaks the newer protocol, and members have no lasting identity.
    pub group: Group,
    /// Faults that strike; each lane has a thread of its own.
    pub lanes: &'static [&'static [Fault]],
    /// Processors beside the two that always run; they come and go.
    pub guests: usize,
}

/// The consumer group's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// `classic`, with members that keep their identity over a restart.
    Classic,
    /// `classic`, with nameless members, which leave when they end.
    Nameless,
    /// `consumer`, with nameless members.
    Consumer,
}

impl Scenario {
    const fn new(
        name: &'static str,
        what: &'static str,
        store: Store,
        lanes: &'static [&'static [Fault]],
    ) -> Self {
        Self { name, what, store, group: Group::Classic, lanes, guests: 0 }
    }

    const fn storm(mut self, group: Group) -> Self {
        (self.group, self.guests) = (group, 2);
        self
    }
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "kill-with-calls-in-flight",
        "processors are killed (SIGKILL) at any instant",
        Store::Sqlite,
        &[&[processors::KILL]],
    ),
    Scenario::new(
        "frozen-past-session-timeout",
        "a processor is frozen (SIGSTOP) until another has taken over, then goes on",
        Store::Postgres,
        &[&[processors::FREEZE]],
    ),
    Scenario::new(
        "broker-killed",
        "the broker is killed and started again",
        Store::Sqlite,
        &[&[kafka::KILL]],
    ),
    Scenario::new(
        "broker-cut-or-silent",
        "the way to the broker is cut, or silent in one direction, some times for longer than the session",
        Store::Postgres,
        &[&[kafka::CUT, kafka::SILENCE]],
    ),
    Scenario::new("redis-wiped", "FLUSHALL", Store::Sqlite, &[&[redis::WIPE]]),
    Scenario::new(
        "redis-killed",
        "a Redis that keeps nothing on disk is killed and started again",
        Store::Postgres,
        &[&[redis::KILL]],
    ),
    Scenario::new(
        "redis-cut-mid-script",
        "scripts are carried out and their answers lost",
        Store::Sqlite,
        &[&[redis::CUT]],
    ),
    Scenario::new(
        "postgres-killed-in-commit",
        "PostgreSQL is killed with answers on their way, and started again",
        Store::Postgres,
        &[&[store::KILL]],
    ),
    Scenario::new(
        "store-cut-with-unknown-commits",
        "PostgreSQL commits, and the answers are lost",
        Store::Postgres,
        &[&[store::CUT]],
    ),
    Scenario::new(
        "store-frozen-or-read-only",
        "PostgreSQL stands still for longer than is waited for, or takes no rows",
        Store::Postgres,
        &[&[store::FREEZE, store::READ_ONLY]],
    ),
    Scenario::new(
        "redis-full-or-frozen",
        "Redis has no room, or stands still for longer than is waited for",
        Store::Sqlite,
        &[&[redis::FULL, redis::FREEZE]],
    ),
    Scenario::new(
        "gateway-killed",
        "the gateway is killed and started again on its ledger",
        Store::Sqlite,
        &[&[gateway::KILL]],
    ),
    Scenario::new(
        "gateway-silent-or-late",
        "the gateway's answers are lost, or requests reach it after their callers gave up",
        Store::Postgres,
        &[&[gateway::SILENCE, gateway::LATE]],
    ),
    Scenario::new(
        "rebalance-storm-classic",
        "processors join and leave, some killed, in a classic group",
        Store::Sqlite,
        &[&[processors::JOIN_AND_LEAVE], &[processors::JOIN_AND_LEAVE]],
    )
    .storm(Group::Nameless),
    Scenario::new(
        "rebalance-storm-consumer",
        "the same in a group of the newer protocol",
        Store::Postgres,
        &[&[processors::JOIN_AND_LEAVE], &[processors::JOIN_AND_LEAVE]],
    )
    .storm(Group::Consumer),
    Scenario::new(
        "upgraded-and-back",
        "processors end in order and go on as the version of an earlier commit, or as the present one",
        Store::Sqlite,
        &[&[processors::CHANGE_VERSION]],
    ),
    Scenario::new(
        "everything-at-once",
        "all of it side by side: processors, broker, Redis, PostgreSQL and the gateway",
        Store::Postgres,
        &[
            &[processors::KILL, processors::FREEZE],
            &[kafka::KILL, kafka::CUT, kafka::SILENCE],
            &[redis::WIPE, redis::KILL, redis::CUT, redis::FREEZE],
            &[store::KILL, store::CUT, store::FREEZE, store::READ_ONLY],
            &[gateway::KILL, gateway::SILENCE, gateway::LATE],
        ],
    ),
    Scenario::new(
        "everything-at-once-sqlite",
        "the same with rows in one SQLite file",
        Store::Sqlite,
        &[
            &[processors::KILL, processors::FREEZE],
            &[kafka::KILL, kafka::CUT, kafka::SILENCE],
            &[redis::WIPE, redis::KILL, redis::CUT, redis::FULL],
            &[gateway::KILL, gateway::SILENCE, gateway::LATE],
        ],
    ),
    Scenario::new(
        "everything-at-once-consumer",
        "the same in a group of the newer protocol, with guests that come and go",
        Store::Postgres,
        &[
            &[processors::KILL, processors::FREEZE],
            &[processors::JOIN_AND_LEAVE],
            &[kafka::KILL, kafka::CUT, kafka::SILENCE],
            &[redis::WIPE, redis::KILL, redis::CUT, redis::FULL],
            &[store::KILL, store::CUT, store::FREEZE, store::READ_ONLY],
            &[gateway::KILL, gateway::SILENCE, gateway::LATE],
        ],
    )
    .storm(Group::Consumer),
];

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::SCENARIOS;
    use std::collections::BTreeSet;
    use tollbridge_rig::Store;

    #[test]
    fn names_are_names_and_only_a_server_is_struck_as_one() {
        let names: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        for scenario in SCENARIOS {
            assert!(scenario.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            let mut faults = scenario.lanes.iter().flat_map(|lane| lane.iter());
            assert!(faults.clone().next().is_some(), "{}", scenario.name);
            let strikes_store =
                faults.any(|fault| fault.name.contains("store") || fault.name.contains("postgres"));
            assert!(!strikes_store || scenario.store == Store::Postgres, "{}", scenario.name);
        }
    }
}
