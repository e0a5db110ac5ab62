//! What a seed draws before a run begins: the shape of the world, every setting, and the list of faults. Nothing
//! here happens yet; a run with some of the faults taken out is a plan with a shorter list.

use std::time::Duration;

use tollbridge::domain::gate::Bounds;
use tollbridge::domain::id::{Partition, StoreId};
use tollbridge::domain::lead::Leads;
use tollbridge::domain::retry::{FRUITLESS_LOOKUPS_MAX, KeyLife, Lookup};
use tollbridge::pipeline::{AskStore, Begin, Order, Settings, Tuned};

use crate::faults::{self, Fault, Kind, Mood};
use crate::in_steps;
use crate::plants::Plant;
use crate::registry::{self, Framed};
use crate::services;

/// Simulated microseconds.
pub type Micros = u64;
pub const MS: Micros = 1_000;
pub const S: Micros = 1_000_000;

pub const GROUP: &str = "bridge";
pub const TOPIC: &str = "transactions";
pub const STORE: StoreId = StoreId([7; 16]);

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub shape: Shape,
    pub faults: Vec<Fault>,
    /// Once all is told, somebody resolves what is in doubt, and it is published again.
    pub has_person: bool,
    /// Doubts are looked up on a schedule while the run goes on.
    pub has_looks: bool,
    /// The store has neither transactions nor keys: a batch goes there in steps. It knows so many by their tokens.
    pub in_steps: Option<usize>,
    /// Records are framed, and there is a registry.
    pub framed: Option<Framed>,
    /// A bug that is planted.
    pub plant: Option<Plant>,
}

/// The world without its faults.
#[derive(Debug, Clone)]
pub struct Shape {
    pub processes: usize,
    pub settings: Settings,
    pub key_ttl: Duration,
    pub deadline: Duration,
    /// A process keeps its group instance and transactional id when it starts again.
    pub is_static: bool,
    /// The `consumer` protocol: the coordinator gives and takes, member by member, without rounds.
    pub is_incremental: bool,
    pub session: Micros,
    pub heartbeat: Micros,
    pub transaction_timeout: Micros,
    /// Wall clocks against the world's, in microseconds.
    pub skews: Vec<i64>,
    pub transactions: usize,
    /// Records are published until then.
    pub load_ends: Micros,
    /// Some records are published only so much later, when keys have run out.
    pub second_wave: Option<Micros>,
    /// How long it takes until a lookup shows what there is.
    pub shown_after: Micros,
    /// How many events the brokers can take in one transaction, where that is few.
    pub commit_events_max: Option<usize>,
}

impl Shape {
    pub fn life(&self) -> KeyLife {
        KeyLife { ttl: self.key_ttl, deadline: self.deadline }
    }

    pub fn margin(&self) -> Micros {
        micros(self.life().margin())
    }

    /// The last record is published by then.
    pub fn published_by(&self) -> Micros {
        self.load_ends + self.second_wave.unwrap_or(0)
    }

    /// Until something that was asked about is asked about again.
    fn round(&self) -> Micros {
        let set = &self.settings;
        micros(set.sweep_min_age + set.sweep_interval + set.retry_cap + self.deadline)
    }
}

