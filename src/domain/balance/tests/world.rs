//! A run that balances, with one of everything, and the parts that it is made of.

use super::super::*;
use crate::domain::id::Place;
use crate::domain::money::Amount;
use crate::domain::time::Wall;
use crate::domain::transaction::PayloadHash;

pub(super) fn spot(offset: i64) -> Spot {
    Spot { partition: Partition(0), offset: Offset(offset) }
}

pub(super) fn place(offset: i64) -> Place {
    Place { topic: "t".into(), partition: Partition(0), offset: Offset(offset) }
}

pub(super) fn event_id(offset: i64) -> EventId {
    EventId::of(&place(offset), &PayloadHash([7; 32]))
}

pub(super) fn id(text: &str) -> TransactionId {
    TransactionId::parse(text).unwrap()
}

pub(super) fn money(minor_units: i64, currency: &str) -> Money {
    Money { minor_units, currency: Currency::parse(currency).unwrap() }
}

/// All that a balance is made from.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) told: Option<Told>,
    pub(super) start: i64,
    pub(super) charges: Vec<Charge>,
    pub(super) rows: Vec<Outcome>,
    pub(super) sources: Vec<Source>,
    pub(super) events: Vec<Event>,
    pub(super) resolutions: Vec<Resolving>,
    pub(super) second: Option<Told>,
    /// Rows that are read once more.
    pub(super) again: Vec<Outcome>,
}

pub(super) fn told(watermark: i64, cut: i64, unfinished: &[i64]) -> Told {
    Told {
        cut: Offset(cut),
        unfinished: unfinished.iter().copied().map(Offset).collect(),
        ..Told::nothing(Offset(watermark))
    }
}

pub(super) fn source(offset: i64, id_text: &str) -> Source {
    let content = Content { id: id(id_text), money: money(100 + offset, "EUR") };
    Source { spot: spot(offset), event_id: event_id(offset), content: Some(content) }
}

pub(super) fn event(offset: i64, id_text: &str, fate: Fate) -> Event {
    let has_outcome = matches!(fate, Fate::Archived | Fate::Declined);
    Event {
        spot: spot(offset),
        event_id: event_id(offset),
        fate,
        id: Some(id(id_text)),
        particulars: has_outcome.then(|| (&row(offset, id_text, fate)).into()),
        duplicate_of: Other::Nothing,
        is_of_its_time: false,
        is_misplaced: false,
    }
}

pub(super) fn row(offset: i64, id_text: &str, fate: Fate) -> Outcome {
    Outcome {
        event_id: event_id(offset),
        fate,
        transaction_id: id(id_text),
        account_id: "acc".into(),
        amount: Amount::new(100 + offset).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        gateway_id: None,
        code: None,
        attempts: 1,
        source: place(offset),
        payload_hash: PayloadHash([7; 32]),
        created_at: Wall(0),
        admitted_at: Wall(0),
        decided_at: None,
        stored_at: None,
    }
}

pub(super) fn not_charged(offset: i64, id_text: &str) -> Outcome {
    let code = Some(crate::domain::outcome::NOT_CHARGED.to_owned());
    Outcome { code, ..row(offset, id_text, Fate::InDoubt) }
}

pub(super) fn charge(offset: i64, id_text: &str) -> Charge {
    let money = money(100 + offset, "EUR");
    Charge { key: Some(id_text.to_owned()), id: id(id_text), money, charged: true }
}

pub(super) fn resolving(offset: i64, id_text: &str, charged: bool) -> Resolving {
    let row = match charged {
        true => row(offset, id_text, Fate::Archived),
        false => not_charged(offset, id_text),
    };
    let resolution = EventId::of_resolution(&place(offset), &PayloadHash([7; 32]));
    Resolving::new(&Outcome { event_id: resolution, ..row }, event_id(offset))
}

