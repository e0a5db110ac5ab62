//! The transactional producer: terminal events and offsets, in one Kafka transaction. The only commit path.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::source::Header;
use crate::domain::id::{Offset, Partition};

/// Which topic an event goes to; its name is configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Archived,
    Declined,
    DeadLetter,
    Alerts,
}

/// One event, ready to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: Topic,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// The offset commit of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPoint {
    pub partition: Partition,
    pub watermark: Offset,
    /// Text of at most `offset.metadata.max.bytes` characters (`wire::metadata`).
    pub metadata: String,
}

/// Who we are in the group, taken in one snapshot with what we own. A commit names the snapshot it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Names this snapshot to [`Publisher::commit`].
    pub snapshot: u64,
    /// Below zero where the member has not joined: such a commit would not be fenced by a classic group.
    pub generation: i32,
    /// Empty where the member has not joined.
    pub member_id: String,
    /// The partitions assigned at this moment, without those being revoked.
    pub owned: BTreeSet<Partition>,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committing {
    /// Every call succeeded, in time, undisturbed.
    Clean,
    /// Anything else. It may have happened, may not have happened, or may still happen: the producer must be thrown
    /// away and the offsets be read again.
    Unclear(String),
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    #[error("kafka: {0}")]
    Transient(String),
    #[error("kafka: {0}")]
    Permanent(String),
}

/// One Kafka transaction at a time.
pub trait Publisher {
    /// Group metadata and owned partitions, taken together.
    fn membership(&self) -> impl Future<Output = Result<Membership, PublishError>> + Send;
    /// Produces the messages and commits the points, in one transaction, as the member of `snapshot`.
    fn commit(
        &self,
        snapshot: u64,
        messages: Vec<Message>,
        points: Vec<CommitPoint>,
    ) -> impl Future<Output = Committing> + Send;
    /// Throws the producer away and makes a new one under the same transactional id: fences what the old one may
    /// still have on the way.
    fn renew(&self) -> impl Future<Output = Result<(), PublishError>> + Send;
}
