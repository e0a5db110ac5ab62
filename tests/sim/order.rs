//! Whether charges kept to the order of their keys, where it counts, and to the greatest age.

use std::collections::BTreeMap;
use std::rc::Rc;

use tollbridge::domain::id::{Offset, Partition};
use tollbridge::domain::outcome::Fate;

use crate::oracle::{At, Oracle};
use crate::plan::Micros;
use crate::process::wall;

impl Oracle {
    /// Those of one record key in the order of their offsets. What stands at several places may take its turn at any
    /// of them, and what is in doubt may be charged whenever a late request arrives.
    pub(crate) fn check_order(&mut self) {
        if !self.keeps_order || self.meddling.has_accepted {
            return;
        }
        let mut last: BTreeMap<(Partition, &[u8]), Offset> = BTreeMap::new();
        let mut wrong: Vec<(At, Offset)> = Vec::new();
        for charge in &self.charges {
            let Some(at) = charge.place else { continue };
            if self.meddling.reset.contains(&at.0) {
                continue;
            }
            let is_alone = self.workload.places.get(&charge.id).is_some_and(|all| all.len() == 1);
            let record = self.workload.all.get(&at).map(|publication| &publication.record);
            let Some(key) = record.and_then(|record| record.key.as_deref()) else { continue };
            if !is_alone || self.fates.get(&at) != Some(&Fate::Archived) {
                continue;
            }
            let before = last.insert((at.0, key), at.1);
            if let Some(before) = before.filter(|before| *before > at.1) {
                wrong.push((at, before));
            }
        }
        for (at, before) in wrong {
            self.fail(format!("{at:?} was charged after offset {before} of the same key"));
        }
    }

    /// It was too old to be charged.
    pub(crate) fn expired(&mut self, now: Micros, place: At) {
        let workload = Rc::clone(&self.workload);
        let Some(tx) = &workload.all[&place].transaction else {
            return self.fail(format!("{place:?} is too old, and can't be read"));
        };
        if self.recipes.contains_key(&place) && !self.is_forgotten(Some(&tx.id)) {
            self.fail(format!("{place:?} is too old, and was asked for"));
        }
        let is_old = self.max_age.is_some_and(|max| {
            let latest = wall(now + self.apart);
            latest > tx.created_at + max
        });
        // Clocks that are wrong make it so, and with them doubts come early.
        if !is_old && !self.may_doubt_early {
            self.fail(format!("{place:?} is told to be too old, {now} µs after the start"));
        }
    }
}
