//! The oracle: it knows the truth of the world and checks the promise against it, at every request, at every
//! transaction that takes effect, and at the end. It trusts nothing that the pipeline says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tollbridge::adapters::memory::gateway::Entry;
use tollbridge::domain::id::{Epoch, Offset, Partition, TransactionId};
use tollbridge::domain::outcome::{EXPIRED, Fate};
use tollbridge::pipeline::{AskStore, Level, Note, Order};
use tollbridge::ports::gateway::Charge;
use tollbridge::ports::publisher::CommitPoint;
use tollbridge::wire::metadata::{Metadata, fitting};

use crate::holes::{Hole, Met};
use crate::kafka::{Brokers, Effective};
use crate::plan::{Micros, Plan, S, micros};
use crate::process::Life;
use crate::trust::Meddling;
use crate::verdict;
use crate::workload::Workload;

/// So many finished offsets above one that is not say that it holds them back.
const HELD_BACK: i64 = 4;

/// A place in the source topic.
pub type At = (Partition, Offset);

/// What Kafka was last told of a partition.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) watermark: Offset,
    pub(crate) metadata: Metadata,
}

impl Told {
    fn is_finished(&self, offset: Offset) -> bool {
        offset < self.watermark
            || (offset < self.metadata.cut && !self.metadata.unfinished.contains(&offset))
    }
}

#[derive(Debug)]
pub struct Charged {
    pub id: TransactionId,
    pub place: Option<At>,
    pub at: i64,
    pub amount: i64,
}

#[derive(Debug)]
pub struct Oracle {
    pub violations: Vec<String>,
    pub met: Met,
    pub(crate) workload: Rc<Workload>,
    ttl: Micros,
    usable: Micros,
    /// By how much two processes may disagree on the time.
    pub(crate) apart: Micros,
    pub(crate) asks_always: bool,
    /// Transactions of one record key are charged in their order.
    pub(crate) keeps_order: bool,
    /// Older ones need not be charged.
    pub(crate) max_age: Option<Duration>,
    metadata_chars_max: usize,
    is_faultless: bool,
    /// Answers may contradict their requests, clocks may jump, bodies may change.
    pub(crate) may_doubt_early: bool,
    /// A gateway that does not keep its declines.
    pub(crate) may_decide_differently: bool,
    pub(crate) fates: BTreeMap<At, Fate>,
    pub(crate) told: BTreeMap<Partition, Told>,
    /// Partitions whose committed offset is not what it should be.
    pub distrusted: BTreeSet<Partition>,
    pub(crate) meddling: Meddling,
    /// Ids of which a person knows that they were not charged, and what was published again after a doubt.
    pub(crate) freed: BTreeSet<TransactionId>,
    pub(crate) encores: BTreeMap<At, TransactionId>,
    /// Who claimed a partition in Redis, with which epoch.
    pub(crate) claims: BTreeMap<(Partition, Epoch), Life>,
    /// The highest offset for which a request has left.
    pub(crate) asked_to: BTreeMap<Partition, Offset>,
    /// What any request has left for.
    pub(crate) asked_for: BTreeSet<TransactionId>,
    /// When the earliest request left that arrived at the gateway.
    pub(crate) first: BTreeMap<TransactionId, Micros>,
    /// Who asked first.
    askers: BTreeMap<TransactionId, Life>,
    /// With which version of the bodies a place was first asked for.
    pub(crate) recipes: BTreeMap<At, u32>,
    pub(crate) bodies: BTreeMap<TransactionId, [u8; 32]>,
    pub(crate) charges: Vec<Charged>,
    ledger_read: usize,
}

