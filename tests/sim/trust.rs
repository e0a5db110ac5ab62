//! What the oracle knows of meddling from outside: committed offsets that nobody may trust, records that are gone, and
//! doubts that a person has resolved.
//! A partition of the former kind stands still until they are put right; nothing of the latter is passed over before
//! an operator has said so.

use std::collections::{BTreeMap, BTreeSet};

use tollbridge::domain::id::{Epoch, Offset, Partition, TransactionId};
use tollbridge::domain::outcome::Fate;

use crate::oracle::{At, Oracle};
use crate::process::Life;

/// What others have done to the records and the committed offsets.
#[derive(Debug, Default)]
pub struct Meddling {
    /// Records that were deleted before they had a fate, and those of them that may be passed over.
    pub lost: BTreeSet<At>,
    pub skippable: BTreeSet<At>,
    pub(crate) has_accepted: bool,
    /// Partitions whose committed offset an operator has set.
    pub(crate) reset: BTreeSet<Partition>,
    /// Ids whose first attempts an operator has made forget, and what was told of offsets that are read once more.
    forgotten: BTreeSet<TransactionId>,
    /// Ids that were under way then and stand in Redis: as long as it keeps them, they count as asked for.
    kept: BTreeSet<TransactionId>,
    told_before: BTreeMap<At, Fate>,
    /// Told as duplicates of what was then found never to have been charged: each is free to be charged should it be
    /// read once more.
    opened: BTreeSet<At>,
}

impl Oracle {
    /// What Kafka was last told.
    pub fn watermark(&self, partition: Partition) -> Offset {
        self.told.get(&partition).map_or(Offset(0), |told| told.watermark)
    }

    /// Retention has deleted them before they had a fate. A partition that nobody has begun begins behind them.
    pub fn lose(&mut self, partition: Partition, places: &[At]) {
        self.meddling.lost.extend(places);
        if self.meddling.has_accepted || !self.told.contains_key(&partition) {
            self.meddling.skippable.extend(places);
        }
    }

    pub fn accept_losses(&mut self) {
        self.meddling.has_accepted = true;
        self.meddling.skippable.extend(&self.meddling.lost);
    }

    /// An operator has set the committed offset: what lies below is passed over, what lies above is told once more.
    /// What was under way and has neither a row nor a place in Redis is forgotten; what has one is not charged again.
    pub fn reset(
        &mut self,
        partition: Partition,
        to: Offset,
        is_stored: impl Fn(&TransactionId) -> bool,
        is_queued: impl Fn(At, &TransactionId) -> bool,
    ) {
        let all = self.workload.all.range((partition, Offset(0))..(partition, Offset(i64::MAX)));
        for (place, publication) in all {
            let id = publication.transaction.as_ref().map(|tx| &tx.id);
            let is_told = self.fates.contains_key(place);
            let is_forgotten = |id: &TransactionId| !self.asks_always || !is_stored(id);
            if let Some(id) = id.filter(|id| (!is_told || !self.asks_always) && is_forgotten(id)) {
                if place.1 >= to && is_queued(*place, id) {
                    self.meddling.kept.insert(id.clone());
                } else {
                    self.meddling.forgotten.insert(id.clone());
                }
            }
            if place.1 < to && !is_told {
                self.meddling.skippable.insert(*place);
                self.meddling.lost.insert(*place);
            }
            if place.1 >= to
                && let Some(fate) = self.fates.remove(place)
            {
                self.meddling.told_before.insert(*place, fate);
            }
        }
        self.meddling.reset.insert(partition);
        // What an owner after that dies with may be as old as can be.
        self.may_doubt_early = true;
        self.told.remove(&partition);
        self.asked_to.remove(&partition);
        self.claims.retain(|(claimed, _), _| *claimed != partition);
    }

    /// Redis has lost something.
    pub fn forget_kept(&mut self) {
        self.meddling.forgotten.append(&mut self.meddling.kept);
    }

