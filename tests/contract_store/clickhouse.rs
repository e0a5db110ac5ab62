//! What only ClickHouse can do to us: end between two statements, keep a batch twice, let two writers in at once. What
//! the engine alone can't show (users and rights, a server's own limits of time, replication) is not tried.

use std::time::Duration;

use tokio::sync::watch;
use tollbridge::app::store::{AnyStore, StoreSettings};
use tollbridge::domain::outcome::{Fate, NOT_CHARGED, Outcome};
use tollbridge::domain::resolution::{Finding, Refusal, Resolution};
use tollbridge::domain::time::Wall;
use tollbridge::ports::store::{Batch, ResolveError, Rows, Store, StoreError, Stored};
use tollbridge_rig::{Clickhouse, Proxy, shared_clickhouse};

use crate::outcomes::{TOPIC, batch, id, ids, outcome, with};
use crate::recorder::Recorder;
use crate::subject::settings;

/// For an engine that is silent, since others may be slow.
fn quick() -> StoreSettings {
    StoreSettings { timeout: Duration::from_secs(6), ..settings() }
}

async fn migrated(url: &str) -> AnyStore {
    let store = AnyStore::connect(url, &settings()).unwrap();
    store.migrate().await.unwrap();
    store
}

fn batch_of(k: i64, rows: i64) -> Batch {
    batch((0..rows).map(|n| outcome(format!("b{k}-{n}"), 0, k * rows + n)))
}

/// Rows that are there, and rows that stand.
fn counts(url: &str) -> (String, String) {
    let count = |from: &str| {
        shared_clickhouse().query_at(url, &format!("SELECT count() FROM {from}")).unwrap()
    };
    (count("transactions"), count("transactions FINAL"))
}

/// The request of our own client, sent again as it was: the token is what keeps it from doubling the rows, and FINAL
/// what keeps doubled rows from counting twice.
#[tokio::test]
async fn the_same_batch_sent_again_leaves_nothing_by_its_token_and_doubles_without_it() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let recorder = Recorder::start(shared_clickhouse().port());
    migrated(&url).await;
    let through = url.replace(&shared_clickhouse().port().to_string(), &recorder.port.to_string());
    let store = AnyStore::connect(&through, &settings()).unwrap();
    let given = batch_of(0, 100);
    assert_eq!(store.store(&given).await.unwrap(), vec![Stored::New; 100]);
    let insert = recorder.request("INSERT+INTO");
    let text = String::from_utf8_lossy(&insert).into_owned();
    let named = text.split("insert_deduplication_token=").nth(1).unwrap();
    let token = named.split(['&', ' ']).next().unwrap();
    assert_eq!(token.len(), 32, "{token}");
    assert!(text.contains("decompress=1"), "what is sent is compressed");

    recorder.send(&insert);
    assert_eq!(counts(&url), ("100".into(), "100".into()));
    recorder.send(&replaced(&insert, token, &"0".repeat(32)));
    assert_eq!(counts(&url), ("200".into(), "100".into()));
    // Whatever became of it, the rows are those that came first.
    for (row, answer) in given.rows.iter().zip(store.store(&given).await.unwrap()) {
        assert_eq!(answer, Stored::Kept(Box::new((**row).clone())));
    }
    shared_clickhouse().query_at(&url, "OPTIMIZE TABLE transactions FINAL").unwrap();
    assert_eq!(counts(&url), ("100".into(), "100".into()));
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    let mut changed = bytes.to_vec();
    changed[at..at + to.len()].copy_from_slice(to.as_bytes());
    changed
}

