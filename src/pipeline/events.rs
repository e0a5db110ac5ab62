//! What is finished, in the words of the topics.

use super::engine::Engine;
use super::entry::{Entry, Finish, Step};
use crate::domain::alert::Alert;
use crate::domain::id::{Offset, Partition, Place};
use crate::domain::outcome::{EventId, Fate};
use crate::ports::publisher::{Message, Topic};
use crate::wire::events::{DeadLetter, Event, Reason};

impl Engine {
    /// The events of reported offsets, in their order.
    pub(super) fn events_of(&mut self, partition: Partition, offsets: &[Offset]) -> Vec<Message> {
        let Some(p) = self.owned.get(&partition) else { return Vec::new() };
        let message = |offset: &Offset| {
            let entry = p.entries.get(offset)?;
            let Step::Ready(finish) = &entry.step else { return None };
            let place = Place { topic: self.set.topic.clone(), partition, offset: *offset };
            Some(self.event(&place, entry, finish))
        };
        offsets.iter().filter_map(message).collect()
    }

    fn event(&self, place: &Place, entry: &Entry, finish: &Finish) -> Message {
        let events = &self.formats.events;
        let reason = match finish {
            Finish::Row(row) => match row.fate {
                Fate::Archived => {
                    return to(Topic::Archived, events.outcome(row, Some(&entry.record)));
                }
                Fate::Declined => {
                    return to(Topic::Declined, events.outcome(row, Some(&entry.record)));
                }
                Fate::InDoubt | Fate::Duplicate | Fate::Rejected => Reason::InDoubt(row),
            },
            Finish::Duplicate { of, other_payload } => {
                Reason::Duplicate { of, other_payload: *other_payload }
            }
            Finish::Rejected { code, message } => Reason::Rejected { code, message },
        };
        let letter = DeadLetter {
            place,
            record: &entry.record,
            transaction_id: entry.id(),
            event_id: EventId::of(place, &entry.hash),
            at: self.now.wall,
            reason,
        };
        to(Topic::DeadLetter, events.dead_letter(&letter, self.set.dead_letter_bytes_max))
    }

    pub(super) fn alert_message(&self, alert: &Alert) -> Message {
        to(Topic::Alerts, self.formats.events.alert(alert))
    }
}

fn to(topic: Topic, event: Event) -> Message {
    Message { topic, key: event.key, value: event.value, headers: event.headers }
}
