//! Several processes store the same ids at the same time: each has a connection of its own to one database.

use std::collections::BTreeMap;
use std::time::Duration;

use tollbridge::app::store::{AnyStore, StoreSettings};
use tollbridge::domain::outcome::{Fate, Outcome};
use tollbridge::ports::store::{Batch, Rows, Store, StoreError, Stored};

use crate::outcomes::{TOPIC, batch, ids, outcome, with};
use crate::subject::{PATIENCE, clickhouse, postgres, settings, sqlite, sqlite_url};

const IDS: i64 = 40;
const ROUNDS: i64 = 15;

/// What one writer was told about one of its rows.
#[derive(Debug)]
struct Told {
    given: Outcome,
    answer: Stored,
}

fn told_of(batch: &Batch, answers: Vec<Stored>) -> impl Iterator<Item = Told> {
    let each = batch.rows.iter().zip(answers);
    each.map(|(row, answer)| Told { given: (**row).clone(), answer })
}

/// Writes batches of overlapping ids, from a place of its own, in another order each time.
async fn write(store: AnyStore, writer: i32) -> (Vec<Told>, usize) {
    let mut told = Vec::new();
    let mut races = 0;
    for round in 0..ROUNDS {
        let rows = (0..IDS).map(|n| {
            let n = (n * 7 + round * 11 + i64::from(writer) * 13) % IDS;
            let row = outcome(format!("r{}-{n}", round / 3), writer, round * IDS + n);
            match (n + i64::from(writer) + round) % 3 {
                0 => row,
                1 => with(Fate::Declined, Some("no_funds"), row),
                _ => with(Fate::InDoubt, Some("key_expired"), row),
            }
        });
        let batch = batch(rows);
        let answers = loop {
            match store.store(&batch).await {
                Ok(answers) => break answers,
                Err(StoreError::Transient(_)) => races += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(races < 10_000, "it never ends");
        };
        told.extend(told_of(&batch, answers));
    }
    (told, races)
}

/// Every id was new once, and each change is told by exactly one writer: the rows that came in, each replaced by
/// the next, lead to the one that stands.
fn check(name: &str, told: &[Told], standing: &[Outcome]) {
    let mut by_id: BTreeMap<_, Vec<&Told>> = BTreeMap::new();
    for told in told {
        by_id.entry(told.given.transaction_id.clone()).or_default().push(told);
    }
    assert_eq!(by_id.len(), standing.len(), "{name}");
    let mut replaced = 0;
    for row in standing {
        let told = &by_id[&row.transaction_id];
        let new: Vec<_> = told.iter().filter(|told| told.answer == Stored::New).collect();
        assert_eq!(new.len(), 1, "{name}: {told:#?}");
        let mut current = &new[0].given;
        let mut steps = vec![current];
        while let Some(next) = told
            .iter()
            .find(|told| matches!(&told.answer, Stored::Replaced(old) if **old == *current))
        {
            current = &next.given;
            steps.push(current);
        }
        assert_eq!(current, row, "{name}: the chain must end at what stands: {told:#?}");
        let replacements = told.iter().filter(|t| matches!(t.answer, Stored::Replaced(_)));
        assert_eq!(replacements.count(), steps.len() - 1, "{name}: {told:#?}");
        replaced += steps.len() - 1;
        for told in told {
            if let Stored::Kept(old) = &told.answer {
                assert!(steps.contains(&&**old), "{name}: kept by a row that never stood");
                assert!(!told.given.supersedes(old), "{name}: {told:#?}");
            }
        }
    }
    assert!(replaced > 0, "{name}: nothing was replaced, so nothing was tried");
}

/// What ClickHouse promises of it, which has no lock and no key: one row an id, the one that the rule names, and
/// whoever was told that his row is not in was right. Only of those who write at the same moment may two be told that
/// theirs is in.
fn check_without_locks(told: &[Told], standing: &[Outcome]) {
    let mut by_id: BTreeMap<_, Vec<&Told>> = BTreeMap::new();
    for told in told {
        by_id.entry(told.given.transaction_id.clone()).or_default().push(told);
    }
    assert_eq!(by_id.len(), standing.len());
    let (mut replaced, mut both) = (0, 0);
    for row in standing {
        let told = &by_id[&row.transaction_id];
        assert!(told.iter().all(|told| !told.given.supersedes(row)), "{row:?}: {told:#?}");
        let mut is_in = false;
        for Told { given, answer } in told {
            match answer {
                Stored::Kept(old) => {
                    assert!(!given.supersedes(old), "{told:#?}");
                    assert!(told.iter().any(|other| other.given == **old), "{told:#?}");
                }
                _ if given == row => is_in = true,
                _ if row.supersedes(given) => replaced += 1,
                _ => both += 1,
            }
        }
        assert!(is_in, "whose row stands was told so: {told:#?}");
    }
    assert!(replaced > 0, "nothing was replaced, so nothing was tried");
    println!("clickhouse: {both} of {} were told that their row is in beside another", told.len());
}

#[tokio::test]
async fn clickhouse_keeps_one_row_an_id_and_tells_what_stands() {
    let url = tollbridge_rig::shared_clickhouse().fresh_url().unwrap();
    AnyStore::connect(&url, &settings()).unwrap().migrate().await.unwrap();
    let (told, standing, _) = compete(&url).await;
    check_without_locks(&told, &standing);
}

/// Whatever comes before whatever among the writers: an approval of each of these replaces one that was there before.
async fn write_doubts(store: &AnyStore) -> Vec<Told> {
    let doubt = |n| with(Fate::InDoubt, Some("key_expired"), outcome(format!("r0-{n}"), 9, n));
    let batch = batch((0..IDS).map(doubt));
    let answers = store.store(&batch).await.unwrap();
    told_of(&batch, answers).collect()
}

async fn compete(url: &str) -> (Vec<Told>, Vec<Outcome>, usize) {
    let mut told = write_doubts(&AnyStore::connect(url, &settings()).unwrap()).await;
    let writers = (0..4).map(|writer| {
        let store = AnyStore::connect(url, &settings()).unwrap();
        tokio::spawn(write(store, writer))
    });
    let mut races = 0;
    for writer in writers.collect::<Vec<_>>() {
        let (more, lost) = writer.await.unwrap();
        told.extend(more);
        races += lost;
    }
    let store = AnyStore::connect(url, &settings()).unwrap();
    let mut standing = Vec::new();
    store.rows(Rows::All, TOPIC, |row| standing.push(row)).await.unwrap();
    (told, standing, races)
}

async fn compete_for_each_change(name: &str, url: &str) {
    let (told, standing, races) = compete(url).await;
    check(name, &told, &standing);
    println!("{name}: {races} batches had to be stored again");
}

#[tokio::test]
async fn postgres_tells_each_change_to_one_writer() {
    let url = tollbridge_rig::shared_postgres().fresh_url().unwrap();
    AnyStore::connect(&url, &settings()).unwrap().migrate().await.unwrap();
    compete_for_each_change("postgres", &url).await;
}

#[tokio::test]
async fn sqlite_tells_each_change_to_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder);
    AnyStore::connect(&url, &settings()).unwrap().migrate().await.unwrap();
    compete_for_each_change("sqlite", &url).await;
}

