//! What a dead letter of an `in_doubt` tells of its row. The record's own bytes hold the rest, unless they were cut;
//! when it was admitted, decided and stored is told by no letter, and the time of the letter stands for all three.

use std::str::FromStr;

use crate::app::dlq::letter::split;
use crate::app::schemas::SourceDecoder;
use crate::domain::id::{Place, TransactionId};
use crate::domain::money::{Amount, Currency};
use crate::domain::outcome::{EventId, Fate, Outcome};
use crate::domain::record::{Header, Record};
use crate::domain::time::Wall;
use crate::domain::transaction::PayloadHash;
use crate::wire::dead_letter::Letter;

/// A doubt, as its dead letter tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    pub id: TransactionId,
    pub place: Place,
    pub event_id: EventId,
    pub code: String,
    pub attempts: u32,
    pub payload_hash: PayloadHash,
    pub gateway_id: Option<String>,
    /// When it was told.
    pub at: Wall,
    /// `None` where the letter was cut, or can't be read with this configuration.
    pub content: Option<Content>,
}

/// What of the row stands in the source record alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub account_id: String,
    pub amount: Amount,
    pub currency: Currency,
    pub created_at: Wall,
}

impl Doubt {
    /// `letter` is what was read of `record`.
    ///
    /// # Errors
    /// A header that is missing or can't be read.
    pub fn read(letter: Letter, record: &Record, decoder: &SourceDecoder) -> Result<Self, String> {
        let (theirs, own) = split(&record.headers);
        let need = |name: &str| find(own, name).ok_or_else(|| format!("header {name} is missing"));
        let bad = |name: &str| format!("header {name} can't be read");
        let (hash, attempts) = ("tollbridge-payload-hash", "tollbridge-attempts");
        let id = letter.transaction_id.ok_or_else(|| bad("tollbridge-transaction-id"))?;
        let payload_hash = PayloadHash::from_hex(need(hash)?).ok_or_else(|| bad(hash))?;
        let source = Record {
            offset: letter.place.offset,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: theirs.to_vec(),
            timestamp_ms: None,
        };
        let mut doubt = Self {
            content: None,
            id,
            place: letter.place,
            event_id: letter.event_id,
            code: letter.code,
            attempts: u32::from_str(need(attempts)?).map_err(|_| bad(attempts))?,
            payload_hash,
            gateway_id: find(own, "tollbridge-gateway-id").map(str::to_owned),
            at: time(need("ce_time")?).ok_or_else(|| bad("ce_time"))?,
        };
        doubt.content = doubt.content_of(&source, decoder);
        Ok(doubt)
    }

    /// What the source record tells, where it is the one that was in doubt.
    #[must_use]
    pub fn content_of(&self, source: &Record, decoder: &SourceDecoder) -> Option<Content> {
        let tx = decoder.decode(source).ok()?;
        let is_it = tx.id == self.id && PayloadHash::of(&tx) == self.payload_hash;
        is_it.then_some(Content {
            account_id: tx.account_id,
            amount: tx.amount,
            currency: tx.currency,
            created_at: tx.created_at,
        })
    }

    /// The row, as far as it is told.
    #[must_use]
    pub fn row(&self) -> Option<Outcome> {
        let Content { account_id, amount, currency, created_at } = self.content.clone()?;
        Some(Outcome {
            event_id: self.event_id,
            fate: Fate::InDoubt,
            transaction_id: self.id.clone(),
            account_id,
            amount,
            currency,
            gateway_id: self.gateway_id.clone(),
            code: Some(self.code.clone()),
            attempts: self.attempts,
            source: self.place.clone(),
            payload_hash: self.payload_hash,
            created_at,
            admitted_at: self.at,
            decided_at: Some(self.at),
            stored_at: Some(self.at),
        })
    }

    /// Whether this row is the doubt's, still open; of its times nothing is told.
    #[must_use]
    pub fn tells(&self, row: &Outcome) -> bool {
        let content = self.content.as_ref().is_none_or(|content| {
            (&content.account_id, content.amount, content.currency, content.created_at)
                == (&row.account_id, row.amount, row.currency, row.created_at)
        });
        content
            && row.fate == Fate::InDoubt
            && (self.event_id, &self.place, self.payload_hash)
                == (row.event_id, &row.source, row.payload_hash)
            && (Some(self.code.as_str()), self.attempts, &self.gateway_id)
                == (row.code.as_deref(), row.attempts, &row.gateway_id)
    }
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let value = headers.iter().find(|header| header.name == name)?.value.as_deref()?;
    std::str::from_utf8(value).ok()
}

