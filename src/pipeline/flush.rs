//! Flush: what is decided and acknowledged by Redis goes to the store, in batches whose members stay the same while
//! they are retried.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Pending};
use super::entry::{Finish, Step};
use super::message::{Call, Level, Slot};
use crate::domain::batch::{FlushLimits, batches_due, share_of_period};
use crate::domain::hex::hex;
use crate::domain::id::Place;
use crate::domain::outcome::{Fate, Outcome, ROW_REFUSED};
use crate::domain::time::Boot;
use crate::ports::store::{Batch, StoreError, Stored};

#[derive(Debug)]
pub struct Flusher {
    /// Decided, and acknowledged by Redis.
    waiting: VecDeque<Slot>,
    batches: BTreeMap<u64, Flight>,
    next_batch: u64,
    last: Boot,
}

#[derive(Debug)]
struct Flight {
    batch: Arc<Batch>,
    slots: Vec<Slot>,
    tries: u32,
    /// Set while it waits for another try.
    retry_at: Option<Boot>,
}

impl Flusher {
    pub(super) fn new(now: Boot) -> Self {
        Self { waiting: VecDeque::new(), batches: BTreeMap::new(), next_batch: 0, last: now }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.batches.is_empty()
    }

    pub(super) fn wake_at(&self, interval: Duration) -> Option<Boot> {
        let retry = self.batches.values().filter_map(|flight| flight.retry_at).min();
        let period = (!self.waiting.is_empty()).then(|| self.last + interval);
        [retry, period].into_iter().flatten().min()
    }
}

impl Engine {
    /// Redis has it where it belongs: it may be stored.
    pub(super) fn decided_and_queued(&mut self, slot: Slot) {
        let Some(entry) = self.entry(slot) else { return };
        let is_there = entry.wanted_queue() == Some(entry.queue);
        if is_there && matches!(entry.step, Step::Decided(_)) {
            self.flusher.waiting.push_back(slot);
        }
    }

    pub(super) fn pump_flush(&mut self) {
        self.retry_batches();
        let limits = FlushLimits {
            interval: self.flush_interval(),
            rows_max: self.set.flush_rows_max,
            workers: self.set.flush_workers,
        };
        let (waiting, busy) = (self.flusher.waiting.len(), self.flusher.batches.len());
        let now = self.now.boot;
        for _ in 0..batches_due(waiting, self.flusher.last, busy, &limits, now) {
            self.flush_batch();
        }
        if now.since(self.flusher.last) >= limits.interval {
            self.flusher.last = now;
        }
    }

    /// Nobody waits longer than for its own interval when it stops.
    pub(super) fn flush_interval(&self) -> Duration {
        let interval = self.set.flush_interval;
        if !self.set.flush_of_group || self.is_stopping() {
            return interval;
        }
        share_of_period(interval, self.running().count(), self.set.partitions.len())
    }

    fn flush_batch(&mut self) {
        let stored_at = Some(self.now.wall);
        let mut slots = Vec::new();
        let mut rows = Vec::new();
        while rows.len() < self.set.flush_rows_max
            && let Some(slot) = self.flusher.waiting.pop_front()
        {
            let Some(entry) = self.entry(slot) else { continue };
            // Redis has lost it meanwhile: it comes again once it is back.
            if entry.wanted_queue() != Some(entry.queue) {
                continue;
            }
            let Step::Decided(outcome) = &mut entry.step else { continue };
            Arc::make_mut(outcome).stored_at = stored_at;
            let row = Arc::clone(outcome);
            self.step(slot, Step::Flushing(Arc::clone(&row)));
            rows.push(row);
            slots.push(slot);
        }
        if !rows.is_empty() {
            self.send_batch(rows, slots);
        }
    }

    fn send_batch(&mut self, rows: Vec<Arc<Outcome>>, slots: Vec<Slot>) {
        let number = self.flusher.next_batch;
        self.flusher.next_batch += 1;
        let token = token(&rows);
        let batch = Arc::new(Batch { token, rows });
        let flight = Flight { batch: Arc::clone(&batch), slots, tries: 0, retry_at: None };
        self.flusher.batches.insert(number, flight);
        self.call(Pending::Storing(number), Call::Store(batch));
    }

