//! The examples of `schemas/README.md`: the record is a transaction, the request is its body, and the event's id and
//! hash follow from the record and the words of the page.

use std::sync::Arc;

use serde_json::Value;
use tollbridge::domain::id::{Offset, Partition, Place};
use tollbridge::domain::outcome::EventId;
use tollbridge::domain::record::Record;
use tollbridge::domain::transaction::{PayloadHash, Transaction};
use tollbridge::wire::gateway::Profile;
use tollbridge::wire::outcome;
use tollbridge::wire::transaction::{Decoder, Format};

use crate::{blocks, page};

/// The three JSON blocks: record, event, request.
fn examples() -> [String; 3] {
    let all = blocks::of(&page("schemas/README.md")).into_iter();
    let json: Vec<String> =
        all.filter(|block| block.language == "json").map(|block| block.text).collect();
    json.try_into().unwrap()
}

fn transaction(text: &str) -> Transaction {
    let record = Record {
        offset: Offset(42),
        key: None,
        value: Some(text.trim().to_owned().into()),
        headers: Vec::new(),
        timestamp_ms: None,
    };
    Decoder::new(Format::Auto, None, 65_536).unwrap().decode(&record).unwrap()
}

#[test]
fn the_record_is_a_transaction_and_the_request_is_its_body() {
    let [record, _, request] = examples();
    let tx = transaction(&record);
    assert_eq!(tx.id.as_str(), "tx-1001");
    assert_eq!(Profile::generic().charge_body(&tx), request.trim().as_bytes());
}

#[test]
fn the_events_id_and_hash_follow_from_the_record() {
    let [record, event, _] = examples();
    let hash = PayloadHash::of(&transaction(&record));
    let place =
        Place { topic: Arc::from("transactions"), partition: Partition(3), offset: Offset(42) };
    let shown: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(shown["payload_hash"], *hash.to_hex());
    assert_eq!(shown["event_id"], *EventId::of(&place, &hash).to_hex());
    let read = outcome::decode(event.trim().as_bytes()).unwrap();
    assert_eq!((read.payload_hash, read.source), (hash, place));
}

/// By the page's own words, without the product's functions.
#[test]
fn the_words_of_the_page_are_enough() {
    use sha2::{Digest, Sha256};
    let [record, event, _] = examples();
    let record: Value = serde_json::from_str(&record).unwrap();
    let mut hash = Sha256::new();
    let text = |hash: &mut Sha256, text: &str| {
        hash.update(u32::try_from(text.len()).unwrap().to_le_bytes());
        hash.update(text);
    };
    let field = |name: &str| record[name].as_str().unwrap().to_owned();
    text(&mut hash, &field("transaction_id"));
    text(&mut hash, &field("account_id"));
    hash.update(record["amount"].as_i64().unwrap().to_le_bytes());
    text(&mut hash, &field("currency"));
    text(&mut hash, &field("payment_method"));
    hash.update(1_769_851_800_000_000_i64.to_le_bytes());
    hash.update([1]);
    text(&mut hash, &field("description"));
    hash.update(1_u32.to_le_bytes());
    text(&mut hash, "order");
    text(&mut hash, "88");
    let payload = hash.finalize();
    let id = Sha256::new()
        .chain_update("tollbridge-event-1\0transactions\0")
        .chain_update(3_i32.to_be_bytes())
        .chain_update(42_i64.to_be_bytes())
        .chain_update(payload)
        .finalize();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["payload_hash"], hex(&payload));
    assert_eq!(event["event_id"], hex(&id[..16]));
}
