//! Ownership: what the group gives and takes. The revoke barrier is here: a partition that is taken away leaves the
//! publishable set at once, and its state is dropped, and the group answered, once the open transaction has ended.

use super::engine::Engine;
use super::entry::{InQueue, Step};
use super::message::{Effect, Level};
use super::owned::{Owned, Phase};
use crate::domain::id::{Epoch, Partition};
use crate::ports::queue::QueueError;
use crate::ports::source::{SourceEvent, Ticket};

impl Engine {
    pub(super) fn on_source(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Assigned { ticket, partitions, member } => {
                self.on_assigned(ticket, partitions, member);
            }
            SourceEvent::Revoked { ticket, partitions, lost } => {
                self.on_revoked(ticket, partitions, lost);
            }
            SourceEvent::Records { partition, version, records } => {
                self.on_records(partition, version, records);
            }
            SourceEvent::End { partition, version, position } => {
                if let Some(p) = self.owned.get_mut(&partition).filter(|p| p.version == version) {
                    p.stale |= p.tracker.position() < position;
                    p.tracker.read_to(position);
                }
            }
            SourceEvent::Stopped { partition, version, why } => {
                if let Some(p) = self.owned.get_mut(&partition).filter(|p| p.version == version) {
                    p.stopped = Some(why.clone());
                    self.note(Level::Error, Some(partition), format!("can't be read on: {why}"));
                }
            }
            SourceEvent::Schema { name, said } => {
                if let Err(why) = self.formats.decoder.learn(name, &said) {
                    self.note(
                        Level::Error,
                        None,
                        format!("records with schema {name} are rejected: {why}"),
                    );
                }
            }
            SourceEvent::Trouble(why) => self.gauges.trouble.kafka = why,
            SourceEvent::Fatal(why) => self.out.push(Effect::Fatal(why)),
        }
    }

    fn on_revoked(&mut self, ticket: Ticket, partitions: Vec<Partition>, lost: bool) {
        for partition in &partitions {
            if let Some(p) = self.owned.get_mut(partition) {
                p.leaving = true;
            }
        }
        let verb = if lost { "lost" } else { "revoked" };
        self.note(Level::Info, None, format!("partitions {verb}: {}", names(&partitions)));
        self.gauges.rebalances += 1;
        self.rebalances.leave(ticket, partitions);
    }

    /// The barrier opens while no transaction is open.
    pub(super) fn release_leaving(&mut self) {
        if self.publisher.is_committing() {
            return;
        }
        for (ticket, partitions) in self.rebalances.take_leaving() {
            for partition in partitions {
                self.drop_partition(partition);
            }
            self.out.push(Effect::Release { ticket });
        }
    }

    pub(super) fn drop_partition(&mut self, partition: Partition) {
        let Some(p) = self.owned.remove(&partition) else { return };
        for (offset, entry) in p.entries.iter() {
            self.held.remove(entry);
            if let Some(id) = entry.id() {
                self.leave_turn(&id.clone(), p.slot(offset));
            }
        }
    }

    /// Redis has no epoch of ours for the partition: it was wiped, or another owner was there. Kafka says who owns
    /// it: claim it anew, with a higher epoch.
    pub(super) fn reclaim(&mut self, partition: Partition, found: Option<Epoch>) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        // A call from before our own new epoch.
        if found == Some(p.epoch) || p.phase != Phase::Running {
            return;
        }
        let text = match found {
            None => "redis has lost its epoch; claiming again".to_owned(),
            Some(found) => format!("redis has epoch {}; claiming again", found.0),
        };
        self.gauges.reclaims += 1;
        self.note(Level::Warn, Some(partition), text);
        self.claim_above(partition, found.unwrap_or_default());
    }

    /// Claims it with an epoch above ours and the one that was found.
    pub(super) fn claim_above(&mut self, partition: Partition, found: Epoch) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        match p.epoch.max(found).next() {
            Some(next) => {
                p.epoch = next;
                p.epoch_written = false;
                p.phase = Phase::Claiming;
            }
            None => self.refuse(
                partition,
                format!(
                    "epoch {} was found, and there is none above it: delete its key in redis, or commit anew",
                    found.0,
                ),
            ),
        }
    }

    pub(super) fn on_entered(&mut self, partition: Partition, result: Result<(), QueueError>) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        match result {
            Ok(()) => {
                p.epoch_written = true;
                self.gauges.trouble.redis = None;
            }
            Err(QueueError::Epoch { found: Some(found) }) if found > p.epoch => {
                self.claim_above(partition, found);
            }
            Err(error) => {
                self.gauges.trouble.redis = Some(error.to_string());
                self.delay_queue(partition);
            }
        }
        self.run_if_entered(partition);
    }

    pub(super) fn run_if_entered(&mut self, partition: Partition) {
        let now = self.now.boot;
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if p.phase != Phase::Entering || !p.epoch_written || !p.source_known {
            return;
        }
        p.phase = Phase::Running;
        p.taken_over = now;
        p.alone_at = Some(now + self.set.proof_age_max + self.set.key_life.margin());
        p.queue_tries = 0;
        p.scan = Some(None);
        let (epoch, watermark) = (p.epoch.0, p.tracker.told().watermark);
        let held = p.entries.len();
        self.refill(partition);
        let text = format!("running from offset {watermark} in epoch {epoch}, {held} held");
        self.note(Level::Info, Some(partition), text);
    }

    /// Whatever Redis holds, it is told everything again.
    fn refill(&mut self, partition: Partition) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        p.to_settle.clear();
        p.to_mark.clear();
        let offsets: Vec<_> = p.entries.keys().collect();
        for offset in offsets {
            let Some(p) = self.owned.get_mut(&partition) else { return };
            let slot = p.slot(offset);
            if let Some(entry) = p.entries.get_mut(&offset) {
                entry.queue = InQueue::Nowhere;
            }
            self.admit_again_if_fresh(slot);
            self.sort_into_queues(slot);
        }
    }

    /// What waits for its first attempt goes through admission and the store's word once more.
    pub(super) fn admit_again_if_fresh(&mut self, slot: super::message::Slot) {
        let Some(p) = self.partition(slot) else { return };
        let is_in_line = p.entries.get(&slot.offset).is_some_and(|e| e.step == Step::InLine);
        if p.fresh.remove(slot.offset) || is_in_line {
            self.step(slot, Step::Admitting);
        }
    }

    pub(super) fn refuse(&mut self, partition: Partition, why: String) {
        self.note(Level::Error, Some(partition), format!("refused: {why}"));
        if let Some(p) = self.owned.get_mut(&partition) {
            p.phase = Phase::Refused(why);
        }
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Owned> {
        self.owned.values().filter(|p| p.is_running())
    }
}

pub(super) fn names(partitions: &[Partition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
