//! The balance at the end of a run: charges, rows and fates, joined by id; and whether the end is reached. The rules
//! that hold at every moment are in `oracle`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tollbridge::domain::id::{Partition, TransactionId};
use tollbridge::domain::outcome::{Fate, Outcome};
use tollbridge::wire::metadata::Metadata;

use crate::kafka::Brokers;
use crate::oracle::{At, Charged, Oracle, Told};

impl Oracle {
    /// Every record has its fate, and the watermarks say so.
    pub fn is_all_told(&self, brokers: &Brokers) -> bool {
        let untold = |at: &&At| !self.fates.contains_key(*at);
        let told = self.fates.len() + self.meddling.lost.iter().filter(untold).count();
        told == self.workload.all.len() && self.lagging(brokers).is_none()
    }

    fn lagging(&self, brokers: &Brokers) -> Option<Partition> {
        let stands = |partition| self.told.get(partition).map_or(0, |told| told.watermark.0);
        brokers.logs.iter().find(|(p, log)| stands(p) < log.end).map(|(p, _)| *p)
    }

    pub fn untold(&self, brokers: &Brokers) -> String {
        let untold: Vec<At> =
            self.workload.all.keys().filter(|at| !self.fates.contains_key(at)).copied().collect();
        let mut text = format!("{untold:?}, lagging {:?}", self.lagging(brokers));
        for (partition, Told { watermark, metadata }) in &self.told {
            let Metadata { cut, bound, epoch, .. } = metadata;
            text += &format!("\n  {partition}: {watermark} cut {cut} bound {bound} {epoch:?}");
        }
        text
    }

    /// Joins charges, rows and fates.
    pub fn at_the_end(&mut self, rows: &[Outcome], left_in_redis: u64) {
        if left_in_redis > 0 {
            self.fail(format!("{left_in_redis} entries are left in Redis"));
        }
        let rows: BTreeMap<&TransactionId, &Outcome> =
            rows.iter().map(|row| (&row.transaction_id, row)).collect();
        self.check_encores();
        self.check_order();
        let workload = Rc::clone(&self.workload);
        for (id, places) in &workload.places {
            if let Err(why) = self.balance(id, places, rows.get(id).copied()) {
                let fates: Vec<_> = places.iter().map(|at| (at, self.fates.get(at))).collect();
                let charges: Vec<_> = self.charges.iter().filter(|c| c.id == *id).collect();
                let row = rows.get(id);
                self.fail(format!("{id}: {why}; {fates:?}; {charges:?}; {row:?}"));
            }
        }
        if let Some(id) = rows.keys().find(|id| !workload.places.contains_key(**id)) {
            self.fail(format!("a row of nothing: {id}"));
        }
    }

    fn balance(
        &self,
        id: &TransactionId,
        places: &BTreeSet<At>,
        row: Option<&Outcome>,
    ) -> Result<(), &'static str> {
        if self.has_lost(id) {
            return Ok(());
        }
        let is_expired = |at| self.fates.get(at) == Some(&Fate::Rejected);
        if row.is_none() && places.iter().all(is_expired) {
            let is_charged = self.charges.iter().any(|charge| charge.id == *id);
            return if is_charged { Err("charged, and told to be too old") } else { Ok(()) };
        }
        let row = row.ok_or("there is no row")?;
        let of = |fate| places.iter().filter(move |at| self.fates.get(at) == Some(&fate)).count();
        let at = (row.source.partition, row.source.offset);
        // An approval replaces what is in doubt, at whichever place: one that an owner stores after a freeze comes
        // when the next owner has told the place as in doubt, or as a duplicate of another one that is.
        let in_doubt = of(Fate::InDoubt) > 0;
        // Not promised: two partitions ask for one id, and a gateway that replays only successes tells them different
        // things. Who stores the approval after a freeze replaces a decline that was told.
        let decides_differently =
            self.may_decide_differently && self.workload.is_spread(id) && of(Fate::Declined) > 0;
        if self.fates.get(&at) != Some(&row.fate) && !in_doubt && !decides_differently {
            return Err("the row's place has another fate");
        }
        let charged: Vec<&Charged> = self.charges.iter().filter(|c| c.id == *id).collect();
        if of(Fate::Archived) > 1 {
            return Err("archived at two places");
        }
        // Not promised either: who need not ask the store charges again an id that was declined elsewhere and dies, and
        // the next owner, who asks, finds the decline.
        let unasked = !self.asks_always && places.len() > 1 && row.fate == Fate::Declined;
        let is_told = of(Fate::Archived) + of(Fate::InDoubt) > 0;
        if !charged.is_empty() && !is_told && !decides_differently && !unasked {
            return Err("charged, and nobody is told");
        }
        if row.fate == Fate::Archived
            && charged.iter().all(|charge| charge.amount != row.amount.minor_units())
        {
            return Err("the row is not what was charged");
        }
        if of(Fate::Archived) == 1 && row.fate != Fate::Archived {
            return Err("archived, and the row is not");
        }
        if self.fates.get(&at) == Some(&Fate::Duplicate) && !in_doubt && !decides_differently {
            return Err("a duplicate of itself");
        }
        Ok(())
    }
}