/// Members make the token, not the time at which they are stored: after a crash it is the same.
#[tokio::test]
async fn the_token_is_a_function_of_what_is_written() {
    let token = async |given: &Batch| {
        let url = shared_clickhouse().fresh_url().unwrap();
        let recorder = Recorder::start(shared_clickhouse().port());
        migrated(&url).await;
        let port = shared_clickhouse().port().to_string();
        let through = url.replace(&port, &recorder.port.to_string());
        let store = AnyStore::connect(&through, &settings()).unwrap();
        store.store(given).await.unwrap();
        let text = String::from_utf8_lossy(&recorder.request("INSERT+INTO")).into_owned();
        text.split("insert_deduplication_token=").nth(1).unwrap()[..32].to_owned()
    };
    let first = batch([outcome("a", 0, 1), outcome("b", 0, 2)]);
    let later =
        batch(first.rows.iter().map(|row| Outcome { stored_at: Some(Wall(1)), ..(**row).clone() }));
    let fewer = batch([outcome("a", 0, 1)]);
    let otherwise = batch([outcome("a", 0, 1), with(Fate::Declined, None, outcome("b", 0, 2))]);
    let expected = token(&first).await;
    assert_eq!(token(&later).await, expected);
    for other in [&fewer, &otherwise] {
        assert_ne!(token(other).await, expected);
    }
}

/// Whatever was told when it died, storing the same batch again gives the truth.
#[tokio::test]
async fn a_killed_engine_leaves_nothing_but_whole_batches() {
    let engine = Clickhouse::start().unwrap();
    let store = migrated(&engine.url()).await;
    let (told, mut stored) = watch::channel(0);
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for k in 0.. {
                match store.store(&batch_of(k, 500)).await {
                    Ok(answers) => assert!(answers.iter().all(|a| *a == Stored::New)),
                    Err(error) => return (k, error),
                }
                told.send(k + 1).unwrap();
            }
            unreachable!()
        }
    });
    stored.wait_for(|batches| *batches >= 5).await.unwrap();
    engine.kill();
    let (last, error) = writer.await.unwrap();
    assert!(matches!(error, StoreError::Unknown(_) | StoreError::Transient(_)), "{error:?}");
    let down = store.store(&batch_of(last, 500)).await.unwrap_err();
    assert!(matches!(down, StoreError::Transient(_)), "{down:?}");
    engine.restart().unwrap();
    for k in 0..=last {
        let answers = store.store(&batch_of(k, 500)).await.unwrap();
        let new = answers.iter().filter(|answer| **answer == Stored::New).count();
        let own = batch_of(k, 500).rows.iter().zip(&answers).all(|(row, answer)| match answer {
            Stored::New => k == last,
            Stored::Kept(kept) => **kept == **row,
            Stored::Replaced(_) => false,
        });
        assert!(own && (new == 0 || new == 500), "batch {k} of {last}: {new} new");
    }
    let rows = engine.query("SELECT count() FROM transactions").unwrap();
    assert_eq!(rows, ((last + 1) * 500).to_string(), "none is there twice");
}

#[tokio::test]
async fn an_answer_that_never_comes_is_unknown_and_its_connection_is_left() {
    let engine = Clickhouse::start().unwrap();
    let direct = migrated(&engine.url()).await;
    let proxy = Proxy::start(("127.0.0.1", engine.port())).unwrap();
    let through = engine.url().replace(&engine.port().to_string(), &proxy.port().to_string());
    let store = AnyStore::connect(&through, &quick()).unwrap();
    store.identity().await.unwrap();
    let given = batch_of(0, 10);
    proxy.black_hole();
    // What stands is asked first, and that changes nothing.
    let error = store.store(&given).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    let error = store.ask(&ids(&given)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    // The old connections stay silent: only new ones pass.
    proxy.pass();
    assert_eq!(store.store(&given).await.unwrap(), vec![Stored::New; 10]);
    assert_eq!(direct.ask(&ids(&given)).await.unwrap().len(), 10);

    // An engine that stands still in the middle of a load: what was on its way is unknown, and found again later.
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for k in 1.. {
                if let Err(error) = store.store(&batch_of(k, 10)).await {
                    return (k, error);
                }
            }
            unreachable!()
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    engine.pause().unwrap();
    let (last, error) = writer.await.unwrap();
    assert!(matches!(error, StoreError::Unknown(_) | StoreError::Transient(_)), "{error:?}");
    engine.resume().unwrap();
    let answers = direct.store(&batch_of(last, 10)).await.unwrap();
    let whole = answers.iter().all(|answer| *answer == Stored::New)
        || answers.iter().all(|answer| matches!(answer, Stored::Kept(_)));
    assert!(whole, "{answers:?}");
    let rows = engine.query("SELECT count() = uniqExact(transaction_id) FROM transactions");
    assert_eq!(rows.unwrap(), "1", "what came late was known by its token");
}

/// In whatever order rows come in, and however often: the one that stands is the one that the domain says.
#[tokio::test]
async fn an_approval_stands_whatever_comes_before_or_after_it() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    let sql = |sql: &str| shared_clickhouse().query_at(&url, sql).unwrap();
    store.store(&batch([outcome("a", 0, 1)])).await.unwrap();
    // One who has read before the approval came writes after it.
    for (fate, offset) in [("declined", 2), ("in_doubt", 3), ("archived", 4)] {
        sql(&format!(
            "INSERT INTO transactions (* EXCEPT (fate, source_offset), fate, source_offset)
             SELECT * EXCEPT (fate, source_offset), '{fate}', {offset} FROM transactions WHERE source_offset = 1"
        ));
    }
    assert_eq!(counts(&url), ("4".into(), "1".into()));
    assert_eq!(store.ask(&[id("a")]).await.unwrap(), [outcome("a", 0, 1)]);
    let late = store.store(&batch([outcome("a", 1, 9)])).await.unwrap();
    assert_eq!(late, [Stored::Kept(Box::new(outcome("a", 0, 1)))]);
    for merged in [false, true] {
        if merged {
            sql("OPTIMIZE TABLE transactions FINAL");
        }
        assert_eq!(sql("SELECT source_offset FROM transactions FINAL"), "1");
        assert_eq!(sql("SELECT count() FROM archived_transactions"), "1");
        assert_eq!(sql("SELECT count() FROM declined_transactions"), "0");
    }
}

