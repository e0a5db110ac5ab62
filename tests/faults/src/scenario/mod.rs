//! What a scenario is made of: which faults strike, on what, and what the oracle may then accept.

mod points;
mod profile;
mod table;
mod together;

pub use self::table::SCENARIOS;
use crate::strike::Fault;
use std::time::Duration;
use tollbridge_rig::{Queues, Store};

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
    /// What it stands on.
    pub setup: Setup,
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

/// What may end in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubts {
    /// Nothing.
    None,
    /// What is older than its key.
    KeyRanOut,
    /// Whose id was published with several payloads.
    OtherPayload,
}

/// What differs from one scenario to the next beside its faults.
#[derive(Debug)]
pub struct Setup {
    /// Faults that must land at least.
    pub landings: usize,
    /// So long may faults strike until that many have landed.
    pub limit: Duration,
    /// What is produced a second.
    pub rate: u32,
    /// The producer's shares of odd and bad transactions.
    pub mix: &'static str,
    /// The gateway's script, without its seed.
    pub gateway: &'static str,
    /// Lines for the processors' configuration: section, key, value as TOML.
    pub settings: &'static [(&'static str, &'static str, &'static str)],
    /// How long the gateway remembers a key, where that is less than a day.
    pub key_life: Option<Duration>,
    /// How many brokers.
    pub brokers: usize,
    /// What the broker keeps of an offset's metadata, in characters.
    pub metadata_max: usize,
    /// What may end in doubt.
    pub doubts: Doubts,
    /// Whether Redis is one server.
    pub queues: Queues,
    /// Redis keeps an append-only file, which it loads slowly.
    pub redis_keeps: bool,
    /// Redis and the store have small disks of their own; only root can give them.
    pub small_disks: bool,
    /// Processors have wall clocks that can be moved.
    pub clocks: bool,
    /// The guest has the name of the first resident.
    pub twin: bool,
    /// Processors are of a build with failpoints.
    pub failpoints: bool,
    /// Faults produce what they need, and take source records away.
    pub bursts: bool,
    /// However much waits, the producer goes on.
    pub piles_up: bool,
}

/// What the gateway does besides: 3 % declines, 1 % charged and never answered, 0.5 % HTTP 500, half of them after
/// charging.
pub const USUAL: Setup = Setup {
    landings: 6,
    limit: Duration::from_secs(240),
    rate: 80,
    mix: "invalid=0.3%,duplicate=1%",
    gateway: "[[fault]]\nkind = \"decline\"\nrate = 0.03\n\
              [[fault]]\nkind = \"timeout-after\"\nrate = 0.01\n\
              [[fault]]\nkind = \"error-before\"\nrate = 0.0025\nstatus = 500\n\
              [[fault]]\nkind = \"error-after\"\nrate = 0.0025\nstatus = 500\n",
    settings: &[],
    key_life: None,
    brokers: 1,
    metadata_max: 4096,
    doubts: Doubts::None,
    queues: Queues::Single,
    redis_keeps: false,
    small_disks: false,
    clocks: false,
    twin: false,
    failpoints: false,
    bursts: false,
    piles_up: false,
};

impl Scenario {
    const fn new(
        name: &'static str,
        what: &'static str,
        store: Store,
        lanes: &'static [&'static [Fault]],
    ) -> Self {
        // Of all at once there shall be more of each.
        let landings = if lanes.len() > 2 { 15 } else { 6 };
        let setup = Setup { landings, ..USUAL };
        Self { name, what, store, group: Group::Classic, lanes, guests: 0, setup }
    }

    const fn storm(mut self, group: Group) -> Self {
        (self.group, self.guests) = (group, 2);
        self
    }

    const fn nameless(mut self) -> Self {
        self.group = Group::Nameless;
        self
    }

    const fn on(mut self, setup: Setup) -> Self {
        if setup.twin {
            self.guests = 1;
        }
        self.setup = setup;
        self
    }
}

/// Those that are made before a change is taken, beside the four of `cargo test`: less than a minute each, and none
/// strikes what another one does.
pub const BEFORE_A_CHANGE: [&str; 8] = [
    "redis-killed",
    "redis-refuses",
    "postgres-killed-in-commit",
    "gateway-silent-or-late",
    "rebalance-storm-classic",
    "rebalanced-while-paused",
    "ids-repeated",
    "told-to-end-under-load",
];

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::{BEFORE_A_CHANGE, Fault, SCENARIOS, named};
    use std::collections::BTreeSet;
    use tollbridge_rig::Store;

    #[test]
    fn names_are_names_and_only_a_server_is_struck_as_one() {
        let names: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        assert!(BEFORE_A_CHANGE.iter().all(|name| named(name).is_some()));
        for scenario in SCENARIOS {
            assert!(scenario.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            let mut faults = scenario.lanes.iter().flat_map(|lane| lane.iter());
            assert!(faults.clone().next().is_some(), "{}", scenario.name);
            let fits = |fault: &Fault| match fault.name {
                name if name.contains("postgres") => scenario.store == Store::Postgres,
                name if name.contains("clickhouse") => scenario.store == Store::Clickhouse,
                name => !name.contains("store") || scenario.store != Store::Sqlite,
            };
            assert!(faults.all(fits), "{}", scenario.name);
        }
    }
}