pub fn micros(d: Duration) -> Micros {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

fn span(us: Micros) -> Duration {
    Duration::from_micros(us)
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        Self::at_first(seed).with_more()
    }

    /// In a quarter of the runs the store has no transactions, in a fifth there is a registry.
    fn with_more(mut self) -> Self {
        let mut dice = fastrand::Rng::with_seed(self.seed ^ 0x46a9_7d2e_c81b_305f);
        self.in_steps = (dice.u8(0..4) == 0).then(|| dice.usize(1..=8));
        if self.in_steps.is_some() {
            self.faults.extend(in_steps::slow(&mut dice, &self.shape));
        }
        if dice.u8(0..5) == 0 {
            let (framed, away) = registry::draw(&mut dice, &self.shape);
            self.framed = Some(framed);
            self.faults.extend(away);
        }
        if dice.u8(0..8) == 0 {
            self.faults.extend(services::store_away_amid_a_backlog(&mut dice, &mut self.shape));
        }
        if dice.u8(0..4) == 0 {
            self.faults.extend(faults::around_a_late_call(&mut dice, &self.shape));
        }
        self.faults.sort_by_key(|fault| fault.at);
        self
    }

    /// What a seed was before there were any of these.
    pub fn at_first(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed ^ 0x70b1_1b41_d6e5_eed5);
        let mut shape = shape(&mut dice);
        shape.is_incremental = seed % 4 == 3;
        let mut slow = fastrand::Rng::with_seed(seed ^ 0x1d9e_03c4_77ab_5f20);
        // At least one of each partition.
        shape.commit_events_max = (slow.u8(0..8) == 0).then(|| slow.usize(4..=8));
        draw_lookup(&mut fastrand::Rng::with_seed(seed ^ 0x2f64_e10b_5c9d_7a31), &mut shape);
        let mut pace = fastrand::Rng::with_seed(seed ^ 0x64d5_0c7e_91b2_f38a);
        draw_pace(&mut pace, &mut shape.settings);
        shape.settings.flush_of_group =
            fastrand::Rng::with_seed(seed ^ 0x3e07_b8d1_46ac_95f3).bool();
        let mut faults = faults::draw(&mut dice, &shape);
        if !faults.is_empty() {
            let mut dice = fastrand::Rng::with_seed(seed ^ 0x5c1d_9a27_0b3f_64e1);
            faults.extend(faults::draw_more(&mut dice, &shape));
            faults.extend(faults::draw_rare(&mut pace, &shape));
            faults.sort_by_key(|fault| fault.at);
        }
        let is_looked_into = fastrand::Rng::with_seed(seed ^ 0x7b13_c6e2_05da_984f).bool();
        let has_looks = is_looked_into && shape.settings.lookup.is_there();
        Self {
            seed,
            shape,
            faults,
            has_person: seed % 4 == 2,
            has_looks,
            in_steps: None,
            framed: None,
            plant: None,
        }
    }

    /// Whether something can be in doubt before a key has run out.
    pub fn may_doubt_early(&self) -> bool {
        // Where a lookup tells in the end, it settles another amount, however long the gateway is away.
        let is_told = matches!(self.shape.settings.lookup, Lookup::Settles(_));
        self.faults.iter().any(|fault| match fault.kind {
            Kind::Gateway(Mood::WrongAmount) => !is_told,
            Kind::ClockJump(..) | Kind::ClocksWrong(_) | Kind::Upgrade(_) | Kind::StoreRefuses => {
                true
            }
            _ => false,
        })
    }

    /// A gateway that decides the next request anew after it has declined one.
    pub fn forgets_declines(&self) -> bool {
        let forgets = [Mood::DeclineAhead, Mood::DeclineUnkept].map(Kind::Gateway);
        self.faults.iter().any(|fault| forgets.contains(&fault.kind))
    }

    /// What the gateway's profile says of that.
    pub fn says_it_keeps_declines(&self) -> bool {
        !self.forgets_declines() || self.plant == Some(Plant::EarlierDeclineBelieved)
    }

    /// How long a request may be held by the network, or by a process that stands still: nothing is promised beyond.
    pub fn held_max(&self) -> Micros {
        let margin = self.shape.margin();
        match self.forgets_declines() {
            true => margin.min(micros(self.shape.settings.sweep_min_age)),
            false => margin,
        }
    }

    /// After the last fault everything must have a fate within this time.
    pub fn patience(&self) -> Micros {
        let shape = &self.shape;
        let asked_again = self.keys_run_out() * micros(shape.key_ttl) + 8 * shape.round();
        let unread = self.framed.map_or(0, |framed| framed.patience());
        asked_again + self.given_up() + unread + 4 * shape.session + 60 * S
    }

    /// How many keys run out one after another: a decline that no lookup need show as the last word waits for that, and
    /// where the order of its record key is kept, others wait for it.
    fn keys_run_out(&self) -> u64 {
        let settings = &self.shape.settings;
        let never = settings.lookup == Lookup::NeverSettles && self.forgets_declines();
        if never && settings.order == Order::Key { self.shape.transactions as u64 } else { 1 }
    }

    /// What may have been sent by another version, or at a time that nobody knows, waits until lookups have told what
    /// they can; while it does, no more is let in than the temp queue holds.
    fn given_up(&self) -> Micros {
        let shape = &self.shape;
        let each = match shape.settings.lookup {
            Lookup::None => 0,
            Lookup::Settles(after) => micros(after) + 2 * shape.round(),
            Lookup::NeverSettles => u64::from(FRUITLESS_LOOKUPS_MAX + 1) * shape.round(),
        };
        each * shape.transactions.div_ceil(shape.settings.temp_max) as u64
    }

    /// The end of the last fault.
    pub fn faults_end(&self) -> Micros {
        self.faults.iter().map(Fault::ends).max().unwrap_or(0)
    }
}

/// Half of the lookups show at once what there is, the others later, which only some of them promise to do in time.
fn draw_lookup(dice: &mut fastrand::Rng, shape: &mut Shape) {
    if shape.settings.lookup == Lookup::None || dice.bool() {
        return;
    }
    shape.shown_after = dice.u64(1..=20) * S;
    shape.settings.lookup =
        if dice.bool() { Lookup::Settles(span(shape.shown_after)) } else { Lookup::NeverSettles };
}

