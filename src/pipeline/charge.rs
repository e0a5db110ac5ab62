//! Charge: what may leave for the gateway and when. A request leaves only where Redis holds its entry, the store was
//! asked, Kafka has acknowledged a dispatch bound above it, a recent commit has proved that the partition is ours, and
//! the idempotency key is still safe.

use super::engine::{Engine, Pending};
use super::entry::{Asking, InQueue, Step};
use super::message::{Call, Slot};
use crate::domain::classify::Asked;
use crate::domain::id::Partition;
use crate::domain::retry::{FirstAttempt, NextStep, next_step};
use crate::domain::time::Boot;
use crate::ports::gateway::Charge;

/// Of the calls in flight, the share of repeats while first attempts wait: one in this many.
const REPEATS_SHARE: usize = 4;

/// What a request was, for when its answer comes.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub(super) asked: Asked,
    /// What was known of earlier attempts before this one left.
    pub(super) before: FirstAttempt,
    pub(super) again: bool,
    pub(super) at: Boot,
}

impl Engine {
    pub(super) fn pump_charge(&mut self) {
        self.take_timed();
        if self.is_stopping() || self.gate.closed_until > self.now.boot {
            return;
        }
        if !self.is_ownership_proven() {
            self.publisher.wants_proof = self.publisher.wants_proof || self.has_work_to_charge();
            return;
        }
        // While one call goes out at a time, it is one of each by turns: what got no answer may be all that the gateway
        // has trouble with, and would be asked for again for ever while everything else waits.
        if self.gate.is_away() && self.gate.tries() % 2 == 1 {
            self.charge_fresh();
        }
        self.charge_again();
        self.charge_fresh();
    }

    /// A first attempt by a process that has lost its partition without knowing could come after the new owner's key
    /// has run out. A commit that is young enough rules that out.
    fn is_ownership_proven(&self) -> bool {
        let proven = self.publisher.proven_at;
        proven.is_some_and(|at| self.now.boot.since(at) <= self.set.proof_age_max)
    }

    fn has_work_to_charge(&self) -> bool {
        !self.due.is_empty() || self.owned.values().any(|p| !p.fresh.is_empty())
    }

    fn take_timed(&mut self) {
        while let Some((at, slot)) = self.timed.first().copied()
            && at <= self.now.boot
        {
            self.timed.pop_first();
            if self.entry(slot).is_some_and(|entry| entry.step == Step::Waiting) {
                self.step(slot, Step::Due);
                self.due.push_back(slot);
            }
        }
    }

    /// How many more calls may leave now.
    fn room(&self) -> usize {
        let most = if self.gate.is_away() { 1 } else { self.set.in_flight_max };
        let archive = self.set.archive_max.saturating_sub(self.archived() + self.in_flight);
        most.saturating_sub(self.in_flight).min(archive)
    }

    /// Repeats have a lane of their own: they can't starve first attempts, nor the other way round.
    fn charge_again(&mut self) {
        let has_fresh = self.owned.values().any(|p| p.is_running() && !p.fresh.is_empty());
        let lane = if has_fresh {
            (self.set.in_flight_max / REPEATS_SHARE).max(1)
        } else {
            self.set.in_flight_max
        };
        while self.room() > 0
            && self.in_flight_again < lane
            && let Some(slot) = self.next_due()
        {
            self.take_next_step(slot);
        }
    }

    fn take_next_step(&mut self, slot: Slot) {
        let (has_lookup, life, now) = (self.set.lookup.is_there(), self.set.key_life, self.now);
        let Some(p) = self.partition(slot) else { return };
        let is_running = p.is_running();
        let is_below_bound = p.tracker.is_below_bound(slot.offset);
        let Some(entry) = p.entries.get(&slot.offset) else { return };
        if entry.step != Step::Due {
            return;
        }
        // Redis has lost it, or the bound has not been raised over it yet: a little later.
        if !is_running || entry.queue != InQueue::Temp || entry.queue_busy || !is_below_bound {
            return self.wait_until(slot, now.boot + self.set.retry_base);
        }
        let case = entry.unresolved(has_lookup);
        match next_step(&case, life, now) {
            NextStep::Charge => self.send_charge(slot, true),
            NextStep::Lookup => self.send_lookup(slot),
            NextStep::Park(code) => self.park(slot, code),
        }
    }

    /// While one call goes out at a time it is drawn by lot: what has waited longest may be what is never answered.
    fn next_due(&mut self) -> Option<Slot> {
        if !self.gate.is_away() || self.due.is_empty() {
            return self.due.pop_front();
        }
        let drawn = self.dice.usize(..self.due.len());
        self.due.swap_remove_back(drawn)
    }

    /// First attempts, lowest offsets first, partitions in turn.
    fn charge_fresh(&mut self) {
        loop {
            let servable: Vec<Partition> = self.servable().collect();
            let room = self.room();
            if servable.is_empty() || room == 0 {
                return;
            }
            let first = servable.iter().position(|p| *p >= self.next_served).unwrap_or(0);
            let share = (room / servable.len()).max(1);
            for i in 0..servable.len() {
                let partition = servable[(first + i) % servable.len()];
                self.charge_fresh_of(partition, share);
                self.next_served = Partition(partition.0 + 1);
            }
        }
    }

    /// Partitions with a first attempt that may leave.
    fn servable(&self) -> impl Iterator<Item = Partition> {
        self.running()
            .filter(|p| p.fresh.first().is_some_and(|o| p.tracker.is_below_bound(o)))
            .map(|p| p.partition)
    }

    fn charge_fresh_of(&mut self, partition: Partition, share: usize) {
        for _ in 0..share.min(self.room()) {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            let Some(offset) = p.fresh.first() else { return };
            if !p.tracker.is_below_bound(offset) {
                return;
            }
            p.fresh.remove(offset);
            let slot = p.slot(offset);
            self.send_charge(slot, false);
        }
    }

    fn send_charge(&mut self, slot: Slot, again: bool) {
        let now = self.now.boot;
        let Some(p) = self.partition(slot) else { return };
        p.tracker.attempt(slot.offset);
        let Some(entry) = p.entries.get_mut(&slot.offset) else { return };
        let Some(tx) = entry.transaction.clone() else { return };
        let before = entry.first;
        let first = entry.provably_first && before == FirstAttempt::Never;
        if before == FirstAttempt::Never {
            entry.first = FirstAttempt::Own(now);
        }
        entry.attempts += 1;
        (entry.never_seen, entry.not_shown) = (false, false);
        entry.asked_at = now;
        entry.touched = now;
        self.step(slot, Step::Calling(Asking::Charge));
        let sent = Sent { asked: Asked::Charge { first }, before, again, at: now };
        let body = self.formats.profile.charge_body(&tx);
        self.in_flight += 1;
        self.in_flight_again += usize::from(again);
        self.gauges.charges += 1;
        self.call(Pending::Gateway(slot, sent), Call::Charge(Charge { id: tx.id.clone(), body }));
    }

    fn send_lookup(&mut self, slot: Slot) {
        let Some(entry) = self.entry(slot) else { return };
        let Some(id) = entry.id().cloned() else { return };
        let before = entry.first;
        self.step(slot, Step::Calling(Asking::Lookup));
        let sent = Sent { asked: Asked::Lookup, before, again: true, at: self.now.boot };
        self.in_flight += 1;
        self.in_flight_again += 1;
        self.gauges.lookups += 1;
        self.call(Pending::Gateway(slot, sent), Call::Lookup(id));
    }
}
