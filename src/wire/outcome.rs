//! The value of an event on `tx-archived` or `tx-declined`, in JSON and Avro. Its key and headers are made in
//! `events`.

use std::sync::LazyLock;

use bytes::Bytes;

use super::datum::{AvroType, Codec};
use super::row::Row;
use crate::domain::outcome::Outcome;

/// The schema of outcomes, as it is registered and published.
pub const OUTCOME_AVSC: &str = include_str!("../../schemas/avro/outcome.avsc");

static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::of(OUTCOME_AVSC));

/// The bytes of a value, roughly.
const BYTES: usize = 768;

/// Why a value is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOutcome {
    #[error("the event can't be read: {0}")]
    Undecodable(String),
    #[error("field {0} of the event breaks its rule")]
    Field(&'static str),
}

/// `event_id` is the outcome's own in hexadecimal digits.
pub(super) fn encode(outcome: &Outcome, event_id: &str, avro: Option<AvroType>) -> Bytes {
    let row = Row {
        event_id,
        fate: outcome.fate.as_str(),
        transaction_id: outcome.transaction_id.as_str(),
        account_id: &outcome.account_id,
        amount: outcome.amount.minor_units(),
        currency: outcome.currency.as_str(),
        gateway_id: outcome.gateway_id.as_deref(),
        code: outcome.code.as_deref(),
        attempts: outcome.attempts.into(),
        source_topic: &outcome.source.topic,
        source_partition: outcome.source.partition.0,
        source_offset: outcome.source.offset.0,
        payload_hash: &outcome.payload_hash.to_hex(),
        created_at: outcome.created_at.0,
        admitted_at: outcome.admitted_at.0,
        decided_at: outcome.decided_at.map(|at| at.0),
        stored_at: outcome.stored_at.map(|at| at.0),
    };
    CODEC.write(&row, avro, BYTES)
}

/// Reads the value of an event, in whichever of the formats it was written.
pub fn decode(value: &[u8]) -> Result<Outcome, BadOutcome> {
    let row: Row = CODEC.decode(value).map_err(BadOutcome::Undecodable)?;
    Outcome::try_from(row).map_err(|bad| BadOutcome::Field(bad.column))
}
