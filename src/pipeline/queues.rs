//! The pipeline's side of Redis: which entries are not where they should be, and one call a kind and partition that
//! brings them there. What Redis loses is noticed as an entry that is not where it was, and put back from memory.

use std::sync::Arc;

use super::engine::{Engine, Pending};
use super::entry::{InQueue, Step};
use super::message::{Call, Level, Reply, Slot};
use super::owned::{Lane, Owned};
use crate::domain::id::{Offset, Partition, RecipeHash, Version};
use crate::ports::queue::{Admission, Entry, EntryKey, Moved, QueueError};
use crate::wire::queue_entry::{EntryState, QueueEntry};

/// What a call to Redis was made for.
#[derive(Debug)]
pub enum Work {
    Admit(Vec<Offset>),
    Settle(Vec<Offset>),
    Mark(Vec<Offset>),
    Remove(Vec<EntryKey>),
    Audit(Vec<EntryKey>),
    Scan,
    Enter,
}

impl Work {
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Admit(_) => Lane::Admit,
            Self::Settle(_) => Lane::Settle,
            Self::Mark(_) => Lane::Mark,
            Self::Remove(_) => Lane::Remove,
            Self::Audit(_) => Lane::Audit,
            Self::Scan => Lane::Scan,
            Self::Enter => Lane::Enter,
        }
    }
}

impl Engine {
    pub(super) fn pump_queues(&mut self) {
        let partitions: Vec<Partition> = self.owned.keys().copied().collect();
        for partition in partitions {
            let Some(p) = self.owned.get_mut(&partition) else { continue };
            if !p.is_running() || p.queue_retry_at > self.now.boot {
                continue;
            }
            self.send_removals(partition);
            self.send_entries(partition, Lane::Admit);
            self.send_entries(partition, Lane::Settle);
            self.send_entries(partition, Lane::Mark);
            self.send_audit(partition);
            self.send_scan(partition);
        }
    }

