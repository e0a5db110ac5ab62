//! Publish: what is finished is told to Kafka, events and offsets in one transaction; claims and dispatch bounds go
//! the same way. There is no other commit.
//!
//! One transaction at a time: ask who we are in the group, decide on that snapshot what to say, commit. Whatever is
//! not clearly done leads to a new producer and to reading the committed offsets again before anything else is said.

use super::engine::{Engine, Pending};
use super::entry::Step;
use super::message::{Call, Level};
use super::owned::{Owned, Phase};
use crate::domain::id::{Epoch, Offset, Partition, RecipeHash, Version};
use crate::domain::offsets::{Plan, PlanLimits};
use crate::domain::retry::minute_of;
use crate::domain::time::Boot;
use crate::ports::publisher::{CommitPoint, Committing, Membership, Message, PublishError};
use crate::ports::source::{Committed, SourceError};
use crate::wire::metadata::{Metadata, fitting};

#[derive(Debug)]
enum State {
    /// No producer, or one that can't be trusted.
    Broken,
    Renewing,
    /// A new producer; what Kafka holds has to be read again.
    Unread,
    Rereading,
    Idle,
    AskingMembership,
    Committing(Flight),
}

/// What a transaction says, until it is known to be said.
#[derive(Debug)]
struct Flight {
    plans: Vec<Said>,
    alerts: usize,
    began: Boot,
}

#[derive(Debug)]
struct Said {
    partition: Partition,
    version: Version,
    epoch: Epoch,
    plan: Plan,
}

#[derive(Debug)]
pub struct Publisher {
    state: State,
    retry_at: Boot,
    tries: u32,
    last: Boot,
    /// When the last transaction began that was cleanly committed.
    pub(super) proven_at: Option<Boot>,
    /// The last snapshot of the group had none of what there is to speak for.
    in_vain: bool,
    /// A commit is wanted for the proof alone.
    pub(super) wants_proof: bool,
    /// Alerts go with the next transaction.
    pub(super) alerts: Vec<Message>,
    /// Events of one partition in a transaction at most: fewer after each that did not get through, since what takes
    /// too long once takes too long again, and what waits only grows meanwhile.
    events_max: usize,
}

impl Publisher {
    pub(super) fn new(now: Boot, events_max: usize) -> Self {
        Self {
            state: State::Broken,
            retry_at: now,
            tries: 0,
            last: now,
            proven_at: None,
            in_vain: false,
            wants_proof: false,
            alerts: Vec::new(),
            events_max,
        }
    }

    /// A transaction is open: what it speaks for can't be given up now.
    pub(super) fn is_committing(&self) -> bool {
        matches!(self.state, State::Committing(_))
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle | State::Broken) && self.alerts.is_empty()
    }

    /// There is no producer, and the last try to make one failed.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    pub(super) fn wake_at(&self, engine: &Engine) -> Option<Boot> {
        match self.state {
            State::Broken | State::Unread => Some(self.retry_at),
            State::Idle if engine.something_to_say() || engine.is_urgent() => {
                Some((self.last + engine.set.publish_interval).max(self.retry_at))
            }
            State::Idle => engine.next_mark_refresh(),
            State::Renewing | State::Rereading | State::AskingMembership | State::Committing(_) => {
                None
            }
        }
    }
}

impl Engine {
    pub(super) fn pump_publish(&mut self) {
        if self.publisher.retry_at > self.now.boot {
            return;
        }
        match self.publisher.state {
            State::Broken => {
                self.publisher.state = State::Renewing;
                self.call(Pending::Publisher, Call::Renew);
            }
            State::Unread => self.reread(),
            State::Idle => self.begin_if_due(),
            State::Renewing | State::Rereading | State::AskingMembership | State::Committing(_) => {
            }
        }
    }

    fn begin_if_due(&mut self) {
        let now = self.now.boot;
        let is_due = now.since(self.publisher.last) >= self.set.publish_interval;
        let is_urgent = self.is_urgent();
        // What is refused says nothing; whether it was another's meanwhile has to be asked all the same.
        let is_refused = |p: &Owned| matches!(p.phase, Phase::Refused(_));
        let asks = now.since(self.publisher.last) >= self.set.sweep_interval
            && self.owned.values().any(is_refused);
        // What the group said a moment ago it will say again: only time can change that.
        let is_at_once = is_urgent && !self.publisher.in_vain;
        let is_wanted = (is_due && (is_urgent || self.something_to_say())) || is_at_once || asks;
        if is_wanted {
            self.publisher.last = now;
            self.publisher.state = State::AskingMembership;
            self.call(Pending::Publisher, Call::Membership);
        }
    }

    fn is_urgent(&self) -> bool {
        let may_charge = !self.is_stopping();
        self.owned.values().any(|p| is_urgent(p, may_charge))
    }