impl Oracle {
    pub fn new(plan: &Plan, workload: &Rc<Workload>) -> Self {
        let life = plan.shape.life();
        Self {
            violations: Vec::new(),
            met: Met::new(),
            workload: Rc::clone(workload),
            ttl: micros(life.ttl),
            usable: micros(life.usable()),
            apart: plan.shape.margin() / 2,
            max_age: plan.shape.settings.max_age,
            keeps_order: plan.shape.settings.order == Order::Key,
            asks_always: plan.shape.settings.ask_store == AskStore::Always,
            metadata_chars_max: plan.shape.settings.metadata_chars_max,
            // Marks are by the minute: where keys live hardly longer, who waits for its turn may be too late.
            is_faultless: plan.faults.is_empty() && life.usable() > Duration::from_secs(120),
            may_doubt_early: plan.may_doubt_early(),
            may_decide_differently: plan.forgets_declines(),
            fates: BTreeMap::new(),
            told: BTreeMap::new(),
            distrusted: BTreeSet::new(),
            meddling: Meddling::default(),
            freed: BTreeSet::new(),
            encores: BTreeMap::new(),
            claims: BTreeMap::new(),
            asked_to: BTreeMap::new(),
            asked_for: BTreeSet::new(),
            first: BTreeMap::new(),
            askers: BTreeMap::new(),
            recipes: BTreeMap::new(),
            bodies: BTreeMap::new(),
            charges: Vec::new(),
            ledger_read: 0,
        }
    }

