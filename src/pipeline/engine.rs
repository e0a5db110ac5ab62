//! The state machine: its state, how an event finds its stage, and the order in which the stages are asked what is
//! due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::claim::Rebalances;
use super::entry::{Entry, Step};
use super::flush::Flusher;
use super::gauges::Gauges;
use super::held::Held;
use super::message::{Call, CallId, Effect, Event, Level, Note, Reply, Slot};
use super::owned::Owned;
use super::publish::Publisher;
use super::settings::{Settings, Tuned};
use super::watch::Watches;
use crate::domain::gate::Gate;
use crate::domain::id::{Partition, RecipeHash, TransactionId};
use crate::domain::time::{Boot, Now};
use crate::domain::window::Window;
use crate::wire::events::EventCodec;
use crate::wire::gateway::Profile;
use crate::wire::transaction::Decoder;

/// How records are read and events are written, and how the gateway is spoken to.
#[derive(Debug)]
pub struct Formats {
    pub decoder: Decoder,
    pub events: EventCodec,
    pub profile: Profile,
    pub recipe: RecipeHash,
}

/// Who of several places with one id goes first.
#[derive(Debug)]
pub struct Turn {
    pub holder: Slot,
    pub waiting: VecDeque<Slot>,
}

/// What a call was made for.
#[derive(Debug)]
pub enum Pending {
    Assigning(crate::ports::source::Ticket, Vec<Partition>),
    Rereading,
    Ends(Vec<(Partition, crate::domain::id::Version)>),
    Survey,
    Queue {
        partition: Partition,
        version: crate::domain::id::Version,
        work: super::queues::Work,
    },
    /// Of these partitions; whether for the whole group.
    Depths(Vec<Partition>, bool),
    Gateway(Slot, super::charge::Sent),
    Asking(Vec<Slot>),
    Storing(u64),
    Sources(Vec<(Partition, crate::domain::id::Version)>),
    Publisher,
}

pub struct Engine {
    pub(super) set: Settings,
    pub(super) formats: Formats,
    pub(super) dice: fastrand::Rng,
    /// The boot clock, and the wall clock as it was last agreed upon with Redis and the store.
    pub(super) now: Now,
    /// As this host's clocks have it.
    pub(super) now_untrusted: Now,
    /// When the first was heard of what has come since the last effects left.
    listened_at: Option<Boot>,
    pub(super) owned: BTreeMap<Partition, Owned>,
    pub(super) rebalances: Rebalances,
    pub(super) turns: BTreeMap<TransactionId, Turn>,
    pub(super) pending: Window<CallId, Pending>,
    next_call: u64,
    pub(super) publisher: Publisher,
    pub(super) flusher: Flusher,
    /// Waiting for the store's word.
    pub(super) to_ask: VecDeque<Slot>,
    pub(super) asks_open: usize,
    pub(super) ask_retry_at: Boot,
    pub(super) ask_tries: u32,
    /// Its last word was that it can't, where no first attempt may leave without it.
    pub(super) is_store_away: bool,
    /// Unresolved, by the time of their last touch.
    pub(super) aging: BTreeSet<(Boot, Slot)>,
    /// To be asked again at a time: what was not sent or not taken.
    pub(super) timed: BTreeSet<(Boot, Slot)>,
    /// Due to be asked again.
    pub(super) due: VecDeque<Slot>,
    pub(super) gate: Gate,
    /// The partition that goes first at the next dispatch.
    pub(super) next_served: Partition,
    /// The partition that is asked first for more records.
    pub(super) next_fed: Partition,
    pub(super) swept_at: Boot,
    pub(super) held: Held,
    pub(super) watches: Watches,
    /// While set: take in nothing, finish what is in flight, end by then.
    pub(super) stop_by: Option<Boot>,
    pub(super) finished: bool,
    pub(super) gauges: Gauges,
    pub(super) out: Vec<Effect>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("owned", &self.owned.keys()).finish_non_exhaustive()
    }
}

impl Engine {
    /// `seed` feeds the jitter of retries, nothing else.
    #[must_use]
    pub fn new(set: Settings, formats: Formats, seed: u64, now: Now) -> Self {
        Self {
            flusher: Flusher::new(now.boot),
            publisher: Publisher::new(now.boot, set.publish_events_max),
            gate: Gate::new(set.tuned.gate, now.boot),
            set,
            formats,
            dice: fastrand::Rng::with_seed(seed),
            now,
            now_untrusted: now,
            listened_at: None,
            owned: BTreeMap::new(),
            rebalances: Rebalances::default(),
            turns: BTreeMap::new(),
            pending: Window::default(),
            next_call: 0,
            to_ask: VecDeque::new(),
            asks_open: 0,
            ask_retry_at: Boot(0),
            ask_tries: 0,
            is_store_away: false,
            aging: BTreeSet::new(),
            timed: BTreeSet::new(),
            due: VecDeque::new(),
            next_served: Partition(0),
            next_fed: Partition(0),
            swept_at: now.boot,
            held: Held::default(),
            watches: Watches::default(),
            stop_by: None,
            finished: false,
            gauges: Gauges::default(),
            out: Vec::new(),
        }
    }

    /// Takes one event in; [`Engine::pump`] then says what is to be done. Several events may be taken in before.
    pub fn handle(&mut self, now: Now, event: Event) {
        self.set_now(now);
        self.listened_at.get_or_insert(now.boot);
        match event {
            Event::Source(event) => self.on_source(event),
            Event::Reply(call, reply) => self.on_reply(call, reply),
            Event::Tuned(tuned) => self.on_tuned(*tuned),
            Event::Alert(alert) => self.on_group_alert(&alert),
            Event::Tick => {}
            Event::Stop => self.on_stop(),
        }
    }

