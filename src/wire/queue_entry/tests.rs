//! An entry comes back as it was, and nothing else is taken for one.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::domain::hex::hex;
use crate::wire::testing::{any_transaction, transaction};

fn entry(state: EntryState) -> QueueEntry {
    let transaction = transaction();
    QueueEntry {
        payload_hash: PayloadHash::of(&transaction),
        transaction: Arc::new(transaction),
        admitted_at: Wall(1_700_000_000_500_000),
        recipe: RecipeHash(0xABCD_EF01),
        epoch: Epoch(300),
        attempts: 2,
        state,
    }
}

/// Other versions of the program read these bytes: they may not change. Made by a few lines of Python after the
/// layout in the module's documentation.
#[test]
fn version_1_is_these_bytes() {
    let state = EntryState::Declined {
        code: Some("card_declined".into()),
        gateway_id: None,
        decided_at: Wall(1_700_000_001_000_000),
    };
    let entry = entry(state);
    let body = entry.encode();
    let expected = concat!(
        "0102ac0202abcdef01c084af8283898506",
        "0dc4a46c89cc1b094cfdd92313cbb03800a5f4d3694bc088738bb650a6c07188",
        "0474782d31",
        "06616363745f37",
        "e209",
        "455552",
        "09706d5f736563726574",
        "8080f28183898506",
        "0103546561",
        "01056f72646572023939",
        "010d636172645f6465636c696e6564",
        "00",
        "8089ec8283898506",
    );
    assert_eq!(hex(&body), expected);
    assert_eq!(QueueEntry::decode(&body), Ok(entry));
}

#[test]
fn strangers_are_refused() {
    let decode = QueueEntry::decode;
    let body = entry(EntryState::Waiting).encode();
    assert_eq!(decode(b""), Err(BadEntry::Malformed("it is empty")));
    assert_eq!(decode(b"{}"), Err(BadEntry::Version(b'{')));
    assert_eq!(
        decode(&[&body[..], &[0]].concat()),
        Err(BadEntry::Malformed("bytes are left over"))
    );
    let mut other = entry(EntryState::Waiting);
    Arc::make_mut(&mut other.transaction).amount = Amount::new(1251).unwrap();
    assert_eq!(decode(&other.encode()), Err(BadEntry::Hash));
}

fn any_state() -> impl Strategy<Value = EntryState> {
    let text = || ".{0,200}";
    prop_oneof![
        Just(EntryState::Waiting),
        (text(), any::<i64>())
            .prop_map(|(gateway_id, at)| EntryState::Approved { gateway_id, decided_at: Wall(at) }),
        (prop::option::of(text()), prop::option::of(text()), any::<i64>()).prop_map(
            |(code, gateway_id, at)| EntryState::Declined {
                code,
                gateway_id,
                decided_at: Wall(at)
            }
        ),
        (text(), any::<i64>())
            .prop_map(|(code, at)| EntryState::InDoubt { code, decided_at: Wall(at) }),
    ]
}

prop_compose! {
    fn any_entry()(
        transaction in any_transaction(),
        admitted_at in any::<i64>(),
        recipe in any::<u32>(),
        epoch in any::<u64>(),
        attempts in any::<u32>(),
        state in any_state(),
    ) -> QueueEntry {
        QueueEntry {
            payload_hash: PayloadHash::of(&transaction), transaction: Arc::new(transaction),
            admitted_at: Wall(admitted_at),
            recipe: RecipeHash(recipe), epoch: Epoch(epoch), attempts, state,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_comes_back(entry in any_entry()) {
        prop_assert_eq!(QueueEntry::decode(&entry.encode()), Ok(entry));
    }

    #[test]
    fn a_part_is_no_entry(entry in any_entry(), at in any::<Index>()) {
        let body = entry.encode();
        prop_assert!(QueueEntry::decode(&body[..at.index(body.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_safe(
        entry in any_entry(), at in any::<Index>(), noise in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut body = entry.encode().to_vec();
        let at = at.index(body.len());
        let end = (at + noise.len()).min(body.len());
        body.splice(at..end, noise);
        // What is read is exactly what was written: no two bodies mean the same.
        if let Ok(read) = QueueEntry::decode(&body) {
            prop_assert_eq!(read.encode(), body);
        }
    }
}
