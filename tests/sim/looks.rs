//! The gateway is asked what became of a doubt, on a slow schedule and while the run goes on, as the speaker of a real
//! group does; where its answer ends the doubt, the row is resolved. What it was believed must stay true.

use std::collections::BTreeMap;
use std::time::Duration;

use tollbridge::domain::answer::Answer;
use tollbridge::domain::classify::{Asked, Expected};
use tollbridge::domain::doubts::{Seen, Terms, finding};
use tollbridge::domain::id::TransactionId;
use tollbridge::domain::outcome::{Fate, Outcome};
use tollbridge::domain::resolution::{Finding, Resolution};
use tollbridge::domain::retry::Lookup;
use tollbridge::domain::time::Now;
use tollbridge::ports::store::ResolveError;

use crate::faults::Kind;
use crate::holes::Hole;
use crate::life::GENERIC;
use crate::plan::{Micros, Plan, S, micros};
use crate::plants::Plant;
use crate::process::{Life, Process};
use crate::world::{Happening, World};

const BY: &str = "the schedule";
const ROUND_EVERY: Micros = 5 * S;

impl Plan {
    /// At which ages a doubt is looked up. Behind the last one no request is on its way any more.
    pub fn looks(&self) -> Vec<Duration> {
        let settled = self.held_max() + 5 * micros(self.shape.deadline);
        [10 * S, settled / 2, settled.max(20 * S)].map(Duration::from_micros).to_vec()
    }
}

impl World {
    pub fn look_into_doubts(&mut self) {
        self.after(ROUND_EVERY, Happening::LookIntoDoubts);
        let is_away = self.is_down(&Kind::GatewayDown) || self.is_down(&Kind::StoreDown);
        let speaks = |p: &&Process| {
            p.up.as_ref().is_some_and(|up| up.frozen_until.is_none() && !up.is_paused)
        };
        let Some(speaker) = self.processes.iter().find(speaks).filter(|_| !is_away) else { return };
        let (life, now) = (speaker.life, speaker.now(self.now));
        let schedule = self.plan.looks();
        let open: Vec<Outcome> = self.open_doubts().cloned().collect();
        for row in open {
            let known = (life, row.transaction_id.clone());
            let mut seen = Seen::of(row.fate_at(), self.seen.get(&known).copied(), now);
            if seen.is_due(&schedule, now) {
                self.look_into(&row, &seen, &schedule, now);
                seen.looked(&schedule, now);
            }
            self.seen.insert(known, seen);
        }
    }

    /// Nothing is promised of an id on two partitions, or of one that an operator has made forget.
    pub fn doubts(&self) -> impl Iterator<Item = &Outcome> {
        self.store.rows().filter(|row| {
            row.fate == Fate::InDoubt
                && !self.workload.is_spread(&row.transaction_id)
                && !self.oracle.has_lost(&row.transaction_id)
        })
    }

    fn open_doubts(&self) -> impl Iterator<Item = &Outcome> {
        self.doubts().filter(|row| !row.is_resolved_not_charged())
    }

    fn look_into(&mut self, doubt: &Outcome, seen: &Seen, schedule: &[Duration], now: Now) {
        let id = doubt.transaction_id.clone();
        let answer = Answer::Response(self.look_up(&id));
        let expected = Expected { id: &id, amount: doubt.amount, currency: doubt.currency };
        let verdict = GENERIC.verdict(Asked::Lookup, &expected, &answer);
        let shape = &self.plan.shape;
        let (lookup, margin) = (shape.settings.lookup, shape.life().margin());
        let keeps_declines = self.plan.says_it_keeps_declines();
        let mut terms = Terms { schedule, lookup, keeps_declines, margin };
        if self.plan.plant == Some(Plant::DoubtEndsEarly) {
            const NONE: Duration = Duration::ZERO;
            let lookup = Lookup::Settles(NONE);
            terms = Terms { schedule: &[NONE], lookup, margin: NONE, ..terms };
        }
        let Some(finding) = finding(&verdict, seen, terms, now) else { return };
        let resolution = Resolution { id, finding, by: BY.to_owned(), at: now.wall };
        // One that a late owner has told otherwise meanwhile stays as it is.
        if let Err(why) = self.end_doubt(&resolution, Hole::DoubtLookedUp) {
            self.say(|| format!("=== it stays: {why}"));
        }
    }

    /// By whomever: the row says so, and what was not charged begins anew.
    pub fn end_doubt(&mut self, resolution: &Resolution, hole: Hole) -> Result<(), ResolveError> {
        self.say(|| format!("=== {resolution:?}"));
        self.store.resolve(resolution)?;
        self.oracle.meets(hole);
        if resolution.finding == Finding::NotCharged {
            self.oracle.frees(&resolution.id);
        }
        Ok(())
    }

    /// How long a run goes on after all was told: until the last look at a doubt may end it.
    pub fn last_look_after(&self) -> Micros {
        if !self.plan.has_looks || self.open_doubts().next().is_none() {
            return 0;
        }
        let last = self.plan.looks().last().copied().unwrap_or_default();
        micros(last) + self.plan.shape.shown_after + 2 * ROUND_EVERY
    }

    /// What was resolved as not charged has no charge, however late one might have come.
    pub fn check_findings(&mut self) {
        let wrong: Vec<TransactionId> = self
            .store
            .rows()
            .filter(|row| row.is_resolved_not_charged())
            .map(|row| row.transaction_id.clone())
            .filter(|id| self.oracle.is_charged(id) && !self.oracle.has_lost(id))
            .collect();
        for id in wrong {
            self.oracle.fail(format!("{id} was resolved as not charged, and is"));
        }
    }
}

/// What each life of a process has seen of each doubt.
pub type AllSeen = BTreeMap<(Life, TransactionId), Seen>;
