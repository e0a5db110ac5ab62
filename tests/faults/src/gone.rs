//! The oracle of runs in which source records vanish: everything is told apart by its id, since places are used
//! again, so that each id is published once there. What was unfinished when it vanished may have no event; nothing
//! else may. Deliberately the other invariants that need places are left to the other scenarios.

use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tollbridge_rig::Result;
use tollbridge_rig::kafka::Record;
use tollbridge_rig::oracle::{Charge, Evidence, Records};

/// What vanished so far.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    /// All ids of topics that are no more, or have lost their beginning.
    pub published: BTreeSet<String>,
    /// Those that were not finished then: they may have no event.
    pub unfinished: BTreeSet<String>,
    /// Those that an owner read in a topic that had just been made anew: after the reset they are told again.
    pub early: BTreeSet<String>,
}

impl Gone {
    /// Source records that are there no more, or will not be in a moment, and which of them were not finished.
    pub fn vanish(&mut self, all: &[Record], unfinished: &[Record]) {
        self.published.extend(ids(all).map(|(_, id)| id));
        self.unfinished.extend(ids(unfinished).map(|(_, id)| id));
    }
}

/// Records with their ids.
pub fn ids(records: &[Record]) -> impl Iterator<Item = (&Record, String)> {
    records.iter().filter_map(|record| {
        let value: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
        Some((record, value["transaction_id"].as_str()?.to_owned()))
    })
}

/// Findings, and how many ids were published over all.
///
/// # Errors
/// When an event cannot be read.
pub fn audit(
    world: &World,
    records: &Records,
    evidence: &Evidence,
) -> Result<(usize, Vec<String>)> {
    let mut gone = world.gone();
    gone.published.extend(ids(&records.source).map(|(_, id)| id));
    let found = findings(evidence, &gone);
    let Gone { published, unfinished, early } = gone;
    let told: BTreeSet<&String> = evidence.events.iter().map(|event| &event.id).collect();
    let lost = unfinished.iter().filter(|id| !told.contains(id)).count();
    let charged = evidence.charges.iter().filter(|charge| !told.contains(&charge.id)).count();
    world.say(format!(
        "{lost} vanished without an event, {charged} of them after they were charged; {} were read of a new topic early",
        early.len()
    ));
    Ok((published.len(), found))
}

fn findings(evidence: &Evidence, gone: &Gone) -> Vec<String> {
    let Gone { published, unfinished, early } = gone;
    let mut found = Vec::new();
    let mut charges: BTreeMap<&str, &Charge> = BTreeMap::new();
    for charge in &evidence.charges {
        if charges.insert(&charge.id, charge).is_some() {
            found.push(format!("I1: {} was charged more than once", charge.id));
        }
    }
    let rows: BTreeMap<&str, &str> =
        evidence.rows.iter().map(|row| (row.id.as_str(), row.fate.as_str())).collect();
    let mut told = BTreeSet::new();
    for event in &evidence.events {
        let (id, fate) = (event.id.as_str(), event.fate.as_str());
        if !told.insert(id) && !early.contains(id) {
            found.push(format!("I3: {id} has several events"));
        }
        if !published.contains(id) {
            found.push(format!("I3: {id} has an event and was never published"));
        }
        if rows.get(id) != Some(&fate) {
            found.push(format!("I2: {id} is {fate}, and its row says {:?}", rows.get(id)));
        }
        if fate == "in_doubt" && !unfinished.contains(id) {
            found.push(format!("I4: {id} is in doubt, and had not vanished"));
        }
        let charge = charges.get(id).map(|c| (c.amount, c.currency.as_str()));
        if (fate == "archived") != (charge == Some((event.amount, event.currency.as_str()))) {
            found.push(format!("I4: {id} is {fate}, and the gateway's charge is {charge:?}"));
        }
    }
    for id in published.iter().filter(|id| !told.contains(id.as_str()) && !unfinished.contains(*id))
    {
        found.push(format!("I3: {id} has no event, and had not vanished"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Gone, findings};
    use std::collections::BTreeSet;
    use tollbridge_rig::oracle::{Charge, Evidence, Outcome};

    #[test]
    fn only_what_vanished_may_have_no_event() {
        let outcome = |id: &str| Outcome {
            place: (0, 0),
            fate: "archived".into(),
            id: id.into(),
            amount: 1,
            currency: "EUR".into(),
        };
        let charge = |id: &str| Charge { id: id.into(), amount: 1, currency: "EUR".into() };
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let good = Evidence {
            events: vec![outcome("a")],
            rows: vec![outcome("a"), outcome("gone")],
            charges: vec![charge("a"), charge("gone")],
            ..Evidence::default()
        };
        let told = |evidence: &Evidence, published: &[&str]| {
            let (published, unfinished) = (set(published), set(&["gone"]));
            findings(evidence, &Gone { published, unfinished, early: set(&["e"]) }).join("; ")
        };
        assert_eq!(told(&good, &["a", "gone"]), "");
        assert!(told(&good, &["a", "b"]).contains("b has no event"));
        assert!(told(&good, &["b"]).contains("a has an event and was never published"));
        let mut twice = good.clone();
        twice.charges.push(charge("gone"));
        assert!(told(&twice, &["a"]).contains("gone was charged more than once"));
        let again = |id: &str| {
            let (event, charge) = (outcome(id), charge(id));
            let events = vec![outcome("a"), event.clone(), event];
            let rows = vec![outcome("a"), outcome(id)];
            Evidence {
                events,
                rows,
                charges: vec![good.charges[0].clone(), charge],
                ..Evidence::default()
            }
        };
        assert_eq!(told(&again("e"), &["a", "e"]), "");
        assert!(told(&again("f"), &["a", "f"]).contains("f has several events"));
        let mut rowless = good.clone();
        rowless.rows.clear();
        assert!(told(&rowless, &["a"]).contains("I2"));
        let mut free = good;
        free.charges.clear();
        assert!(told(&free, &["a"]).contains("I4"));
    }
}
