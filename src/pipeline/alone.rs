//! Alone: once no owner before us can send any more, what is published from then on is nobody's but ours.
//!
//! The dispatch bound that is inherited lies ahead of what was read, so that on a quiet partition records come below
//! it for days that no owner before us can have seen. Were they taken for attempted all that time, each would be in
//! doubt once the key's life has passed since the take-over. So, once after each take-over, the topic is asked where it
//! ends: at a time when the last owner's proof of ownership has run out, and when a request that it held back in a
//! freeze is past what the promise covers.

use super::engine::{Engine, Pending};
use super::message::Call;
use crate::domain::id::{Partition, Version};
use crate::ports::source::{Committed, SourceError};

impl Engine {
    pub(super) fn pump_alone(&mut self) {
        if self.rebalances.ends_open {
            return;
        }
        let now = self.now.boot;
        let due: Vec<(Partition, Version)> = self
            .running()
            .filter(|p| p.alone_at.is_some_and(|at| at <= now))
            .map(|p| (p.partition, p.version))
            .collect();
        if !due.is_empty() {
            self.rebalances.ends_open = true;
            let partitions = due.iter().map(|(partition, _)| *partition).collect();
            self.call(Pending::Ends(due), Call::Committed(partitions));
        }
    }

    pub(super) fn on_ends(
        &mut self,
        of: &[(Partition, Version)],
        result: Result<Vec<Committed>, SourceError>,
    ) {
        self.rebalances.ends_open = false;
        let again_at = self.now.boot + self.set.retry_cap;
        let ends = result.unwrap_or_default();
        for (partition, version) in of {
            let Some(p) = self.owned.get_mut(partition).filter(|p| p.version == *version) else {
                continue;
            };
            let end = ends.iter().find(|end| end.partition == *partition);
            if let Some(end) = end {
                p.tracker.stand_alone(end.high);
            }
            p.alone_at = if end.is_some() { None } else { Some(again_at) };
        }
    }
}
