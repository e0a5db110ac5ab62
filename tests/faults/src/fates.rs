//! The part of the oracle that knows which fates a scenario may bring: when a doubt is one, and what becomes of an
//! id that is published again. Deliberately it takes the fates themselves as the events tell them.

use crate::scenario::{Doubts, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tollbridge_rig::Result;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::oracle::{Evidence, Outcome, Place, Records};

/// `gateway.timeout` of the rig's configuration.
const CALL: Duration = Duration::from_secs(1);

/// How long after its first request a key may be used: its life less a tenth, at least less two calls.
#[must_use]
pub fn usable(life: Duration) -> Duration {
    life.saturating_sub((life / 10).max(2 * CALL))
}

/// Doubts that the scenario does not account for.
///
/// # Errors
/// When an event cannot be read.
pub fn doubts(records: &Records, setup: &Setup, found: &mut Vec<String>) -> Result<()> {
    let events = records.events()?;
    let made: BTreeMap<Place, i64> = records.source.iter().map(published).collect();
    let repeated = several_payloads(&records.source);
    for (record, event) in events.iter().filter(|(_, event)| event.fate == "in_doubt") {
        let age_ms = record.timestamp - made.get(&event.place).copied().unwrap_or(i64::MAX);
        let is_old = |life: Duration| {
            u128::try_from(age_ms).is_ok_and(|age| age >= usable(life).as_millis())
        };
        let accounted = match setup.doubts {
            Doubts::None => false,
            Doubts::KeyRanOut => setup.key_life.is_some_and(is_old),
            Doubts::OtherPayload => repeated.contains(&event.id),
        };
        if !accounted {
            let id = &event.id;
            found.push(format!("I4: {id} is in doubt {age_ms} ms after it was published, and nothing accounts for it"));
        }
    }
    Ok(())
}

fn published(record: &Record) -> (Place, i64) {
    ((record.partition, record.offset), record.timestamp)
}

/// Ids that stand on the source topic with more than one payload.
fn several_payloads(source: &[Record]) -> BTreeSet<String> {
    let mut payloads: BTreeMap<String, BTreeSet<&[u8]>> = BTreeMap::new();
    for record in source {
        let Some(value) = record.value.as_deref() else { continue };
        let Ok(read) = serde_json::from_slice::<serde_json::Value>(value) else { continue };
        let Some(id) = read["transaction_id"].as_str() else { continue };
        payloads.entry(id.to_owned()).or_default().insert(value);
    }
    payloads.into_iter().filter(|(_, several)| several.len() > 1).map(|(id, _)| id).collect()
}

/// Of all places of an id one is decided, unless the id is in doubt somewhere; the others are duplicates.
pub fn repeats(evidence: &Evidence, found: &mut Vec<String>) {
    let mut places: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for event in evidence.events.iter().filter(|event| event.fate != "rejected") {
        places.entry(&event.id).or_default().push(event);
    }
    for (id, events) in places.iter().filter(|(_, events)| events.len() > 1) {
        let decided =
            events.iter().filter(|event| ["archived", "declined"].contains(&event.fate.as_str()));
        let doubted = events.iter().any(|event| event.fate == "in_doubt");
        let decided = decided.count();
        if decided > 1 || (decided == 0 && !doubted) {
            let fates: Vec<_> = events.iter().map(|event| (event.place, &event.fate)).collect();
            found.push(format!(
                "I3: {id} stands at several places, and was decided {decided} times: {fates:?}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{repeats, usable};
    use std::time::Duration;
    use tollbridge_rig::oracle::{Evidence, Outcome};

    fn fates(fates: &[&str]) -> Vec<String> {
        let event = |(offset, fate): (usize, &&str)| Outcome {
            place: (0, i64::try_from(offset).unwrap()),
            fate: (*fate).into(),
            id: "a".into(),
            amount: 1,
            currency: "EUR".into(),
        };
        let events = fates.iter().enumerate().map(event).collect();
        let mut found = Vec::new();
        repeats(&Evidence { events, ..Evidence::default() }, &mut found);
        found
    }

    #[test]
    fn an_id_is_decided_at_one_place() {
        assert!(fates(&["archived", "duplicate", "duplicate"]).is_empty());
        assert!(fates(&["duplicate", "declined", "rejected"]).is_empty());
        assert!(fates(&["in_doubt", "duplicate"]).is_empty());
        assert_eq!(fates(&["archived", "declined"]).len(), 1);
        assert_eq!(fates(&["duplicate", "duplicate"]).len(), 1);
    }

    #[test]
    fn a_short_life_loses_two_calls() {
        assert_eq!(usable(Duration::from_secs(10)), Duration::from_secs(8));
        assert_eq!(usable(Duration::from_secs(100)), Duration::from_secs(90));
    }
}
