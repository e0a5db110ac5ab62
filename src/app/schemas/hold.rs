//! Which events have to wait for an answer of the registry, and which schemas it is asked for, and when. `now` is
//! passed in, and nothing is asked here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::id::Partition;
use crate::domain::schema::{Registered, SchemaRef};
use crate::domain::time::Boot;
use crate::ports::source::SourceEvent;
use crate::wire::transaction::{Format, named_schema};

/// A registry that has told nothing is asked again after this long.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// One that did not know a schema is asked once more at most this often, while records go on naming it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How a schema stands.
#[derive(Debug)]
enum Standing {
    /// It has been told.
    Known,
    /// Records wait for it, since it was asked for first. `again_at`: not while it is being asked for, which is from
    /// `asked_at` on.
    Wanted { since: Boot, asked_at: Boot, again_at: Option<Boot>, why: Option<String> },
    /// The registry did not know it for as long as it was asked. Its records are rejected.
    Missing { asked_at: Boot, is_wanted: bool },
}

/// Holds records back until the schemas that they name are known. Others of their partition wait behind them.
#[derive(Debug)]
pub struct Holding {
    format: Format,
    unknown_after: Duration,
    schemas: BTreeMap<SchemaRef, Standing>,
    waiting: BTreeMap<Partition, VecDeque<SourceEvent>>,
}

