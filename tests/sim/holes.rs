//! Holes: the situations in which a bridge of this kind loses or repeats a payment if it is not made for them. Each is
//! counted where the world sees it happen, so that many seeds prove that they were met. What comes of it is the
//! oracle's business.

use std::collections::BTreeMap;

/// In a hundred seeds each hole has to be met at least once, or nothing was shown of it.
pub const SEEDS_FOR_ONE: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hole {
    // Kafka
    NothingJoined,
    RevokedInCommit,
    KeptUnknown,
    CommitRefused,
    CommitUnclear,
    CommitTooLarge,
    UnclearTookEffect,
    LateRequestFenced,
    LeftOpen,
    ReadWaited,
    ListFull,
    SameIdAgain,
    NoTransaction,
    GapPassed,
    Refused,
    RecordsDeleted,
    OffsetsMoved,
    // Gateway
    ChargedUnheard,
    ChargedLate,
    ArrivedUnheard,
    KeyRanOut,
    DeclineForgotten,
    DeclinedAfterCharge,
    FormerOwnerAsks,
    AskedByTwo,
    OtherRecipe,
    Contradiction,
    StillRunning,
    LearntByLookup,
    // Redis
    TailLost,
    EpochLost,
    EntryLost,
    RedisFull,
    ScriptTorn,
    FormerOwnerWrites,
    // Store and clocks
    RowUntold,
    StoredAgain,
    ClockJumped,
    DoubtResolved,
}

pub const ALL: [Hole; 39] = [
    Hole::NothingJoined,
    Hole::RevokedInCommit,
    Hole::KeptUnknown,
    Hole::CommitRefused,
    Hole::CommitUnclear,
    Hole::CommitTooLarge,
    Hole::UnclearTookEffect,
    Hole::LateRequestFenced,
    Hole::LeftOpen,
    Hole::ReadWaited,
    Hole::ListFull,
    Hole::SameIdAgain,
    Hole::NoTransaction,
    Hole::GapPassed,
    Hole::Refused,
    Hole::RecordsDeleted,
    Hole::OffsetsMoved,
    Hole::ChargedUnheard,
    Hole::ChargedLate,
    Hole::ArrivedUnheard,
    Hole::KeyRanOut,
    Hole::DeclineForgotten,
    Hole::DeclinedAfterCharge,
    Hole::FormerOwnerAsks,
    Hole::AskedByTwo,
    Hole::OtherRecipe,
    Hole::Contradiction,
    Hole::StillRunning,
    Hole::LearntByLookup,
    Hole::TailLost,
    Hole::EpochLost,
    Hole::EntryLost,
    Hole::RedisFull,
    Hole::ScriptTorn,
    Hole::FormerOwnerWrites,
    Hole::RowUntold,
    Hole::StoredAgain,
    Hole::ClockJumped,
    Hole::DoubtResolved,
];

impl Hole {
    /// What happened, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingJoined => "something to commit and no member of the group",
            Self::RevokedInCommit => "partition taken away in the middle of a commit",
            Self::KeptUnknown => "partitions kept by a member that was unknown meanwhile",
            Self::CommitRefused => "commit of a former member",
            Self::CommitTooLarge => "commit of more than the brokers can take",
            Self::CommitUnclear => "commit without a clear answer",
            Self::UnclearTookEffect => "commit without an answer that took effect",
            Self::LateRequestFenced => "late request of a replaced producer",
            Self::LeftOpen => "transaction left open until its timeout",
            Self::ReadWaited => "committed offsets behind an open transaction",
            Self::ListFull => "list of unfinished offsets full",
            Self::SameIdAgain => "one id at two offsets",
            Self::NoTransaction => "record that is no transaction",
            Self::GapPassed => "gap between offsets",
            Self::Refused => "committed offset that nobody may trust",
            Self::RecordsDeleted => "records deleted before they were processed",
            Self::ChargedUnheard => "charged and nobody heard",
            Self::ChargedLate => "charged after the caller gave up",
            Self::ArrivedUnheard => "request arrived after its caller gave up",
            Self::KeyRanOut => "key run out before the answer was known",
            Self::DeclineForgotten => "decline that the gateway forgets",
            Self::DeclinedAfterCharge => "decline of what is charged",
            Self::FormerOwnerAsks => "request of a former owner",
            Self::AskedByTwo => "one charge asked for by two processes",
            Self::OtherRecipe => "asked for by a version with other bodies",
            Self::Contradiction => "answer that contradicts its request",
            Self::StillRunning => "request while another is being decided",
            Self::LearntByLookup => "charge learnt of by a lookup",
            Self::TailLost => "redis lost its newest writes",
            Self::EpochLost => "redis lost the epoch",
            Self::EntryLost => "redis lost an acknowledged entry",
            Self::OffsetsMoved => "committed offset set by an operator",
            Self::RedisFull => "redis full",
            Self::ScriptTorn => "redis script that ended half-way",
            Self::FormerOwnerWrites => "former owner writes to redis",
            Self::RowUntold => "row stored by an owner that died before it told",
            Self::StoredAgain => "row stored twice",
            Self::ClockJumped => "clock jumped",
            Self::DoubtResolved => "doubt resolved by a person",
        }
    }
}

/// How often each was met.
pub type Met = BTreeMap<Hole, u64>;
