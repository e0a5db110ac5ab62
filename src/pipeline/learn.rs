//! What an owner makes of the committed offsets that it reads again after a commit whose end is unclear, before it
//! says anything else. Reading them at a take-over is another thing.

use std::sync::Arc;

use super::engine::Engine;
use super::owned::Phase;
use super::take_over::{is_of_before, is_other_topic};
use crate::ports::source::Committed;
use crate::wire::metadata::Metadata;

impl Engine {
    /// What Kafka holds of a partition, after a commit whose end is unclear.
    pub(super) fn learn(&mut self, committed: Committed) {
        let partition = committed.partition;
        let Some(p) = self.owned.get_mut(&partition).filter(|p| p.is_publishable()) else { return };
        let point = committed.point.as_ref().filter(|(_, text)| !text.is_empty());
        let Some((watermark, text)) = point.map(|(watermark, text)| (*watermark, text)) else {
            if p.phase != Phase::Claiming || p.epoch.0 > 1 {
                self.refuse(partition, "its committed offset has vanished".to_owned());
            }
            return;
        };
        let metadata = match Metadata::decode(watermark, text) {
            Ok(metadata) => metadata,
            Err(why) => return self.refuse(partition, format!("its committed metadata: {why}")),
        };
        if is_other_topic(p.topic, committed.topic) {
            return self.refuse(partition, "its topic was deleted and made anew".to_owned());
        }
        let is_claimed = p.phase != Phase::Claiming;
        if is_claimed && metadata.epoch != p.epoch {
            let why = format!("epoch {} is committed, ours is {}", metadata.epoch.0, p.epoch.0);
            let member = Arc::clone(&p.member);
            return self.take_over_again(partition, member, &why);
        }
        // Whether our claim is the one that is there can't be told: claim again, above it.
        if !is_claimed && metadata.epoch >= p.epoch {
            self.claim_above(partition, metadata.epoch);
        }
        let Some(p) = self.owned.get_mut(&partition).filter(|p| p.is_publishable()) else { return };
        p.stale = true;
        if !is_claimed && is_of_before(&metadata, watermark, &committed) {
            // What stands there says nothing of the topic that there is: it is given up with our claim, or never.
            if !self.set.accept_offset_reset {
                self.refuse(partition, "its topic was deleted and made anew".to_owned());
            }
            return;
        }
        let finished = p.tracker.learn(metadata.told(watermark));
        self.forget(partition, &finished);
    }
}
