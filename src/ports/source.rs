//! The consumer group: partitions come and go, records come as fast as they are asked for.
//!
//! Nothing is fetched for a partition before [`Source::assign`] names its first offset, and nothing is delivered
//! beyond what [`Source::demand`] asked for: that is the whole of back-pressure, no pause and no resume.

use crate::domain::id::{Offset, Partition, TopicHash, Version};
pub use crate::domain::record::{Header, Record};
use crate::domain::schema::{Registered, SchemaRef};

/// Names one rebalance, so that its answer finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the group tells us.
#[derive(Debug)]
pub enum SourceEvent {
    /// The group gave us partitions. The rebalance is over once [`Source::assign`] has answered with this ticket.
    /// `member`: as whom. Under another name of ours the group may have given them to others since.
    Assigned { ticket: Ticket, partitions: Vec<Partition>, member: String },
    /// The group takes partitions away. The rebalance waits until [`Source::release`] has answered: the revoke
    /// barrier. `lost`: they are already someone else's, nothing may be committed for them.
    Revoked { ticket: Ticket, partitions: Vec<Partition>, lost: bool },
    /// Records in offset order, never more than were demanded.
    Records { partition: Partition, version: Version, records: Vec<Record> },
    /// The reader stands at `position`: everything below was delivered or is no record (a control record, an
    /// aborted or compacted one).
    End { partition: Partition, version: Version, position: Offset },
    /// The partition can't be read on: its offset is gone, the topic was made anew, a batch is too large to be
    /// unpacked. It stays stopped.
    Stopped { partition: Partition, version: Version, why: String },
    /// What the registry says of a schema that the next records name.
    Schema { name: SchemaRef, said: Registered },
    /// Passing trouble with the brokers, for logs and readiness; `None` once it is over.
    Trouble(Option<String>),
    /// The consumer is beyond repair; the process must end and be started again.
    Fatal(String),
}

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub partition: Partition,
    pub version: Version,
    pub offset: Offset,
    /// Whose offset that is: reading stops once the topic of this name is another one. `None`: not known.
    pub topic: Option<TopicHash>,
}

/// What Kafka holds for a partition of the group, read with `require_stable`: after every pending transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub partition: Partition,
    /// The committed offset and its metadata; `None` where the group never committed.
    pub point: Option<(Offset, String)>,
    /// The first offset that the log still has.
    pub low: Offset,
    /// The end of the log as `read_committed` readers see it.
    pub high: Offset,
    /// Which topic of its name it is; `None` where the brokers give topics no ids.
    pub topic: Option<TopicHash>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The brokers don't answer; ask again.
    #[error("kafka: {0}")]
    Transient(String),
    /// Asking again won't help: not authorised, the topic is missing.
    #[error("kafka: {0}")]
    Permanent(String),
}

/// Commands to the consumer. All but [`Source::committed`] return at once.
pub trait Source {
    /// Answers [`SourceEvent::Assigned`]: fetch from these offsets.
    fn assign(&self, ticket: Ticket, starts: Vec<Start>);
    /// Answers [`SourceEvent::Revoked`]: nothing of these partitions is held any more.
    fn release(&self, ticket: Ticket);
    /// Deliver up to `records` more of this partition (it replaces what is left of the last demand).
    fn demand(&self, partition: Partition, version: Version, records: usize);
    /// Read again from an offset, under a new version.
    fn rewind(&self, start: Start);
    /// Committed offsets and metadata of the group, and the bounds of the logs.
    fn committed(
        &self,
        partitions: Vec<Partition>,
    ) -> impl Future<Output = Result<Vec<Committed>, SourceError>> + Send;
    /// Leave the group (a static member stays in it until its session ends) and end the consumer.
    fn leave(&self) -> impl Future<Output = ()> + Send;
}
