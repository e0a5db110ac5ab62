//! Decide: what an answer leads to. An approval or a decline that is to be believed is decided once, here; everything
//! else waits, asks again, asks the store or a lookup, or is given to a person. What an answer says is for the domain.

use std::time::Duration;

use super::charge::Sent;
use super::engine::Engine;
use super::entry::{Step, Unconfirmed};
use super::message::Slot;
use crate::domain::classify::{Asked, Expected, Verdict};
use crate::domain::gate::{Back, Word};
use crate::domain::outcome::{EventId, Fate, Outcome};
use crate::domain::time::{Boot, Wall};
use crate::ports::gateway::Answer;

impl Engine {
    pub(super) fn on_answer(&mut self, slot: Slot, sent: Sent, answer: &Answer) {
        let Some(tx) = self.entry(slot).and_then(|entry| entry.transaction.clone()) else {
            return self.hear_gateway(sent, answer, None);
        };
        let expected = Expected::from(&*tx);
        let verdict = self.formats.profile.verdict(sent.asked, &expected, answer);
        self.gauges.answers.count(&verdict);
        self.hear_gateway(sent, answer, Some(&verdict));
        // Redis may have turned out to hold its decision meanwhile.
        if self.entry(slot).is_some_and(|entry| matches!(entry.step, Step::Calling(_))) {
            self.apply(slot, sent, verdict);
        }
    }

    /// What the answer says of the gateway itself. One that takes a request and says nothing is as far away as one that
    /// can't be reached.
    fn hear_gateway(&mut self, sent: Sent, answer: &Answer, verdict: Option<&Verdict>) {
        let (word, after) = Word::of(answer, verdict);
        let heard_at = self.heard_at();
        let back = Back { word, after, heard_at, now: self.now.boot, dice: self.dice.f64() };
        self.gate.came_back(sent.underway, back);
        let why = match (answer, verdict) {
            (Answer::NotSent(why) | Answer::Lost(why), _) => why,
            (_, Some(Verdict::Unknown { why, .. } | Verdict::NotTaken { why, .. })) => why,
            _ => "",
        };
        let is_away = self.gate.is_open() || matches!(answer, Answer::NotSent(_));
        match word {
            Word::Told | Word::Spoke => self.gauges.trouble.gateway = None,
            Word::Refused | Word::InTrouble | Word::Silent if is_away && !why.is_empty() => {
                self.gauges.trouble.gateway = Some(why.to_owned());
            }
            Word::Refused | Word::InTrouble | Word::Silent => {}
        }
    }
    fn apply(&mut self, slot: Slot, sent: Sent, verdict: Verdict) {
        let at = self.now.wall;
        match verdict {
            Verdict::Approved { gateway_id } => {
                self.decide(slot, Fate::Archived, Some(gateway_id), None, at);
            }
            // Where the gateway decides anew after a decline, another request than this one's may have charged since.
            // That there was none nobody knows: the id may stand on another partition, too.
            Verdict::Declined { code, gateway_id }
                if sent.asked == Asked::Lookup && !self.formats.profile.keeps_declines() =>
            {
                self.declined_unless_shown(slot, sent, gateway_id, code);
            }
            Verdict::Declined { code, gateway_id } => {
                self.decide(slot, Fate::Declined, gateway_id, Some(code), at);
            }
            Verdict::Unconfirmed { .. } => self.confirm(slot, Unconfirmed::Approval),
            Verdict::NeedsLookup { code } | Verdict::DuplicateCode { code } => {
                self.confirm(slot, Unconfirmed::Decline(code));
            }
            Verdict::Unknown { retry_after, is_outage, .. } => {
                self.count_fruitless(slot, sent, is_outage);
                self.told_nothing(slot, sent);
                self.wait_to_age(slot, retry_after);
            }
            Verdict::StillRunning { retry_after } => {
                self.count_fruitless(slot, sent, false);
                self.wait_to_age(slot, retry_after);
            }
            Verdict::NotSent { .. } => self.not_sent(slot, sent),
            Verdict::NotTaken { retry_after, .. } => {
                self.count_fruitless(slot, sent, true);
                self.try_later(slot, retry_after);
            }
            Verdict::Mismatch { .. } => self.mismatched(slot, sent),
            Verdict::NeverSeen => self.never_seen(slot, sent),
        }
    }

