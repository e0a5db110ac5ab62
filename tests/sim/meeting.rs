//! Which holes an answer shows that were met: read from what the services say, which is what the processes will hear.

use tollbridge::domain::outcome::{EXPIRED, Fate};
use tollbridge::pipeline::{Call, Reply};
use tollbridge::ports::gateway::Answer;
use tollbridge::ports::queue::{Moved, QueueError};
use tollbridge::ports::store::Stored;

use crate::calls::Apply;
use crate::holes::Hole;
use crate::oracle::Oracle;
use crate::verdict;
use crate::world::World;

impl World {
    pub fn met_in_redis(&mut self, reply: &Reply) {
        let (error, lost) = match reply {
            Reply::QueueDone(result) => (result.as_ref().err(), false),
            Reply::Admitted(result) => (result.as_ref().err(), false),
            Reply::Moved(Ok(moved)) => (None, moved.contains(&Moved::Missing)),
            Reply::Missing(Ok(missing)) => (None, !missing.is_empty()),
            Reply::Moved(Err(error)) | Reply::Missing(Err(error)) => (Some(error), false),
            _ => (None, false),
        };
        let met = match error {
            Some(QueueError::Epoch { found: None }) => Hole::EpochLost,
            Some(QueueError::Epoch { found: Some(_) }) => Hole::FormerOwnerWrites,
            Some(QueueError::Full(_)) => Hole::RedisFull,
            _ if lost => Hole::EntryLost,
            _ => return,
        };
        self.oracle.meets(met);
    }

    pub fn met_in_store(&mut self, call: &Call, reply: &Reply) {
        match (call, reply) {
            (_, Reply::Asked(Ok(rows))) => {
                for row in rows {
                    if !self.oracle.is_told(&(row.source.partition, row.source.offset)) {
                        self.oracle.meets(Hole::RowUntold);
                    }
                }
            }
            (Call::Store(batch), Reply::Stored(Ok(stored))) => {
                for (row, stored) in batch.rows.iter().zip(stored) {
                    if matches!(stored, Stored::Kept(kept) if kept.source == row.source) {
                        self.oracle.meets(Hole::StoredAgain);
                    }
                }
            }
            _ => {}
        }
    }

    pub fn met_at_gateway(&mut self, apply: &Apply, reply: Option<&Reply>) {
        let owner = apply.place.and_then(|(partition, _)| self.brokers.group.owner(partition));
        if owner.is_some_and(|owner| owner != apply.life) {
            self.oracle.meets(Hole::FormerOwnerAsks);
        }
        let Some(Reply::Answer(Answer::Response(response))) = reply else { return };
        match &apply.call {
            Call::Lookup(_) if response.status == 200 => self.oracle.meets(Hole::LearntByLookup),
            Call::Charge(_) if response.status == 409 => self.oracle.meets(Hole::StillRunning),
            Call::Charge(_) if response.status == 422 => self.oracle.meets(Hole::Contradiction),
            _ => {}
        }
    }
}

impl Oracle {
    /// What an event shows that was met.
    pub(crate) fn met_by(&mut self, verdict: &verdict::Verdict) {
        match (verdict.fate, verdict.code.as_deref()) {
            (Fate::Duplicate, _) => self.meets(Hole::SameIdAgain),
            (Fate::Rejected, Some(EXPIRED)) => {}
            (Fate::Rejected, _) => self.meets(Hole::NoTransaction),
            (Fate::InDoubt, Some("key_expired" | "never_seen")) => self.meets(Hole::KeyRanOut),
            (Fate::InDoubt, Some("recipe_changed")) => self.meets(Hole::OtherRecipe),
            _ => {}
        }
    }
}
