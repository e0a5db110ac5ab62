//! Holes: the situations in which a bridge of this kind loses or repeats a payment if it is not made for them. Each is
//! counted where the world sees it happen, so that many seeds prove that they were met. What comes of it is the
//! oracle's business.
//!
//! A name begins with K (Kafka and its clients), G (the gateway), R (Redis) or D (the store), and with a number, so
//! that one that is met in several ways is seen to be one. Not possible here: slots of a
//! cluster (R6), a store that loses what it acknowledged (D3); versions that don't understand each other (D6) are
//! G5's, as far as there are any.

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
    SchemaAwaited,
    SchemaNowhere,
    GapPassed,
    OneHeldAll,
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
    NotShownYet,
    GatewayAway,
    LeftAlone,
    // Redis
    TailLost,
    EpochLost,
    LateTaken,
    EntryLost,
    RedisFull,
    ScriptTorn,
    FormerOwnerWrites,
    // Store and clocks
    RowUntold,
    StoredAgain,
    BlockKnown,
    BlockForgotten,
    CameBetween,
    RowRefused,
    ClockJumped,
    DoubtResolved,
    DoubtLookedUp,
}

pub const ALL: [Hole; 51] = [
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
    Hole::SchemaAwaited,
    Hole::SchemaNowhere,
    Hole::GapPassed,
    Hole::OneHeldAll,
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
    Hole::NotShownYet,
    Hole::GatewayAway,
    Hole::LeftAlone,
    Hole::TailLost,
    Hole::EpochLost,
    Hole::LateTaken,
    Hole::EntryLost,
    Hole::RedisFull,
    Hole::ScriptTorn,
    Hole::FormerOwnerWrites,
    Hole::RowUntold,
    Hole::StoredAgain,
    Hole::BlockKnown,
    Hole::BlockForgotten,
    Hole::CameBetween,
    Hole::RowRefused,
    Hole::ClockJumped,
    Hole::DoubtResolved,
    Hole::DoubtLookedUp,
];

impl Hole {
    /// What happened, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingJoined => "K1 something to commit and no member of the group",
            Self::RevokedInCommit => "K2 partition taken away in the middle of a commit",
            Self::KeptUnknown => "K10 partitions kept by a member that was unknown meanwhile",
            Self::CommitRefused => "K2 commit of a former member",
            Self::CommitTooLarge => "K4 commit of more than the brokers can take",
            Self::CommitUnclear => "K3 commit without a clear answer",
            Self::UnclearTookEffect => "K3 commit without an answer that took effect",
            Self::LateRequestFenced => "K3 late request of a replaced producer",
            Self::LeftOpen => "K9 transaction left open until its timeout",
            Self::ReadWaited => "K8 committed offsets behind an open transaction",
            Self::ListFull => "K5 list of unfinished offsets full",
            Self::SameIdAgain => "K11 one id at two offsets",
            Self::NoTransaction => "K12 record that is no transaction",
            Self::SchemaAwaited => "K12 record that waits for its schema",
            Self::SchemaNowhere => "K12 record whose schema nobody has",
            Self::GapPassed => "K13 gap between offsets",
            Self::OneHeldAll => "K14 one transaction held the watermark back while others went on",
            Self::Refused => "K6 committed offset that nobody may trust",
            Self::RecordsDeleted => "K7 records deleted before they were processed",
            Self::ChargedUnheard => "G9 charged and nobody heard",
            Self::ChargedLate => "G9 charged after the caller gave up",
            Self::ArrivedUnheard => "G4 request arrived after its caller gave up",
            Self::KeyRanOut => "G1 key run out before the answer was known",
            Self::DeclineForgotten => "G2 decline that the gateway forgets",
            Self::DeclinedAfterCharge => "G3 decline of what is charged",
            Self::FormerOwnerAsks => "G4 request of a former owner",
            Self::AskedByTwo => "G4 one charge asked for by two processes",
            Self::OtherRecipe => "G5 asked for by a version with other bodies",
            Self::Contradiction => "G6 answer that contradicts its request",
            Self::StillRunning => "G7 request while another is being decided",
            Self::LearntByLookup => "G9 charge learnt of by a lookup",
            Self::NotShownYet => "G9 charge or decline that a lookup does not show yet",
            Self::GatewayAway => "G8 gateway away for calls enough",
            Self::LeftAlone => "G8 answer that asks for a pause",
            Self::TailLost => "R1 redis lost its newest writes",
            Self::EpochLost => "R2 redis lost the epoch",
            Self::LateTaken => {
                "R2 call of a former owner taken by a redis that lost the epoch since"
            }
            Self::EntryLost => "R3 redis lost an acknowledged entry",
            Self::OffsetsMoved => "K7 committed offset set by an operator",
            Self::RedisFull => "R4 redis full",
            Self::ScriptTorn => "R5 redis script that ended half-way",
            Self::FormerOwnerWrites => "R1 former owner writes to redis",
            Self::RowUntold => "D1 row stored by an owner that died before it told",
            Self::StoredAgain => "D2 row stored twice",
            Self::BlockKnown => "D4 block that the store knows by its token",
            Self::BlockForgotten => "D4 block that came again when its token was forgotten",
            Self::CameBetween => "D2 row that came in between a question and its insert",
            Self::RowRefused => "D5 row that the store refuses",
            Self::ClockJumped => "R7 clock jumped",
            Self::DoubtResolved => "G9 doubt resolved by a person",
            Self::DoubtLookedUp => "G9 doubt resolved by a lookup",
        }
    }
}

/// How often each was met.
pub type Met = BTreeMap<Hole, u64>;
