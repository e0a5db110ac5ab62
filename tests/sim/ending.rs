//! When a run is over: everything has its fate and nothing more goes wrong, or it takes too long.

use crate::plan::MS;
use crate::world::{Happening, World};

impl World {
    /// Everything is told, and nothing more is going to go wrong: once it has stayed so for a while, the run ends.
    pub fn look(&mut self) {
        let quiet = self.now > self.plan.faults_end()
            && self.now > self.plan.shape.published_by()
            && self.active.is_empty()
            && self.tampered.is_empty();
        let told = quiet && self.oracle.is_all_told(&self.brokers);
        if !told {
            self.settled_at = None;
        } else if self.settled_at.is_none() {
            self.settled_at = Some(self.now);
        }
        let settle = self.plan.shape.margin() + self.plan.shape.session;
        let settle = settle.max(self.last_look_after());
        let is_over = self.settled_at.is_some_and(|at| self.now >= at + settle);
        if is_over && self.resolve_doubts() {
            self.settled_at = None;
        } else if is_over {
            self.over = true;
            self.check_findings();
            let rows: Vec<_> = self.store.rows().cloned().collect();
            let depths = self.queue.depths(&self.plan.shape.settings.partitions);
            let left = depths.iter().map(|depth| depth.temp + depth.archive).sum();
            self.oracle.at_the_end(&rows, left);
            return;
        }
        let start = self.plan.faults_end().max(self.plan.shape.published_by()).max(self.mended_at);
        if !told && self.tampered.is_empty() && self.now > start + self.plan.patience() {
            let untold = self.oracle.untold(&self.brokers);
            let engines = self.describe();
            self.oracle.fail(format!("no fate in time: {untold}\n{engines}"));
        }
        self.after(500 * MS, Happening::Look);
    }

    fn describe(&mut self) -> String {
        let mut text = String::new();
        for process in &mut self.processes {
            let life = process.life;
            let Some(up) = process.up.as_deref_mut() else { continue };
            let gauges = up.engine.gauges();
            let state = format!(
                "  {life:?} {:?}\n    pauses {:?} trouble {:?} client {:?}\n",
                gauges.partitions, gauges.pauses, gauges.trouble, up.client
            );
            text.push_str(&state);
        }
        text
    }
}