    fn retry_batches(&mut self) {
        let now = self.now.boot;
        let due: Vec<u64> = self
            .flusher
            .batches
            .iter()
            .filter(|(_, flight)| flight.retry_at.is_some_and(|at| at <= now))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.store_again(number);
        }
    }

    /// The same batch once more. Rows of partitions that were lost meanwhile are another owner's to decide: they
    /// leave it.
    fn store_again(&mut self, number: u64) {
        let Some(mut flight) = self.flusher.batches.remove(&number) else { return };
        let (mut rows, mut slots) = (Vec::new(), Vec::new());
        for (slot, row) in flight.slots.iter().zip(&flight.batch.rows) {
            if self.is_flushing(*slot) {
                rows.push(Arc::clone(row));
                slots.push(*slot);
            }
        }
        if rows.is_empty() {
            return;
        }
        if rows.len() < flight.slots.len() {
            return self.send_batch(rows, slots);
        }
        flight.retry_at = None;
        let batch = Arc::clone(&flight.batch);
        self.flusher.batches.insert(number, flight);
        self.call(Pending::Storing(number), Call::Store(batch));
    }

    pub(super) fn on_stored(&mut self, number: u64, result: Result<Vec<Stored>, StoreError>) {
        match result {
            Ok(stored) => {
                self.store_answers();
                let Some(flight) = self.flusher.batches.remove(&number) else { return };
                let members = flight.slots.into_iter().zip(&flight.batch.rows).zip(stored);
                for ((slot, row), stored) in members {
                    self.stored(slot, row, stored);
                }
            }
            Err(StoreError::Poison(why)) => self.isolate(number, &why),
            Err(error) => {
                self.store_fails(&error);
                self.retry_batch(number);
            }
        }
    }

    fn retry_batch(&mut self, number: u64) {
        let Some(flight) = self.flusher.batches.get_mut(&number) else { return };
        flight.tries += 1;
        let tries = flight.tries;
        self.gauges.batches_retried += 1;
        let at = self.backoff(tries);
        if let Some(flight) = self.flusher.batches.get_mut(&number) {
            flight.retry_at = Some(at);
        }
    }

    /// A row is to blame: halves, until it stands alone.
    fn isolate(&mut self, number: u64, why: &str) {
        let Some(flight) = self.flusher.batches.get(&number) else { return };
        if let ([row], [slot]) = (flight.batch.rows.as_slice(), flight.slots.as_slice()) {
            let (row, slot) = (Arc::clone(row), *slot);
            return self.refused(number, &row, slot, why);
        }
        let Some(flight) = self.flusher.batches.remove(&number) else { return };
        let half = flight.slots.len() / 2;
        let (low, high) = flight.batch.rows.split_at(half);
        self.send_batch(low.to_vec(), flight.slots[..half].to_vec());
        self.send_batch(high.to_vec(), flight.slots[half..].to_vec());
    }

    /// The store refuses this one row. What it says is told to a person, and a row that says less stands for it, so
    /// that the id is known and nothing waits. Where that is refused too, it is tried again until the table is mended.
    fn refused(&mut self, number: u64, row: &Arc<Outcome>, slot: Slot, why: &str) {
        let (id, fate) = (&row.transaction_id, row.fate);
        let text = format!("the store refuses the row of {id} ({fate}): {why}");
        self.note(Level::Error, Some(row.source.partition), text.clone());
        if row.code.as_deref() == Some(ROW_REFUSED) {
            self.gauges.trouble.store = Some(text);
            return self.retry_batch(number);
        }
        self.flusher.batches.remove(&number);
        if !self.is_flushing(slot) {
            return;
        }
        self.gauges.parked += 1;
        self.alert_row_refused(slot, row);
        let said_less = Arc::new(Outcome {
            fate: Fate::InDoubt,
            gateway_id: None,
            code: Some(ROW_REFUSED.to_owned()),
            ..Outcome::clone(row)
        });
        self.step(slot, Step::Flushing(Arc::clone(&said_less)));
        self.send_batch(vec![said_less], vec![slot]);
    }

    /// Still ours, and on its way to the store.
    fn is_flushing(&mut self, slot: Slot) -> bool {
        self.entry(slot).is_some_and(|entry| matches!(entry.step, Step::Flushing(_)))
    }

    /// A row that stands under the id already is looked at: at our place it is our own replay, elsewhere this is a
    /// duplicate.
    fn stored(&mut self, slot: Slot, row: &Arc<Outcome>, stored: Stored) {
        let place = self.place(slot);
        let Some(entry) = self.entry(slot) else { return };
        if !matches!(entry.step, Step::Flushing(_)) {
            return;
        }
        let finish = match stored {
            Stored::New | Stored::Replaced(_) => Finish::Row(Arc::clone(row)),
            Stored::Kept(kept) if kept.source == place => Finish::Row(Arc::new(*kept)),
            Stored::Kept(kept) => {
                let other_payload = kept.payload_hash != entry.hash;
                Finish::Duplicate { of: kept.source, other_payload }
            }
        };
        self.gauges.rows_stored += 1;
        self.finish(slot, finish);
    }

    pub(super) fn place(&self, slot: Slot) -> Place {
        Place { topic: self.set.topic.clone(), partition: slot.partition, offset: slot.offset }
    }
}

/// The same members in the same order have the same token.
fn token(rows: &[Arc<Outcome>]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for row in rows {
        hash.update(row.event_id.0);
    }
    hex(&hash.finalize()[..16])
}
