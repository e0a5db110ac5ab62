//! Sweep: every second period the temp queue is counted, what has aged is asked for again, and Redis is asked whether
//! it still has what it was given.

use super::engine::Engine;
use super::entry::{InQueue, Step};
use super::message::Slot;
use crate::domain::id::Partition;
use crate::ports::queue::EntryKey;

impl Engine {
    pub(super) fn pump_sweep(&mut self) {
        if self.now.boot.since(self.swept_at) < self.set.sweep_interval {
            return;
        }
        self.swept_at = self.now.boot;
        self.gauges.sweeps += 1;
        self.take_aged();
        let partitions: Vec<Partition> = self.running().map(|p| p.partition).collect();
        for partition in partitions {
            self.audit(partition);
        }
    }

    fn take_aged(&mut self) {
        let min_age = self.set.sweep_min_age;
        while let Some((touched, slot)) = self.aging.first().copied()
            && touched + min_age <= self.now.boot
        {
            self.aging.pop_first();
            if self.is_waiting_since(slot, touched) {
                self.gauges.swept += 1;
                self.step(slot, Step::Due);
                self.due.push_back(slot);
            }
        }
    }

    fn is_waiting_since(&mut self, slot: Slot, touched: crate::domain::time::Boot) -> bool {
        self.entry(slot).is_some_and(|e| e.step == Step::Waiting && e.touched == touched)
    }

    /// Everything that should be in Redis and is not on its way is asked after. What was moved or marked is moved or
    /// marked once more: a Redis that lost its newest writes may hold it as it was before.
    fn audit(&mut self, partition: Partition) {
        let Some(p) = self.owned.get_mut(&partition) else { return };
        if std::mem::take(&mut p.has_leftovers) && p.scan.is_none() {
            p.scan = Some(None);
        }
        if !p.to_audit.is_empty() {
            return;
        }
        for (offset, entry) in p.entries.iter() {
            if entry.queue_busy || entry.wanted_queue().is_none() {
                continue;
            }
            match (entry.queue, entry.id()) {
                (InQueue::Temp, Some(id)) => p.to_audit.push(EntryKey { id: id.clone(), offset }),
                (InQueue::Archive, _) => _ = p.to_settle.insert(offset),
                (InQueue::Marked, _) => _ = p.to_mark.insert(offset),
                (InQueue::Nowhere, _) | (InQueue::Temp, None) => {}
            }
        }
    }
}
