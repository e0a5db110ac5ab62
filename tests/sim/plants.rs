//! Planted bugs: what the pipeline, an adapter or an operator could get wrong. Each is named by what it breaks. How
//! it is done, a few lines between the pipeline and its world, is in `planting`: nothing of it is compiled into the
//! program. A suite that does not find each of them is not finished.

/// A bug, and what it breaks: an invariant of the map, or the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Offsets are committed, their events are not written.
    OffsetsWithoutEvents,
    /// Events are written in a transaction that commits no offsets.
    EventsWithoutOffsets,
    /// Offsets are committed plainly, beside the transaction that holds their events.
    OffsetsOutside,
    /// What was told last is committed plainly while a transaction is open.
    PlainBesideOpen,
    /// What is below the cut and unfinished is left out.
    UnfinishedForgotten,
    /// The watermark is the last finished offset and one, whatever lies below.
    WatermarkIsLast,
    /// To fit the cap, finished offsets are told as unfinished although their events are published.
    ReportedLeftOut,
    /// The dispatch bound is not raised over what is asked for.
    BoundForgotten,
    /// Requests leave while the commit that raises the bound above them is still on its way.
    BoundTooLate,
    /// Marks say that first attempts are younger than they are.
    MarksYounger,
    /// An inherited mark counts as now, however far in the future it is.
    FutureMarkBelieved,
    /// A commit without a clear answer is taken for done.
    UnclearIsClean,
    /// After an unclear commit the same producer goes on.
    NoNewProducer,
    /// After an unclear commit the committed offsets are not read again.
    NotReadAgain,
    /// A process that lost its membership commits all the same, as nobody.
    UnfencedCommit,
    /// A revocation is answered at once, while a commit is under way that names its member as it is by then.
    NoBarrier,
    /// A revocation is not told to anyone: commits go on for partitions of before, as the member of now.
    RevocationIgnored,
    /// The store says that a batch is in before it is.
    StoredTooEarly,
    /// Redis is cleared of what is on its way to the store.
    RemovedTooEarly,
    /// Declines leave no row.
    DeclinesNotStored,
    /// A row that another place has is taken for ours.
    ConflictIgnored,
    /// The store is not asked before a first attempt.
    StoreNotAsked,
    /// A decline of a repeat counts like one of the first attempt.
    RepeatedDeclineBelieved,
    /// Whatever is not a success is a decline.
    StatusIsDecline,
    /// A timeout counts as a request that never left.
    LostIsNotSent,
    /// Every attempt has a key of its own.
    KeyPerAttempt,
    /// The body changes from attempt to attempt.
    BodyChanges,
    /// A version with other bodies does not say so.
    RecipeUnchanged,
    /// What the version before may have asked for counts as this version's after the first commit.
    RecipeForgotten,
    /// The configuration says that keys live longer than they do.
    KeysLiveShorter,
    /// That a lookup finds nothing is believed before it would show what there is.
    NothingShownIsBelieved,
    /// Spans of time are measured by the wall clock.
    WallClockMeasures,
    /// A group without offsets begins at the end.
    BeginsAtTheEnd,
    /// An admission counts before Redis has said so.
    AdmissionNotAwaited,
    /// That Redis has lost its newest writes is not noticed.
    LossUnnoticed,
    /// A script runs where Redis has no epoch at all.
    EpochTrusted,
    /// A script that ended with an error half-way counts as done.
    ErrorIsMoved,
    /// A new owner takes the epoch of the one before it.
    EpochNotRaised,
    /// Metadata that can't be read counts as none.
    MetadataWorkedAround,
    /// Whose store the metadata names is not looked at.
    OtherStoreAccepted,
    /// Records that retention has deleted are passed over without a word, by a new owner.
    LossSkipped,
    /// The same by a reader whose offset is gone: it goes on where the topic begins.
    ReadsOnAtTheStart,
    /// What a member has kept while the group did not know it counts as its own all the time.
    KeptBelieved,
    /// Committed offsets are read beside a transaction that is still open.
    ReadUnstable,
    /// What Redis holds of an entry is taken for admitted just now.
    AdmittedJustNow,
    /// A proof of ownership never grows old.
    ProofNeverOld,
    /// A row that a person has resolved as not charged counts like any other.
    ResolutionIgnored,
    /// A row that is in doubt counts as not charged.
    DoubtIsNotCharged,
    /// Transactions of one key are asked for together.
    OrderForgotten,
    /// Transactions are too old before they are.
    ExpiresEarly,
    /// The emergency stop is not heard.
    PauseUnheard,
    /// Twice as many calls leave at once as may.
    TwiceAtOnce,
    /// Each process takes the group's rate for its own.
    RateNotShared,
    /// A gateway that is away is asked on at the full rate.
    NeverAway,
    /// How long the gateway wants to be left alone is not looked at.
    PauseNotKept,
    /// That a lookup does not show a doubt's charge is believed at once.
    DoubtEndsEarly,
    /// A decline that a lookup shows counts, though a later request may have charged and not show yet.
    EarlierDeclineBelieved,
    /// Where the store has neither transactions nor keys, what was written is not looked for.
    WrittenStands,
    /// A registry that does not answer counts as one that does not know a schema.
    OutageIsUnknown,
    /// The end of a partition is told before the records that wait for their schema.
    EndOvertakes,
}

