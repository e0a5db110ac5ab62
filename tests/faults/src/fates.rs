//! The part of the oracle that knows which fates a scenario may bring: when a doubt is one, and what becomes of an
//! id that is published again. Deliberately it takes the fates themselves as the events tell them.

use crate::offsets::Commit;
use crate::scenario::{Doubts, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tollbridge_rig::Result;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::oracle::{Evidence, Outcome, Place, Records};

/// `gateway.timeout` of the rig's configuration.
const CALL: Duration = Duration::from_secs(1);
const MINUTE_MS: i64 = 60_000;
/// So many records ahead an owner says that they may be attempted.
const AHEAD_MAX: i64 = 4096;

/// How long after its first request a key may be used: its life less a tenth, at least less two calls.
#[must_use]
pub fn usable(life: Duration) -> Duration {
    life.saturating_sub((life / 10).max(2 * CALL))
}

/// Doubts that the scenario does not account for.
///
/// # Errors
/// When an event cannot be read.
pub fn doubts(
    records: &Records,
    commits: &[Commit],
    setup: &Setup,
    found: &mut Vec<String>,
) -> Result<()> {
    let events = records.events()?;
    let made: BTreeMap<Place, i64> = records.source.iter().map(published).collect();
    let payloads = payloads(&records.source);
    for (record, event) in events.iter().filter(|(_, event)| event.fate == "in_doubt") {
        let accounted = match setup.doubts {
            Doubts::None => false,
            Doubts::KeyRanOut => setup.key_life.is_some_and(|life| {
                may_have_run_out(event.place, record.timestamp, life, &made, commits)
            }),
            Doubts::OtherPayload => payloads.get(&event.id).is_some_and(|all| all.len() > 1),
        };
        if !accounted {
            let age_ms = record.timestamp - made.get(&event.place).copied().unwrap_or(i64::MAX);
            let id = &event.id;
            found.push(format!("I4: {id} is in doubt {age_ms} ms after it was published, and nothing accounts for it"));
        }
    }
    Ok(())
}

/// Whether an owner can have said, so long before, that this place may be attempted from then on. It says so for some
/// records ahead of those that are there, and of the time only the minute.
fn may_have_run_out(
    place: Place,
    told_ms: i64,
    life: Duration,
    made: &BTreeMap<Place, i64>,
    commits: &[Commit],
) -> bool {
    let (partition, offset) = place;
    let usable_ms = i64::try_from(usable(life).as_millis()).unwrap_or(i64::MAX);
    let old_enough = |at_ms: &i64| at_ms / MINUTE_MS * MINUTE_MS + usable_ms <= told_ms;
    let said = commits.iter().filter(|commit| commit.partition == partition);
    let Some(said_ms) = said.map(|commit| commit.at_ms).filter(old_enough).max() else {
        return false;
    };
    let there = made.range((partition, 0)..=(partition, i64::MAX));
    let end = there.filter(|(_, at_ms)| **at_ms <= said_ms).map(|((_, offset), _)| offset + 1);
    offset < end.max().unwrap_or(0) + AHEAD_MAX
}

fn published(record: &Record) -> (Place, i64) {
    ((record.partition, record.offset), record.timestamp)
}

/// What stands on the source topic of each id.
pub type Payloads<'a> = BTreeMap<String, BTreeSet<&'a [u8]>>;

/// The payloads of each id that can be read.
#[must_use]
pub fn payloads(source: &[Record]) -> Payloads<'_> {
    let mut payloads = Payloads::new();
    for record in source {
        let Some(value) = record.value.as_deref() else { continue };
        let Ok(read) = serde_json::from_slice::<serde_json::Value>(value) else { continue };
        let Some(id) = read["transaction_id"].as_str() else { continue };
        payloads.entry(id.to_owned()).or_default().insert(value);
    }
    payloads
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
    use super::{Commit, may_have_run_out, payloads, repeats, usable};
    use std::time::Duration;
    use tollbridge_rig::kafka::Record;
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
    fn payloads_of_an_id_are_told_apart() {
        let record = |offset, value: &str| Record {
            partition: 0,
            offset,
            timestamp: 0,
            key: None,
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        };
        let (one, other) = (r#"{"transaction_id":"a"}"#, r#"{"transaction_id":"a","x":1}"#);
        let source = [record(0, one), record(1, one), record(2, other), record(3, "{")];
        let found = payloads(&source);
        assert_eq!((found.len(), found["a"].len()), (1, 2));
    }

    #[test]
    fn only_what_was_said_long_ago_may_have_run_out() {
        let life = Duration::from_secs(100);
        let made = [((0, 0), 60_000), ((0, 1), 200_000), ((0, 5000), 200_001)].into();
        let commits = [Commit { partition: 0, offset: 0, chars: 10, at_ms: 110_000 }];
        let ran_out = |place, told_ms| may_have_run_out(place, told_ms, life, &made, &commits);
        // Usable for 90 s from the beginning of its minute.
        assert!(!ran_out((0, 0), 149_999) && ran_out((0, 0), 150_000));
        assert!(ran_out((0, 1), 210_000), "one that came later, a little ahead");
        assert!(!ran_out((0, 5000), 210_000), "too far ahead");
        assert!(!ran_out((1, 0), 210_000), "of another partition");
    }

    #[test]
    fn a_short_life_loses_two_calls() {
        assert_eq!(usable(Duration::from_secs(10)), Duration::from_secs(8));
        assert_eq!(usable(Duration::from_secs(100)), Duration::from_secs(90));
    }
}
