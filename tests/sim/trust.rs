//! What the oracle knows of meddling from outside: committed offsets that nobody may trust, records that are gone, and
//! doubts that a person has resolved.
//! A partition of the former kind stands still until they are put right; nothing of the latter is passed over before
//! an operator has said so.

use tollbridge::domain::id::{Epoch, Offset, Partition, TransactionId};
use tollbridge::domain::outcome::Fate;

use crate::oracle::{At, Oracle};
use crate::process::Life;

impl Oracle {
    /// What Kafka was last told.
    pub fn watermark(&self, partition: Partition) -> Offset {
        self.told.get(&partition).map_or(Offset(0), |told| told.watermark)
    }

    /// Retention has deleted them before they had a fate. A partition that nobody has begun begins behind them.
    pub fn lose(&mut self, partition: Partition, places: &[At]) {
        self.lost.extend(places);
        if self.has_accepted || !self.told.contains_key(&partition) {
            self.skippable.extend(places);
        }
    }

    pub fn accept_losses(&mut self) {
        self.has_accepted = true;
        self.skippable.extend(&self.lost);
    }

    /// Whether the promise ends with one of its records: whoever had it in hands may have charged it.
    pub fn has_lost(&self, id: &TransactionId) -> bool {
        let is_lost = |place: &At| self.lost.contains(place) && !self.fates.contains_key(place);
        !self.lost.is_empty() && self.workload.places[id].iter().any(is_lost)
    }

    /// A person has made sure that it was never charged: it begins anew.
    pub fn frees(&mut self, id: &TransactionId) {
        self.first.remove(id);
        self.bodies.remove(id);
        self.freed.insert(id.clone());
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
            if !is_free && (was_charged || fate != Some(Fate::Duplicate)) {
                self.fail(format!("{id} was charged, and is told as {fate:?} at {place:?}"));
            }
        }
    }

    /// A refusal of a partition is right where something is wrong with it.
    pub fn may_refuse(&self, partition: Partition) -> bool {
        self.distrusted.contains(&partition) || self.lost.iter().any(|place| place.0 == partition)
    }

    /// Redis takes an owner's epoch: no two owners have the same.
    pub fn epoch_claimed(&mut self, partition: Partition, epoch: Epoch, life: Life) {
        let before = *self.claims.entry((partition, epoch)).or_insert(life);
        if before != life {
            self.fail(format!("{before:?} and {life:?} both claim {partition} with {epoch:?}"));
        }
    }
}
