//! What only a file can do to us: be missing, be full, be shared with another process that is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use tokio::time::Instant;
use tollbridge::adapters::sqlite::{Settings, SqliteStore};
use tollbridge::app::store::{AnyStore, StoreSettings};
use tollbridge::ports::store::{Batch, Rows, Store, StoreError, Stored};

use crate::outcomes::{TOPIC, batch, id, ids, outcome};
use crate::subject::{PATIENCE, settings, sqlite_url};

async fn migrated(folder: &TempDir) -> AnyStore {
    let store = AnyStore::connect(&sqlite_url(folder), &settings()).unwrap();
    store.migrate().await.unwrap();
    store
}

fn batch_of(writer: i32, k: i64, rows: i64) -> Batch {
    batch((0..rows).map(|n| outcome(format!("w{writer}-{k}-{n}"), writer, k * rows + n)))
}

async fn execute(folder: &TempDir, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnection::connect(&sqlite_url(folder)).await.unwrap();
    connection.execute(sql).await.map(|_| ())
}

#[tokio::test]
async fn only_a_migration_makes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = AnyStore::connect(&sqlite_url(&folder), &settings()).unwrap();
    for error in [
        store.identity().await.unwrap_err(),
        store.ask(&[id("a")]).await.unwrap_err(),
        store.store(&batch_of(0, 0, 1)).await.unwrap_err(),
        store.check().await.unwrap_err(),
    ] {
        let StoreError::Permanent(why) = &error else { panic!("{error:?}") };
        assert!(why.contains("store.db") && why.contains("tollbridge migrate --config"), "{why}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(store.migrate().await.unwrap().from, None);
    assert_eq!(store.store(&batch_of(0, 0, 1)).await.unwrap(), [Stored::New]);

    let nowhere = format!("sqlite://{}/none/store.db", folder.path().display());
    let error = AnyStore::connect(&nowhere, &settings()).unwrap().migrate().await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(why) if why.contains("/none")), "{error:?}");
}

#[tokio::test]
async fn an_empty_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.db"), b"").unwrap();
    let store = AnyStore::connect(&sqlite_url(&folder), &settings()).unwrap();
    let error = store.identity().await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(why) if why.contains("migrate")), "{error:?}");
    std::fs::write(folder.path().join("store.db"), [b'x'; 8_192]).unwrap();
    let store = AnyStore::connect(&sqlite_url(&folder), &settings()).unwrap();
    let error = store.identity().await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(_)), "{error:?}");
}