    /// A place is told once more only after its offset was reset, and as before.
    pub fn told_again(&mut self, place: At, fate: Fate) {
        let Some(before) = self.meddling.told_before.remove(&place) else { return };
        let is_resolved = before == Fate::InDoubt;
        let is_anothers = before == Fate::Declined && fate == Fate::Duplicate;
        // What was too old has no row: nobody knows any more that it was never asked for. And who need not ask the
        // store first may find too old what has one.
        let may_expire = self.max_age.is_some()
            && (before == Fate::Rejected || (fate == Fate::Rejected && !self.asks_always));
        let is_opened = before == Fate::Duplicate && self.meddling.opened.contains(&place);
        if before != fate && !is_resolved && !is_anothers && !may_expire && !is_opened {
            self.fail(format!("{place:?} is told again, as {fate}, and was {before}"));
        }
    }

    /// Whether the promise ends with one of its records: whoever had it in hands may have charged it.
    pub fn has_lost(&self, id: &TransactionId) -> bool {
        let is_lost =
            |place: &At| self.meddling.lost.contains(place) && !self.fates.contains_key(place);
        if self.meddling.forgotten.contains(id) {
            return true;
        }
        !self.meddling.lost.is_empty() && self.workload.places[id].iter().any(is_lost)
    }

    /// Where an operator has set the offset back, an earlier place of the id is worked on first: what Redis holds of a
    /// later one gives way to it. Whatever is then asked for is held against the promise all the same.
    pub fn gives_way(&self, id: &TransactionId, (partition, offset): At) -> bool {
        let begun = self.watermark(partition);
        let is_before = |place: &At| place.0 == partition && (begun..offset).contains(&place.1);
        self.meddling.kept.contains(id) && self.workload.places[id].iter().any(is_before)
    }

    /// Whether it may have done so: it is asked for under its key, with the earlier place's body.
    pub fn gave_way(&self, id: &TransactionId) -> bool {
        let is_reset = |place: &&At| self.meddling.reset.contains(&place.0);
        let places = self.workload.places.get(id).into_iter().flatten();
        self.meddling.kept.contains(id) && places.filter(is_reset).count() > 1
    }

    /// A person has made sure that it was never charged: it begins anew.
    pub fn frees(&mut self, id: &TransactionId) {
        self.first.remove(id);
        self.bodies.remove(id);
        self.freed.insert(id.clone());
        let told = |place: &At| self.fates.get(place).or(self.meddling.told_before.get(place));
        let places = self.workload.places.get(id).into_iter().flatten();
        let duplicates = places.filter(|place| told(place) == Some(&Fate::Duplicate)).copied();
        self.meddling.opened.extend(duplicates.collect::<Vec<_>>());
    }

    /// What became of the same record published once more, after a doubt was resolved.
    pub fn check_encores(&mut self) {
        for (place, id) in self.encores.clone() {
            let fate = self.fates.get(&place).copied();
            let is_free = self.freed.contains(&id);
            let was_charged = self.charges.iter().any(|charge| charge.place == Some(place));
            if fate == Some(Fate::Duplicate) && is_free {
                self.fail(format!("{id} was never charged, and is not at {place:?} either"));
            }
            // Who need not ask the store first may find it too old before it is known.
            let is_known = fate == Some(Fate::Duplicate)
                || (fate == Some(Fate::Rejected) && !self.asks_always);
            if !is_free && (was_charged || !is_known) {
                self.fail(format!("{id} was charged, and is told as {fate:?} at {place:?}"));
            }
        }
    }

    /// After an operator has moved offsets nobody knows what an owner before may have asked for.
    pub fn is_forgotten(&self, id: Option<&TransactionId>) -> bool {
        id.is_some_and(|id| self.meddling.forgotten.contains(id))
    }

    /// A refusal of a partition is right where something is wrong with it.
    pub fn may_refuse(&self, partition: Partition) -> bool {
        self.distrusted.contains(&partition)
            || self.meddling.lost.iter().any(|place| place.0 == partition)
    }

    /// Whether somebody has claimed the partition above this epoch.
    pub fn has_successor(&self, partition: Partition, epoch: Epoch) -> bool {
        let above = (partition, Epoch(epoch.0 + 1))..=(partition, Epoch(u64::MAX));
        self.claims.range(above).next().is_some()
    }

    /// Redis takes an owner's epoch: no two owners have the same.
    pub fn epoch_claimed(&mut self, partition: Partition, epoch: Epoch, life: Life) {
        let before = *self.claims.entry((partition, epoch)).or_insert(life);
        if before != life {
            self.fail(format!("{before:?} and {life:?} both claim {partition} with {epoch:?}"));
        }
    }
}
