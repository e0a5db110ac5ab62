//! A person looks into every doubt that is left once all is told, and resolves it by what the gateway has really done;
//! then the id is published again. What was charged must not be charged again, what was not must be.

use std::rc::Rc;

use tollbridge::domain::id::{Offset, TransactionId};
use tollbridge::domain::outcome::Outcome;
use tollbridge::domain::resolution::{Finding, Resolution};

use crate::holes::Hole;
use crate::oracle::At;
use crate::plan::{MS, Micros, S};
use crate::process::wall;
use crate::world::{Happening, World};

impl World {
    /// `true` where there was something to resolve: the run goes on.
    pub fn resolve_doubts(&mut self) -> bool {
        if !std::mem::take(&mut self.has_person) {
            return false;
        }
        let doubts: Vec<Outcome> = self.doubts().cloned().collect();
        let mut resolved = 0_u64;
        for row in &doubts {
            // In the order of their offsets.
            let at = self.now + resolved * 500 * MS + self.dice.u64(10 * MS..500 * MS);
            resolved += u64::from(self.resolve(row, at));
        }
        if resolved > 0 {
            self.mended_at = self.now;
            let back = self.now + 2 * S;
            for process in 0..self.processes.len() {
                if self.dice.bool() {
                    let back = back + self.dice.u64(..S);
                    self.crash_process(process, back);
                }
            }
        }
        resolved > 0
    }

    fn resolve(&mut self, row: &Outcome, again_at: Micros) -> bool {
        let id = &row.transaction_id;
        let entries = self.gateway.ledger().iter();
        let mut charges = entries.filter(|e| e.transaction_id == *id && e.declined.is_none());
        let finding = match charges.next() {
            // Another payload of the same id: nothing that this row could say.
            Some(charge) if charge.amount != row.amount => return false,
            Some(charge) => Finding::Charged { gateway_id: charge.gateway_id() },
            None => Finding::NotCharged,
        };
        let (by, at) = ("a person".to_owned(), wall(self.now));
        let resolution = Resolution { id: id.clone(), finding, by, at };
        if let Err(why) = self.end_doubt(&resolution, Hole::DoubtResolved) {
            self.oracle.fail(format!("a doubt can't be resolved: {why}"));
            return false;
        }
        self.publish_again((row.source.partition, row.source.offset), id, again_at);
        true
    }

    /// Its producer sends the same record once more.
    fn publish_again(&mut self, (partition, offset): At, id: &TransactionId, at: Micros) {
        let mut workload = (*self.workload).clone();
        let ends = workload.all.range(..=(partition, Offset(i64::MAX)));
        let end = ends.map(|((_, offset), _)| offset.next()).next_back().unwrap_or(offset);
        workload.add_again((partition, offset), (partition, end), at);
        let workload = Rc::new(workload);
        self.workload = Rc::clone(&workload);
        self.oracle.workload = workload;
        self.oracle.encores.insert((partition, end), id.clone());
        self.at(at, Happening::Publish(partition, end));
    }
}