/// As whom a member commits and is given partitions, whoever it is.
pub const OURS: &str = "ours";

pub const ALL: [Plant; 60] = [
    Plant::OffsetsWithoutEvents,
    Plant::EventsWithoutOffsets,
    Plant::OffsetsOutside,
    Plant::PlainBesideOpen,
    Plant::UnfinishedForgotten,
    Plant::WatermarkIsLast,
    Plant::ReportedLeftOut,
    Plant::BoundForgotten,
    Plant::BoundTooLate,
    Plant::MarksYounger,
    Plant::FutureMarkBelieved,
    Plant::UnclearIsClean,
    Plant::NoNewProducer,
    Plant::NotReadAgain,
    Plant::UnfencedCommit,
    Plant::NoBarrier,
    Plant::RevocationIgnored,
    Plant::StoredTooEarly,
    Plant::RemovedTooEarly,
    Plant::DeclinesNotStored,
    Plant::ConflictIgnored,
    Plant::StoreNotAsked,
    Plant::RepeatedDeclineBelieved,
    Plant::StatusIsDecline,
    Plant::LostIsNotSent,
    Plant::KeyPerAttempt,
    Plant::BodyChanges,
    Plant::RecipeUnchanged,
    Plant::RecipeForgotten,
    Plant::KeysLiveShorter,
    Plant::NothingShownIsBelieved,
    Plant::WallClockMeasures,
    Plant::BeginsAtTheEnd,
    Plant::AdmissionNotAwaited,
    Plant::LossUnnoticed,
    Plant::EpochTrusted,
    Plant::ErrorIsMoved,
    Plant::EpochNotRaised,
    Plant::MetadataWorkedAround,
    Plant::OtherStoreAccepted,
    Plant::LossSkipped,
    Plant::ReadsOnAtTheStart,
    Plant::KeptBelieved,
    Plant::ReadUnstable,
    Plant::AdmittedJustNow,
    Plant::ProofNeverOld,
    Plant::ResolutionIgnored,
    Plant::DoubtIsNotCharged,
    Plant::OrderForgotten,
    Plant::ExpiresEarly,
    Plant::PauseUnheard,
    Plant::TwiceAtOnce,
    Plant::RateNotShared,
    Plant::NeverAway,
    Plant::PauseNotKept,
    Plant::DoubtEndsEarly,
    Plant::EarlierDeclineBelieved,
    Plant::WrittenStands,
    Plant::OutageIsUnknown,
    Plant::EndOvertakes,
];

impl Plant {
    /// What it breaks: an invariant of ARCHITECTURE.md, or a part of the promise itself.
    pub fn breaks(self) -> &'static str {
        match self {
            Self::OffsetsWithoutEvents
            | Self::UnfinishedForgotten
            | Self::WatermarkIsLast
            | Self::BeginsAtTheEnd
            | Self::LossSkipped
            | Self::EndOvertakes
            | Self::ReadsOnAtTheStart => "promise: reported",
            Self::EventsWithoutOffsets | Self::ReportedLeftOut => "promise: reported once",
            Self::OffsetsOutside | Self::PlainBesideOpen => "INV-1",
            Self::UnfencedCommit | Self::NoBarrier | Self::RevocationIgnored => "INV-2",
            Self::UnclearIsClean
            | Self::KeptBelieved
            | Self::NoNewProducer
            | Self::NotReadAgain
            | Self::ReadUnstable => "INV-3",
            Self::BoundForgotten
            | Self::BoundTooLate
            | Self::StoreNotAsked
            | Self::AdmissionNotAwaited
            | Self::LossUnnoticed
            | Self::ProofNeverOld => "INV-4",
            Self::MarksYounger
            | Self::FutureMarkBelieved
            | Self::LostIsNotSent
            | Self::BodyChanges
            | Self::RecipeUnchanged
            | Self::RecipeForgotten
            | Self::KeysLiveShorter
            | Self::AdmittedJustNow
            | Self::WallClockMeasures => "INV-5",
            Self::RepeatedDeclineBelieved
            | Self::StatusIsDecline
            | Self::DoubtEndsEarly
            | Self::EarlierDeclineBelieved
            | Self::NothingShownIsBelieved => "INV-6",
            Self::EpochTrusted | Self::EpochNotRaised => "INV-7",
            Self::StoredTooEarly | Self::RemovedTooEarly | Self::ErrorIsMoved => "INV-8",
            Self::MetadataWorkedAround | Self::OtherStoreAccepted => "INV-9",
            Self::KeyPerAttempt | Self::ResolutionIgnored | Self::DoubtIsNotCharged => {
                "promise: charged once"
            }
            Self::OrderForgotten => "charge.order",
            Self::OutageIsUnknown => "an outage is no fate",
            Self::PauseUnheard => "charge.pause",
            Self::ExpiresEarly => "charge.max_age",
            Self::TwiceAtOnce => "gateway.max_in_flight",
            Self::RateNotShared => "gateway.rate_limit",
            Self::NeverAway => "gateway.breaker",
            Self::PauseNotKept => "Retry-After",
            Self::DeclinesNotStored | Self::ConflictIgnored | Self::WrittenStands => {
                "promise: stored once"
            }
        }
    }
}
