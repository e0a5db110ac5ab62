//! One simulated process: its engine, its consumer's thread and its producer, as far as they matter. A process that
//! has died has none of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tollbridge::app::schemas::Holding;
use tollbridge::domain::alerts::Board;
use tollbridge::domain::id::{Epoch, Offset, Partition, Version};
use tollbridge::domain::time::{Boot, Now, Wall};
use tollbridge::pipeline::{CallId, Engine};
use tollbridge::ports::publisher::CommitPoint;
use tollbridge::ports::source::{Start, Ticket};

use crate::in_steps::Storing;
use crate::plan::Micros;
use crate::spared::Spared;
use crate::world::Happening;

/// 2023-11-14, some time of the day.
const EPOCH: i64 = 1_700_000_000_000_000;

/// An id and the place that it stands for.
pub type Named = (String, (Partition, Offset));

/// A process and which of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    pub process: usize,
    pub number: u32,
}

pub struct Process {
    pub life: Life,
    /// `None` while it is dead.
    pub up: Option<Box<Running>>,
    pub skew: i64,
    pub jump: i64,
    /// By how much every clock is wrong.
    pub wrong: i64,
    pub uptime: Micros,
    /// A planted bug: spans of time come from the wall clock, its jumps included.
    pub measures_by_wall: bool,
    /// Which version of the bodies its next life makes.
    pub recipe: u32,
    /// Its configuration holds all requests.
    pub is_paused: bool,
}

pub struct Running {
    pub engine: Engine,
    pub recipe: u32,
    pub client: Client,
    pub fetched: BTreeMap<Partition, Fetched>,
    pub transactional_id: String,
    /// `None` until it is renewed.
    pub producer_epoch: Option<u32>,
    /// The number of the latest snapshot, and who we were then.
    pub snapshot: (u64, i32, String),
    /// Numbers of the calls that are under way, among all calls of the run.
    pub numbers: BTreeMap<CallId, u64>,
    pub frozen_until: Option<Micros>,
    /// What would have happened to it while it stood still.
    pub inbox: Vec<Happening>,
    pub pump_at: Option<Micros>,
    pub wake: u64,
    /// Events and commands keep their order.
    pub source_at: Micros,
    pub command_at: Micros,
    /// The place for which an entry was last acknowledged to this life, by id.
    pub acknowledged: BTreeMap<String, (Partition, Offset)>,
    /// What admissions that are under way are about.
    pub admitting: BTreeMap<CallId, Vec<Named>>,
    pub stopping: bool,
    /// It knows that its configuration holds all requests.
    pub is_paused: bool,
    /// The epoch of its latest call for each partition.
    pub epochs: BTreeMap<Partition, Epoch>,
    /// What its latest commit says, and what its last clean one said: for planted bugs.
    pub saying: Vec<CommitPoint>,
    pub said: BTreeMap<Partition, CommitPoint>,
    /// When each batch was first sent to the store.
    pub sent_at: BTreeMap<String, Micros>,
    /// Since when it runs without a break.
    pub runs_since: Micros,
    /// A commit of it is under way.
    pub committing: bool,
    /// What it tells of the rules of the group.
    pub board: Board,
    /// Batches on their way into a store without transactions.
    pub storing: BTreeMap<CallId, Storing>,
    /// What it last heard of the store was that it can't.
    pub is_store_away: bool,
    /// Records that wait for their schema, where there is a registry.
    pub holding: Option<Holding>,
    pub spared: Spared,
}

/// What the consumer client knows of the group.
#[derive(Debug, Default)]
pub struct Client {
    pub member_id: String,
    pub generation: i32,
    /// When the group came to know it: nothing can be claimed before.
    pub known_since: Micros,
    pub owned: BTreeSet<Partition>,
    pub open: Option<Open>,
    pub queue: VecDeque<Rebalance>,
    pub rejoin_wanted: bool,
    pub tickets: u64,
}

#[derive(Debug)]
pub struct Open {
    pub ticket: Ticket,
    pub assigned: bool,
    pub partitions: BTreeSet<Partition>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Rebalance {
    Assigned(BTreeSet<Partition>),
    Revoked {
        partitions: BTreeSet<Partition>,
        lost: bool,
    },
    Rejoin,
    /// As a new member.
    Join,
}

#[derive(Debug)]
pub struct Fetched {
    pub version: Version,
    pub position: Offset,
    pub demand: usize,
    pub closed: bool,
    pub told_end: Option<Offset>,
}

impl From<&Start> for Fetched {
    fn from(start: &Start) -> Self {
        let Start { version, offset: position, .. } = *start;
        Self { version, position, demand: 0, closed: false, told_end: None }
    }
}

impl Process {
    pub fn now(&self, now: Micros) -> Now {
        let wall = EPOCH + i64::try_from(now).unwrap_or(i64::MAX) + self.skew + self.jump;
        let wall = wall + self.wrong;
        Now { boot: Boot(self.booted_before() + now), wall: Wall(wall) }
    }

    /// How long before the run its clock began to count.
    pub fn booted_before(&self) -> Micros {
        let jump = if self.measures_by_wall { self.jump } else { 0 };
        self.uptime.saturating_add_signed(jump)
    }
}

/// The true time.
pub fn wall(now: Micros) -> Wall {
    Wall(EPOCH + i64::try_from(now).unwrap_or(i64::MAX))
}
