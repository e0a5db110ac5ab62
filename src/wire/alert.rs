//! The value of an event on `tx-alerts`, in JSON and Avro. Its key and headers are made in `events`.

use std::sync::LazyLock;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::datum::{AvroType, Codec};
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::time::Wall;

/// The schema of alerts, as it is registered and published.
pub const ALERT_AVSC: &str = include_str!("../../schemas/avro/alert.avsc");

static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::of(ALERT_AVSC));

/// The bytes of a value, roughly.
const BYTES: usize = 512;

/// Why a value is no alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAlert {
    #[error("the event can't be read: {0}")]
    Undecodable(String),
    #[error("field {0} of the event breaks its rule")]
    Field(&'static str),
}

/// In the order of the schema, named as its record.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Alert")]
struct Fields {
    alert_id: String,
    rule: String,
    state: String,
    severity: String,
    observed: i64,
    threshold: i64,
    unit: String,
    instance: String,
    since: i64,
    at: i64,
    message: String,
}

pub(super) fn encode(alert: &Alert, avro: Option<AvroType>) -> Bytes {
    // Avro has no unsigned numbers; nothing that is counted comes near the end of these.
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let fields = Fields {
        alert_id: alert.alert_id.clone(),
        rule: alert.rule.clone(),
        state: alert.state.as_str().to_owned(),
        severity: alert.severity.as_str().to_owned(),
        observed: signed(alert.observed),
        threshold: signed(alert.threshold),
        unit: alert.unit.clone(),
        instance: alert.instance.clone(),
        since: alert.since.0,
        at: alert.at.0,
        message: alert.message.clone(),
    };
    CODEC.write(&fields, avro, BYTES)
}

/// Reads the value of an event, in whichever of the formats it was written.
pub fn decode(value: &[u8]) -> Result<Alert, BadAlert> {
    let fields: Fields = CODEC.decode(value).map_err(BadAlert::Undecodable)?;
    let bad = BadAlert::Field;
    Ok(Alert {
        alert_id: fields.alert_id,
        rule: fields.rule,
        state: AlertState::parse(&fields.state).ok_or(bad("state"))?,
        severity: Severity::parse(&fields.severity).ok_or(bad("severity"))?,
        observed: u64::try_from(fields.observed).map_err(|_| bad("observed"))?,
        threshold: u64::try_from(fields.threshold).map_err(|_| bad("threshold"))?,
        unit: fields.unit,
        instance: fields.instance,
        since: Wall(fields.since),
        at: Wall(fields.at),
        message: fields.message,
    })
}