    /// Asks every stage, in the order of the route, what is due; returns the effects.
    pub fn pump(&mut self, now: Now) -> Vec<Effect> {
        self.set_now(now);
        self.listened_at = None;
        self.pump_ownership();
        self.pump_alone();
        self.pump_queues();
        self.pump_asks();
        self.pump_sweep();
        self.pump_charge();
        self.pump_flush();
        self.pump_watches();
        self.pump_publish();
        self.pump_demand();
        self.pump_stop();
        std::mem::take(&mut self.out)
    }

    /// When something becomes due by time alone.
    #[must_use]
    pub fn wake_at(&self) -> Boot {
        let timed = self.timed.first().map(|(at, _)| *at);
        let queue_retry = self
            .owned
            .values()
            .filter(|p| p.queue_retry_at > self.now.boot)
            .map(|p| p.queue_retry_at)
            .min();
        let alone = self.owned.values().filter_map(|p| p.alone_at).min();
        let ask = (!self.to_ask.is_empty() && self.ask_retry_at > self.now.boot)
            .then_some(self.ask_retry_at);
        [
            timed,
            queue_retry,
            alone,
            ask,
            self.gate.wake_at(),
            self.rebalances.wake_at(),
            self.flusher.wake_at(self.flush_interval()),
            self.publisher.wake_at(self),
            Some(self.swept_at + self.set.sweep_interval),
            self.watches.wake_at(),
            self.stop_by,
        ]
        .into_iter()
        .flatten()
        .filter(|at| *at > self.now.boot)
        .min()
        .unwrap_or(self.now.boot + self.set.sweep_interval)
    }

    fn on_tuned(&mut self, tuned: Tuned) {
        self.gate.set(tuned.gate, self.now.boot);
        self.set.tuned = tuned;
    }

    fn set_now(&mut self, now: Now) {
        self.now_untrusted = now;
        self.now = self.rebalances.trusted(now);
    }

    fn on_reply(&mut self, call: CallId, reply: Reply) {
        let Some(pending) = self.pending.remove(&call) else {
            return self.note(Level::Error, None, format!("a reply to no call: {}", reply.name()));
        };
        match (pending, reply) {
            (Pending::Assigning(ticket, partitions), Reply::Committed(result)) => {
                self.on_committed(ticket, &partitions, result);
            }
            (Pending::Rereading, Reply::Committed(result)) => self.on_reread(result),
            (Pending::Ends(of), Reply::Committed(result)) => self.on_ends(&of, result),
            (Pending::Survey, Reply::Survey(survey)) => self.on_survey(*survey),
            (Pending::Queue { partition, version, work }, reply) => {
                self.on_queue(partition, version, work, reply);
            }
            (Pending::Depths(of, for_group), Reply::Depths(result)) => {
                self.on_depths(&of, for_group, result);
            }
            (Pending::Gateway(slot, sent), Reply::Answer(answer)) => {
                self.on_answer(slot, sent, &answer);
            }
            (Pending::Asking(slots), Reply::Asked(result)) => self.on_asked(&slots, result),
            (Pending::Storing(batch), Reply::Stored(result)) => self.on_stored(batch, result),
            (Pending::Sources(of), Reply::SourcesAdded(result)) => self.on_sources(&of, result),
            (Pending::Publisher, Reply::Membership(result)) => self.on_membership(result),
            (Pending::Publisher, Reply::Committing(result)) => self.on_committing(result),
            (Pending::Publisher, Reply::Renewed(result)) => self.on_renewed(result),
            (pending, reply) => {
                let text = format!("a reply of another kind: {pending:?} got {}", reply.name());
                self.note(Level::Error, None, text);
            }
        }
    }

    /// Since when what is heard now may have been there.
    pub(super) fn heard_at(&self) -> Boot {
        self.listened_at.unwrap_or(self.now.boot)
    }

    pub(super) fn call(&mut self, pending: Pending, call: Call) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.pending.insert(id, pending);
        self.out.push(Effect::Call(id, call));
    }

    pub(super) fn note(&mut self, level: Level, partition: Option<Partition>, text: String) {
        self.out.push(Effect::Note(Note { level, partition, text }));
    }

    /// The delay before another try.
    pub(super) fn backoff(&mut self, tries: u32) -> Boot {
        let dice = self.dice.f64();
        let delay =
            crate::domain::retry::backoff(tries, self.set.retry_base, self.set.retry_cap, dice);
        self.now.boot + delay
    }

    pub(super) fn entry(&mut self, slot: Slot) -> Option<&mut Entry> {
        let p = self.owned.get_mut(&slot.partition).filter(|p| p.version == slot.version)?;
        p.entries.get_mut(&slot.offset).map(Box::as_mut)
    }

    pub(super) fn partition(&mut self, slot: Slot) -> Option<&mut Owned> {
        self.owned.get_mut(&slot.partition).filter(|p| p.version == slot.version)
    }

    /// Moves an entry to a step.
    pub(super) fn step(&mut self, slot: Slot, step: Step) {
        let version = slot.version;
        let p = self.owned.get_mut(&slot.partition).filter(|p| p.version == version);
        let Some(entry) = p.and_then(|p| p.entries.get_mut(&slot.offset)) else { return };
        self.held.remove(entry);
        entry.step = step;
        self.held.insert(entry);
    }

    /// The consumer group and the source topic.
    #[must_use]
    pub fn source_names(&self) -> (std::sync::Arc<str>, std::sync::Arc<str>) {
        (self.set.group.clone(), self.set.topic.clone())
    }

    /// What is counted and measured, for whoever shows it.
    pub fn gauges(&mut self) -> &mut Gauges {
        self.take_gauges();
        &mut self.gauges
    }
}