    fn something_to_say(&self) -> bool {
        let now = self.now.boot;
        let refresh = self.set.mark_refresh;
        !self.publisher.alerts.is_empty()
            || self.publisher.wants_proof
            || self.owned.values().any(|p| {
                p.is_publishable()
                    && (p.stale || !p.ready.is_empty() || now.since(p.told_at) >= refresh)
            })
    }

    fn next_mark_refresh(&self) -> Option<Boot> {
        let told = self.owned.values().filter(|p| p.is_publishable()).map(|p| p.told_at);
        told.min().map(|at| at + self.set.mark_refresh)
    }

    pub(super) fn on_membership(&mut self, result: Result<Membership, PublishError>) {
        self.publisher.state = State::Idle;
        match result {
            Ok(membership) => self.commit_as(&membership),
            Err(error) => self.publish_later(error.to_string()),
        }
    }

    fn publish_later(&mut self, why: String) {
        self.publisher.tries += 1;
        let tries = self.publisher.tries;
        self.publisher.retry_at = self.backoff(tries);
        self.gauges.trouble.kafka = Some(why);
    }

    /// Decides, on one snapshot of the group, what is said. A member that has not joined would not be fenced; a
    /// partition that is not in the snapshot may be another's.
    fn commit_as(&mut self, membership: &Membership) {
        if membership.generation < 0 || membership.member_id.is_empty() {
            return self.publish_later("not a member of the group at the moment".to_owned());
        }
        self.take_over_kept(&membership.member_id);
        let mut messages = std::mem::take(&mut self.publisher.alerts);
        let alerts = messages.len();
        // Alerts don't wait for something else to be said: what they tell of may be why nothing else is. Offsets, even
        // unchanged ones, go with them, which fences them.
        self.publisher.wants_proof |= alerts > 0;
        let mut plans = Vec::new();
        let mut points = Vec::new();
        let speaking: Vec<Partition> = self
            .owned
            .values()
            .filter(|p| p.is_publishable() && membership.owned.contains(&p.partition))
            .map(|p| p.partition)
            .collect();
        for partition in speaking {
            let Some(said) = self.plan(partition) else { continue };
            messages.extend(self.events_of(partition, &said.plan.reported));
            points.push(self.point(&said));
            plans.push(said);
        }
        self.publisher.in_vain = plans.is_empty();
        if plans.is_empty() {
            // No partition to speak for: another owner sees what they tell of.
            self.publisher.alerts = messages;
            return;
        }
        self.publisher.wants_proof = false;
        let began = self.now.boot;
        self.publisher.state = State::Committing(Flight { plans, alerts, began });
        self.publisher.alerts = messages[..alerts].to_vec();
        let snapshot = membership.snapshot;
        self.call(Pending::Publisher, Call::Commit { snapshot, messages, points });
    }

    /// What there is to say of a partition.
    pub(super) fn plan_of(&self, p: &Owned) -> Plan {
        // After the stop no request leaves any more, and those that have left are noted.
        let leads = (!self.is_stopping()).then_some(self.set.leads);
        let limits = PlanLimits { leads, minute: minute_of(self.now.wall) };
        let cap = self.set.metadata_chars_max;
        let ready: Vec<Offset> = match p.phase {
            Phase::Running => p.ready.iter().take(self.publisher.events_max).collect(),
            _ => Vec::new(),
        };
        let fit =
            |watermark: Offset, list: &[Offset]| fitting(watermark, list.iter().copied(), cap);
        p.tracker.plan(&ready, p.frontier(), limits, fit)
    }

    fn plan(&mut self, partition: Partition) -> Option<Said> {
        let plan = self.plan_of(self.owned.get(&partition)?);
        let (now, refresh) = (self.now.boot, self.set.mark_refresh);
        let wants_proof = self.publisher.wants_proof;
        let p = self.owned.get_mut(&partition)?;
        p.stale = false;
        p.hold_back(plan.told.cut);
        let told = p.tracker.told();
        let is_news = p.phase != Phase::Running
            || wants_proof
            || !plan.reported.is_empty()
            || plan.told.watermark != told.watermark
            || plan.told.cut != told.cut
            || plan.told.bound != told.bound
            || now.since(p.told_at) >= refresh;
        is_news.then_some(Said { partition, version: p.version, epoch: p.epoch, plan })
    }

