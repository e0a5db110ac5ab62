//! What is finished, in the words of the topics.

use super::engine::Engine;
use super::entry::{Finish, Step};
use crate::domain::alert::Alert;
use crate::domain::id::{Offset, Partition};
use crate::ports::publisher::{Message, Topic};

impl Engine {
    /// The events of reported offsets, in their order.
    pub(super) fn events_of(&mut self, partition: Partition, offsets: &[Offset]) -> Vec<Message> {
        let Some(p) = self.owned.get(&partition) else { return Vec::new() };
        let entry = |offset: &Offset| p.entries.get(offset);
        let mut out = Vec::new();
        for e in offsets.iter().filter_map(entry) {
            let Step::Ready(finish) = &e.step else { continue };
            let (topic, text) = match finish {
                Finish::Row(row) => (
                    match row.fate {
                        crate::domain::outcome::Fate::Archived => Topic::Archived,
                        crate::domain::outcome::Fate::Declined => Topic::Declined,
                        _ => Topic::DeadLetter,
                    },
                    format!("{} {}", row.fate, row.transaction_id),
                ),
                Finish::Duplicate { of, .. } => (Topic::DeadLetter, format!("duplicate of {of}")),
                Finish::Rejected { code, .. } => (Topic::DeadLetter, format!("rejected {code}")),
            };
            out.push(Message {
                topic,
                key: e.record.key.clone(),
                value: Some(format!("{text} {}/{}", partition, e.record.offset).into()),
                headers: Vec::new(),
            });
        }
        out
    }

    pub(super) fn alert_message(&self, alert: &Alert) -> Message {
        Message {
            topic: Topic::Alerts,
            key: None,
            value: Some(alert.alert_id.clone().into()),
            headers: Vec::new(),
        }
    }
}