impl Holding {
    #[must_use]
    pub fn new(format: Format, unknown_after: Duration) -> Self {
        Self { format, unknown_after, schemas: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// What may go on now.
    #[must_use]
    pub fn take(&mut self, event: SourceEvent, now: Boot) -> Option<SourceEvent> {
        let partition = match &event {
            SourceEvent::Records { partition, .. }
            | SourceEvent::End { partition, .. }
            | SourceEvent::Stopped { partition, .. } => *partition,
            // Who owns them next reads them again.
            SourceEvent::Assigned { partitions, .. } | SourceEvent::Revoked { partitions, .. } => {
                partitions.iter().for_each(|partition| drop(self.waiting.remove(partition)));
                return Some(event);
            }
            SourceEvent::Schema { .. } | SourceEvent::Trouble(_) | SourceEvent::Fatal(_) => {
                return Some(event);
            }
        };
        let may_pass = self.may_pass(&event, now);
        if may_pass && !self.waiting.contains_key(&partition) {
            return Some(event);
        }
        self.waiting.entry(partition).or_default().push_back(event);
        None
    }

    /// Whether all that it names is settled; what is not is wanted from now on.
    fn may_pass(&mut self, event: &SourceEvent, now: Boot) -> bool {
        let SourceEvent::Records { records, .. } = event else { return true };
        let mut may_pass = true;
        let mut last = None;
        for name in records.iter().filter_map(|record| named_schema(self.format, record)) {
            // Most name the same as the one before.
            if last.replace(name) == Some(name) {
                continue;
            }
            let new =
                Standing::Wanted { since: now, asked_at: now, again_at: Some(now), why: None };
            match self.schemas.entry(name).or_insert(new) {
                Standing::Known => {}
                Standing::Wanted { .. } => may_pass = false,
                Standing::Missing { asked_at, is_wanted } => {
                    *is_wanted |= now.since(*asked_at) >= LOOK_AGAIN;
                }
            }
        }
        may_pass
    }

    /// Which schemas are to be asked for now; they count as being asked for from then on.
    pub fn ask_for(&mut self, now: Boot) -> Vec<SchemaRef> {
        let mut due = Vec::new();
        for (name, standing) in &mut self.schemas {
            let (is_due, asked_at) = match standing {
                Standing::Known => continue,
                Standing::Wanted { asked_at, again_at, .. } => {
                    (again_at.take_if(|at| *at <= now).is_some(), asked_at)
                }
                Standing::Missing { asked_at, is_wanted } => (std::mem::take(is_wanted), asked_at),
            };
            if is_due {
                *asked_at = now;
                due.push(*name);
            }
        }
        due
    }

    /// What the registry has said, or why it has said nothing; what may go on then.
    #[must_use]
    pub fn answered(
        &mut self,
        name: SchemaRef,
        answer: Result<Registered, String>,
        now: Boot,
    ) -> Vec<SourceEvent> {
        let Some(standing) = self.schemas.get_mut(&name) else { return Vec::new() };
        let said = match (answer, &mut *standing) {
            (Ok(Registered::Nothing) | Err(_), Standing::Missing { .. }) => return Vec::new(),
            (Ok(Registered::Nothing), Standing::Wanted { since, asked_at, again_at, why }) => {
                // An answer is as old as its question: a process that stood still may hear it long after.
                if asked_at.since(*since) < self.unknown_after {
                    *again_at = Some(now + ASK_EVERY);
                    *why = Some(format!("it does not know schema {name}, which records wait for"));
                    return Vec::new();
                }
                *standing = Standing::Missing { asked_at: now, is_wanted: false };
                Registered::Nothing
            }
            (Err(reason), Standing::Wanted { again_at, why, .. }) => {
                *again_at = Some(now + ASK_EVERY);
                *why = Some(reason);
                return Vec::new();
            }
            (_, Standing::Known) => return Vec::new(),
            (Ok(said), _) => {
                *standing = Standing::Known;
                said
            }
        };
        let mut free = vec![SourceEvent::Schema { name, said }];
        self.release(now, &mut free);
        free
    }

    fn release(&mut self, now: Boot, free: &mut Vec<SourceEvent>) {
        for (partition, mut queue) in std::mem::take(&mut self.waiting) {
            while let Some(event) = queue.pop_front() {
                if !self.may_pass(&event, now) {
                    queue.push_front(event);
                    break;
                }
                free.push(event);
            }
            if !queue.is_empty() {
                self.waiting.insert(partition, queue);
            }
        }
    }

    /// When something is to be asked for, if nothing comes before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Boot> {
        let again_at = |standing: &Standing| match standing {
            Standing::Wanted { again_at, .. } => *again_at,
            Standing::Known | Standing::Missing { .. } => None,
        };
        self.schemas.values().filter_map(again_at).min()
    }

    /// Why records wait, where the registry was asked already.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.schemas.values().find_map(|standing| match standing {
            Standing::Wanted { why, .. } => why.as_deref(),
            Standing::Known | Standing::Missing { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Offset, Version};
    use crate::ports::source::Record;

    const MINUTE: Duration = Duration::from_secs(60);

    fn holding() -> Holding {
        Holding::new(Format::Auto, MINUTE)
    }

    fn record(offset: i64, id: Option<u8>) -> Record {
        let value = match id {
            Some(id) => bytes::Bytes::from(vec![0, 0, 0, 0, id, 7]),
            None => "{}".into(),
        };
        let (key, headers) = (None, Vec::new());
        Record { offset: Offset(offset), key, value: Some(value), headers, timestamp_ms: None }
    }

    fn records(partition: i32, offset: i64, ids: &[Option<u8>]) -> SourceEvent {
        let records = (offset..).zip(ids).map(|(offset, id)| record(offset, *id)).collect();
        SourceEvent::Records { partition: Partition(partition), version: Version(1), records }
    }

    fn end(partition: i32, position: i64) -> SourceEvent {
        let (partition, version) = (Partition(partition), Version(1));
        SourceEvent::End { partition, version, position: Offset(position) }
    }

    fn avro() -> Result<Registered, String> {
        Ok(Registered::Avro { schema: "s".into(), references: Vec::new() })
    }

    /// Partition and first offset, or what else it is.
    fn brief(events: &[SourceEvent]) -> Vec<String> {
        let one = |event: &SourceEvent| match event {
            SourceEvent::Records { partition, records, .. } => {
                format!("{partition}@{}", records[0].offset)
            }
            SourceEvent::End { partition, position, .. } => {
                format!("{partition} ends at {position}")
            }
            SourceEvent::Schema { name, said } => match said {
                Registered::Nothing => format!("{name} is missing"),
                _ => name.to_string(),
            },
            other => format!("{other:?}"),
        };
        events.iter().map(one).collect()
    }

    #[test]
    fn what_names_no_schema_and_what_is_known_passes() {
        let mut held = holding();
        assert!(held.take(records(0, 0, &[None, None]), Boot(0)).is_some());
        assert!(held.take(end(0, 2), Boot(0)).is_some());
        assert_eq!((held.ask_for(Boot(0)), held.wake_at()), (vec![], None));
        assert!(held.take(records(0, 2, &[Some(1)]), Boot(0)).is_none());
        held.ask_for(Boot(0));
        let free = held.answered(SchemaRef::Id(1), avro(), Boot(5));
        assert_eq!(brief(&free), ["id 1", "0@2"]);
        assert!(held.take(records(0, 3, &[Some(1), None]), Boot(6)).is_some());
        assert_eq!(held.ask_for(Boot(6)), []);
    }

    #[test]
    fn a_partition_keeps_its_order_and_holds_no_other_up() {
        let mut held = holding();
        assert!(held.take(records(0, 0, &[None, Some(1)]), Boot(0)).is_none());
        assert!(held.take(records(0, 2, &[None]), Boot(0)).is_none());
        assert!(held.take(records(0, 3, &[Some(2)]), Boot(0)).is_none());
        assert!(held.take(end(0, 9), Boot(0)).is_none());
        assert!(held.take(records(1, 0, &[None]), Boot(0)).is_some());
        assert!(held.take(SourceEvent::Trouble(None), Boot(0)).is_some());
        assert_eq!(held.ask_for(Boot(0)), [SchemaRef::Id(1), SchemaRef::Id(2)]);
        assert_eq!(held.ask_for(Boot(0)), [], "they are being asked for");
        let free = held.answered(SchemaRef::Id(1), avro(), Boot(1));
        assert_eq!(brief(&free), ["id 1", "0@0", "0@2"]);
        let free = held.answered(SchemaRef::Id(2), avro(), Boot(2));
        assert_eq!(brief(&free), ["id 2", "0@3", "0 ends at 9"]);
    }

    #[test]
    fn a_registry_that_is_away_is_waited_for() {
        let mut held = holding();
        let mut now = Boot(0);
        assert!(held.take(records(0, 0, &[Some(1)]), now).is_none());
        assert_eq!(held.trouble(), None);
        for _ in 0..1_000 {
            assert_eq!(held.ask_for(now), [SchemaRef::Id(1)]);
            assert!(held.answered(SchemaRef::Id(1), Err("refused".into()), now).is_empty());
            assert_eq!(held.trouble(), Some("refused"));
            assert_eq!(held.wake_at(), Some(now + ASK_EVERY));
            assert_eq!(held.ask_for(now), []);
            now = now + ASK_EVERY;
        }
        held.ask_for(now);
        assert_eq!(brief(&held.answered(SchemaRef::Id(1), avro(), now)), ["id 1", "0@0"]);
        assert_eq!((held.trouble(), held.wake_at()), (None, None));
    }

    #[test]
    fn what_it_does_not_know_is_asked_for_a_while_and_then_missing_until_it_is_there() {
        let mut held = holding();
        let one = SchemaRef::Id(1);
        let nothing = || Ok(Registered::Nothing);
        assert!(held.take(records(0, 0, &[Some(1)]), Boot(0)).is_none());
        held.ask_for(Boot(0));
        let late = Boot(0) + MINUTE;
        assert!(held.answered(one, nothing(), Boot(late.0 - 1)).is_empty());
        assert_eq!(held.trouble(), Some("it does not know schema id 1, which records wait for"));
        let late = late + ASK_EVERY;
        assert_eq!(held.ask_for(late), [one]);
        assert_eq!(brief(&held.answered(one, nothing(), late)), ["id 1 is missing", "0@0"]);

        // What names it goes on; now and then the registry is asked all the same.
        assert!(held.take(records(0, 1, &[Some(1)]), late).is_some());
        assert_eq!(held.ask_for(late), []);
        let later = late + LOOK_AGAIN;
        assert!(held.take(records(0, 2, &[Some(1)]), later).is_some());
        assert_eq!((held.ask_for(later), held.ask_for(later)), (vec![one], vec![]));
        assert!(held.answered(one, nothing(), later).is_empty());
        assert!(held.take(records(0, 3, &[Some(1)]), later).is_some());
        assert_eq!(held.ask_for(later), []);
        assert!(held.take(records(0, 4, &[Some(1)]), later + LOOK_AGAIN).is_some());
        held.ask_for(later + LOOK_AGAIN);
        assert_eq!(brief(&held.answered(one, avro(), later)), ["id 1"]);
    }

    #[test]
    fn an_answer_that_a_process_hears_after_it_stood_still_is_as_old_as_its_question() {
        let mut held = holding();
        let one = SchemaRef::Id(1);
        assert!(held.take(records(0, 0, &[Some(1)]), Boot(0)).is_none());
        held.ask_for(Boot(0));
        let awake = Boot(0) + MINUTE * 5;
        assert!(held.answered(one, Ok(Registered::Nothing), awake).is_empty(), "asked just once");
        assert_eq!(held.ask_for(awake + ASK_EVERY), [one]);
        assert_eq!(brief(&held.answered(one, avro(), awake + ASK_EVERY)), ["id 1", "0@0"]);
    }

    #[test]
    fn what_is_taken_away_waits_no_longer() {
        let mut held = holding();
        assert!(held.take(records(0, 0, &[Some(1)]), Boot(0)).is_none());
        let (ticket, partitions) = (crate::ports::source::Ticket(1), vec![Partition(0)]);
        let revoked = SourceEvent::Revoked { ticket, partitions, lost: false };
        assert!(held.take(revoked, Boot(0)).is_some());
        held.ask_for(Boot(0));
        assert_eq!(brief(&held.answered(SchemaRef::Id(1), avro(), Boot(0))), ["id 1"]);
    }
}