/// Ten records with one of everything. 0 gone, 1 archived, 2 declined, 3 duplicate of 1, 4 unreadable, 5 in doubt,
/// 6 waits and is charged, 7 declined and 8 archived for one id, 9 in doubt and resolved as charged, 10 the same as
/// not charged. 11 came after everything.
pub(super) fn good() -> Run {
    let mut events = vec![
        event(0, "gone", Fate::Archived),
        event(1, "a", Fate::Archived),
        event(2, "d", Fate::Declined),
        Event { duplicate_of: Other::Spot(spot(1)), ..event(3, "a", Fate::Duplicate) },
        Event { id: None, ..event(4, "x", Fate::Rejected) },
        event(5, "i", Fate::InDoubt),
        event(7, "two", Fate::Declined),
        event(8, "two", Fate::Archived),
        event(9, "yes", Fate::InDoubt),
        event(10, "no", Fate::InDoubt),
    ];
    events.push(event(11, "late", Fate::Archived));
    Run {
        told: Some(told(6, 11, &[6])),
        start: 1,
        charges: vec![
            charge(0, "gone"),
            charge(1, "a"),
            charge(6, "w"),
            charge(8, "two"),
            charge(9, "yes"),
            charge(11, "late"),
            Charge { charged: false, ..charge(2, "d") },
        ],
        rows: vec![
            row(0, "gone", Fate::Archived),
            row(1, "a", Fate::Archived),
            row(2, "d", Fate::Declined),
            row(5, "i", Fate::InDoubt),
            row(8, "two", Fate::Archived),
            row(9, "yes", Fate::Archived),
            not_charged(10, "no"),
            row(11, "late", Fate::Archived),
        ],
        sources: vec![
            source(0, "gone"),
            source(1, "a"),
            source(2, "d"),
            source(3, "a"),
            Source { content: None, ..source(4, "x") },
            source(5, "i"),
            source(6, "w"),
            source(7, "two"),
            source(8, "two"),
            source(9, "yes"),
            source(10, "no"),
            source(11, "late"),
        ],
        events,
        resolutions: vec![
            resolving(9, "yes", true),
            resolving(9, "yes", true),
            resolving(10, "no", false),
        ],
        second: Some(told(6, 12, &[6])),
        again: Vec::new(),
    }
}

impl Run {
    pub(super) fn report_with(&self, has_ledger: bool, findings_max: usize) -> Report {
        let horizon = Horizon { start: Offset(self.start), told: self.told.clone() };
        let horizons = BTreeMap::from([(Partition(0), horizon)]);
        let mut balance = Balance::new(horizons, has_ledger, findings_max);
        if has_ledger {
            self.charges.iter().for_each(|charge| balance.charge(charge));
        }
        self.rows.iter().for_each(|row| balance.row(row));
        self.sources.iter().for_each(|source| balance.source(source.clone()));
        self.events.iter().for_each(|event| balance.event(event));
        self.resolutions.iter().for_each(|resolving| balance.resolution(*resolving));
        if balance.is_ahead()
            && let Some(second) = &self.second
        {
            balance.look_again(&BTreeMap::from([(Partition(0), second.clone())]));
        }
        for row in &self.again {
            assert!(balance.resolved_ids().contains(&row.transaction_id));
            balance.row_again(row);
        }
        balance.judge()
    }

    pub(super) fn report(&self) -> Report {
        self.report_with(true, 100)
    }

    pub(super) fn event(&mut self, offset: i64) -> &mut Event {
        self.events.iter_mut().find(|event| event.spot == spot(offset)).unwrap()
    }

    pub(super) fn told(&mut self, offset: i64) -> &mut Particulars {
        self.event(offset).particulars.as_mut().unwrap()
    }

    pub(super) fn row(&mut self, id_text: &str) -> &mut Outcome {
        self.rows.iter_mut().find(|row| row.transaction_id.as_str() == id_text).unwrap()
    }

    pub(super) fn charge(&mut self, id_text: &str) -> &mut Charge {
        self.charges.iter_mut().find(|charge| charge.id.as_str() == id_text).unwrap()
    }

    pub(super) fn drop_event(&mut self, offset: i64) {
        self.events.retain(|event| event.spot != spot(offset));
    }

    pub(super) fn drop_row(&mut self, id_text: &str) {
        self.rows.retain(|row| row.transaction_id.as_str() != id_text);
    }

    pub(super) fn drop_charge(&mut self, id_text: &str) {
        self.charges.retain(|charge| charge.id.as_str() != id_text);
    }
}
