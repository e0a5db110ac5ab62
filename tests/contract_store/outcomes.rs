//! Outcomes to store, each different from the next.

use std::sync::Arc;

use tollbridge::domain::id::{Offset, Partition, Place, TransactionId};
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::domain::outcome::{EventId, Fate, Outcome};
use tollbridge::domain::time::Wall;
use tollbridge::domain::transaction::PayloadHash;
use tollbridge::ports::store::Batch;

pub const TOPIC: &str = "transactions";

pub fn id(text: impl AsRef<str>) -> TransactionId {
    TransactionId::parse(text.as_ref()).unwrap()
}

/// An approved one; the fields beyond the place follow from the offset.
pub fn outcome(name: impl AsRef<str>, partition: i32, offset: i64) -> Outcome {
    let source =
        Place { topic: TOPIC.into(), partition: Partition(partition), offset: Offset(offset) };
    let payload_hash = PayloadHash::of_bytes(Some(name.as_ref().as_bytes()));
    Outcome {
        event_id: EventId::of(&source, &payload_hash),
        fate: Fate::Archived,
        transaction_id: id(name),
        account_id: format!("account-{}", offset % 100),
        amount: Amount::new(offset % 1_000 + 1).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        gateway_id: Some(format!("ch_{offset:016}")),
        code: None,
        attempts: 1,
        source,
        payload_hash,
        created_at: Wall(1_800_000_000_000_000 + offset),
        admitted_at: Wall(1_800_000_000_100_000 + offset),
        decided_at: Some(Wall(1_800_000_000_200_000 + offset)),
        stored_at: Some(Wall(1_800_000_000_300_000 + offset)),
    }
}

/// The same with another fate and code.
pub fn with(fate: Fate, code: Option<&str>, mut outcome: Outcome) -> Outcome {
    outcome.fate = fate;
    outcome.code = code.map(str::to_owned);
    if fate != Fate::Archived {
        outcome.gateway_id = None;
    }
    outcome
}

pub fn batch(rows: impl IntoIterator<Item = Outcome>) -> Batch {
    Batch { token: "token".into(), rows: rows.into_iter().map(Arc::new).collect() }
}

pub fn ids(batch: &Batch) -> Vec<TransactionId> {
    batch.rows.iter().map(|row| row.transaction_id.clone()).collect()
}
