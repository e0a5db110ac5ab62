//! What was read, kept as compact as it can be judged from: about 300 bytes a transaction. Nothing is judged here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Horizon, Money, Other, Particulars, Prints, Resolving, Spot};
use crate::domain::id::{Offset, Partition, TransactionId};
use crate::domain::outcome::{EventId, Fate};

/// No id: the record can't be read as a transaction.
pub(super) const NO_ID: u32 = u32::MAX;

/// A source record and what was reported of it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub offset: Offset,
    pub event_id: EventId,
    /// Index into `Books::known`, or [`NO_ID`].
    pub known: u32,
    pub money: Option<Money>,
    /// As the first of its events tells.
    pub fate: Option<Fate>,
    pub prints: Option<Prints>,
    pub is_finished: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub spot: Spot,
    pub event_id: EventId,
    pub fate: Fate,
    pub is_not_charged: bool,
    pub particulars: Particulars,
}

/// All that is known of one id.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub id: TransactionId,
    pub row: Option<Row>,
    pub rows: u16,
    pub charge: Option<Money>,
    pub charges: u16,
    /// Where it is reported as archived, or resolved as charged.
    pub archived: Option<Spot>,
    /// A charge may be there: a place of it waits, or is in doubt.
    pub may_be_charged: bool,
    /// A source record has this id.
    pub has_places: bool,
}

#[derive(Debug)]
pub(super) struct Log {
    pub horizon: Horizon,
    pub seen: Vec<Seen>,
}

#[derive(Debug)]
pub(super) struct Books {
    pub logs: BTreeMap<Partition, Log>,
    ids: HashMap<TransactionId, u32>,
    pub known: Vec<Known>,
    pub duplicates: BTreeMap<Spot, Other>,
    /// Rejected for what held then.
    pub of_its_time: BTreeSet<Spot>,
    pub resolutions: BTreeMap<Spot, Resolving>,
    /// Events of places that the first reading does not call finished.
    pub ahead: Vec<Spot>,
    pub has_ledger: bool,
}

/// Where an event's or a row's place lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Before what is looked at.
    Gone,
    /// A record that is finished.
    Finished,
    /// A record that waits, or one that came after the topic was read.
    Ahead,
    /// The topic has no record there.
    Nowhere,
}

impl Books {
    pub(super) fn new(horizons: BTreeMap<Partition, Horizon>, has_ledger: bool) -> Self {
        let log = |(partition, horizon)| (partition, Log { horizon, seen: Vec::new() });
        Self {
            logs: horizons.into_iter().map(log).collect(),
            ids: HashMap::new(),
            known: Vec::new(),
            duplicates: BTreeMap::new(),
            of_its_time: BTreeSet::new(),
            resolutions: BTreeMap::new(),
            ahead: Vec::new(),
            has_ledger,
        }
    }

    pub(super) fn number(&mut self, id: &TransactionId) -> u32 {
        if let Some(number) = self.ids.get(id) {
            return *number;
        }
        // Four thousand million ids would not fit in memory either.
        let number = u32::try_from(self.known.len()).unwrap_or(NO_ID - 1);
        self.ids.insert(id.clone(), number);
        self.known.push(Known {
            id: id.clone(),
            row: None,
            rows: 0,
            charge: None,
            charges: 0,
            archived: None,
            may_be_charged: false,
            has_places: false,
        });
        number
    }

    pub(super) fn known_mut(&mut self, id: &TransactionId) -> &mut Known {
        let number = self.number(id);
        &mut self.known[number as usize]
    }

    pub(super) fn is_told(&self, partition: Partition) -> bool {
        self.logs.get(&partition).is_some_and(|log| log.horizon.told.is_some())
    }

    pub(super) fn id_of(&self, seen: &Seen) -> Option<&TransactionId> {
        self.known.get(seen.known as usize).map(|known| &known.id)
    }

    pub(super) fn seen(&self, spot: Spot) -> Option<&Seen> {
        let seen = &self.logs.get(&spot.partition)?.seen;
        let at = seen.binary_search_by_key(&spot.offset, |seen| seen.offset).ok()?;
        seen.get(at)
    }

    pub(super) fn seen_mut(&mut self, spot: Spot) -> Option<&mut Seen> {
        let seen = &mut self.logs.get_mut(&spot.partition)?.seen;
        let at = seen.binary_search_by_key(&spot.offset, |seen| seen.offset).ok()?;
        seen.get_mut(at)
    }

    pub(super) fn whereabouts(&self, spot: Spot) -> Whereabouts {
        let Some(log) = self.logs.get(&spot.partition) else { return Whereabouts::Nowhere };
        if spot.offset < log.horizon.start {
            return Whereabouts::Gone;
        }
        match self.seen(spot) {
            Some(seen) if seen.is_finished => Whereabouts::Finished,
            Some(_) => Whereabouts::Ahead,
            None if log.seen.last().is_none_or(|last| spot.offset > last.offset) => {
                Whereabouts::Ahead
            }
            None => Whereabouts::Nowhere,
        }
    }
}