    pub fn fail(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn meets(&mut self, hole: Hole) {
        *self.met.entry(hole).or_default() += 1;
    }

    /// Charges so far.
    pub fn charges(&self) -> usize {
        self.charges.len()
    }

    /// Whether the transaction was charged at this place or another.
    pub fn is_charged(&self, id: &TransactionId) -> bool {
        self.charges.iter().any(|charge| charge.id == *id)
    }

    /// Whether Kafka was told that it is finished.
    pub fn is_finished(&self, partition: Partition, offset: Offset) -> bool {
        self.told.get(&partition).is_some_and(|told| told.is_finished(offset))
    }

    pub fn is_told(&self, place: &At) -> bool {
        self.fates.contains_key(place)
    }

    /// Some notes must never be read by anyone; a refusal by the owner is one of them.
    pub fn noted(&mut self, note: &Note, by_owner: bool) {
        let text = &note.text;
        let confused = text.starts_with("a reply") || text.contains("no longer on the topic");
        let refuses = text.starts_with("refused") && by_owner;
        if refuses && note.partition.is_some_and(|partition| self.may_refuse(partition)) {
            return self.meets(Hole::Refused);
        }
        if note.level == Level::Error && (confused || refuses) {
            self.fail(format!("an owner says: {text}"));
        }
    }

    /// A request for a charge leaves a process.
    pub fn charge_leaves(
        &mut self,
        now: Micros,
        charge: &Charge,
        (place, recipe): (Option<At>, u32),
    ) {
        let id = &charge.id;
        self.asked_for.insert(id.clone());
        let Some((partition, offset)) = place else {
            return self.fail(format!("{id} is asked for without an acknowledged temp entry"));
        };
        if self.distrusted.contains(&partition) {
            self.fail(format!("{id} is asked for; nobody knows how far {partition} has come"));
        }
        let before = self.recipes.get(&(partition, offset)).copied();
        if before.is_some_and(|before| before != recipe) && !self.has_lost(id) {
            self.fail(format!("{id} at {partition}@{offset} is asked for with another recipe"));
        }
        let bound = self.told.get(&partition).map(|told| told.metadata.bound);
        if bound.is_none_or(|bound| offset >= bound) {
            self.fail(format!("{id} at {partition}@{offset} is at or above the bound {bound:?}"));
        }
        let asked = self.asked_to.entry(partition).or_insert(offset);
        *asked = offset.max(*asked);
        let Some(first) = self.first.get(id).copied() else { return };
        if now > first + self.usable + self.apart && !self.may_be_charged_again(id) {
            let age = (now - first) / 1000;
            self.fail(format!("{id} is asked for {age} ms after its first attempt"));
        }
    }

    /// It arrives at the gateway.
    pub fn charge_arrives(
        &mut self,
        (issued, life): (Micros, Life),
        charge: &Charge,
        by: Option<(At, u32)>,
    ) {
        if let Some((place, recipe)) = by {
            self.recipes.entry(place).or_insert(recipe);
        }
        if *self.askers.entry(charge.id.clone()).or_insert(life) != life {
            self.meets(Hole::AskedByTwo);
        }
        let first = self.first.entry(charge.id.clone()).or_insert(issued);
        *first = issued.min(*first);
        let hash: [u8; 32] = Sha256::digest(&charge.body).into();
        let known = *self.bodies.entry(charge.id.clone()).or_insert(hash);
        let may_differ = self.may_be_charged_again(&charge.id) || self.gave_way(&charge.id);
        if known != hash && !may_differ {
            self.fail(format!("{} is asked for with another body", charge.id));
        }
    }

    /// What the promise leaves out: an id on two partitions whose first place stays open until the key has run out,
    /// and, where charging may go on without the store, an id that comes again during its outage.
    fn may_be_charged_again(&self, id: &TransactionId) -> bool {
        self.workload.is_spread(id)
            || (!self.asks_always && self.workload.places[id].len() > 1)
            || self.has_lost(id)
    }

    pub fn look_at_ledger(&mut self, ledger: &[Entry], place: Option<At>) {
        let from = std::mem::replace(&mut self.ledger_read, ledger.len());
        for entry in &ledger[from..] {
            if !entry.kept {
                self.meets(Hole::DeclineForgotten);
            }
            if entry.declined.is_none() {
                self.charged(entry, place);
            }
        }
    }

    fn charged(&mut self, entry: &Entry, place: Option<At>) {
        let id = entry.transaction_id.clone();
        let (at, amount) = (entry.at.0, entry.amount.minor_units());
        let before = self.charges.iter().rev().find(|charge| charge.id == id);
        let ttl = i64::try_from(self.ttl).unwrap_or(i64::MAX);
        if let Some(before) = before
            && !(self.may_be_charged_again(&id) && at - before.at >= ttl)
        {
            self.violations.push(format!("{id} is charged again at {place:?}, after {before:?}"));
        }
        if let Some(place) = place
            && let Some(fate @ (Fate::Declined | Fate::Rejected)) = self.fates.get(&place)
        {
            let fate = *fate;
            self.fail(format!("{id} is charged at {place:?}, which was told to be {fate}"));
        }
        self.charges.push(Charged { id, place, at, amount });
    }

    /// A Kafka transaction takes effect.
    pub fn took_effect(&mut self, now: Micros, effective: &Effective, brokers: &Brokers) {
        let mut told_now = BTreeSet::new();
        for verdict in effective.messages.iter().filter_map(verdict::read) {
            match verdict {
                Ok(verdict) => told_now.extend(self.fate_told(now, &verdict, brokers)),
                Err(why) => self.fail(why),
            }
        }
        for point in &effective.points {
            self.point_told(point, brokers);
        }
        for (partition, offset) in told_now {
            let told = self.told.get(&partition);
            if told.is_none_or(|told| !told.is_finished(offset)) {
                self.fail(format!("the event of {partition}@{offset} came without its offset"));
            }
        }
    }

    fn fate_told(
        &mut self,
        now: Micros,
        verdict: &verdict::Verdict,
        brokers: &Brokers,
    ) -> Option<At> {
        let Some(place) = self.workload.by_event.get(&verdict.event_id).copied() else {
            self.fail(format!("an event of no record: {verdict:?}"));
            return None;
        };
        let (partition, offset) = place;
        let log = brokers.logs.get(&partition);
        if log.is_none_or(|log| offset.0 >= log.end) {
            self.fail(format!("an event of a record that is still to come: {place:?}"));
        }
        self.met_by(verdict);
        self.told_again(place, verdict.fate);
        if let Some(before) = self.fates.insert(place, verdict.fate) {
            self.fail(format!("{place:?} is told twice: {before}, then {}", verdict.fate));
        }
        let workload = Rc::clone(&self.workload);
        let transaction = workload.all[&place].transaction.as_ref();
        if verdict.code.as_deref() == Some(EXPIRED) {
            self.expired(now, place);
        } else if (verdict.fate == Fate::Rejected) != transaction.is_none() {
            self.fail(format!("{place:?} is told as {}", verdict.fate));
        }
        let id = transaction.map(|tx| &tx.id);
        let charged = self.charges.iter().any(|charge| charge.place == Some(place));
        if verdict.fate == Fate::Declined && charged && !self.is_forgotten(id) {
            self.fail(format!("{place:?} is told as declined, and was charged"));
        }
        if verdict.fate == Fate::Archived && !self.charges.iter().any(|c| Some(&c.id) == id) {
            self.fail(format!("{place:?} is told as archived, and was never charged"));
        }
        // Two places with different payloads, asked for by two processes at a time, or one after the other that was
        // lost, are a case for a person.
        let is_spread = id.is_some_and(|id| workload.is_spread(id) || self.has_lost(id));
        if verdict.fate == Fate::InDoubt && self.is_faultless && !is_spread {
            self.fail(format!("{place:?} is in doubt, and nothing went wrong"));
        }
        let soonest = self.usable.saturating_sub(60 * S + self.apart);
        if verdict.fate == Fate::InDoubt && !self.may_doubt_early && !is_spread && now < soonest {
            self.fail(format!("{place:?} is given up before its key can have run out"));
        }
        Some(place)
    }

    fn point_told(&mut self, point: &CommitPoint, brokers: &Brokers) {
        let CommitPoint { partition, watermark, metadata } = point;
        if self.distrusted.contains(partition) {
            self.fail(format!("{partition} goes on beside an offset that can't be trusted"));
        }
        // An older commit that comes late is not what stands now.
        let stands = brokers.offsets.get(partition);
        if stands.is_none_or(|s| s.watermark != *watermark || s.metadata != *metadata) {
            return;
        }
        let metadata = match Metadata::decode(*watermark, metadata) {
            Ok(metadata) => metadata,
            Err(why) => return self.fail(format!("metadata of {partition}@{watermark}: {why}")),
        };
        let mut with_one_more = metadata.unfinished.clone();
        with_one_more.push(metadata.cut);
        if fitting(*watermark, with_one_more.into_iter(), self.metadata_chars_max)
            <= metadata.unfinished.len()
        {
            self.meets(Hole::ListFull);
        }
        if metadata.unfinished.len() == 1 && metadata.cut.0 > watermark.0 + HELD_BACK {
            self.meets(Hole::OneHeldAll);
        }
        let told = Told { watermark: *watermark, metadata };
        if let Some(before) = self.told.get(partition)
            && (before.watermark > told.watermark
                || before.metadata.cut > told.metadata.cut
                || before.metadata.epoch > told.metadata.epoch)
        {
            self.fail(format!("{partition} goes back from {before:?} to {told:?}"));
        }
        if let Some(asked) = self.asked_to.get(partition)
            && told.metadata.bound <= *asked
        {
            self.fail(format!("{partition}@{asked} was asked for; the bound is {told:?}"));
        }
        let end = brokers.logs.get(partition).map_or(0, |log| log.end);
        if told.watermark.0 > end || told.metadata.cut.0 > end {
            self.fail(format!("{partition} is told beyond its end {end}: {told:?}"));
        }
        let skipped = self
            .workload
            .all
            .range((*partition, Offset(0))..(*partition, Offset(end)))
            .map(|(place, _)| *place)
            .find(|at| {
                told.is_finished(at.1)
                    && !self.fates.contains_key(at)
                    && !self.meddling.skippable.contains(at)
            });
        if let Some((_, offset)) = skipped {
            self.fail(format!("{partition}@{offset} is called finished and has no fate: {told:?}"));
        }
        self.told.insert(*partition, told);
    }
}
