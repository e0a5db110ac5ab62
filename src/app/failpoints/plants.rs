//! Planted bugs: what each changes in a call, in an answer, or in what the group tells. They have the names that they
//! have in the simulation; those that only it can find are not here.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::app::drive::Ports;
use crate::domain::answer::Answer;
use crate::domain::id::{Partition, TransactionId};
use crate::pipeline::{Call, Reply};
use crate::ports::publisher::{CommitPoint, Committing, Message, Publisher};
use crate::ports::source::{Committed, Source, SourceEvent};
use crate::ports::store::Stored;
use crate::wire::metadata::Metadata;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    /// Offsets are committed before the transaction that holds their events, in one of their own.
    OffsetsOutside,
    /// A revocation is answered at once, while a commit is under way that names its member as it is by then.
    NoBarrier,
    /// A commit without a clear answer is taken for done.
    UnclearIsClean,
    /// After an unclear commit the committed offsets are not read again.
    NotReadAgain,
    /// The watermark is the last finished offset and one, whatever lies below.
    WatermarkIsLast,
    /// The store is not asked before a first attempt.
    StoreNotAsked,
    /// A decline of a repeat counts like one of the first attempt.
    RepeatedDeclineBelieved,
    /// Every attempt has a key of its own.
    KeyPerAttempt,
    /// The store says that a batch is in before it is.
    StoredTooEarly,
    /// The body changes from attempt to attempt.
    BodyChanges,
}

const ALL: [Plant; 10] = [
    Plant::OffsetsOutside,
    Plant::NoBarrier,
    Plant::UnclearIsClean,
    Plant::NotReadAgain,
    Plant::WatermarkIsLast,
    Plant::StoreNotAsked,
    Plant::RepeatedDeclineBelieved,
    Plant::KeyPerAttempt,
    Plant::StoredTooEarly,
    Plant::BodyChanges,
];

impl FromStr for Plant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || ALL.map(|plant| format!("{plant:?}")).join(", ");
        let found = ALL.into_iter().find(|plant| format!("{plant:?}") == text);
        found.ok_or_else(|| format!("there is no such bug to plant; there are {}", names()))
    }
}

/// A bug, and what it has to remember.
#[derive(Debug)]
pub(super) struct Planted {
    plant: Plant,
    /// Calls so far.
    calls: AtomicU64,
    /// What was last read and cleanly committed of each partition.
    said: Mutex<BTreeMap<Partition, Committed>>,
}

impl Planted {
    pub(super) fn new(plant: Plant) -> Self {
        Self { plant, calls: AtomicU64::new(0), said: Mutex::default() }
    }

    pub(super) fn hear(&self, event: &SourceEvent, source: &impl Source) {
        let SourceEvent::Revoked { ticket, partitions, lost } = event else { return };
        self.said().retain(|partition, _| !partitions.contains(partition));
        if self.plant == Plant::NoBarrier && !lost {
            // The pipeline's own answer comes later, and finds that nobody asks any more.
            source.release(*ticket);
        }
    }

    /// A call, on its way out.
    pub(super) fn leaving(&self, mut call: Call) -> Call {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match (self.plant, &mut call) {
            (Plant::WatermarkIsLast, Call::Commit { points, .. }) => {
                points.iter_mut().for_each(watermark_is_last);
            }
            (Plant::KeyPerAttempt, Call::Charge(charge)) => {
                let key = TransactionId::parse(&format!("{}:{number}", charge.id));
                charge.id = key.unwrap_or_else(|_| charge.id.clone());
            }
            (Plant::BodyChanges, Call::Charge(charge)) => {
                let spaces = usize::try_from(number % 5).unwrap_or(0);
                charge.body = [&charge.body[..], &b"     "[..spaces]].concat().into();
            }
            _ => {}
        }
        call
    }

    /// The answer to a call that is carried out otherwise, or not at all.
    pub(super) async fn instead<S, P: Publisher, Q, G, D, C>(
        &self,
        ports: &Ports<S, P, Q, G, D, C>,
        call: &Call,
    ) -> Option<Reply> {
        match call {
            Call::Committed(partitions) if self.plant == Plant::NotReadAgain => {
                let said = self.said();
                let all: Option<_> = partitions.iter().map(|p| said.get(p).cloned()).collect();
                all.map(|committed| Reply::Committed(Ok(committed)))
            }
            Call::Commit { snapshot, messages, points } => {
                let (messages, points) = (messages.clone(), points.clone());
                Some(Reply::Committing(
                    self.commit(&*ports.publisher, *snapshot, messages, points).await,
                ))
            }
            _ => None,
        }
    }

    async fn commit(
        &self,
        publisher: &impl Publisher,
        mut snapshot: u64,
        messages: Vec<Message>,
        points: Vec<CommitPoint>,
    ) -> Committing {
        if self.plant == Plant::NoBarrier
            && let Ok(by_now) = publisher.membership().await
        {
            snapshot = by_now.snapshot;
        }
        if self.plant == Plant::OffsetsOutside {
            return match publisher.commit(snapshot, Vec::new(), points).await {
                Committing::Clean => publisher.commit(snapshot, messages, Vec::new()).await,
                unclear => unclear,
            };
        }
        let committing = publisher.commit(snapshot, messages, points.clone()).await;
        if committing == Committing::Clean {
            self.remember(points);
        } else if self.plant == Plant::UnclearIsClean {
            // Whatever becomes of it: without a producer the next commit is unclear, too.
            publisher.renew().await.ok();
            return Committing::Clean;
        }
        committing
    }

    /// An answer, on its way back; of a batch of so many rows, where it is one.
    pub(super) fn returned(&self, reply: &mut Reply, rows: usize) {
        match (self.plant, reply) {
            (Plant::NotReadAgain, Reply::Committed(Ok(all))) => {
                self.said().extend(all.iter().map(|read| (read.partition, read.clone())));
            }
            (Plant::StoreNotAsked, Reply::Asked(Ok(rows))) => rows.clear(),
            (Plant::RepeatedDeclineBelieved, Reply::Answer(Answer::Response(response))) => {
                response.replayed = true;
            }
            (Plant::StoredTooEarly, Reply::Stored(result)) if result.is_err() => {
                *result = Ok(vec![Stored::New; rows]);
            }
            _ => {}
        }
    }

    fn remember(&self, points: Vec<CommitPoint>) {
        let mut said = self.said();
        for CommitPoint { partition, watermark, metadata } in points {
            if let Some(committed) = said.get_mut(&partition) {
                committed.point = Some((watermark, metadata));
            }
        }
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<Partition, Committed>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watermark_is_last(point: &mut CommitPoint) {
    let Ok(mut metadata) = Metadata::decode(point.watermark, &point.metadata) else { return };
    metadata.unfinished.clear();
    point.watermark = metadata.cut;
    point.metadata = metadata.encode(point.watermark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_have_names() {
        assert_eq!("NoBarrier".parse(), Ok(Plant::NoBarrier));
        let why = "P1".parse::<Plant>().unwrap_err();
        assert!(ALL.iter().all(|plant| why.contains(&format!("{plant:?}"))), "{why}");
    }
}
