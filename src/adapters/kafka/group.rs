//! What the consumer and the publisher share: the partitions that are ours at this moment, and who we are in the
//! group, behind one lock. It decides nothing: it says what stands there, under a number.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::consumer::BaseConsumer;

use super::context::MemberContext;
use super::ffi::GroupMetadata;
use crate::domain::id::Partition;
use crate::ports::publisher::Membership;

pub(super) type MemberConsumer = BaseConsumer<MemberContext>;

/// Shared by the consumer's thread, its context and the publisher.
#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` before the consumer is made and after it has left.
    consumer: Option<Arc<MemberConsumer>>,
    /// Assigned, and not being revoked.
    owned: BTreeSet<Partition>,
    /// Counts the snapshots that were taken.
    snapshot: u64,
    /// What the latest snapshot would commit as.
    metadata: Option<Arc<GroupMetadata>>,
}

impl Group {
    pub(super) fn joined_with(&self, consumer: Arc<MemberConsumer>) {
        self.lock().consumer = Some(consumer);
    }

    /// Lets go of the consumer, so that its thread holds the last of it.
    pub(super) fn left(&self) {
        let mut state = self.lock();
        state.consumer = None;
        state.metadata = None;
        state.owned.clear();
    }

    pub(super) fn own(&self, partitions: &[Partition]) {
        self.lock().owned.extend(partitions);
    }

    pub(super) fn disown(&self, partitions: &[Partition]) {
        let mut state = self.lock();
        for partition in partitions {
            state.owned.remove(partition);
        }
    }

    pub(super) fn owns(&self, partition: Partition) -> bool {
        self.lock().owned.contains(&partition)
    }

    /// Takes a snapshot: who we are and what we own, together. The lock is held while the client is asked, so no
    /// rebalance can be recorded between the two. `None` once the consumer has left.
    pub(super) fn snapshot(&self) -> Option<Membership> {
        let mut state = self.lock();
        let consumer = state.consumer.clone()?;
        let metadata = GroupMetadata::of(&consumer)?;
        // Not the last reference to the consumer: the state holds one, and the lock is ours.
        drop(consumer);
        state.snapshot += 1;
        let membership = Membership {
            snapshot: state.snapshot,
            generation: metadata.generation(),
            member_id: metadata.member_id(),
            owned: state.owned.clone(),
        };
        state.metadata = Some(Arc::new(metadata));
        Some(membership)
    }

    /// Who we are; empty where nobody.
    pub(super) fn member_id(&self) -> String {
        let consumer = self.lock().consumer.clone();
        let metadata = consumer.and_then(|consumer| GroupMetadata::of(&consumer));
        metadata.map(|metadata| metadata.member_id()).unwrap_or_default()
    }

    /// What a snapshot would commit as; `None` where it is not the latest.
    pub(super) fn metadata(&self, snapshot: u64) -> Option<Arc<GroupMetadata>> {
        let state = self.lock();
        if state.snapshot == snapshot { state.metadata.clone() } else { None }
    }

    /// A panic while the lock was held leaves nothing half done: every change is one statement.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
