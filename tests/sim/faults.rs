//! What goes wrong in a run, and when. A fault is a moment or a span; within a span it strikes each call it concerns
//! with its chance. Data and the drawing of it; the world carries it out.

use tollbridge::domain::id::Partition;

use crate::operator::Tampering;
use crate::plan::{MS, Micros, S, Shape, micros};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub at: Micros,
    /// Zero for what is only a moment.
    pub lasting: Micros,
    /// In a hundred calls.
    pub chance: u8,
    pub kind: Kind,
}

impl Fault {
    pub fn ends(&self) -> Micros {
        self.at + self.lasting
    }
}

/// Where in a call's life a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Issue,
    /// Of a commit: its events are written.
    Produced,
    /// Of a commit: its offsets are with the transaction, its end is not asked for.
    Added,
    Apply,
    Reply,
}

impl Stage {
    pub const ALL: [Self; 5] = [Self::Issue, Self::Produced, Self::Added, Self::Apply, Self::Reply];
    /// Of a call that is no commit.
    pub const PLAIN: [Self; 3] = [Self::Issue, Self::Apply, Self::Reply];
}

/// How a commit ends of which its producer gets no clear answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    Applied,
    NotApplied,
    /// Stays open until its timeout, or until its producer is renewed: then it is gone.
    Open,
    /// Its end is written and will take effect later, or once its producer is renewed.
    Prepared,
    /// It reaches the broker only after a while.
    Delayed,
}

/// How the gateway treats a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    DeclineUnkept,
    Decline,
    /// Declines before it looks at the key: a limit, whatever became of an earlier request.
    DeclineAhead,
    Late,
    Error500Untaken,
    Error500Taken,
    Throttle,
    DuplicateCode,
    WrongId,
    WrongAmount,
    Garbage,
    Html,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The process dies; it is back after the fault's span.
    Crash(usize),
    /// It dies at this stage of the next call of that name.
    CrashAt(usize, &'static str, Stage),
    /// The process whose effect has this number dies at this stage of it.
    CrashAtEffect(u64, Stage),
    /// Every process dies; all are back after the span.
    Outage,
    /// It stands still, and its calls that had not left yet leave when it wakes.
    Freeze(usize),
    /// It dies, and is back as a version that makes other bodies.
    Upgrade(usize),
    /// It is told to stop, and started again after the span.
    Stop(usize),
    /// Its configuration's emergency stop is set until the end of the span.
    Pause(usize),
    /// The group drops the member, which learns of it at the end of the span.
    Kick(usize),
    /// Its wall clock jumps, and back at the end of the span.
    ClockJump(usize, i64),
    /// Every clock but the gateway's is wrong, by the same.
    ClocksWrong(i64),
    QueueWipe,
    QueueForgetsEpoch(Partition),
    QueueForgetsNewest(usize),
    QueueEvicts(usize),
    QueueFull,
    QueueSlow,
    QueueDown,
    QueueRequestsLost,
    QueueRepliesLost,
    StoreDown,
    StoreSlow,
    /// Someone has a rule on the table that rows of one account break, unless they are in doubt.
    StoreRefuses,
    StoreRequestsLost,
    StoreRepliesLost,
    RegistryDown,
    RegistryRepliesLost,
    Gateway(Mood),
    GatewayDown,
    GatewayRequestsLost,
    GatewayRepliesLost,
    /// Requests arrive after nobody waits for them any more.
    GatewayArrivalsLate,
    CommitTorn(Torn),
    /// Each request of a transaction takes its time.
    CommitSlow,
    BrokerDown,
    /// Others commit for the group while it is empty; at the end of the span what stood there is brought back.
    Tampered(Partition, Tampering),
    /// Retention deletes so many records that have no fate yet; at the end of the span an operator accepts it.
    Retention(Partition, usize),
    /// Scripts end half-way, with an error.
    QueueTorn,
    /// An operator sets the committed offset by so much, and accepts what comes of it.
    OffsetsReset(Partition, i64),
}