    fn point(&self, said: &Said) -> CommitPoint {
        let told = said.plan.told.clone();
        // What an owner before us may have attempted with another recipe stays so for those who come after us.
        let p = self.owned.get(&said.partition);
        let is_mixed = p.is_some_and(|p| !p.same_recipe && p.tracker.has_inherited());
        let metadata = Metadata {
            cut: told.cut,
            unfinished: told.unfinished,
            bound: told.bound,
            marks: told.marks,
            epoch: said.epoch,
            store: self.set.store,
            recipe: if is_mixed { RecipeHash::MIXED } else { self.formats.recipe },
            topic: p.and_then(|p| p.topic),
            forgotten: told.forgotten,
        };
        let text = metadata.encode(told.watermark);
        debug_assert!(text.chars().count() <= self.set.metadata_chars_max);
        CommitPoint { partition: said.partition, watermark: told.watermark, metadata: text }
    }

    pub(super) fn on_committing(&mut self, result: Committing) {
        let state = std::mem::replace(&mut self.publisher.state, State::Idle);
        let State::Committing(flight) = state else { return };
        match result {
            Committing::Clean => {
                self.publisher.tries = 0;
                self.publisher.events_max =
                    self.publisher.events_max.saturating_mul(2).min(self.set.publish_events_max);
                self.publisher.proven_at = Some(flight.began);
                self.publisher.alerts.drain(..flight.alerts);
                self.gauges.commits += 1;
                self.gauges.trouble.kafka = None;
                for said in flight.plans {
                    self.said(&said);
                }
            }
            Committing::Unclear(why) => {
                self.gauges.unclear_commits += 1;
                let events = flight.plans.iter().map(|said| said.plan.reported.len()).max();
                if let Some(events) = events.filter(|events| *events > 0) {
                    self.publisher.events_max = events.div_ceil(2);
                }
                let text = format!("a commit is unclear; making a new producer: {why}");
                self.note(Level::Warn, None, text);
                self.break_producer(why);
            }
        }
    }

    fn break_producer(&mut self, why: String) {
        self.publish_later(why);
        self.publisher.state = State::Broken;
    }

    /// Kafka has it.
    fn said(&mut self, said: &Said) {
        let now = self.now.boot;
        let version = said.version;
        let Some(p) = self.owned.get_mut(&said.partition).filter(|p| p.version == version) else {
            return;
        };
        p.tracker.tell(&said.plan);
        p.short_of_bound.take_if(|offset| p.tracker.is_below_bound(*offset));
        p.told_at = now;
        if p.phase == Phase::Claiming && p.epoch == said.epoch {
            p.phase = Phase::Entering;
        }
        self.forget(said.partition, &said.plan.reported);
    }

    /// Finished offsets leave memory, and Redis where they are there.
    pub(super) fn forget(&mut self, partition: Partition, offsets: &[Offset]) {
        for offset in offsets {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            p.ready.remove(*offset);
            p.fresh.remove(*offset);
            let slot = p.slot(*offset);
            self.leave_line(slot);
            let Some(p) = self.owned.get_mut(&partition) else { return };
            let Some(entry) = p.entries.remove(offset) else { continue };
            self.held.remove(&entry);
            self.gauges.finished(&entry, self.now.boot);
            let Some(id) = entry.id().cloned() else { continue };
            if let Some(p) = self.owned.get_mut(&partition) {
                p.to_remove.push(crate::ports::queue::EntryKey { id: id.clone(), offset: *offset });
            }
            // What is finished has left it already.
            if !matches!(entry.step, Step::Ready(_)) {
                self.leave_turn(&id, slot);
            }
        }
    }

    pub(super) fn on_renewed(&mut self, result: Result<(), PublishError>) {
        match result {
            Ok(()) => {
                self.gauges.producers += 1;
                self.publisher.state = State::Unread;
                self.publisher.retry_at = self.now.boot;
                self.reread();
            }
            Err(error) => self.break_producer(error.to_string()),
        }
    }

    /// What does Kafka hold now? Nothing is published before that is known.
    fn reread(&mut self) {
        let owned: Vec<Partition> =
            self.owned.values().filter(|p| p.is_publishable()).map(|p| p.partition).collect();
        if owned.is_empty() {
            self.publisher.state = State::Idle;
            return;
        }
        self.publisher.state = State::Rereading;
        self.call(Pending::Rereading, Call::Committed(owned));
    }

    pub(super) fn on_reread(&mut self, result: Result<Vec<Committed>, SourceError>) {
        match result {
            Ok(committed) => {
                self.publisher.state = State::Idle;
                self.publisher.retry_at = self.now.boot;
                for committed in committed {
                    self.learn(committed);
                }
            }
            Err(error) => {
                self.publish_later(error.to_string());
                self.publisher.state = State::Unread;
            }
        }
    }
}

/// A claim, or a first attempt that waits for the dispatch bound: no reason to wait for the interval.
fn is_urgent(p: &Owned, may_charge: bool) -> bool {
    let waits = |o: Offset| may_charge && !p.tracker.is_below_bound(o);
    let starved = p.is_running() && p.fresh.first().is_some_and(waits);
    p.is_publishable() && (p.phase == Phase::Claiming || starved)
}
