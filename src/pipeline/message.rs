//! What goes in and out of the pipeline: events and effects. Every effect that is a call is one call of one port;
//! its reply comes back under the same id.

use std::sync::Arc;

use super::settings::Tuned;
use crate::domain::alert::Alert;
use crate::domain::id::{Epoch, Offset, Partition, TransactionId, Version};
use crate::domain::outcome::Outcome;
use crate::domain::window::Counted;
use crate::ports::gateway::{Answer, Charge};
use crate::ports::publisher::{CommitPoint, Committing, Membership, Message, PublishError};
use crate::ports::queue::{
    Admission, Depth, Entry, EntryKey, Moved, Page, QueueError, QueueHealth,
};
use crate::ports::source::{Committed, SourceError, SourceEvent, Start, Ticket};
use crate::ports::store::{Batch, SourceStart, StoreError, StoreIdentity, Stored};

/// Names a call until its reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

impl Counted for CallId {
    fn above(self, first: Self) -> usize {
        usize::try_from(self.0 - first.0).unwrap_or(usize::MAX)
    }
}

/// What the pipeline is told.
#[derive(Debug)]
pub enum Event {
    Source(SourceEvent),
    Reply(CallId, Reply),
    /// Other bounds and levels, from now on.
    Tuned(Box<Tuned>),
    /// To be told with the next transaction.
    Alert(Box<Alert>),
    /// Time has passed; whatever is due happens.
    Tick,
    /// Finish what is in flight and end.
    Stop,
}

/// What the pipeline wants done.
#[derive(Debug)]
pub enum Effect {
    Assign {
        ticket: Ticket,
        starts: Vec<Start>,
    },
    Release {
        ticket: Ticket,
    },
    /// Read a partition that is still assigned from here on.
    Rewind(Start),
    Demand {
        partition: Partition,
        version: Version,
        records: usize,
    },
    Call(CallId, Call),
    /// Something that people should read; never once per transaction.
    Note(Note),
    /// Everything that could be finished is: leave the group and end.
    Finished,
    /// The process is beyond repair: end it without another word to Kafka.
    Fatal(String),
}

/// How loud a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub level: Level,
    pub partition: Option<Partition>,
    pub text: String,
}

/// A call of a port.
#[derive(Debug, Clone)]
pub enum Call {
    // source
    Committed(Vec<Partition>),
    // publisher
    Membership,
    Commit {
        snapshot: u64,
        messages: Vec<Message>,
        points: Vec<CommitPoint>,
    },
    Renew,
    // queue
    Claim {
        partition: Partition,
        epoch: Epoch,
    },
    Admit {
        partition: Partition,
        epoch: Epoch,
        entries: Vec<Entry>,
    },
    Settle {
        partition: Partition,
        epoch: Epoch,
        entries: Vec<Entry>,
    },
    Mark {
        partition: Partition,
        epoch: Epoch,
        entries: Vec<Entry>,
    },
    Remove {
        partition: Partition,
        epoch: Epoch,
        keys: Vec<EntryKey>,
    },
    Missing {
        partition: Partition,
        epoch: Epoch,
        keys: Vec<EntryKey>,
    },
    Scan {
        partition: Partition,
        cursor: Option<u64>,
    },
    Depths(Vec<Partition>),
    // gateway
    Charge(Charge),
    Lookup(TransactionId),
    // store
    Ask(Vec<TransactionId>),
    Store(Arc<Batch>),
    AddSources(Vec<SourceStart>),
    /// Reads, for a claim: who the store is, what it knows of our sources, what the queue's server says of itself.
    Survey,
}

impl Call {
    /// Its name, for a log and for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed(_) => "committed",
            Self::Membership => "membership",
            Self::Commit { .. } => "commit",
            Self::Renew => "renew",
            Self::Claim { .. } => "claim",
            Self::Admit { .. } => "admit",
            Self::Settle { .. } => "settle",
            Self::Mark { .. } => "mark",
            Self::Remove { .. } => "remove",
            Self::Missing { .. } => "missing",
            Self::Scan { .. } => "scan",
            Self::Depths(_) => "depths",
            Self::Charge(_) => "charge",
            Self::Lookup(_) => "lookup",
            Self::Ask(_) => "ask",
            Self::Store(_) => "store",
            Self::AddSources(_) => "add_sources",
            Self::Survey => "survey",
        }
    }
}

/// The reply to a call, of the same name.
#[derive(Debug)]
pub enum Reply {
    Committed(Result<Vec<Committed>, SourceError>),
    Membership(Result<Membership, PublishError>),
    Committing(Committing),
    Renewed(Result<(), PublishError>),
    /// Of `Claim` and `Remove`.
    QueueDone(Result<(), QueueError>),
    Admitted(Result<Vec<Admission>, QueueError>),
    /// Of `Settle` and `Mark`.
    Moved(Result<Vec<Moved>, QueueError>),
    Missing(Result<Vec<EntryKey>, QueueError>),
    Page(Result<Page, QueueError>),
    Depths(Result<Vec<Depth>, QueueError>),
    Answer(Answer),
    Asked(Result<Vec<Outcome>, StoreError>),
    Stored(Result<Vec<Stored>, StoreError>),
    SourcesAdded(Result<(), StoreError>),
    Survey(Box<Survey>),
}

impl Reply {
    /// Its name, for a log: what it carries may be a payload.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed(_) => "committed",
            Self::Membership(_) => "membership",
            Self::Committing(_) => "committing",
            Self::Renewed(_) => "renewed",
            Self::QueueDone(_) => "queue_done",
            Self::Admitted(_) => "admitted",
            Self::Moved(_) => "moved",
            Self::Missing(_) => "missing",
            Self::Page(_) => "page",
            Self::Depths(_) => "depths",
            Self::Answer(_) => "answer",
            Self::Asked(_) => "asked",
            Self::Stored(_) => "stored",
            Self::SourcesAdded(_) => "sources_added",
            Self::Survey(_) => "survey",
        }
    }
}

/// What a claim has to know of the others.
#[derive(Debug)]
pub struct Survey {
    pub store: Result<StoreIdentity, StoreError>,
    pub sources: Result<Vec<SourceStart>, StoreError>,
    pub queue: Result<QueueHealth, QueueError>,
}

/// One transaction of one assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub partition: Partition,
    pub version: Version,
    pub offset: Offset,
}