/// A doubt may be resolved as not charged again and again, each time with another publication in between.
#[tokio::test]
async fn a_row_that_was_replaced_never_comes_back() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    let mut before: Option<Outcome> = None;
    for n in 0..5 {
        let doubt = with(Fate::InDoubt, Some("key_expired"), outcome("a", 0, n));
        let answer = store.store(&batch([doubt.clone()])).await.unwrap();
        let expected = before.map_or(Stored::New, |old| Stored::Replaced(Box::new(old)));
        assert_eq!(answer, [expected]);
        let finding = Resolution {
            id: id("a"),
            finding: Finding::NotCharged,
            by: "ada".into(),
            at: Wall(1_900_000_000_000_000 + n),
        };
        let resolved = store.resolve(&finding).await.unwrap();
        assert_eq!(resolved.after.code.as_deref(), Some(NOT_CHARGED));
        let standing = store.ask(&[id("a")]).await.unwrap();
        assert_eq!(standing, std::slice::from_ref(&resolved.after));
        before = Some(resolved.after);
    }
    let lines = "SELECT count(), uniqExact(resolved_at) FROM resolutions";
    assert_eq!(shared_clickhouse().query_at(&url, lines).unwrap(), "5|5");
}

/// A token is remembered longer than rows are that somebody has deleted.
#[tokio::test]
async fn what_was_deleted_by_hand_is_stored_again() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    for _ in 0..3 {
        assert_eq!(store.store(&batch_of(0, 2)).await.unwrap(), [Stored::New, Stored::New]);
        let delete = "ALTER TABLE transactions DELETE WHERE true SETTINGS mutations_sync = 1";
        shared_clickhouse().query_at(&url, delete).unwrap();
    }
}

/// Of two people with different findings one is believed; the audit has both.
#[tokio::test]
async fn of_two_resolutions_at_once_one_wins_and_the_other_is_refused() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    let doubts =
        (0..8).map(|n| with(Fate::InDoubt, Some("key_expired"), outcome(format!("d{n}"), 0, n)));
    store.store(&batch(doubts)).await.unwrap();
    for n in 0..8 {
        let resolve = |finding: Finding, by: &str, at: i64| {
            let store = store.clone();
            let resolution =
                Resolution { id: id(format!("d{n}")), finding, by: by.into(), at: Wall(at) };
            async move { store.resolve(&resolution).await }
        };
        let charged = Finding::Charged { gateway_id: "ch_found".into() };
        let (ada, bob) =
            tokio::join!(resolve(charged, "ada", 5), resolve(Finding::NotCharged, "bob", 6));
        let refused = |answer: &Result<_, ResolveError>| {
            matches!(
                answer,
                Err(ResolveError::Refused(Refusal::Otherwise(_) | Refusal::NotInDoubt(_)))
            )
        };
        let row = store.ask(&[id(format!("d{n}"))]).await.unwrap().pop().unwrap();
        // A charge that was found stands over "not charged", which may have been believed for a moment.
        match row.fate {
            Fate::Archived => assert!(ada.is_ok() && (bob.is_ok() || refused(&bob)), "{bob:?}"),
            _ => assert!(refused(&ada) && bob.is_ok(), "{ada:?} {bob:?}"),
        }
    }
}

