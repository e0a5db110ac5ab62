//! The stop: no request leaves any more, what is under way is finished, and Kafka is told how far anything was asked
//! for. What else can't be finished is left to the next owner.

use super::engine::Engine;
use super::message::Effect;
use super::owned::Owned;

impl Engine {
    pub(super) fn on_stop(&mut self) {
        self.stop_by.get_or_insert(self.now.boot + self.set.shutdown_timeout);
        // The dispatch bound is to be lowered.
        self.owned.values_mut().for_each(|p| p.stale = true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop_by.is_some()
    }

    /// Ends once nothing that is under way can still be finished, or time is up.
    pub(super) fn pump_stop(&mut self) {
        let Some(by) = self.stop_by else { return };
        if !self.finished && (self.now.boot >= by || self.is_drained()) {
            self.finished = true;
            self.out.push(Effect::Finished);
        }
    }

    fn is_drained(&self) -> bool {
        let busy = |p: &Owned| {
            p.is_running()
                && (!p.to_settle.is_empty()
                    || !p.to_mark.is_empty()
                    || !p.to_remove.is_empty()
                    || !p.busy.is_empty())
        };
        self.gate.in_flight() == 0
            && self.flusher.is_idle()
            && self.publisher.is_idle()
            && !self.owned.values().any(busy)
            && !self.owned.values().any(|p| self.has_more_to_tell(p))
    }

    /// Whether another transaction would report something, or lower the dispatch bound. What is finished and does not
    /// fit below the cut is stored, and found there. Without the lower bound the next owner doubts more than it has
    /// to: no reason to wait for a Kafka that is away.
    fn has_more_to_tell(&self, p: &Owned) -> bool {
        if !p.is_publishable() {
            return false;
        }
        let plan = self.plan_of(p);
        let lowers = plan.told.bound < p.tracker.told().bound;
        !plan.reported.is_empty() || (lowers && !self.publisher.is_broken())
    }
}
