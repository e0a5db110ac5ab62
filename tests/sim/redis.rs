//! Redis, as the world sees it: what a script does where it arrives, and what must be true of it whatever a process
//! believes. The queues themselves are `adapters::memory`'s.

use std::sync::Arc;

use tollbridge::domain::id::{Epoch, Offset, Partition};
use tollbridge::domain::outcome::{Fate, Outcome};
use tollbridge::pipeline::{Call, CallId, Reply};
use tollbridge::ports::gateway::Charge;
use tollbridge::ports::queue::{EntryKey, QueueError};
use tollbridge::ports::store::Batch;

use crate::calls::{Apply, epoch_of, failed_in_redis};
use crate::faults::Kind;
use crate::holes::Hole;
use crate::plan::{MS, Micros, S, micros};
use crate::plants::Plant;
use crate::process::Life;
use crate::world::{Happening, World};

impl World {
    pub fn carry_out_queue(&mut self, apply: &Apply) -> Reply {
        let stood = epoch_of(&apply.call).map(|(partition, _)| self.queue.epoch(partition));
        self.check_removal(&apply.call);
        if self.struck(|kind| *kind == Kind::QueueTorn).is_some() {
            return self.tear_script(&apply.call);
        }
        let mut reply = self.script(&apply.call);
        if self.plan.plant == Some(Plant::EpochTrusted)
            && let Some((partition, epoch)) = epoch_of(&apply.call)
            && matches!(error_of(&reply), Some(QueueError::Epoch { found: None }))
            && self.queue.claim(partition, epoch).is_ok()
        {
            reply = self.script(&apply.call);
        }
        self.check_epoch(apply, stood.flatten(), &reply);
        reply
    }

    /// A script ends half-way, with an error: some of its lines are done, one of them may be so by half.
    fn tear_script(&mut self, call: &Call) -> Reply {
        let (mut done, rest) = (call.clone(), &mut None);
        let lines = match &mut done {
            Call::Admit { entries, .. } | Call::Mark { entries, .. } => {
                let lines = self.dice.usize(..=entries.len());
                entries.truncate(lines);
                lines
            }
            Call::Settle { partition, epoch, entries } => {
                let lines = self.dice.usize(..=entries.len());
                let half = entries.get(lines).filter(|_| self.dice.bool());
                *rest = half.cloned().map(|entry| (*partition, *epoch, entry));
                entries.truncate(lines);
                lines
            }
            Call::Remove { keys, .. } => {
                let lines = self.dice.usize(..=keys.len());
                keys.truncate(lines);
                lines
            }
            call => return self.script(call),
        };
        let reply = self.script(&done);
        if let Some(error) = error_of(&reply) {
            return failed_in_redis(call, error.clone());
        }
        if let Some((partition, epoch, entry)) = rest
            && let Err(error) = self.queue.settle_half(*partition, *epoch, entry)
        {
            return failed_in_redis(call, error);
        }
        if lines > 0 || rest.is_some() {
            self.oracle.meets(Hole::ScriptTorn);
        }
        failed_in_redis(call, QueueError::Permanent("the script failed".to_owned()))
    }

    fn script(&self, call: &Call) -> Reply {
        let queue = &self.queue;
        match call {
            Call::Claim { partition, epoch } => Reply::QueueDone(queue.claim(*partition, *epoch)),
            Call::Admit { partition, epoch, entries } => {
                Reply::Admitted(queue.admit(*partition, *epoch, entries))
            }
            Call::Settle { partition, epoch, entries } => {
                Reply::Moved(queue.settle(*partition, *epoch, entries))
            }
            Call::Mark { partition, epoch, entries } => {
                Reply::Moved(queue.mark(*partition, *epoch, entries))
            }
            Call::Remove { partition, epoch, keys } => {
                Reply::QueueDone(queue.remove(*partition, *epoch, keys))
            }
            Call::Missing { partition, epoch, keys } => {
                Reply::Missing(queue.missing(*partition, *epoch, keys))
            }
            Call::Scan { partition, cursor } => Reply::Page(Ok(queue.scan(*partition, *cursor))),
            Call::Depths(partitions) => Reply::Depths(Ok(queue.depths(partitions))),
            call => unreachable!("no call to the queue: {call:?}"),
        }
    }

    /// A script runs only for the epoch that stands.
    fn check_epoch(&mut self, apply: &Apply, stood: Option<Epoch>, reply: &Reply) {
        let call = &apply.call;
        let Some((partition, epoch)) = epoch_of(call) else { return };
        let is_write = !matches!(call, Call::Claim { .. });
        if !is_write && error_of(reply).is_none() {
            self.oracle.epoch_claimed(partition, epoch, apply.life);
        }
        if is_write && error_of(reply).is_none() && self.oracle.has_successor(partition, epoch) {
            self.oracle.meets(Hole::LateTaken);
        }
        if is_write && error_of(reply).is_none() && stood != Some(epoch) {
            let name = call.name();
            self.oracle.fail(format!("{name} ran on {partition} for {epoch:?}, {stood:?} stood"));
        }
    }