#[test]
fn addresses_that_keep_nothing_are_refused() {
    for url in ["sqlite::memory:", "sqlite://?mode=memory", "mysql://x", "sqlite:x?mode=odd", ""] {
        let error = AnyStore::connect(url, &settings()).unwrap_err();
        assert!(matches!(error, StoreError::Permanent(_)), "{url} {error:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_transient_and_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    migrated(&folder).await;
    let url = sqlite_url(&folder);
    let small = Settings { url, timeout: PATIENCE, max_pages: Some(40) };
    let store = SqliteStore::new(&small).unwrap();
    let mut stored = 0;
    let error = loop {
        match store.store(&batch_of(0, stored, 50)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "the file never got full");
    };
    assert!(stored > 0 && matches!(error, StoreError::Transient(_)), "{stored} {error:?}");
    assert_eq!(store.ask(&ids(&batch_of(0, stored, 50))).await.unwrap(), []);
    assert_eq!(store.ask(&ids(&batch_of(0, stored - 1, 50))).await.unwrap().len(), 50);
    // With room again, the same batch goes in.
    let roomy = AnyStore::connect(&sqlite_url(&folder), &settings()).unwrap();
    assert_eq!(roomy.store(&batch_of(0, stored, 50)).await.unwrap(), vec![Stored::New; 50]);
}

#[tokio::test]
async fn a_read_only_file_is_transient() {
    let folder = tempfile::tempdir().unwrap();
    let writable = migrated(&folder).await;
    let url = format!("{}?mode=ro", sqlite_url(&folder));
    let store = AnyStore::connect(&url, &settings()).unwrap();
    let error = store.store(&batch_of(0, 0, 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    assert_eq!(store.ask(&ids(&batch_of(0, 0, 1))).await.unwrap(), []);
    writable.store(&batch_of(0, 0, 1)).await.unwrap();
}

#[tokio::test]
async fn a_row_that_the_file_refuses_is_poison() {
    let folder = tempfile::tempdir().unwrap();
    let store = migrated(&folder).await;
    execute(
        &folder,
        "CREATE TRIGGER no_odd_ones BEFORE INSERT ON transactions WHEN NEW.transaction_id = 'odd'
         BEGIN SELECT RAISE(ABORT, 'no odd ones'); END",
    )
    .await
    .unwrap();
    let error = store.store(&batch([outcome("even", 0, 1), outcome("odd", 0, 2)])).await;
    assert!(matches!(error, Err(StoreError::Poison(_))), "{error:?}");
    assert_eq!(store.ask(&[id("even"), id("odd")]).await.unwrap(), []);
    assert_eq!(store.store(&batch([outcome("even", 0, 1)])).await.unwrap(), [Stored::New]);
}

#[tokio::test]
async fn a_file_that_someone_locks_too_long_is_transient() {
    let folder = tempfile::tempdir().unwrap();
    migrated(&folder).await;
    // The file's lock is waited for two thirds of it: the rest must be enough for a busy machine to say so.
    let quick = StoreSettings { timeout: Duration::from_secs(12), ..settings() };
    let store = AnyStore::connect(&sqlite_url(&folder), &quick).unwrap();
    store.store(&batch_of(0, 0, 1)).await.unwrap();
    let mut holder = SqliteConnection::connect(&sqlite_url(&folder)).await.unwrap();
    holder.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = store.store(&batch_of(0, 1, 1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Transient(why) if why.contains("locked")), "{error:?}");
    // Reading goes on meanwhile.
    assert_eq!(store.ask(&ids(&batch_of(0, 0, 1))).await.unwrap().len(), 1);
    holder.execute("COMMIT").await.unwrap();
    assert_eq!(store.store(&batch_of(0, 1, 1)).await.unwrap(), [Stored::New]);
}

#[tokio::test]
async fn the_audit_is_only_added_to() {
    let folder = tempfile::tempdir().unwrap();
    migrated(&folder).await;
    let line = "INSERT INTO resolutions VALUES (1, 'a', 'not_charged', NULL, 'ada', 5, 't', 0, 1, NULL, NULL, NULL)";
    execute(&folder, line).await.unwrap();
    for change in ["DELETE FROM resolutions", "UPDATE resolutions SET resolved_by = 'eve'"] {
        let refused = execute(&folder, change).await.unwrap_err().to_string();
        assert!(refused.contains("only added"), "{refused}");
    }
}

/// A call that takes too long is left alone, not waited for: it may still be carried out, so storing again tells.
#[tokio::test]
async fn a_call_without_an_answer_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    migrated(&folder).await;
    let quick = StoreSettings { timeout: Duration::from_secs(2), ..settings() };
    let store = AnyStore::connect(&sqlite_url(&folder), &quick).unwrap();
    store.store(&batch_of(0, 0, 1)).await.unwrap();
    let mut other = SqliteConnection::connect(&sqlite_url(&folder)).await.unwrap();
    // Eight seconds a row, however fast this machine counts.
    other.execute("PRAGMA busy_timeout = 90000").await.unwrap();
    let begun = Instant::now();
    other.execute(sqlx::raw_sql(AssertSqlSafe(counting_to(500_000)))).await.unwrap();
    let count = 500_000 * 8_000 / begun.elapsed().as_millis().max(1);
    let slow = counting_to(count);
    let slow = format!("CREATE TRIGGER slow AFTER INSERT ON transactions BEGIN {slow}; END");
    other.execute(sqlx::raw_sql(AssertSqlSafe(slow))).await.unwrap();
    let error = store.store(&batch_of(0, 1, 2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    // Reading has a connection of its own.
    assert_eq!(store.ask(&ids(&batch_of(0, 0, 1))).await.unwrap().len(), 1);
    let patient = AnyStore::connect(&sqlite_url(&folder), &settings()).unwrap();
    other.execute("DROP TRIGGER slow").await.unwrap();
    let answers = patient.store(&batch_of(0, 1, 2)).await.unwrap();
    let whole = answers.iter().all(|answer| *answer == Stored::New)
        || answers.iter().all(|answer| matches!(answer, Stored::Kept(_)));
    assert!(whole, "{answers:?}");
}

/// A statement that takes its time.
fn counting_to(count: u128) -> String {
    format!(
        "SELECT count(*) FROM (
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {count})
             SELECT i FROM n)"
    )
}

/// Names the file and the writer to [`another_process_writes`].
const CHILD: &str = "TOLLBRIDGE_TEST_STORE";

/// The other process of the tests below: it writes until it is ended, and says how far it came.
#[test]
#[ignore = "started by other tests"]
fn another_process_writes() {
    #[expect(clippy::disallowed_methods, reason = "how a test speaks to its child")]
    let Ok(given) = std::env::var(CHILD) else { return };
    let (url, writer) = given.rsplit_once(' ').unwrap();
    let writer: i32 = writer.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = AnyStore::connect(url, &settings()).unwrap();
        for k in 0..10_000 {
            store.store(&batch_of(writer, k, 50)).await.unwrap();
            println!("stored {k}");
        }
    });
}

fn child(url: &str, writer: i32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sqlite::another_process_writes", "--nocapture"])
        .env(CHILD, format!("{url} {writer}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Two other processes and we write to one file; one of them is killed at any moment. What each was told is true.
#[tokio::test]
async fn a_killed_process_leaves_whole_batches_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = migrated(&folder).await;
    let url = sqlite_url(&folder);
    let mut children = [child(&url, 1), child(&url, 2)];
    let mut told = children.each_mut().map(|child| BufReader::new(child.stdout.take().unwrap()));
    for said in &mut told {
        let mut line = String::new();
        while !line.starts_with("stored ") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it stored anything");
        }
    }
    for k in 0..15 {
        assert_eq!(store.store(&batch_of(0, k, 50)).await.unwrap(), vec![Stored::New; 50]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for ((child, said), writer) in children.iter_mut().zip(told).zip([1, 2]) {
        child.kill().unwrap();
        child.wait().unwrap();
        // The first line was read above.
        let said = said.lines().filter(|line| line.as_ref().unwrap().starts_with("stored "));
        let told = i64::try_from(1 + said.count()).unwrap();
        for k in 0..told {
            let found = store.ask(&ids(&batch_of(writer, k, 50))).await.unwrap().len();
            assert_eq!(found, 50, "writer {writer} was told that batch {k} of {told} is stored");
        }
        let next = store.ask(&ids(&batch_of(writer, told, 50))).await.unwrap().len();
        assert!(next == 0 || next == 50, "writer {writer}: {next}");
        assert_eq!(store.store(&batch_of(0, 100 + i64::from(writer), 1)).await.unwrap().len(), 1);
    }
    let mut rows = 0;
    store.rows(Rows::All, TOPIC, |_| rows += 1).await.unwrap();
    assert!(rows >= 15 * 50, "{rows}");
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let sound: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut other).await.unwrap();
    assert_eq!(sound, "ok");
}