/// What is charged when, and how much of it at a time.
fn draw_pace(dice: &mut fastrand::Rng, settings: &mut Settings) {
    if dice.bool() {
        settings.order = Order::Key;
    }
    settings.max_age = (dice.u8(0..6) == 0).then(|| span(dice.u64(2..=40) * S));
    settings.tuned.gate = Bounds {
        is_adaptive: dice.bool(),
        rate_limit: (dice.u8(0..4) == 0).then(|| dice.u32(5..=50)),
        retry_percent: dice.u32(1..=100),
        failures_max: dice.u32(4..=12),
        ..settings.tuned.gate
    };
}

fn shape(dice: &mut fastrand::Rng) -> Shape {
    let processes = dice.usize(1..=3).max(2);
    let deadline = span(dice.u64(500..=3_000) * MS);
    let min_age = deadline + span(dice.u64(500..=5_000) * MS);
    let sweep_interval = span(dice.u64(200..=3_000) * MS);
    // At least what the configuration's own check asks for.
    let needed = min_age + sweep_interval + deadline;
    let shortest = (needed + deadline * 2).max(needed * 10 / 9) + Duration::from_secs(60);
    let key_ttl = shortest * dice.u32(1..=6);
    let session = dice.u64(3..=10) * S;
    let life = KeyLife { ttl: key_ttl, deadline };
    let settings = settings(dice, life, session);
    // As far apart as a take-over just lets pass, less what an answer needs to arrive: it ages on the way.
    let apart_max = micros(life.apart_max()).saturating_sub(200 * MS).cast_signed();
    Shape {
        processes,
        settings: Settings { sweep_min_age: min_age, sweep_interval, ..settings },
        key_ttl,
        deadline,
        is_static: dice.bool(),
        is_incremental: false,
        session,
        heartbeat: session / 3,
        transaction_timeout: session / 2,
        skews: (0..processes).map(|_| dice.i64(-apart_max..=apart_max)).collect(),
        transactions: dice.usize(20..=60),
        load_ends: dice.u64(2..=40) * S,
        shown_after: 0,
        commit_events_max: None,
        second_wave: (dice.u8(0..4) == 0).then(|| micros(key_ttl) + dice.u64(..60) * S),
    }
}

fn leads(dice: &mut fastrand::Rng) -> Leads {
    let most = dice.i64(1..=64);
    Leads { least: dice.i64(1..=most), most }
}

fn settings(dice: &mut fastrand::Rng, key_life: KeyLife, session: Micros) -> Settings {
    let ask_store = if dice.u8(0..4) == 0 { AskStore::WhenAvailable } else { AskStore::Always };
    let rows = dice.usize(1..=8);
    let in_flight = dice.usize(1..=16);
    let gate = Bounds {
        in_flight_max: in_flight,
        is_adaptive: true,
        rate_limit: None,
        retry_percent: 10,
        failures_max: 8,
    };
    Settings {
        group: GROUP.into(),
        topic: TOPIC.into(),
        instance: String::new(),
        partitions: (0..dice.i32(2..=4)).map(Partition).collect(),
        store: STORE,
        begin: Begin::Earliest,
        accept_offset_reset: false,
        ask_store,
        max_age: None,
        order: Order::None,
        lookup: if dice.bool() { Lookup::Settles(Duration::ZERO) } else { Lookup::None },
        key_life,
        proof_age_max: span(session * 2).min(key_life.usable()),
        // Room for a few unfinished offsets, or for all there can be.
        metadata_chars_max: if dice.bool() { 4096 } else { dice.usize(104..=110) },
        dead_letter_bytes_max: 1 << 20,
        ahead_max: 2 * in_flight,
        temp_max: in_flight + dice.usize(0..=40),
        archive_max: rows + dice.usize(0..=40),
        queue_batch_max: dice.usize(1..=16),
        ask_batch_max: dice.usize(1..=8),
        asks_max: dice.usize(1..=3),
        flush_interval: span(dice.u64(20..=1_000) * MS),
        flush_of_group: false,
        flush_rows_max: rows,
        flush_workers: dice.usize(1..=3),
        sweep_interval: Duration::ZERO,
        sweep_min_age: Duration::ZERO,
        publish_interval: span(dice.u64(10..=500) * MS),
        publish_events_max: dice.usize(1..=50),
        leads: leads(dice),
        mark_refresh: (key_life.ttl / 20).max(Duration::from_secs(1)),
        retry_base: span(dice.u64(20..=200) * MS),
        retry_cap: span(dice.u64(500..=5_000) * MS),
        shutdown_timeout: Duration::from_secs(20),
        tuned: Tuned { gate, pause: false },
    }
}
