//! Admit: records become entries, and entries go into the temp queue. What can't be read is rejected and its partition
//! goes on.

use std::collections::VecDeque;
use std::collections::btree_map::Entry as TreeEntry;
use std::sync::Arc;

use super::engine::{Engine, Turn};
use super::entry::{Entry, Finish, InQueue, Step};
use super::message::{Level, Slot};
use crate::domain::id::{Partition, TransactionId, Version};
use crate::domain::outcome::Fate;
use crate::domain::record::Record;
use crate::domain::retry::{FirstAttempt, minute_of};
use crate::domain::transaction::{PayloadHash, Transaction};
use crate::ports::queue::{Admission, EntryKey};
use crate::wire::queue_entry::{EntryState, QueueEntry};

impl Engine {
    pub(super) fn on_records(
        &mut self,
        partition: Partition,
        version: Version,
        records: Vec<Record>,
    ) {
        let Some(p) = self.owned.get_mut(&partition).filter(|p| p.version == version) else {
            return;
        };
        p.demanded = p.demanded.saturating_sub(records.len());
        p.stale = true;
        self.gauges.records_consumed += records.len() as u64;
        for record in records {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            if p.tracker.read(record.offset) {
                self.take_in(partition, record);
            }
        }
        self.stop_if_vanished(partition);
    }

