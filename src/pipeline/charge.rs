//! Charge: what may leave for the gateway and when. A request leaves only where Redis holds its entry, the store was
//! asked, Kafka has acknowledged a dispatch bound above it, a recent commit has proved that the partition is ours, and
//! the idempotency key is still safe. How many leave at a time, and of which kind, is for the gate.

use super::engine::{Engine, Pending};
use super::entry::{Asking, Finish, InQueue, Step};
use super::message::{Call, Slot};
use crate::domain::classify::Asked;
use crate::domain::gate::{Firsts, Purpose, Underway};
use crate::domain::id::Partition;
use crate::domain::outcome::EXPIRED;
use crate::domain::retry::{FirstAttempt, NextStep, next_step};
use crate::ports::gateway::Charge;

/// What a request was, for when its answer comes.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub(super) asked: Asked,
    /// What was known of earlier attempts before this one left.
    pub(super) before: FirstAttempt,
    pub(super) underway: Underway,
}

impl Engine {
    pub(super) fn pump_charge(&mut self) {
        self.take_timed();
        if self.is_stopping() || self.set.tuned.pause {
            return;
        }
        if !self.is_ownership_proven() {
            self.publisher.wants_proof = self.publisher.wants_proof || self.has_work_to_charge();
            return;
        }
        let (owned, all) = (self.running().count(), self.set.partitions.len());
        self.gate.set_share(owned, all, self.now.boot);
        self.charge_again();
        self.charge_fresh();
        // With what first attempts have left.
        self.charge_again();
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

    /// How many more charges the archive queue has room for.
    fn archive_room(&self) -> usize {
        self.set.archive_max.saturating_sub(self.archived() + self.gate.in_flight())
    }

    fn charge_again(&mut self) {
        let firsts = self.firsts();
        while self.archive_room() > 0
            && self.gate.room_for_repeats(firsts, self.now.boot) > 0
            && let Some(slot) = self.next_due()
        {
            self.take_next_step(slot);
        }
    }

    fn firsts(&self) -> Firsts {
        if self.servable().next().is_some() {
            Firsts::Ready
        } else if self.running().any(|p| !p.fresh.is_empty()) {
            Firsts::Held
        } else {
            Firsts::None
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
        if !is_below_bound {
            p.short_of_bound = p.short_of_bound.into_iter().chain([slot.offset]).min();
            p.stale = true;
        }
        // Redis has lost it, or the bound has not been raised over it yet: a little later.
        if !is_running || entry.queue != InQueue::Temp || entry.queue_busy || !is_below_bound {
            return self.wait_until(slot, now.boot + self.set.retry_base);
        }
        let case = entry.unresolved(has_lookup);
        if self.reject_expired(slot) {
            return;
        }
        match next_step(&case, life, now) {
            NextStep::Charge => self.send_charge(slot, Purpose::Again),
            NextStep::Lookup => self.send_lookup(slot),
            NextStep::Park(code) => self.park(slot, code),
        }
    }

    /// While one call goes out at a time it is drawn by lot: what has waited longest may be what is never answered.
    fn next_due(&mut self) -> Option<Slot> {
        if !self.gate.is_open() || self.due.is_empty() {
            return self.due.pop_front();
        }
        let drawn = self.dice.usize(..self.due.len());
        self.due.swap_remove_back(drawn)
    }

    /// How many first attempts may leave now.
    fn room(&mut self) -> usize {
        self.gate.room(self.now.boot).min(self.archive_room())
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
            if !self.reject_expired(slot) {
                self.send_charge(slot, Purpose::First);
            }
        }
    }

    /// Rejects what is too old to be charged. Whatever may have been asked for is resolved, however old it is.
    fn reject_expired(&mut self, slot: Slot) -> bool {
        let (Some(max_age), now) = (self.set.max_age, self.now.wall) else { return false };
        let Some(entry) = self.entry(slot) else { return false };
        let is_untouched = entry.provably_first && entry.first == FirstAttempt::Never;
        let Some(tx) = entry.transaction.as_ref().filter(|_| is_untouched && !entry.mismatch)
        else {
            return false;
        };
        if now <= tx.created_at + max_age {
            return false;
        }
        let message = format!("it is older than {} s (charge.max_age)", max_age.as_secs());
        self.finish(slot, Finish::Rejected { code: EXPIRED, message });
        true
    }

    fn send_charge(&mut self, slot: Slot, purpose: Purpose) {
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
        let underway = self.gate.leave(purpose, now);
        let sent = Sent { asked: Asked::Charge { first }, before, underway };
        let body = self.formats.profile.charge_body(&tx);
        self.gauges.charges += 1;
        self.call(Pending::Gateway(slot, sent), Call::Charge(Charge { id: tx.id.clone(), body }));
    }

    fn send_lookup(&mut self, slot: Slot) {
        let Some(entry) = self.entry(slot) else { return };
        let Some(id) = entry.id().cloned() else { return };
        let before = entry.first;
        self.step(slot, Step::Calling(Asking::Lookup));
        let underway = self.gate.leave(Purpose::Lookup, self.now.boot);
        let sent = Sent { asked: Asked::Lookup, before, underway };
        self.gauges.lookups += 1;
        self.call(Pending::Gateway(slot, sent), Call::Lookup(id));
    }
}