    /// It certainly did not arrive: as if it had not left.
    fn not_sent(&mut self, slot: Slot, sent: Sent) {
        self.count_fruitless(slot, sent, true);
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

    pub(super) fn wait_until(&mut self, slot: Slot, at: Boot) {
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

    /// An answer that is not to be believed by itself: perhaps only this repeat was declined, or not all of the request
    /// was repeated. A lookup tells, now and, where it knows nothing, once more after a while.
    fn confirm(&mut self, slot: Slot, unconfirmed: Unconfirmed) {
        let has_lookup = self.set.lookup.is_there();
        let Some(entry) = self.entry(slot) else { return };
        entry.unconfirmed = Some(unconfirmed);
        if has_lookup {
            self.step(slot, Step::Due);
            self.due.push_back(slot);
        } else {
            self.wait_to_age(slot, None);
        }
    }

    /// A lookup that knows nothing. It is believed only once the last request must have shown; where that is the last
    /// word, only long after this request could still have been on its way.
    fn never_seen(&mut self, slot: Slot, sent: Sent) {
        let (life, now) = (self.set.key_life, self.now);
        let surely_shown = self.surely_shown(slot);
        let lookup = self.set.lookup;
        let Some(entry) = self.entry(slot) else { return };
        match entry.unconfirmed.clone() {
            Some(Unconfirmed::Decline(code)) => self.declined_unless_shown(slot, sent, None, code),
            // It was approved, and does not show yet.
            Some(Unconfirmed::Approval) => self.not_shown(slot, sent),
            None => {
                let case = entry.unresolved(lookup.is_there());
                let is_last = !case.may_be_asked_again(life, now);
                let shown = if is_last { surely_shown } else { lookup.settles_at(entry.asked_at) };
                if shown.is_none_or(|at| at > now.boot) {
                    return self.not_shown(slot, sent);
                }
                entry.never_seen = true;
                self.step(slot, Step::Due);
                self.due.push_back(slot);
            }
        }
    }

    /// When a lookup shows the last request, however late it arrived; `None`: perhaps never.
    fn surely_shown(&mut self, slot: Slot) -> Option<Boot> {
        let (lookup, min_age) = (self.set.lookup, self.set.sweep_min_age);
        let entry = self.entry(slot)?;
        lookup.settles_at(entry.asked_at).map(|at| at + min_age)
    }

    /// A decline that counts once a lookup must show what became of the last request, and shows no charge.
    fn declined_unless_shown(
        &mut self,
        slot: Slot,
        sent: Sent,
        gateway_id: Option<String>,
        code: String,
    ) {
        let now = self.now;
        match self.surely_shown(slot) {
            Some(at) if at <= now.boot => {
                self.decide(slot, Fate::Declined, gateway_id, Some(code), now.wall);
            }
            Some(at) => self.wait_until(slot, at),
            None => self.not_shown(slot, sent),
        }
    }

    /// What a lookup does not show says nothing: the same key tells, while it lives.
    fn not_shown(&mut self, slot: Slot, sent: Sent) {
        let now = self.now.boot;
        let will_show = self.surely_shown(slot).is_some_and(|at| at > now);
        self.count_fruitless(slot, sent, will_show);
        self.told_nothing(slot, sent);
        self.wait_to_age(slot, None);
    }

    /// After a lookup that told nothing, or failed: the charge is asked for next, while the key is safe, lest one that
    /// depends on lookups that never tell stays open for as long as the key lives.
    fn told_nothing(&mut self, slot: Slot, sent: Sent) {
        if sent.asked == Asked::Lookup
            && let Some(entry) = self.entry(slot)
        {
            entry.not_shown = entry.unconfirmed.is_none();
        }
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

    /// A lookup that told nothing, where nothing else can be asked any more. One that may yet tell by itself, as in an
    /// outage, does not count, until that has lasted for as long as a key lives.
    fn count_fruitless(&mut self, slot: Slot, sent: Sent, may_yet_tell: bool) {
        let (life, now, has_lookup) = (self.set.key_life, self.now, self.set.lookup.is_there());
        let Some(entry) = self.entry(slot) else { return };
        let is_last = !entry.unresolved(has_lookup).may_be_asked_again(life, now);
        let counts = !may_yet_tell || now.boot.since(entry.asked_at) > life.ttl;
        if sent.asked == Asked::Lookup && is_last && counts {
            entry.fruitless_lookups += 1;
        }
    }

    pub(super) fn park(&mut self, slot: Slot, code: &'static str) {
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
        // The gateway would say so again. What else was decided is the last word only once it is stored.
        if fate == Fate::Archived {
            self.leave_line(slot);
        }
        self.sort_into_queues(slot);
    }
}