    /// An offset that Kafka was told to be unfinished must still be on the topic.
    fn stop_if_vanished(&mut self, partition: Partition) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if p.stopped.is_some() || p.tracker.told().unfinished.is_empty() {
            return;
        }
        if let Some(offset) = p.tracker.vanished(|o| p.entries.contains_key(&o)) {
            let why = format!("offset {offset} is unfinished and no longer on the topic");
            p.stopped = Some(why.clone());
            self.note(Level::Error, Some(partition), why);
        }
    }

    fn take_in(&mut self, partition: Partition, record: Record) {
        let decoded = self.formats.decoder.decode(&record);
        let now = self.now;
        let Some(p) = self.owned.get_mut(&partition) else { return };
        let slot = p.slot(record.offset);
        let inherited = p.tracker.inherited_minute(record.offset);
        let (transaction, hash, step) = match decoded {
            Ok(tx) => {
                let hash = PayloadHash::of(&tx);
                (Some(Arc::new(tx)), hash, Step::Admitting)
            }
            Err(r) => {
                let hash = PayloadHash::of_bytes(record.value.as_deref());
                let finish = Finish::Rejected { code: r.code, message: r.message };
                (None, hash, Step::Ready(finish))
            }
        };
        let id = transaction.as_ref().map(|tx: &Arc<Transaction>| tx.id.clone());
        let entry = Entry {
            hash,
            transaction,
            admitted_at: now.wall,
            read_at: now.boot,
            queue: InQueue::Nowhere,
            queue_busy: false,
            first: inherited
                .map_or(FirstAttempt::Never, |minute| FirstAttempt::Inherited { minute }),
            provably_first: inherited.is_none(),
            is_young: p.tracker.is_young(record.offset),
            same_recipe: inherited.is_none() || p.same_recipe,
            attempts: 0,
            tries: 0,
            touched: now.boot,
            asked_at: now.boot,
            never_seen: false,
            not_shown: false,
            unconfirmed: None,
            mismatch: false,
            fruitless_lookups: 0,
            step,
            record,
        };
        self.held.insert(&entry);
        p.entries.insert(slot.offset, Box::new(entry));
        match id {
            None => {
                p.ready.insert(slot.offset);
            }
            Some(id) => self.take_turn(id, slot),
        }
    }

    /// One call an id at a time within a process: the first place goes on, others wait for its row.
    fn take_turn(&mut self, id: TransactionId, slot: Slot) {
        match self.turns.entry(id) {
            TreeEntry::Occupied(mut turn) => {
                turn.get_mut().waiting.push_back(slot);
                self.step(slot, Step::Held);
            }
            TreeEntry::Vacant(place) => {
                place.insert(Turn { holder: slot, waiting: VecDeque::new() });
                self.join_line(slot);
                self.sort_into_queues(slot);
            }
        }
    }

    /// The place is done with, or no longer ours: the next one asks the store.
    pub(super) fn leave_turn(&mut self, id: &TransactionId, slot: Slot) {
        let TreeEntry::Occupied(mut turn) = self.turns.entry(id.clone()) else { return };
        if turn.get().holder != slot {
            turn.get_mut().waiting.retain(|waiting| *waiting != slot);
            return;
        }
        // Hardly any id comes twice.
        if turn.get().waiting.is_empty() {
            turn.remove();
            return;
        }
        while let Some(next) = self.turns.get_mut(id).and_then(|turn| turn.waiting.pop_front()) {
            if self.entry(next).is_some() {
                if let Some(turn) = self.turns.get_mut(id) {
                    turn.holder = next;
                }
                self.join_line(next);
                self.step(next, Step::AskingStore);
                self.to_ask.push_back(next);
                return;
            }
        }
        self.turns.remove(id);
    }

    /// What Redis found when an entry was admitted, for the first time or again.
    pub(super) fn admitted(&mut self, slot: Slot, admission: Admission) {
        let Some(entry) = self.entry(slot) else { return };
        let is_first_time = entry.step == Step::Admitting;
        match admission {
            Admission::New => entry.queue = InQueue::Temp,
            Admission::InTemp(body) => {
                entry.queue = InQueue::Temp;
                if is_first_time && self.resume(slot, &body) {
                    return;
                }
            }
            Admission::InArchive(body) => {
                entry.queue = InQueue::Archive;
                if entry.is_undecided() {
                    return self.find_archived(slot, &body);
                }
            }
            Admission::OtherPlace { offset, .. } => return self.clear_the_way(slot, offset),
        }
        if is_first_time {
            self.gauges.admitted += 1;
            self.ask_about(slot);
        } else {
            self.sort_into_queues(slot);
            self.decided_and_queued(slot);
        }
    }

    /// An owner before us has moved it on: before we came, or by a call that was late and met a Redis that had lost its
    /// newest writes, our epoch among them. Whatever we were about to do, the gateway has charged it.
    fn find_archived(&mut self, slot: Slot, body: &bytes::Bytes) {
        if let Some(p) = self.partition(slot) {
            p.fresh.remove(slot.offset);
        }
        if !self.resume(slot, body) {
            self.step(slot, Step::Admitting);
            self.clear_the_way(slot, slot.offset);
        }
    }

    /// Another place of this id stands in Redis, or a body that can't be read. If it were still to be worked on
    /// before us it would hold the id's turn; so it is a leftover, or comes later and is then admitted again.
    fn clear_the_way(&mut self, slot: Slot, offset: crate::domain::id::Offset) {
        let Some(p) = self.partition(slot) else { return };
        let is_forgotten = p.tracker.is_forgotten(slot.offset);
        let Some(entry) = p.entries.get_mut(&slot.offset) else { return };
        entry.queue = InQueue::Nowhere;
        if is_forgotten {
            // Nobody knows any more what the other place led to, nor when.
            entry.provably_first = false;
            entry.first = entry.first.no_later_than(0);
        }
        let Some(id) = entry.id().cloned() else { return };
        p.to_remove.push(EntryKey { id, offset });
        p.blocked.push(slot.offset);
    }

    /// Goes on with what an owner before us left in Redis. `true` where that was a decision.
    fn resume(&mut self, slot: Slot, body: &bytes::Bytes) -> bool {
        let recipe = self.formats.recipe;
        let (life, now) = (self.set.key_life, self.now);
        let Some(p) = self.partition(slot) else { return false };
        let is_forgotten = p.tracker.is_forgotten(slot.offset);
        let Some(entry) = p.entries.get_mut(&slot.offset) else { return false };
        let found = QueueEntry::decode(body).ok().filter(|found| found.payload_hash == entry.hash);
        // Someone may have asked the gateway already, whatever the bound says.
        entry.provably_first = false;
        if is_forgotten {
            // So are the bound and the marks of who asked for it first. Nobody has asked before it was admitted, if its
            // clock can be believed.
            let admitted = found.as_ref().map_or(0, |found| minute_of(found.admitted_at));
            let is_believed = FirstAttempt::Inherited { minute: admitted }.is_key_safe(life, now);
            entry.first = entry.first.no_later_than(if is_believed { admitted } else { 0 });
        }
        let Some(found) = found else { return false };
        entry.attempts = entry.attempts.max(found.attempts);
        entry.admitted_at = found.admitted_at;
        entry.same_recipe &= entry.first == FirstAttempt::Never || found.recipe == recipe;
        let (fate, gateway_id, code, at) = match found.state {
            EntryState::Waiting => return false,
            EntryState::Approved { gateway_id, decided_at } => {
                (Fate::Archived, Some(gateway_id), None, decided_at)
            }
            EntryState::Declined { code, gateway_id, decided_at } => {
                entry.queue = InQueue::Marked;
                (Fate::Declined, gateway_id, code, decided_at)
            }
            EntryState::InDoubt { code, decided_at } => {
                entry.queue = InQueue::Marked;
                (Fate::InDoubt, None, Some(code), decided_at)
            }
        };
        self.decide(slot, fate, gateway_id, code, at);
        self.decided_and_queued(slot);
        true
    }

    /// Its fate is safe. The next place of its id may go on.
    pub(super) fn finish(&mut self, slot: Slot, finish: Finish) {
        let other_payload = matches!(finish, Finish::Duplicate { other_payload: true, .. });
        // What leaves no row is the last word only once it is told.
        let is_last_word = !matches!(finish, Finish::Rejected { .. });
        self.step(slot, Step::Ready(finish));
        if is_last_word {
            self.leave_line(slot);
        }
        let Some(p) = self.partition(slot) else { return };
        p.ready.insert(slot.offset);
        let id = p.entries.get(&slot.offset).and_then(|entry| entry.id().cloned());
        let Some(id) = id else { return };
        if other_payload {
            self.alert_other_payload(slot, &id);
        }
        self.leave_turn(&id, slot);
    }
}