async fn migrate_at_the_same_time(url: &str) {
    let migrations: Vec<_> = (0..4)
        .map(|_| {
            let store = AnyStore::connect(url, &settings()).unwrap();
            tokio::spawn(async move { store.migrate().await.unwrap() })
        })
        .collect();
    let mut done = Vec::new();
    for migration in migrations {
        done.push(migration.await.unwrap());
    }
    assert_eq!(done.iter().filter(|done| done.from.is_none()).count(), 1, "{done:?}");
    assert!(done.iter().all(|other| other.id == done[0].id), "{done:?}");
}

#[tokio::test]
async fn postgres_migrations_at_the_same_time_make_one_store() {
    for _ in 0..4 {
        migrate_at_the_same_time(&tollbridge_rig::shared_postgres().fresh_url().unwrap()).await;
    }
}

#[tokio::test]
async fn clickhouse_migrations_at_the_same_time_make_one_store() {
    for _ in 0..4 {
        let url = tollbridge_rig::shared_clickhouse().fresh_url().unwrap();
        migrate_at_the_same_time(&url).await;
    }
}

/// The moment in which a new file is switched to a write-ahead log is short: it takes many files to meet it.
#[tokio::test]
async fn sqlite_migrations_at_the_same_time_make_one_store() {
    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        migrate_at_the_same_time(&sqlite_url(&folder)).await;
    }
}

/// A reader is not held up by a writer, and sees a batch as a whole or not at all.
#[tokio::test]
async fn a_batch_is_seen_whole_or_not_at_all() {
    for subject in [sqlite().await, postgres().await, clickhouse().await] {
        let name = subject.name();
        let Some(store) = subject.real() else { continue };
        let batches: Vec<_> = (0..10)
            .map(|k| batch((0..200).map(|n| outcome(format!("b{k}-{n}"), 0, k * 200 + n))))
            .collect();
        let asked: Vec<Vec<_>> = batches.iter().map(ids).collect();
        let writer = tokio::spawn({
            let store = store.clone();
            async move {
                for batch in &batches {
                    store.store(batch).await.unwrap();
                }
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            for ids in &asked {
                let found = store.ask(ids).await.unwrap().len();
                assert!(found == 0 || found == 200, "{name}: {found}");
                seen += 1;
            }
        }
        writer.await.unwrap();
        assert!(seen > 0);
    }
}

/// A store that can't be reached costs its time limit, not more, and surely did nothing.
#[tokio::test]
async fn a_store_that_is_not_there_is_transient() {
    let settings = StoreSettings { timeout: Duration::from_millis(400), ..settings() };
    for scheme in ["postgres", "clickhouse"] {
        let url = format!("{scheme}://nobody@127.0.0.1:{}/none", tollbridge_rig::free_port());
        let store = AnyStore::connect(&url, &settings).unwrap();
        let begun = tokio::time::Instant::now();
        for error in [
            store.store(&batch([outcome("a", 0, 1)])).await.unwrap_err(),
            store.ask(&ids(&batch([outcome("a", 0, 1)]))).await.unwrap_err(),
            store.identity().await.unwrap_err(),
            store.check().await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
        }
        assert!(begun.elapsed() < PATIENCE / 2);
    }
}