impl Kind {
    /// For counting.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        match self {
            Self::Gateway(_) | Self::CommitTorn(_) => text,
            Self::CrashAt(_, _, stage) | Self::CrashAtEffect(_, stage) => {
                format!("CrashAt{stage:?}")
            }
            _ => text.split('(').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Far beyond everything that a run lasts.
const DAY: i64 = 86_400_000_000;

const CALLS: [&str; 16] = [
    "committed",
    "membership",
    "commit",
    "renew",
    "claim",
    "admit",
    "settle",
    "mark",
    "remove",
    "missing",
    "scan",
    "charge",
    "lookup",
    "ask",
    "store",
    "add_sources",
];

const MOODS: [Mood; 12] = [
    Mood::DeclineUnkept,
    Mood::Decline,
    Mood::DeclineAhead,
    Mood::Late,
    Mood::Error500Untaken,
    Mood::Error500Taken,
    Mood::Throttle,
    Mood::DuplicateCode,
    Mood::WrongId,
    Mood::WrongAmount,
    Mood::Garbage,
    Mood::Html,
];

/// Every run draws which rooms may fail at all, so that some runs hit one room hard.
pub fn draw(dice: &mut fastrand::Rng, shape: &Shape) -> Vec<Fault> {
    if dice.u8(0..16) == 0 {
        return Vec::new();
    }
    let rooms: u8 = dice.u8(1..32);
    let count = dice.usize(2..=16);
    let horizon = shape.load_ends + dice.u64(1..=20) * S;
    let mut faults = Vec::new();
    while faults.len() < count {
        let room = dice.u8(0..5);
        if rooms & (1 << room) == 0 {
            continue;
        }
        let kind = match room {
            0 => process(dice, shape),
            1 => queue(dice, shape),
            2 => store(dice),
            3 => gateway(dice),
            _ => kafka(dice, shape),
        };
        let wave = shape.second_wave.filter(|_| dice.bool()).unwrap_or(0);
        let at = wave + dice.u64(0..horizon);
        let lasting = lasting(dice, shape, &kind);
        let chance = [5, 20, 50, 100][dice.usize(..4)];
        if kind == Kind::Gateway(Mood::DeclineAhead) {
            // Worth something only where a charge's answer was lost before.
            let lost = Kind::GatewayRepliesLost;
            let before = at.saturating_sub(5 * S);
            faults.push(Fault { at: before, lasting: at - before, chance: 50, kind: lost });
        }
        if let Kind::ClocksWrong(_) = kind {
            faults.extend(around_wrong_clocks(dice, shape, at, lasting));
        }
        if let Kind::Upgrade(who) = kind {
            faults.extend(around_an_upgrade(dice, at, who));
        }
        faults.push(Fault { at, lasting, chance, kind });
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// Rarer ones, drawn apart from the others so that these stay what they were.
pub fn draw_more(dice: &mut fastrand::Rng, shape: &Shape) -> Vec<Fault> {
    let partition = shape.settings.partitions[dice.usize(..shape.settings.partitions.len())];
    let kind = match dice.u8(0..16) {
        0 => Kind::Tampered(partition, Tampering::ALL[dice.usize(..Tampering::ALL.len())]),
        1 => Kind::Retention(partition, dice.usize(..4)),
        2 => Kind::QueueTorn,
        3 => Kind::OffsetsReset(partition, dice.i64(-12..=4)),
        4..=7 => return around_a_late_call(dice, shape),
        _ => return Vec::new(),
    };
    let at = dice.u64(0..shape.load_ends + 5 * S);
    let lasting = match kind {
        Kind::Tampered(..) | Kind::OffsetsReset(..) => 2 * shape.session + dice.u64(5..=20) * S,
        _ => dice.u64(1..=15) * S,
    };
    let is_reset = matches!(kind, Kind::OffsetsReset(..));
    let mut faults = vec![Fault { at, lasting, chance: [20, 50, 100][dice.usize(..3)], kind }];
    if is_reset && dice.bool() {
        // What was asked for has no answer, and by the time it can be asked for again its keys have run out.
        let fault = |at, lasting, kind| Fault { at, lasting, chance: 100, kind };
        faults.push(fault(at.saturating_sub(8 * S), 8 * S, Kind::GatewayRepliesLost));
        faults.push(fault(at + S, micros(shape.key_ttl), Kind::StoreDown));
    }
    faults
}

/// A call of an owner that dies is late, and meets a Redis that has lost its successor's epoch.
pub fn around_a_late_call(dice: &mut fastrand::Rng, shape: &Shape) -> Vec<Fault> {
    let at = dice.u64(0..shape.load_ends);
    let fault = |at, lasting, kind| Fault { at, lasting, chance: 60, kind };
    let mut faults = vec![
        fault(at, 4 * S, Kind::QueueSlow),
        fault(at + S, 100 * MS, Kind::Crash(dice.usize(..shape.processes))),
    ];
    for _ in 0..3 {
        let lost = at + S + dice.u64(..if shape.is_static { 3 * S } else { shape.session + 2 * S });
        faults.push(fault(lost, 0, Kind::QueueForgetsNewest(dice.usize(1..=30))));
    }
    faults
}

/// What makes wrong clocks worth something: a take-over while they are wrong, requests without an answer, and a next
/// owner that comes when the keys have run out.
fn around_wrong_clocks(
    dice: &mut fastrand::Rng,
    shape: &Shape,
    at: Micros,
    lasting: Micros,
) -> Vec<Fault> {
    let long = if dice.bool() { micros(shape.key_ttl) } else { 0 };
    let lost = Kind::GatewayRepliesLost;
    vec![
        Fault { at: at + 50 * MS, lasting: 200 * MS, chance: 100, kind: Kind::Outage },
        Fault { at, lasting, chance: 50, kind: lost },
        Fault { at: at + lasting, lasting: long + S, chance: 100, kind: Kind::Outage },
    ]
}

/// What makes an upgrade worth something: requests without an answer before it, and nothing but Kafka to tell a
/// second life of the new version that they were made by the old one.
fn around_an_upgrade(dice: &mut fastrand::Rng, at: Micros, who: usize) -> Vec<Fault> {
    let before = at.saturating_sub(3 * S);
    let lost = Kind::GatewayRepliesLost;
    let mut all = vec![Fault { at: before, lasting: at - before, chance: 50, kind: lost }];
    if dice.bool() {
        let kind = Kind::QueueWipe;
        all.push(Fault { at: at + dice.u64(..6 * S), lasting: 0, chance: 100, kind });
        let (at, lasting) = (at + dice.u64(2 * S..8 * S), dice.u64(100 * MS..S));
        all.push(Fault { at, lasting, chance: 100, kind: Kind::Crash(who) });
    }
    all
}

/// An operator's emergency stop, in an eighth of the runs, and rows that the store refuses, in a twelfth.
pub fn draw_rare(dice: &mut fastrand::Rng, shape: &Shape) -> Vec<Fault> {
    let stop = Kind::Pause(dice.usize(..shape.processes));
    let drawn = |(one_in, kind)| {
        let (at, lasting) = (dice.u64(..shape.load_ends), dice.u64(S..=30 * S));
        (dice.u8(0..one_in) == 0).then_some(Fault { at, lasting, chance: 100, kind })
    };
    [(8, stop), (12, Kind::StoreRefuses)].into_iter().filter_map(drawn).collect()
}

fn process(dice: &mut fastrand::Rng, shape: &Shape) -> Kind {
    let who = dice.usize(..shape.processes);
    match dice.u8(0..15) {
        13 => Kind::ClocksWrong(if dice.bool() { DAY } else { -DAY }),
        12 => Kind::Upgrade(who),
        0..2 => Kind::Crash(who),
        2..6 => {
            let call = CALLS[dice.usize(..CALLS.len())];
            let stages: &[Stage] = if call == "commit" { &Stage::ALL } else { &Stage::PLAIN };
            Kind::CrashAt(who, call, stages[dice.usize(..stages.len())])
        }
        6 => Kind::Outage,
        7..10 => Kind::Freeze(who),
        10 => Kind::Stop(who),
        _ => {
            let far = i64::try_from(micros(shape.key_ttl)).unwrap_or(0);
            Kind::ClockJump(who, if dice.bool() { far } else { -far })
        }
    }
}

fn queue(dice: &mut fastrand::Rng, shape: &Shape) -> Kind {
    let partitions = &shape.settings.partitions;
    match dice.u8(0..9) {
        8 => Kind::QueueEvicts(dice.usize(1..=8)),
        0 => Kind::QueueWipe,
        1 => Kind::QueueForgetsEpoch(partitions[dice.usize(..partitions.len())]),
        2 => Kind::QueueForgetsNewest(dice.usize(1..=30)),
        3 => Kind::QueueFull,
        4 => Kind::QueueSlow,
        5 => Kind::QueueDown,
        6 => Kind::QueueRequestsLost,
        _ => Kind::QueueRepliesLost,
    }
}

fn store(dice: &mut fastrand::Rng) -> Kind {
    let all = [Kind::StoreDown, Kind::StoreSlow, Kind::StoreRequestsLost, Kind::StoreRepliesLost];
    all[dice.usize(..4)].clone()
}

fn gateway(dice: &mut fastrand::Rng) -> Kind {
    match dice.u8(0..14) {
        12.. => Kind::Gateway(Mood::Late),
        0 => Kind::GatewayDown,
        1..3 => Kind::GatewayRequestsLost,
        3..5 => Kind::GatewayRepliesLost,
        5 => Kind::GatewayArrivalsLate,
        _ => Kind::Gateway(MOODS[dice.usize(..MOODS.len())]),
    }
}

fn kafka(dice: &mut fastrand::Rng, shape: &Shape) -> Kind {
    let torn = [Torn::Applied, Torn::NotApplied, Torn::Open, Torn::Prepared, Torn::Delayed];
    match dice.u8(0..9) {
        8 => Kind::CommitSlow,
        0 => Kind::BrokerDown,
        1..3 => Kind::Kick(dice.usize(..shape.processes)),
        _ => Kind::CommitTorn(torn[dice.usize(..torn.len())]),
    }
}

fn lasting(dice: &mut fastrand::Rng, shape: &Shape, kind: &Kind) -> Micros {
    let brief = dice.u64(10..=3_000) * MS;
    let long = micros(shape.key_ttl) + dice.u64(0..=60) * S;
    match kind {
        Kind::QueueWipe
        | Kind::QueueForgetsEpoch(_)
        | Kind::QueueForgetsNewest(_)
        | Kind::QueueEvicts(_) => 0,
        // Long enough for the call to be made.
        Kind::CrashAt(..) => 40 * S,
        Kind::ClocksWrong(_) => 5 * S + brief,
        Kind::Freeze(_) if dice.u8(0..6) == 0 => long,
        Kind::Freeze(_) => shape.session / 2 + dice.u64(..3 * shape.session),
        Kind::Outage | Kind::Crash(_) | Kind::GatewayRequestsLost | Kind::GatewayRepliesLost
            if dice.u8(0..5) == 0 =>
        {
            long
        }
        Kind::Kick(_) => dice.u64(..shape.session),
        Kind::Gateway(Mood::DeclineAhead) => 20 * S + brief,
        Kind::Gateway(_) | Kind::GatewayDown | Kind::QueueDown | Kind::StoreDown => {
            brief * dice.u64(1..=10)
        }
        _ => brief * dice.u64(1..=4),
    }
}
