//! Bodies of entries in Redis. Any bytes are safe to read; what can be read is written the same; a body that was
//! changed never becomes another transaction.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tollbridge::domain::id::{Epoch, Offset, RecipeHash};
use tollbridge::domain::record::Record;
use tollbridge::domain::time::Wall;
use tollbridge::domain::transaction::PayloadHash;
use tollbridge::wire::queue_entry::{EntryState, QueueEntry};
use tollbridge::wire::transaction::{Decoder, Format};

use super::Input;

static JSON: LazyLock<Decoder> =
    LazyLock::new(|| Decoder::new(Format::Json, None, 64 * 1024).unwrap());

/// A transaction in JSON up to the first line's end, then what is known of it; else the bytes themselves.
pub fn run(data: &[u8]) {
    any_bytes(data);
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    if let Some(entry) = entry(&data[..end], Input(&data[end + 1..])) {
        survives(&entry);
    }
}

fn any_bytes(body: &[u8]) {
    if let Ok(entry) = QueueEntry::decode(body) {
        assert_eq!(entry.encode(), body, "two bodies say the same");
        assert_eq!(PayloadHash::of(&entry.transaction), entry.payload_hash);
    }
}

fn entry(json: &[u8], mut input: Input<'_>) -> Option<QueueEntry> {
    let record = Record {
        offset: Offset(0),
        key: None,
        value: Some(Bytes::copy_from_slice(json)),
        headers: Vec::new(),
        timestamp_ms: None,
    };
    let transaction = Arc::new(JSON.decode(&record).ok()?);
    let payload_hash = PayloadHash::of(&transaction);
    let wall = |input: &mut Input<'_>| Wall(i64::from_be_bytes(input.array()));
    let text = |input: &mut Input<'_>| {
        input.sized().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let tag = input.byte();
    let epoch = Epoch(u64::from_be_bytes(input.array()));
    let attempts = u32::from_be_bytes(input.array());
    let recipe = RecipeHash(u32::from_be_bytes(input.array()));
    let (admitted_at, decided_at) = (wall(&mut input), wall(&mut input));
    let (first, second) = (text(&mut input), text(&mut input));
    let state = match tag % 4 {
        0 => EntryState::Waiting,
        1 => EntryState::Approved { gateway_id: first.unwrap_or_default(), decided_at },
        2 => EntryState::Declined { code: first, gateway_id: second, decided_at },
        _ => EntryState::InDoubt { code: first.unwrap_or_default(), decided_at },
    };
    Some(QueueEntry { transaction, payload_hash, admitted_at, recipe, epoch, attempts, state })
}

fn survives(entry: &QueueEntry) {
    let body = entry.encode();
    assert_eq!(QueueEntry::decode(&body).as_ref(), Ok(entry));
    for at in 0..body.len() {
        assert!(QueueEntry::decode(&body[..at]).is_err(), "the end is missing, unnoticed");
        let mut changed = body.to_vec();
        changed[at] ^= 1 << (at % 8);
        if let Ok(other) = QueueEntry::decode(&changed) {
            assert_eq!(other.transaction, entry.transaction, "byte {at} makes another transaction");
        }
    }
}
