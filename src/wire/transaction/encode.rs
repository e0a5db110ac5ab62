//! Transactions as bytes, for those who produce them: `tollbridge generate`, tests. The same fields in both formats.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Serialize, Serializer};

use super::TRANSACTION_AVSC;
use crate::domain::labels::Labels;
use crate::domain::transaction::Transaction;

static SCHEMA: LazyLock<Result<Schema, apache_avro::Error>> =
    LazyLock::new(|| Schema::parse_str(TRANSACTION_AVSC));

#[derive(Serialize)]
struct Fields<'a> {
    transaction_id: &'a str,
    account_id: &'a str,
    amount: i64,
    currency: &'a str,
    payment_method: &'a str,
    created_at: i64,
    description: Option<&'a str>,
    #[serde(serialize_with = "map")]
    metadata: &'a Labels,
}

fn map<S: Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(labels.iter().map(|(name, text)| (name, text)))
}

impl<'a> Fields<'a> {
    fn of(tx: &'a Transaction) -> Self {
        Self {
            transaction_id: tx.id.as_str(),
            account_id: &tx.account_id,
            amount: tx.amount.minor_units(),
            currency: tx.currency.as_str(),
            payment_method: &tx.payment_method,
            created_at: tx.created_at.0,
            description: tx.description.as_deref(),
            metadata: &tx.metadata,
        }
    }
}

/// One JSON object; `created_at` in integer microseconds.
#[must_use]
pub fn encode_json(tx: &Transaction) -> Vec<u8> {
    // Writing strings and integers into memory has no way to fail.
    serde_json::to_vec(&Fields::of(tx)).unwrap_or_default()
}

/// One Avro datum, written with [`TRANSACTION_AVSC`], without a frame.
///
/// # Panics
/// Where that schema does not fit: it is compiled in, and a test writes with it.
#[must_use]
pub fn encode_avro(tx: &Transaction) -> Vec<u8> {
    let written = SCHEMA.as_ref().map_err(ToString::to_string).and_then(|schema| {
        let writer = GenericDatumWriter::builder(schema).build();
        writer.and_then(|w| w.write_ser_to_vec(&Fields::of(tx))).map_err(|why| why.to_string())
    });
    match written {
        Ok(bytes) => bytes,
        Err(why) => panic!("the transaction schema does not fit: {why}"),
    }
}

/// The datum in Confluent's wire format: a byte 00, the schema's id (big-endian), the datum.
#[must_use]
pub fn confluent_frame(schema_id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0][..], &schema_id.to_be_bytes(), datum].concat()
}
