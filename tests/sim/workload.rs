//! What producers publish in a run: transactions, repeats of them with the same or another payload on the same or
//! another partition, and records that are none.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tollbridge::adapters::memory::gateway::book::DECLINED_METHOD;
use tollbridge::domain::id::{Offset, Partition, Place, TransactionId};
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::domain::outcome::EventId;
use tollbridge::domain::record::Record;
use tollbridge::domain::time::Wall;
use tollbridge::domain::transaction::{PayloadHash, Transaction};
use tollbridge::wire::transaction::encode_json;

use crate::plan::{Micros, Shape, TOPIC};
use crate::registry::frame;

/// A record that will be published.
#[derive(Debug, Clone)]
pub struct Publication {
    pub at: Micros,
    /// `None`: no transaction can be read from it.
    pub transaction: Option<Transaction>,
    pub record: Record,
}

/// Everything that is published, by place.
#[derive(Debug, Clone)]
pub struct Workload {
    pub all: BTreeMap<(Partition, Offset), Publication>,
    pub by_event: BTreeMap<EventId, (Partition, Offset)>,
    pub places: BTreeMap<TransactionId, BTreeSet<(Partition, Offset)>>,
}

impl Workload {
    /// `frames`: how each transaction is written where there is a registry.
    pub fn draw(dice: &mut fastrand::Rng, shape: &Shape, frames: Option<fastrand::Rng>) -> Self {
        let mut drafts: Vec<Draft> = Vec::new();
        let partitions = &shape.settings.partitions;
        for number in 0..shape.transactions {
            let partition = partitions[dice.usize(..partitions.len())];
            let roll = dice.u8(0..100);
            let draft = match roll {
                0..4 => (partition, None, not_a_transaction(dice)),
                4..20 if number > 0 => {
                    let (of, tx, value) = drafts[dice.usize(..drafts.len())].clone();
                    let partition = if dice.bool() { of } else { partition };
                    match tx {
                        Some(tx) if dice.u8(0..3) == 0 => with_value(partition, changed(dice, tx)),
                        tx => (partition, tx, value),
                    }
                }
                _ => with_value(partition, transaction(dice, number)),
            };
            drafts.push(draft);
        }
        if let Some(mut frames) = frames {
            drafts = drafts.into_iter().map(|draft| framed(&mut frames, draft)).collect();
        }
        Self::place(dice, shape, drafts)
    }

    /// Gives every draft its time and offset; control records leave gaps.
    fn place(dice: &mut fastrand::Rng, shape: &Shape, drafts: Vec<Draft>) -> Self {
        let mut ends: BTreeMap<Partition, i64> = BTreeMap::new();
        let mut time = || {
            let wave = shape.second_wave.filter(|_| dice.u8(0..4) == 0).unwrap_or(0);
            wave + dice.u64(..shape.load_ends)
        };
        let mut times: Vec<Micros> = drafts.iter().map(|_| time()).collect();
        times.sort_unstable();
        let mut workload =
            Self { all: BTreeMap::new(), by_event: BTreeMap::new(), places: BTreeMap::new() };
        for (at, (partition, transaction, value)) in times.into_iter().zip(drafts) {
            let end = ends.entry(partition).or_default();
            if dice.u8(0..4) == 0 {
                *end += dice.i64(1..=3);
            }
            let offset = Offset(*end);
            *end += 1;
            workload.add(at, partition, offset, transaction, value);
        }
        workload
    }

    fn add(
        &mut self,
        at: Micros,
        partition: Partition,
        offset: Offset,
        transaction: Option<Transaction>,
        value: Option<Bytes>,
    ) {
        let hash = match &transaction {
            Some(tx) => PayloadHash::of(tx),
            None => PayloadHash::of_bytes(value.as_deref()),
        };
        let place = Place { topic: TOPIC.into(), partition, offset };
        let event_id = EventId::of(&place, &hash);
        if let Some(tx) = &transaction {
            self.places.entry(tx.id.clone()).or_default().insert((partition, offset));
        }
        // A few keys, and none for some.
        let key =
            Some(offset.0 % 4).filter(|number| *number > 0).map(|n| Bytes::from(n.to_string()));
        let record = Record { offset, key, value, headers: Vec::new(), timestamp_ms: None };
        self.by_event.insert(event_id, (partition, offset));
        let publication = Publication { at, transaction, record };
        self.all.insert((partition, offset), publication);
    }

    /// The same record once more, at another offset.
    pub fn add_again(&mut self, of: (Partition, Offset), to: (Partition, Offset), at: Micros) {
        let Some(Publication { transaction, record, .. }) = self.all.get(&of).cloned() else {
            return;
        };
        self.add(at, to.0, to.1, transaction, record.value);
    }

    /// Whether an id was published on more than one partition.
    pub fn is_spread(&self, id: &TransactionId) -> bool {
        let partitions = self.places.get(id).into_iter().flatten().map(|(p, _)| *p);
        partitions.collect::<BTreeSet<_>>().len() > 1
    }
}

/// On which partition, what it says, and how it is written.
type Draft = (Partition, Option<Transaction>, Option<Bytes>);

/// Where nobody can read it, it says nothing.
fn framed(frames: &mut fastrand::Rng, draft: Draft) -> Draft {
    let (partition, Some(tx), _) = draft else { return draft };
    let (value, is_readable) = frame(frames, &tx);
    (partition, is_readable.then_some(tx), Some(value))
}

fn with_value(partition: Partition, tx: Transaction) -> Draft {
    let value = Bytes::from(encode_json(&tx));
    (partition, Some(tx), Some(value))
}

fn transaction(dice: &mut fastrand::Rng, number: usize) -> Transaction {
    let method = if dice.u8(0..8) == 0 { DECLINED_METHOD } else { "pm_card" };
    Transaction {
        id: TransactionId::parse(&format!("t-{number}")).expect("a good id"),
        account_id: format!("acct-{}", dice.u8(0..5)),
        amount: Amount::new(dice.i64(1..=9_999)).expect("a good amount"),
        currency: Currency::parse("EUR").expect("a currency"),
        payment_method: method.to_owned(),
        created_at: Wall(1_700_000_000_000_000 + number as i64),
        description: dice.bool().then(|| "tea".to_owned()),
        metadata: [].into(),
    }
}

/// The same id with another payload; what changes may or may not be part of the gateway's answer.
fn changed(dice: &mut fastrand::Rng, tx: Transaction) -> Transaction {
    if dice.bool() {
        let amount = Amount::new(tx.amount.minor_units() + 1).expect("a good amount");
        Transaction { amount, ..tx }
    } else {
        Transaction { account_id: format!("{}-other", tx.account_id), ..tx }
    }
}

fn not_a_transaction(dice: &mut fastrand::Rng) -> Option<Bytes> {
    match dice.u8(0..3) {
        0 => None,
        1 => Some(Bytes::from_static(b"{\"transaction_id\":\"x\"}")),
        _ => Some(Bytes::from_static(b"\xff\xfe nothing")),
    }
}