    pub(super) fn queue_call(&mut self, partition: Partition, work: Work, call: Call) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        p.busy.insert(work.lane());
        let version = p.version;
        self.call(Pending::Queue { partition, version, work }, call);
    }

    /// Takes entries from the list of their lane and sends their bodies.
    fn send_entries(&mut self, partition: Partition, lane: Lane) {
        let batch_max = self.set.queue_batch_max;
        let recipe = self.formats.recipe;
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if p.busy.contains(&lane) {
            return;
        }
        let list = match lane {
            Lane::Admit => &mut p.to_admit,
            Lane::Settle => &mut p.to_settle,
            _ => &mut p.to_mark,
        };
        let mut offsets = Vec::new();
        let mut entries = Vec::new();
        while entries.len() < batch_max
            && let Some(offset) = list.pop_first()
        {
            let Some(entry) = p.entries.get_mut(&offset) else { continue };
            let Some(tx) = &entry.transaction else { continue };
            // What is moved or marked once more may have been stored since then.
            let is_due = match lane {
                Lane::Settle => entry.wanted_queue() == Some(InQueue::Archive),
                Lane::Mark => entry.wanted_queue() == Some(InQueue::Marked),
                _ => true,
            };
            if !is_due {
                continue;
            }
            let body = QueueEntry {
                transaction: Arc::clone(tx),
                payload_hash: entry.hash,
                admitted_at: entry.admitted_at,
                recipe: if entry.same_recipe { recipe } else { RecipeHash::MIXED },
                epoch: p.epoch,
                attempts: entry.attempts,
                state: state_of(&entry.step),
            };
            entry.queue_busy = true;
            entries
                .push(Entry { key: EntryKey { id: tx.id.clone(), offset }, body: body.encode() });
            offsets.push(offset);
        }
        if entries.is_empty() {
            return;
        }
        let epoch = p.epoch;
        let (work, call) = match lane {
            Lane::Admit => (Work::Admit(offsets), Call::Admit { partition, epoch, entries }),
            Lane::Settle => (Work::Settle(offsets), Call::Settle { partition, epoch, entries }),
            _ => (Work::Mark(offsets), Call::Mark { partition, epoch, entries }),
        };
        self.queue_call(partition, work, call);
    }

    fn send_removals(&mut self, partition: Partition) {
        let batch_max = self.set.queue_batch_max;
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if p.busy.contains(&Lane::Remove) || p.to_remove.is_empty() {
            return;
        }
        let take = p.to_remove.len().min(batch_max);
        let keys: Vec<EntryKey> = p.to_remove.drain(..take).collect();
        let call = Call::Remove { partition, epoch: p.epoch, keys: keys.clone() };
        self.queue_call(partition, Work::Remove(keys), call);
    }

    fn send_audit(&mut self, partition: Partition) {
        let batch_max = self.set.queue_batch_max;
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if p.busy.contains(&Lane::Audit) || p.to_audit.is_empty() {
            return;
        }
        let take = p.to_audit.len().min(batch_max);
        let keys: Vec<EntryKey> = p.to_audit.drain(..take).collect();
        let call = Call::Missing { partition, epoch: p.epoch, keys: keys.clone() };
        self.queue_call(partition, Work::Audit(keys), call);
    }

    fn send_scan(&mut self, partition: Partition) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        let Some(cursor) = p.scan else { return };
        if !p.busy.contains(&Lane::Scan) {
            self.queue_call(partition, Work::Scan, Call::Scan { partition, cursor });
        }
    }

    pub(super) fn on_queue(
        &mut self,
        partition: Partition,
        version: Version,
        work: Work,
        reply: Reply,
    ) {
        let Some(p) = self.owned.get_mut(&partition).filter(|p| p.version == version) else {
            return;
        };
        p.busy.remove(&work.lane());
        let failed = match (work, reply) {
            (Work::Enter, Reply::QueueDone(result)) => return self.on_entered(partition, result),
            (Work::Admit(offsets), Reply::Admitted(result)) => match result {
                Ok(found) => return self.on_admitted(partition, &offsets, found),
                Err(error) => (Work::Admit(offsets), error),
            },
            (work @ (Work::Settle(_) | Work::Mark(_)), Reply::Moved(result)) => match result {
                Ok(moved) => return self.on_moved(partition, &work, &moved),
                Err(error) => (work, error),
            },
            (Work::Remove(keys), Reply::QueueDone(result)) => match result {
                Ok(()) => return self.on_removed(partition),
                Err(error) => (Work::Remove(keys), error),
            },
            (Work::Audit(keys), Reply::Missing(result)) => match result {
                Ok(missing) => return self.on_missing(partition, &missing),
                Err(error) => (Work::Audit(keys), error),
            },
            (Work::Scan, Reply::Page(result)) => match result {
                Ok(page) => return self.on_page(partition, page),
                Err(error) => (Work::Scan, error),
            },
            (work, reply) => {
                let text = format!("redis call {work:?} got {}", reply.name());
                (work, QueueError::Permanent(text))
            }
        };
        self.on_queue_failed(partition, failed.0, &failed.1);
    }

    fn on_admitted(&mut self, partition: Partition, offsets: &[Offset], found: Vec<Admission>) {
        self.queue_worked(partition);
        self.gauges.redis_full = false;
        for (offset, admission) in offsets.iter().zip(found) {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            let slot = p.slot(*offset);
            let Some(entry) = p.entries.get_mut(offset) else { continue };
            entry.queue_busy = false;
            self.admitted(slot, admission);
        }
    }

    fn on_moved(&mut self, partition: Partition, work: &Work, moved: &[Moved]) {
        self.queue_worked(partition);
        let (offsets, reached) = match work {
            Work::Settle(offsets) => (offsets, InQueue::Archive),
            Work::Mark(offsets) => (offsets, InQueue::Marked),
            Work::Admit(_) | Work::Remove(_) | Work::Audit(_) | Work::Scan | Work::Enter => return,
        };
        let mut lost = 0;
        for (offset, moved) in offsets.iter().zip(moved) {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            let slot = p.slot(*offset);
            let Some(entry) = p.entries.get_mut(offset) else { continue };
            entry.queue_busy = false;
            match moved {
                // It was moved once more, to be sure.
                Moved::Done if entry.queue == reached => {}
                Moved::Done => {
                    entry.queue = reached;
                    self.decided_and_queued(slot);
                }
                // Redis lost it: back in from memory, then this move again.
                Moved::Missing => {
                    lost += u64::from(entry.wanted_queue().is_some());
                    entry.queue = InQueue::Nowhere;
                    self.sort_into_queues(slot);
                }
            }
        }
        self.refilling(partition, lost);
    }

    fn on_removed(&mut self, partition: Partition) {
        self.queue_worked(partition);
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if p.to_remove.is_empty() {
            p.to_admit.extend(p.blocked.drain(..));
        }
    }

    fn on_missing(&mut self, partition: Partition, missing: &[EntryKey]) {
        self.queue_worked(partition);
        let mut lost = 0;
        for key in missing {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            let slot = p.slot(key.offset);
            let Some(entry) = p.entries.get_mut(&key.offset) else { continue };
            // What moved or finished meanwhile is not lost.
            if entry.queue_busy || entry.wanted_queue().is_none() || entry.queue == InQueue::Nowhere
            {
                continue;
            }
            entry.queue = InQueue::Nowhere;
            lost += 1;
            self.sort_into_queues(slot);
        }
        self.refilling(partition, lost);
    }

    fn refilling(&mut self, partition: Partition, lost: u64) {
        if lost > 0 {
            self.gauges.refilled += lost;
            let text = format!("redis had lost {lost} entries; they are put back");
            self.note(Level::Warn, Some(partition), text);
        }
    }

    fn on_page(&mut self, partition: Partition, page: crate::ports::queue::Page) {
        self.queue_worked(partition);
        let Some(p) = self.owned.get_mut(&partition) else { return };
        let leftover = |p: &Owned, offset: Offset| {
            !p.entries.contains_key(&offset) && p.tracker.told().is_finished(offset)
        };
        for found in page.found {
            if leftover(p, found.key.offset) {
                p.to_remove.push(found.key);
            }
        }
        p.scan = page.next.map(Some);
    }

    /// Puts an entry on the list that brings it from where it is to where it should be.
    pub(super) fn sort_into_queues(&mut self, slot: Slot) {
        let Some(p) = self.partition(slot) else { return };
        let Some(entry) = p.entries.get(&slot.offset) else { return };
        let Some(wanted) = entry.wanted_queue() else { return };
        if entry.queue_busy || entry.queue == wanted {
            return;
        }
        match (entry.queue, wanted) {
            (InQueue::Nowhere, _) => p.to_admit.insert(slot.offset),
            (_, InQueue::Archive) => p.to_settle.insert(slot.offset),
            (_, InQueue::Marked) => p.to_mark.insert(slot.offset),
            (_, InQueue::Temp | InQueue::Nowhere) => false,
        };
    }

    fn queue_worked(&mut self, partition: Partition) {
        if let Some(p) = self.owned.get_mut(&partition) {
            p.queue_tries = 0;
        }
        self.gauges.trouble.redis = None;
    }

    /// The same work again, after a while; a wiped or foreign epoch means a new claim first.
    fn on_queue_failed(&mut self, partition: Partition, work: Work, error: &QueueError) {
        self.give_back(partition, work);
        if let QueueError::Epoch { found } = error {
            return self.reclaim(partition, *found);
        }
        self.gauges.trouble.redis = Some(error.to_string());
        self.gauges.redis_full |= matches!(error, QueueError::Full(_));
        self.delay_queue(partition);
    }

    pub(super) fn delay_queue(&mut self, partition: Partition) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        p.queue_tries += 1;
        let tries = p.queue_tries;
        let at = self.backoff(tries);
        if let Some(p) = self.owned.get_mut(&partition) {
            p.queue_retry_at = at;
        }
    }

    fn give_back(&mut self, partition: Partition, work: Work) {
        match work {
            Work::Admit(offsets) | Work::Settle(offsets) | Work::Mark(offsets) => {
                for offset in offsets {
                    let Some(p) = self.owned.get_mut(&partition) else { return };
                    let slot = p.slot(offset);
                    if let Some(entry) = p.entries.get_mut(&offset) {
                        entry.queue_busy = false;
                    }
                    self.sort_into_queues(slot);
                }
            }
            Work::Remove(mut keys) => {
                if let Some(p) = self.owned.get_mut(&partition) {
                    p.to_remove.append(&mut keys);
                }
            }
            Work::Audit(_) | Work::Scan | Work::Enter => {}
        }
    }
}

fn state_of(step: &Step) -> EntryState {
    use crate::domain::outcome::Fate;
    let (Step::Decided(o) | Step::Flushing(o)) = step else { return EntryState::Waiting };
    let decided_at = o.fate_at();
    let code = o.code.clone();
    match o.fate {
        Fate::Archived => EntryState::Approved {
            gateway_id: o.gateway_id.clone().unwrap_or_default(),
            decided_at,
        },
        Fate::Declined => {
            EntryState::Declined { code, gateway_id: o.gateway_id.clone(), decided_at }
        }
        Fate::InDoubt | Fate::Duplicate | Fate::Rejected => {
            EntryState::InDoubt { code: code.unwrap_or_default(), decided_at }
        }
    }
}