fn time(text: &str) -> Option<Wall> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Wall(at.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Offset, Partition};
    use crate::wire::dead_letter;
    use crate::wire::events::{DeadLetter, EventCodec, EventsFormat, Reason};
    use crate::wire::transaction::{Decoder, Format};

    const VALUE: &str = r#"{"transaction_id":"t-1","account_id":"acc","amount":1250,"currency":"EUR",
        "payment_method":"pm_1","created_at":1700000000000000,"description":"LONG"}"#;

    fn decoder() -> SourceDecoder {
        Decoder::new(Format::Json, None, 64 * 1024).unwrap().into()
    }

    fn source(value: &str) -> Record {
        let header = |name: &'static str| Header { name: name.into(), value: Some("x".into()) };
        Record {
            offset: Offset(7),
            key: Some("k".into()),
            value: Some(value.to_owned().into()),
            // A record that was a dead letter before has its headers.
            headers: vec![header("tollbridge-fate"), header("tollbridge-attempts")],
            timestamp_ms: Some(1),
        }
    }

    /// The doubt that a processor would have told of, and the row that it had.
    fn told(value: &str, bytes_max: usize) -> (Doubt, Outcome) {
        let (record, decoder) = (source(value), decoder());
        let tx = decoder.decode(&record).unwrap();
        let hash = PayloadHash::of(&tx);
        let place = Place { topic: "t".into(), partition: Partition(2), offset: Offset(7) };
        let row = Outcome {
            event_id: EventId::of(&place, &hash),
            fate: Fate::InDoubt,
            transaction_id: tx.id.clone(),
            account_id: tx.account_id.clone(),
            amount: tx.amount,
            currency: tx.currency,
            gateway_id: None,
            code: Some("key_expired".into()),
            attempts: 3,
            source: place.clone(),
            payload_hash: hash,
            created_at: tx.created_at,
            admitted_at: Wall(1_700_000_001_000_000),
            decided_at: Some(Wall(1_700_000_002_000_000)),
            stored_at: Some(Wall(1_700_000_003_000_000)),
        };
        let letter = DeadLetter {
            place: &place,
            record: &record,
            transaction_id: Some(&tx.id),
            event_id: row.event_id,
            at: Wall(1_700_000_004_000_005),
            reason: Reason::InDoubt(&row),
        };
        let event = EventCodec::new(EventsFormat::Json, "g").dead_letter(&letter, bytes_max);
        let told = Record {
            offset: Offset(0),
            key: event.key,
            value: event.value,
            headers: event.headers,
            timestamp_ms: None,
        };
        let letter = dead_letter::read(&told.headers).unwrap();
        (Doubt::read(letter, &told, &decoder).unwrap(), row)
    }

    #[test]
    fn a_letter_tells_all_of_the_row_but_its_times() {
        let (doubt, row) = told(VALUE, usize::MAX);
        let at = Wall(1_700_000_004_000_005);
        let (decided_at, stored_at) = (Some(at), Some(at));
        let expected = Outcome { admitted_at: at, decided_at, stored_at, ..row.clone() };
        assert_eq!(doubt.row(), Some(expected));
        assert!(doubt.tells(&row));
        assert!(!doubt.tells(&Outcome { attempts: 4, ..row.clone() }));
        assert!(!doubt.tells(&Outcome { code: Some("not_charged".into()), ..row.clone() }));
        assert!(!doubt.tells(&Outcome { account_id: "other".into(), ..row }));
    }

    #[test]
    fn what_was_cut_is_taken_from_the_record() {
        let value = VALUE.replace("LONG", &"x".repeat(500)).replace("pm_1", "pm_2");
        // What is left of it is no JSON.
        let padded = format!("{}{value}", " ".repeat(9000));
        let (mut doubt, row) = told(&padded, 0);
        assert_eq!((doubt.row(), doubt.content.clone()), (None, None));
        assert!(doubt.tells(&row));
        assert_eq!(doubt.content_of(&source(VALUE), &decoder()), None, "another payload");
        doubt.content = doubt.content_of(&source(&value), &decoder());
        assert!(doubt.row().is_some_and(|made| made.account_id == "acc"));
    }

    #[test]
    fn a_letter_without_its_headers_says_which() {
        let place = Place { topic: "t".into(), partition: Partition(0), offset: Offset(1) };
        let letter = Letter {
            event_id: EventId([1; 16]),
            place,
            fate: Fate::InDoubt,
            code: "key_expired".into(),
            transaction_id: Some(TransactionId::parse("t-1").unwrap()),
            duplicate_of: None,
        };
        let record = Record { headers: Vec::new(), ..source(VALUE) };
        let why = Doubt::read(letter, &record, &decoder()).unwrap_err();
        assert_eq!(why, "header tollbridge-payload-hash is missing");
    }
}
