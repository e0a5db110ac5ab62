//! Watch: how many entries both queues hold, and the alerts: those that single transactions cause, and those of the
//! group's rules, which are decided elsewhere and go out with the next transaction.

use super::engine::{Engine, Pending};
use super::message::{Call, Slot};
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::id::{Partition, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::time::Boot;
use crate::ports::queue::{Depth, QueueError};

#[derive(Debug, Default)]
pub struct Watches {
    asked_at: Boot,
    open: bool,
}

/// How often depths are counted.
const COUNT_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

impl Watches {
    pub(super) fn wake_at(&self) -> Option<Boot> {
        (!self.open).then(|| self.asked_at + COUNT_EVERY)
    }
}

impl Engine {
    /// The owner of partition 0 counts for the whole group; everyone counts what it owns, for its metrics.
    pub(super) fn pump_watches(&mut self) {
        let now = self.now.boot;
        if self.watches.open || now.since(self.watches.asked_at) < COUNT_EVERY {
            return;
        }
        let owns_first = self.running().any(|p| p.partition == Partition(0));
        let counted: Vec<Partition> = if owns_first {
            self.set.partitions.clone()
        } else {
            self.running().map(|p| p.partition).collect()
        };
        self.watches.asked_at = now;
        if counted.is_empty() {
            self.gauges.depth = Depth::default();
            self.gauges.group_depth = None;
            return;
        }
        self.watches.open = true;
        self.call(Pending::Depths(counted.clone(), owns_first), Call::Depths(counted));
    }

    pub(super) fn on_depths(
        &mut self,
        of: &[Partition],
        for_group: bool,
        result: Result<Vec<Depth>, QueueError>,
    ) {
        self.watches.open = false;
        let Ok(depths) = result else {
            self.gauges.group_depth = None;
            return;
        };
        for (partition, depth) in of.iter().zip(&depths) {
            if let Some(p) = self.owned.get_mut(partition).filter(|p| p.is_running()) {
                p.notice_leftovers(depth.temp + depth.archive);
            }
        }
        let stored = self.stored_and_waiting();
        let temp = depths.iter().map(|d| d.temp).sum::<u64>();
        let archive = depths.iter().map(|d| d.archive).sum::<u64>().saturating_sub(stored);
        self.gauges.depth = Depth { temp, archive };
        self.gauges.group_depth = for_group.then_some(self.gauges.depth);
    }

    /// Approved entries whose row is stored and whose publish is still to come: no backlog of the archive queue.
    fn stored_and_waiting(&self) -> u64 {
        use super::entry::{InQueue, Step};
        let of = |p: &super::owned::Owned| {
            p.ready
                .iter()
                .filter_map(|o| p.entries.get(&o))
                .filter(|e| e.queue == InQueue::Archive && matches!(e.step, Step::Ready(_)))
                .count() as u64
        };
        self.owned.values().map(of).sum()
    }

    /// The same id was published with another payload.
    pub(super) fn alert_other_payload(&mut self, slot: Slot, id: &TransactionId) {
        let place = self.place(slot);
        let message = format!(
            "transaction {id} was published again at {place} with another payload; it was not charged again; ask its \
             producer which one is meant"
        );
        self.alert_one("other_payload", &place.to_string(), Severity::Warning, message);
    }

    /// A transaction can't be resolved by itself.
    pub(super) fn alert_in_doubt(&mut self, slot: Slot, code: &str) {
        let place = self.place(slot);
        let Some(id) = self.entry(slot).and_then(|entry| entry.id().cloned()) else { return };
        let message = format!(
            "transaction {id} at {place} is in doubt ({code}): it may have been charged; look it up at the gateway, \
             then run tollbridge resolve"
        );
        self.alert_one("in_doubt", &place.to_string(), Severity::Critical, message);
    }

    /// The only place that still tells what the gateway said.
    pub(super) fn alert_row_refused(&mut self, slot: Slot, row: &Outcome) {
        let place = self.place(slot);
        let (id, fate) = (&row.transaction_id, row.fate);
        let said = match (&row.gateway_id, &row.code) {
            (Some(gateway_id), _) => format!("{fate}, gateway's id {gateway_id}"),
            (None, Some(code)) => format!("{fate}, {code}"),
            (None, None) => fate.to_string(),
        };
        let message = format!(
            "the store refuses the row of transaction {id} at {place} ({said}); it is in doubt until the table is \
             mended and tollbridge resolve is run"
        );
        self.alert_one("in_doubt", &place.to_string(), Severity::Critical, message);
    }

    fn alert_one(&mut self, rule: &str, what: &str, severity: Severity, message: String) {
        let at = self.now.wall;
        self.send_alert(&Alert {
            alert_id: format!("{}:{rule}:{what}", self.set.group),
            rule: rule.to_owned(),
            state: AlertState::Raised,
            severity,
            observed: 1,
            threshold: 1,
            unit: "transactions".to_owned(),
            instance: self.set.instance.clone(),
            since: at,
            at,
            message,
        });
    }

    /// Where partition 0 is gone by now its next owner tells it.
    pub(super) fn on_group_alert(&mut self, alert: &Alert) {
        if self.owned.contains_key(&Partition(0)) {
            self.send_alert(alert);
        }
    }

    fn send_alert(&mut self, alert: &Alert) {
        let message = self.alert_message(alert);
        self.gauges.alerts += 1;
        self.publisher.alerts.push(message);
    }
}
