//! One transaction on its way: what is known of it and where it stands. Data only; the stages move it.

use std::sync::Arc;

use crate::domain::id::{Place, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::record::Record;
use crate::domain::retry::{FirstAttempt, Unresolved};
use crate::domain::time::{Boot, Wall};
use crate::domain::transaction::{PayloadHash, Transaction};

/// Where Redis last acknowledged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InQueue {
    Nowhere,
    Temp,
    /// In temp, with a mark: declined or in doubt.
    Marked,
    Archive,
}

/// A request that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Charge,
    Lookup,
}

/// An answer that a lookup has to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unconfirmed {
    Approval,
    /// With its code.
    Decline(String),
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another place of the same id goes first.
    Held,
    /// On its way into the temp queue.
    Admitting,
    /// In the temp queue; the store is asked whether it knows the id.
    AskingStore,
    /// Others of its record key go first.
    InLine,
    /// May be charged: its first attempt by us.
    Fresh,
    /// Was asked for, or may have been; waits to age.
    Waiting,
    /// Due to be asked for again.
    Due,
    Calling(Asking),
    /// Approved, declined or in doubt; on its way to the archive queue or its mark, then to the store.
    Decided(Arc<Outcome>),
    /// In a batch on its way to the store.
    Flushing(Arc<Outcome>),
    /// Its fate is safe; to be published.
    Ready(Finish),
}

/// What will be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// The row that the store holds.
    Row(Arc<Outcome>),
    Duplicate {
        of: Place,
        other_payload: bool,
    },
    Rejected {
        code: &'static str,
        message: String,
    },
}

#[derive(Debug)]
pub struct Entry {
    pub record: Record,
    pub hash: PayloadHash,
    /// `None` where it could not be read: it will be rejected.
    pub transaction: Option<Arc<Transaction>>,
    pub admitted_at: Wall,
    pub read_at: Boot,
    pub queue: InQueue,
    /// A call to Redis about it is under way.
    pub queue_busy: bool,
    pub first: FirstAttempt,
    /// The next request is the first that anyone can have sent.
    pub provably_first: bool,
    /// It was published after we took over: only an owner before us that does not know it can have asked.
    pub is_young: bool,
    /// What may have been attempted had the body that we would send.
    pub same_recipe: bool,
    /// Requests for a charge that may have arrived, as far as this owner knows.
    pub attempts: u32,
    /// Requests in a row that were not sent or not taken; for the delay.
    pub tries: u32,
    /// Last attempt; admission or take-over where there was none.
    pub touched: Boot,
    /// When the last request for a charge by anyone may have left.
    pub asked_at: Boot,
    /// The last word was a lookup that knew nothing, and is to be believed.
    pub never_seen: bool,
    /// The last word was a lookup that told nothing, or nothing that is to be believed.
    pub not_shown: bool,
    /// What the gateway said last, where nobody may believe it yet.
    pub unconfirmed: Option<Unconfirmed>,
    pub mismatch: bool,
    pub fruitless_lookups: u32,
    pub step: Step,
}

impl Entry {
    #[must_use]
    pub fn id(&self) -> Option<&TransactionId> {
        self.transaction.as_ref().map(|tx| &tx.id)
    }

    /// What its next step depends on, while it is undecided.
    #[must_use]
    pub fn unresolved(&self, has_lookup: bool) -> Unresolved {
        Unresolved {
            first: self.first,
            same_recipe: self.same_recipe,
            has_lookup,
            never_seen: self.never_seen,
            not_shown: self.not_shown,
            mismatch: self.mismatch,
            fruitless_lookups: self.fruitless_lookups,
        }
    }

    /// What its queue should be, given its step; `None` where Redis is no longer needed.
    #[must_use]
    pub fn wanted_queue(&self) -> Option<InQueue> {
        use crate::domain::outcome::Fate;
        match &self.step {
            Step::Held => None,
            Step::Admitting
            | Step::AskingStore
            | Step::InLine
            | Step::Fresh
            | Step::Waiting
            | Step::Due
            | Step::Calling(_) => Some(InQueue::Temp),
            Step::Decided(outcome) | Step::Flushing(outcome) => {
                Some(if outcome.fate == Fate::Archived {
                    InQueue::Archive
                } else {
                    InQueue::Marked
                })
            }
            Step::Ready(_) => None,
        }
    }

    /// Whether what becomes of it is still to be found out, by us.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        match &self.step {
            Step::Admitting
            | Step::AskingStore
            | Step::InLine
            | Step::Fresh
            | Step::Waiting
            | Step::Due
            | Step::Calling(_) => true,
            Step::Held | Step::Decided(_) | Step::Flushing(_) | Step::Ready(_) => false,
        }
    }

    /// Whether it was taken over, was not asked for by us, and waits until nobody before us can be asking any more.
    #[must_use]
    pub fn is_left_to_age(&self) -> bool {
        self.step == Step::Waiting && self.asked_at == self.read_at
    }

    /// Whether it counts to the archive queue's bound rather than to the temp queue's.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        use crate::domain::outcome::Fate;
        match &self.step {
            Step::Decided(o) | Step::Flushing(o) | Step::Ready(Finish::Row(o)) => {
                o.fate == Fate::Archived
            }
            Step::Held
            | Step::Admitting
            | Step::AskingStore
            | Step::InLine
            | Step::Fresh
            | Step::Waiting
            | Step::Due
            | Step::Calling(_)
            | Step::Ready(_) => false,
        }
    }
}