    /// What is approved stays until Kafka was told of it, or at least until its row is stored.
    fn check_removal(&mut self, call: &Call) {
        let Call::Remove { partition, epoch, keys } = call else { return };
        if self.queue.epoch(*partition) != Some(*epoch) {
            return;
        }
        for EntryKey { id, offset } in keys {
            let is_archived = self.queue.find(*partition, id) == Some((*offset, true));
            let is_stored = !self.store.ask(std::slice::from_ref(id)).is_empty();
            let is_finished = self.oracle.is_finished(*partition, *offset);
            let may_go =
                self.oracle.has_lost(id) || self.oracle.gives_way(id, (*partition, *offset));
            if is_archived && !is_stored && !is_finished && !may_go {
                let place = format!("{id} at {partition}@{offset}");
                self.oracle.fail(format!("{place} leaves the archive queue before it is stored"));
            }
        }
    }

    /// What is approved goes to the store only from the archive queue, as long as Redis keeps what it was given.
    pub fn check_archived(&mut self, life: Life, batch: &Batch) {
        let now = self.now;
        let Some(up) = self.running_mut(life) else { return };
        let first_sent = *up.sent_at.entry(batch.token.clone()).or_insert(now);
        let able_since = up.runs_since.max(up.client.known_since);
        let late = |kind: &Kind| matches!(kind, Kind::QueueSlow);
        let is_late = self.active.iter().any(|i| late(&self.plan.faults[*i].kind));
        // What was lost is put back once Redis takes it.
        let is_refilling = self.now <= self.redis_lost_at + self.refilling();
        if is_late || is_refilling && self.is_redis_failing() {
            self.redis_lost_at = self.now;
        }
        if self.now <= self.redis_lost_at.max(able_since) + self.refilling() {
            return;
        }
        for row in batch.rows.iter().filter(|row| row.fate == Fate::Archived) {
            let (partition, offset) = (row.source.partition, row.source.offset);
            let held = self.queue.find(partition, &row.transaction_id);
            // A batch that was on its way when its partition was lost arrives all the same, and is sent again even
            // where the partition has come back since.
            let is_of_before =
                self.given.get(&partition).is_some_and(|(_, since)| *since > first_sent);
            let is_owner = self.brokers.group.owner(partition) == Some(life)
                && !is_of_before
                && !self.oracle.is_finished(partition, offset);
            if is_owner && held != Some((offset, true)) {
                let place = format!("{} at {partition}@{offset}", row.transaction_id);
                self.oracle.fail(format!("{place} goes to the store and redis has {held:?}"));
            }
        }
    }

    /// A request leaves only where Redis holds its entry; what Redis has lost is put back within a sweep.
    pub fn check_held_by_redis(
        &mut self,
        life: Life,
        charge: &Charge,
        place: Option<(Partition, Offset)>,
    ) {
        if self.is_redis_failing() {
            self.redis_failed_at = self.now;
        }
        let Some((partition, offset)) = place else { return };
        let Some(runs_since) = self.running(life).map(|up| up.runs_since) else { return };
        let whole_since = self.redis_failed_at.max(runs_since);
        let is_owner = self.brokers.group.owner(partition) == Some(life);
        let held = self.queue.find(partition, &charge.id);
        if is_owner && held != Some((offset, false)) && self.now > whole_since + self.refilling() {
            let place = format!("{} at {partition}@{offset}", charge.id);
            self.oracle.fail(format!("{place} is asked for and redis has {held:?}"));
        }
    }

    /// Redis loses, refuses or delays something these days.
    fn is_redis_failing(&self) -> bool {
        self.active.iter().any(|i| {
            matches!(
                self.plan.faults[*i].kind,
                Kind::QueueFull
                    | Kind::QueueSlow
                    | Kind::QueueDown
                    | Kind::QueueRequestsLost
                    | Kind::QueueRepliesLost
                    | Kind::QueueTorn
            )
        })
    }

    /// Within this time what Redis has lost is noticed and put back.
    fn refilling(&self) -> Micros {
        let set = &self.plan.shape.settings;
        micros(set.sweep_interval) * 3 + micros(set.retry_cap) * 2 + 10 * S
    }

    /// A planted bug.
    pub fn remove_too_early(&mut self, life: Life, rows: &[Arc<Outcome>]) {
        let Some(up) = self.running(life) else { return };
        let removals: Vec<Call> = rows
            .iter()
            .filter_map(|row| {
                let (partition, offset) = (row.source.partition, row.source.offset);
                let epoch = *up.epochs.get(&partition)?;
                let keys = vec![EntryKey { id: row.transaction_id.clone(), offset }];
                Some(Call::Remove { partition, epoch, keys })
            })
            .collect();
        for call in removals {
            let (issued, deadline) = (self.now, self.now + S);
            let id = CallId(u64::MAX);
            let call =
                Apply { life, id, call, issued, deadline, answered: false, place: None, recipe: 0 };
            self.after(MS, Happening::Arrive(Box::new(call)));
        }
    }
}

/// Why a call to the queue failed.
pub fn error_of(reply: &Reply) -> Option<&QueueError> {
    match reply {
        Reply::QueueDone(result) => result.as_ref().err(),
        Reply::Admitted(result) => result.as_ref().err(),
        Reply::Moved(result) => result.as_ref().err(),
        Reply::Missing(result) => result.as_ref().err(),
        _ => None,
    }
}
