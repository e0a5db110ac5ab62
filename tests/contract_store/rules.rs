//! What every store answers to one process.

use tollbridge::domain::id::{Offset, Partition};
use tollbridge::domain::money::{AMOUNT_MAX, Amount};
use tollbridge::domain::outcome::{Fate, NOT_CHARGED, Outcome};
use tollbridge::domain::time::Wall;
use tollbridge::ports::store::{SourceStart, StoreError, Stored};

use crate::outcomes::{TOPIC, batch, id, ids, outcome, with};
use crate::subject::all;

#[tokio::test]
async fn what_is_stored_is_read_back_field_by_field() {
    let plain = outcome("plain", 0, 1);
    let bare =
        Outcome { gateway_id: None, decided_at: None, stored_at: None, ..outcome("bare", 1, 2) };
    let mut largest = Outcome {
        amount: Amount::new(AMOUNT_MAX).unwrap(),
        attempts: u32::MAX,
        ..outcome("x".repeat(64), i32::MAX, 4)
    };
    largest.source.offset = Offset(i64::MAX);
    let ancient = Outcome { created_at: Wall(-1), admitted_at: Wall(0), ..outcome("old", 0, 3) };
    let texts = [
        "\"quotes\" 'single' `back`",
        "back\\slash \\u0041 \\",
        "line\nfeed\ttab\u{1}\u{7f}",
        "é 漢字 🦀 \u{fffd}",
        "null",
        "true",
        "007",
        "1e5",
        "{\"a\":[1]}",
        "$1 ?1 :a @b %s",
        "",
        " ",
        "-- ; DROP TABLE transactions",
    ];
    let odd = texts.iter().zip(10..).map(|(text, offset)| {
        let row = outcome(format!("odd-{offset}"), 2, offset);
        let text = (*text).to_owned();
        Outcome {
            account_id: text.clone(),
            gateway_id: Some(text.clone()),
            code: Some(text),
            ..row
        }
    });
    let batch = batch([plain, bare, largest, ancient].into_iter().chain(odd));
    for subject in all().await {
        let answers = subject.store(&batch).await.unwrap();
        assert_eq!(answers, vec![Stored::New; batch.rows.len()], "{}", subject.name());
        let found = subject.ask_in_order(&ids(&batch)).await;
        let mut given: Vec<Outcome> = batch.rows.iter().map(|row| (**row).clone()).collect();
        given.sort_by(|a, b| a.transaction_id.cmp(&b.transaction_id));
        assert_eq!(found, given, "{}", subject.name());
    }
}