#[tokio::test]
async fn missing_databases_and_tables_are_permanent_and_say_what_to_do() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = AnyStore::connect(&url, &settings()).unwrap();
    for error in [
        store.identity().await.unwrap_err(),
        store.ask(&[id("a")]).await.unwrap_err(),
        store.store(&batch_of(0, 1)).await.unwrap_err(),
    ] {
        let StoreError::Permanent(why) = &error else { panic!("{error:?}") };
        assert!(why.contains("tollbridge migrate --config"), "{why}");
    }
    let nowhere = shared_clickhouse().url_of("nowhere");
    let error = AnyStore::connect(&nowhere, &settings()).unwrap().migrate().await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(why) if why.contains("create the database")));
}

#[tokio::test]
async fn tables_of_a_newer_program_are_refused_unless_they_may_be_used() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    let id = store.identity().await.unwrap().id;
    let note = |version: u32, readable_from: u32| {
        let sql = format!(
            "INSERT INTO tollbridge_meta (schema_version, readable_from, store_id)
             SELECT {version}, {readable_from}, store_id FROM tollbridge_meta LIMIT 1"
        );
        shared_clickhouse().query_at(&url, &sql).unwrap();
    };
    note(3, 1);
    assert!(matches!(store.migrate().await, Err(StoreError::Permanent(_))));
    let identity = store.identity().await.unwrap();
    assert_eq!((identity.schema_version, identity.id), (3, id));
    note(4, 3);
    assert!(matches!(store.identity().await, Err(StoreError::Permanent(_))));
}

#[tokio::test]
async fn tables_that_may_lose_rows_are_refused_unless_allowed() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    let health = store.check().await.unwrap();
    assert!(health.product.starts_with("ClickHouse ") && health.lossy.is_empty(), "{health:?}");
    let set = |what: &str| {
        let sql = format!("ALTER TABLE transactions MODIFY SETTING {what}");
        shared_clickhouse().query_at(&url, &sql).unwrap();
    };
    set("fsync_after_insert = 0");
    let error = store.check().await.unwrap_err();
    let named = |why: &str| why.contains("fsync_after_insert") && why.contains("allow_lossy");
    assert!(matches!(&error, StoreError::Permanent(why) if named(why)), "{error:?}");
    let allowed = StoreSettings { allow_lossy: true, ..settings() };
    let allowed = AnyStore::connect(&url, &allowed).unwrap();
    assert_eq!(allowed.check().await.unwrap().lossy.len(), 1);
    set("non_replicated_deduplication_window = 0");
    let error = allowed.check().await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(why) if why.contains("stored again")));
}

#[tokio::test]
async fn a_row_that_the_table_refuses_is_poison() {
    let url = shared_clickhouse().fresh_url().unwrap();
    let store = migrated(&url).await;
    let rule = "ALTER TABLE transactions ADD CONSTRAINT no_odd_ones CHECK transaction_id != 'odd'";
    shared_clickhouse().query_at(&url, rule).unwrap();
    let error = store.store(&batch([outcome("even", 0, 1), outcome("odd", 0, 2)])).await;
    assert!(matches!(error, Err(StoreError::Poison(_))), "{error:?}");
    assert_eq!(store.ask(&[id("even"), id("odd")]).await.unwrap(), []);
    assert_eq!(store.store(&batch([outcome("even", 0, 1)])).await.unwrap(), [Stored::New]);
    let mut rows = 0;
    store.rows(Rows::All, TOPIC, |_| rows += 1).await.unwrap();
    assert_eq!(rows, 1);
}
