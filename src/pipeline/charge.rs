//! Charge: what may leave for the gateway and when, and what an answer leads to. A request leaves only where Redis
//! holds its entry, the store was asked, Kafka has acknowledged a dispatch bound above it, a recent commit has proved
//! that the partition is ours, and the idempotency key is still safe.

use std::time::Duration;

use super::engine::{Engine, Pending};
use super::entry::{Asking, InQueue, Step};
use super::message::{Call, Slot};
use crate::domain::classify::{Asked, Expected, Verdict};
use crate::domain::id::Partition;
use crate::domain::outcome::{EventId, Fate, Outcome};
use crate::domain::retry::{FirstAttempt, NextStep, Unresolved, next_step};
use crate::domain::time::{Boot, Wall};
use crate::ports::gateway::{Answer, Charge};

/// Of the calls in flight, the share of repeats while first attempts wait: one in this many.
const REPEATS_SHARE: usize = 4;

/// What a request was, for when its answer comes.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    asked: Asked,
    /// What was known of earlier attempts before this one left.
    before: FirstAttempt,
    again: bool,
    at: Boot,
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
            && let Some(slot) = self.due.pop_front()
        {
            self.take_next_step(slot);
        }
    }

    fn take_next_step(&mut self, slot: Slot) {
        let (has_lookup, life, now) = (self.set.has_lookup, self.set.key_life, self.now);
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
        let case = Unresolved {
            first: entry.first,
            same_recipe: entry.same_recipe,
            has_lookup,
            never_seen: entry.never_seen,
            mismatch: entry.mismatch,
            fruitless_lookups: entry.fruitless_lookups,
        };
        match next_step(&case, life, now) {
            NextStep::Charge => self.send_charge(slot, true),
            NextStep::Lookup => self.send_lookup(slot),
            NextStep::Park(code) => self.park(slot, code),
        }
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
        entry.never_seen = false;
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

    pub(super) fn on_answer(&mut self, slot: Slot, sent: Sent, answer: &Answer) {
        self.in_flight -= 1;
        self.in_flight_again -= usize::from(sent.again);
        let Some(entry) = self.entry(slot) else { return };
        let Some(tx) = entry.transaction.clone() else { return };
        let expected = Expected::from(&*tx);
        let verdict = self.formats.profile.verdict(sent.asked, &expected, answer);
        self.gauges.answers.count(&verdict);
        self.watch_gate(sent.at, answer);
        // Redis may have turned out to hold its decision meanwhile.
        if self.entry(slot).is_some_and(|entry| matches!(entry.step, Step::Calling(_))) {
            self.apply(slot, sent, verdict);
        }
    }

    /// A gateway that takes a request and says nothing is as far away as one that can't be reached.
    fn watch_gate(&mut self, sent_at: Boot, answer: &Answer) {
        let (Answer::NotSent(why) | Answer::Lost(why)) = answer else {
            self.gate.answered(self.now.boot);
            self.gauges.trouble.gateway = None;
            return;
        };
        self.gate.failed(sent_at);
        let is_away = self.gate.is_away();
        if is_away || matches!(answer, Answer::NotSent(_)) {
            self.gauges.trouble.gateway = Some(why.clone());
        }
        if is_away {
            self.gate.closed_until = self.backoff(self.gate.tries());
        }
    }

    fn apply(&mut self, slot: Slot, sent: Sent, verdict: Verdict) {
        let at = self.now.wall;
        match verdict {
            Verdict::Approved { gateway_id } => {
                self.decide(slot, Fate::Archived, Some(gateway_id), None, at);
            }
            Verdict::Declined { code, gateway_id } => {
                self.decide(slot, Fate::Declined, gateway_id, Some(code), at);
            }
            Verdict::NeedsLookup { code } | Verdict::DuplicateCode { code } => {
                self.doubt_decline(slot, code);
            }
            Verdict::Unknown { retry_after, .. } | Verdict::StillRunning { retry_after } => {
                self.count_fruitless(slot, sent);
                self.wait_to_age(slot, retry_after);
            }
            Verdict::NotSent { .. } => self.not_sent(slot, sent),
            Verdict::NotTaken { retry_after, .. } => {
                self.count_fruitless(slot, sent);
                self.try_later(slot, retry_after);
            }
            Verdict::Mismatch { .. } => self.mismatched(slot, sent),
            Verdict::NeverSeen => self.never_seen(slot),
        }
    }

    /// It certainly did not arrive: as if it had not left.
    fn not_sent(&mut self, slot: Slot, sent: Sent) {
        self.count_fruitless(slot, sent);
        if let Some(entry) = self.entry(slot)
            && sent.asked != Asked::Lookup
        {
            entry.first = sent.before;
            entry.attempts -= 1;
        }
        self.try_later(slot, None);
    }

    fn try_later(&mut self, slot: Slot, after: Option<Duration>) {
        let Some(entry) = self.entry(slot) else { return };
        entry.tries += 1;
        let tries = entry.tries;
        let at = self.backoff(tries).max(self.now.boot + after.unwrap_or_default());
        self.wait_until(slot, at);
    }

    fn wait_until(&mut self, slot: Slot, at: Boot) {
        self.step(slot, Step::Waiting);
        self.timed.insert((at, slot));
    }

    /// Unresolved: the sweep asks again once this has aged.
    pub(super) fn wait_to_age(&mut self, slot: Slot, after: Option<Duration>) {
        let min_age = self.set.sweep_min_age;
        let now = self.now.boot;
        self.step(slot, Step::Waiting);
        let Some(entry) = self.entry(slot) else { return };
        entry.tries = 0;
        // Where the gateway wants longer than the sweep would wait, it counts as touched later.
        entry.touched = now + after.unwrap_or_default().saturating_sub(min_age);
        let aged = (entry.touched, slot);
        self.aging.insert(aged);
    }

    /// A decline on what may not be the first attempt: perhaps only this repeat was declined. A lookup tells, now and,
    /// where it knows nothing, once more after a while.
    fn doubt_decline(&mut self, slot: Slot, code: String) {
        let has_lookup = self.set.has_lookup;
        let Some(entry) = self.entry(slot) else { return };
        entry.unconfirmed_decline = Some(code);
        if has_lookup {
            self.step(slot, Step::Due);
            self.due.push_back(slot);
        } else {
            self.wait_to_age(slot, None);
        }
    }

    fn never_seen(&mut self, slot: Slot) {
        let (now, min_age, wall) = (self.now.boot, self.set.sweep_min_age, self.now.wall);
        let Some(entry) = self.entry(slot) else { return };
        if let Some(code) = entry.unconfirmed_decline.clone() {
            // Long after the last request could still have been on its way, the gateway knows of no charge.
            if now.since(entry.touched) >= min_age {
                return self.decide(slot, Fate::Declined, None, Some(code), wall);
            }
            let touched = entry.touched;
            self.step(slot, Step::Waiting);
            self.aging.insert((touched, slot));
            return;
        }
        entry.never_seen = true;
        self.step(slot, Step::Due);
        self.due.push_back(slot);
    }

    /// The answer contradicts the request: the store is asked, then a lookup; the charge is never asked for again.
    fn mismatched(&mut self, slot: Slot, sent: Sent) {
        if sent.asked == Asked::Lookup {
            return self.park(slot, "mismatch");
        }
        let Some(entry) = self.entry(slot) else { return };
        entry.mismatch = true;
        self.step(slot, Step::AskingStore);
        self.to_ask.push_back(slot);
    }

    fn count_fruitless(&mut self, slot: Slot, sent: Sent) {
        let (life, now) = (self.set.key_life, self.now);
        let Some(entry) = self.entry(slot) else { return };
        let may_not_ask =
            entry.mismatch || !entry.same_recipe || !entry.first.is_key_safe(life, now);
        if sent.asked == Asked::Lookup && may_not_ask {
            entry.fruitless_lookups += 1;
        }
    }

    fn park(&mut self, slot: Slot, code: &'static str) {
        self.gauges.parked += 1;
        let at = self.now.wall;
        self.decide(slot, Fate::InDoubt, None, Some(code.to_owned()), at);
        self.alert_in_doubt(slot, code);
    }

    /// Approved, declined or in doubt: the outcome is made here, once.
    pub(super) fn decide(
        &mut self,
        slot: Slot,
        fate: Fate,
        gateway_id: Option<String>,
        code: Option<String>,
        at: Wall,
    ) {
        let place = self.place(slot);
        let Some(entry) = self.entry(slot) else { return };
        let Some(tx) = entry.transaction.clone() else { return };
        let outcome = Outcome {
            event_id: EventId::of(&place, &entry.hash),
            fate,
            transaction_id: tx.id.clone(),
            account_id: tx.account_id.clone(),
            amount: tx.amount,
            currency: tx.currency,
            gateway_id,
            code,
            attempts: entry.attempts,
            source: place,
            payload_hash: entry.hash,
            created_at: tx.created_at,
            admitted_at: entry.admitted_at,
            decided_at: Some(at),
            stored_at: None,
        };
        self.step(slot, Step::Decided(std::sync::Arc::new(outcome)));
        self.sort_into_queues(slot);
    }
}