#[tokio::test]
async fn a_batch_that_is_stored_again_meets_its_own_rows() {
    let batch = batch((0..300).map(|n| outcome(format!("t{n}"), 0, n)));
    for subject in all().await {
        subject.store(&batch).await.unwrap();
        for (row, answer) in batch.rows.iter().zip(subject.store(&batch).await.unwrap()) {
            assert_eq!(answer, Stored::Kept(Box::new((**row).clone())), "{}", subject.name());
        }
    }
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_rows() {
    let first = batch([
        outcome("kept", 0, 1),
        with(Fate::Declined, Some("no_funds"), outcome("replaced", 0, 2)),
    ]);
    let second = batch([
        outcome("zz-new", 1, 1),
        outcome("replaced", 1, 2),
        outcome("a-new", 1, 3),
        outcome("kept", 1, 4),
    ]);
    for subject in all().await {
        subject.store(&first).await.unwrap();
        let expected = vec![
            Stored::New,
            Stored::Replaced(Box::new((*first.rows[1]).clone())),
            Stored::New,
            Stored::Kept(Box::new((*first.rows[0]).clone())),
        ];
        assert_eq!(subject.store(&second).await.unwrap(), expected, "{}", subject.name());
    }
}

/// Every fate and code, at every kind of place, against every other: the rule of the domain is the rule of each
/// store, however it says it.
#[tokio::test]
async fn what_replaces_what_is_the_domains_rule() {
    let kinds: Vec<(Fate, Option<&str>)> = [Fate::Archived, Fate::Declined, Fate::InDoubt]
        .into_iter()
        .flat_map(|fate| [None, Some("no_funds"), Some(NOT_CHARGED)].map(|code| (fate, code)))
        .collect();
    let mut pairs = Vec::new();
    for stored in &kinds {
        for given in &kinds {
            for (kind, moved) in ["same", "topic", "partition", "offset"].into_iter().zip(0..) {
                let name = format!("r{}-{kind}", pairs.len());
                let old = with(stored.0, stored.1, outcome(&name, 1, 1));
                let mut new = with(given.0, given.1, outcome(&name, 1, 1));
                new.account_id = "new".into();
                match moved {
                    0 => {}
                    1 => new.source.topic = "elsewhere".into(),
                    2 => new.source.partition = Partition(2),
                    _ => new.source.offset = Offset(2),
                }
                pairs.push((old, new));
            }
        }
    }
    let (old, new): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
    let replaced = pairs.iter().filter(|(old, new)| new.supersedes(old)).count();
    assert!(replaced > 0 && replaced < pairs.len());
    for subject in all().await {
        subject.store(&batch(old.clone())).await.unwrap();
        let answers = subject.store(&batch(new.clone())).await.unwrap();
        for ((old, new), answer) in pairs.iter().zip(answers) {
            let (expected, standing) = match new.supersedes(old) {
                true => (Stored::Replaced(Box::new(old.clone())), new),
                false => (Stored::Kept(Box::new(old.clone())), old),
            };
            assert_eq!(answer, expected, "{}", subject.name());
            let found = subject.ask(std::slice::from_ref(&new.transaction_id)).await.unwrap();
            assert_eq!(found, std::slice::from_ref(standing), "{}", subject.name());
        }
    }
}

#[tokio::test]
async fn a_row_that_no_store_keeps_spoils_its_batch_and_nothing_else() {
    let good = outcome("good", 0, 1);
    let bad = [
        Outcome { account_id: "a\0b".into(), ..outcome("bad", 0, 2) },
        Outcome { gateway_id: Some("\0".into()), ..outcome("bad", 0, 2) },
        with(Fate::Rejected, None, outcome("bad", 0, 2)),
        with(Fate::Duplicate, None, outcome("bad", 0, 2)),
        Outcome { attempts: 2, ..good.clone() },
    ];
    for subject in all().await {
        for bad in &bad {
            let answer = subject.store(&batch([good.clone(), bad.clone()])).await;
            assert!(matches!(answer, Err(StoreError::Poison(_))), "{} {answer:?}", subject.name());
            assert_eq!(subject.ask(&[id("good"), id("bad")]).await.unwrap(), []);
        }
        assert_eq!(subject.store(&batch([good.clone()])).await.unwrap(), [Stored::New]);
    }
}

#[tokio::test]
async fn only_what_was_asked_for_is_answered() {
    let many = batch((0..2_000).map(|n| outcome(format!("t{n}"), 0, n)));
    for subject in all().await {
        assert_eq!(subject.ask(&[]).await.unwrap(), []);
        assert_eq!(subject.store(&batch([])).await.unwrap(), []);
        subject.store(&many).await.unwrap();
        assert_eq!(subject.ask(&[id("none")]).await.unwrap(), []);
        let asked = [id("t7"), id("none"), id("t1999")];
        let found: Vec<_> = subject.ask_in_order(&asked).await;
        assert_eq!(found, [(*many.rows[1999]).clone(), (*many.rows[7]).clone()]);
        assert_eq!(subject.ask(&ids(&many)).await.unwrap().len(), 2_000, "{}", subject.name());
    }
}

#[tokio::test]
async fn first_offsets_are_written_once() {
    let start = |group: &str, topic: &str, partition, start| SourceStart {
        group: group.into(),
        topic: topic.into(),
        partition: Partition(partition),
        start: Offset(start),
    };
    for subject in all().await {
        assert_eq!(subject.sources("g", TOPIC).await, []);
        subject.add_sources(&[start("g", TOPIC, 1, 10), start("g", TOPIC, 0, 5)]).await;
        subject.add_sources(&[]).await;
        subject
            .add_sources(&[
                start("g", TOPIC, 1, 99),
                start("g", TOPIC, 2, 20),
                start("other", TOPIC, 1, 1),
                start("g", "other", 1, 2),
            ])
            .await;
        let known = subject.sources("g", TOPIC).await;
        let expected =
            [start("g", TOPIC, 0, 5), start("g", TOPIC, 1, 10), start("g", TOPIC, 2, 20)];
        assert_eq!(known, expected, "{}", subject.name());
    }
}

#[tokio::test]
async fn every_row_of_a_topic_is_read_in_order() {
    let rows = (0..12_001).map(|n| {
        let mut row = outcome(format!("t{n}"), 0, n);
        if n % 3 == 0 {
            row.source.topic = "other".into();
        }
        row
    });
    let batch = batch(rows);
    let mut expected: Vec<Outcome> = batch
        .rows
        .iter()
        .filter(|row| &*row.source.topic == TOPIC)
        .map(|r| (**r).clone())
        .collect();
    expected.sort_by(|a, b| a.transaction_id.cmp(&b.transaction_id));
    for subject in all().await {
        subject.store(&batch).await.unwrap();
        assert_eq!(subject.rows("none").await, []);
        assert!(subject.rows(TOPIC).await == expected, "{}", subject.name());
    }
}

#[tokio::test]
async fn a_store_is_itself_after_another_migration() {
    for subject in all().await {
        let before = subject.identity().await.unwrap();
        let Some(store) = subject.real() else { continue };
        let migrated = store.migrate().await.unwrap();
        let after = subject.identity().await.unwrap();
        assert_eq!((migrated.from, migrated.to, migrated.id), (Some(2), 2, before.id));
        assert_eq!((after.id, after.schema_version), (before.id, 2), "{}", subject.name());
        assert!(after.now >= before.now && before.now > Wall(1_700_000_000_000_000));
        let health = store.check().await.unwrap();
        assert_eq!(health.lossy, Vec::<String>::new());
        assert!(health.now >= after.now);
    }
}
