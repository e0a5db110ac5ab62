//! Ask: before anything is charged the store is asked whether it knows the id, many at a time. While it does not answer
//! no first attempt leaves, nor does one that it was asked about before, unless the configuration allows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::engine::{Engine, Pending};
use super::entry::{Finish, InQueue, Step};
use super::message::{Call, Slot};
use super::settings::AskStore;
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::domain::retry::FirstAttempt;
use crate::ports::store::StoreError;

impl Engine {
    /// It did what it was asked for.
    pub(super) fn store_answers(&mut self) {
        self.gauges.trouble.store = None;
        self.is_store_away = false;
    }

    /// It did not. What it was asked about before, and has not left, is asked about again.
    pub(super) fn store_fails(&mut self, error: &StoreError) {
        self.gauges.trouble.store = Some(error.to_string());
        if self.set.ask_store == AskStore::WhenAvailable {
            return;
        }
        self.is_store_away = true;
        let mut fresh: Vec<Slot> = Vec::new();
        for p in self.owned.values_mut() {
            fresh.extend(p.fresh.iter().map(|offset| p.slot(offset)));
            p.fresh.clear();
        }
        for slot in fresh {
            self.ask_about(slot);
        }
    }

    pub(super) fn ask_about(&mut self, slot: Slot) {
        self.step(slot, Step::AskingStore);
        self.to_ask.push_back(slot);
    }

    /// One question for many ids; as many at a time as are allowed.
    pub(super) fn pump_asks(&mut self) {
        while self.asks_open < self.set.asks_max && self.ask_retry_at <= self.now.boot {
            let mut slots = Vec::new();
            let mut ids = Vec::new();
            while slots.len() < self.set.ask_batch_max
                && let Some(slot) = self.to_ask.pop_front()
            {
                let Some(entry) = self.entry(slot) else { continue };
                if entry.step == Step::AskingStore
                    && let Some(id) = entry.id()
                {
                    ids.push(id.clone());
                    slots.push(slot);
                }
            }
            if slots.is_empty() {
                return;
            }
            self.asks_open += 1;
            self.call(Pending::Asking(slots), Call::Ask(ids));
        }
    }

    pub(super) fn on_asked(&mut self, slots: &[Slot], result: Result<Vec<Outcome>, StoreError>) {
        self.asks_open -= 1;
        match result {
            Ok(rows) => {
                self.ask_tries = 0;
                self.store_answers();
                let mut by_id: BTreeMap<TransactionId, Outcome> =
                    rows.into_iter().map(|row| (row.transaction_id.clone(), row)).collect();
                for slot in slots {
                    let Some(entry) = self.entry(*slot) else { continue };
                    let row = entry.id().and_then(|id| by_id.remove(id));
                    self.asked(*slot, row);
                }
            }
            Err(error) => self.on_ask_failed(slots, &error),
        }
    }

    /// Without the store's word no first attempt is made, unless the configuration allows it for what nobody can have
    /// attempted before.
    fn on_ask_failed(&mut self, slots: &[Slot], error: &StoreError) {
        self.store_fails(error);
        self.ask_tries += 1;
        let tries = self.ask_tries;
        self.ask_retry_at = self.backoff(tries);
        let may_go_on = self.set.ask_store == AskStore::WhenAvailable;
        for slot in slots.iter().rev() {
            let Some(entry) = self.entry(*slot) else { continue };
            let is_untouched = entry.first == FirstAttempt::Never && !entry.mismatch;
            if may_go_on && is_untouched && entry.queue == InQueue::Temp {
                self.go_on_to_charge(*slot);
            } else {
                self.to_ask.push_front(*slot);
            }
        }
    }

    fn asked(&mut self, slot: Slot, row: Option<Outcome>) {
        let topic = self.set.topic.clone();
        let Some(entry) = self.entry(slot) else { return };
        if entry.step != Step::AskingStore {
            return;
        }
        let is_ours = |row: &Outcome| {
            row.source.partition == slot.partition
                && row.source.offset == slot.offset
                && row.source.topic == topic
        };
        match row {
            Some(row) if is_ours(&row) => self.finish(slot, Finish::Row(Arc::new(row))),
            Some(row) if !row.is_resolved_not_charged() => {
                let other_payload = row.payload_hash != entry.hash;
                self.finish(slot, Finish::Duplicate { of: row.source, other_payload });
            }
            // The id's turn came before it was in Redis.
            _ if entry.queue == InQueue::Nowhere => {
                self.step(slot, Step::Admitting);
                self.sort_into_queues(slot);
            }
            _ => self.go_on_to_charge(slot),
        }
    }

    pub(super) fn go_on_to_charge(&mut self, slot: Slot) {
        if !self.is_its_turn_in_line(slot) {
            return;
        }
        let Some(entry) = self.entry(slot) else { return };
        // An owner before us that does not know it yet may ask for what is young, with the bodies that it makes.
        let is_young = entry.is_young && entry.attempts == 0 && entry.same_recipe;
        if entry.mismatch {
            self.step(slot, Step::Due);
            self.due.push_back(slot);
        } else if entry.first != FirstAttempt::Never && !is_young {
            self.wait_to_age(slot, None);
        } else if self.is_store_away {
            self.ask_about(slot);
        } else {
            self.step(slot, Step::Fresh);
            if let Some(p) = self.partition(slot) {
                p.fresh.insert(slot.offset);
            }
        }
    }
}
