//! What only a server can do to us: end, hang, refuse, be set up wrongly, and how each is told apart.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::watch;
use tollbridge::app::store::{AnyStore, StoreSettings};
use tollbridge::domain::outcome::Outcome;
use tollbridge::domain::resolution::{Finding, Resolution};
use tollbridge::domain::time::Wall;
use tollbridge::ports::store::{Batch, Store, StoreError, Stored};
use tollbridge_rig::{Postgres, Proxy, shared_postgres};

use crate::outcomes::{batch, id, ids, outcome};
use crate::subject::settings;

/// One connection, so that a test knows which one a statement goes over.
fn alone() -> StoreSettings {
    StoreSettings { max_connections: 1, ..settings() }
}

/// For a server that is silent, since others may be slow.
fn quick() -> StoreSettings {
    StoreSettings { timeout: Duration::from_secs(4), ..alone() }
}

async fn migrated(url: &str, settings: &StoreSettings) -> AnyStore {
    let store = AnyStore::connect(url, settings).unwrap();
    store.migrate().await.unwrap();
    store
}

fn batch_of(k: i64, rows: i64) -> Batch {
    batch((0..rows).map(|n| outcome(format!("b{k}-{n}"), 0, k * rows + n)))
}

/// The server reads and plans a statement once a session, however many batches of whatever size come after. Where rows
/// were met last, the statement that is for new ones alone is not tried.
#[tokio::test]
async fn a_statement_is_prepared_once_and_then_only_bound() {
    let server = Postgres::start_with(&[("log_min_duration_statement", "0")]).unwrap();
    let store = migrated(&server.url(), &alone()).await;
    let all: Vec<Batch> = (0..10).map(|k| batch_of(k, 1 + 40 * k)).collect();
    for given in &all {
        store.store(given).await.unwrap();
        store.ask(&ids(given)).await.unwrap();
    }
    for known in &all {
        store.store(known).await.unwrap();
    }
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    let sql = [
        (include_str!("../../src/adapters/postgres/sql/ask.sql"), [1, 10, 10]),
        (include_str!("../../src/adapters/postgres/sql/store.sql"), [1, 10, 10]),
        (include_str!("../../src/adapters/postgres/sql/add.sql"), [1, 11, 10]),
    ];
    for (sql, expected) in sql {
        let first = sql.lines().next().unwrap();
        let lines: Vec<&str> =
            log.lines().filter(|line| line.ends_with(&format!(": {first}"))).collect();
        let count = |step: &str| lines.iter().filter(|line| line.contains(step)).count();
        let steps = [" ms  parse ", " ms  bind ", " ms  execute "].map(count);
        assert_eq!(steps, expected, "{first}: {lines:?}");
    }
}

/// Whatever was told when the server died, storing the same batch again gives the truth.
#[tokio::test]
async fn a_killed_server_leaves_nothing_but_whole_batches() {
    let server = Postgres::start().unwrap();
    let store = migrated(&server.url(), &alone()).await;
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
    server.kill();
    let (last, error) = writer.await.unwrap();
    assert!(matches!(error, StoreError::Unknown(_) | StoreError::Transient(_)), "{error:?}");
    let down = store.store(&batch_of(last, 500)).await.unwrap_err();
    assert!(matches!(down, StoreError::Unknown(_) | StoreError::Transient(_)), "{down:?}");
    server.restart().unwrap();
    for k in 0..=last {
        let answers = loop {
            match store.store(&batch_of(k, 500)).await {
                Ok(answers) => break answers,
                Err(StoreError::Unknown(_) | StoreError::Transient(_)) => {}
                Err(other) => panic!("{other}"),
            }
        };
        let new = answers.iter().filter(|answer| **answer == Stored::New).count();
        let own = batch_of(k, 500).rows.iter().zip(&answers).all(|(row, answer)| match answer {
            Stored::New => k == last,
            Stored::Kept(kept) => **kept == **row,
            Stored::Replaced(_) => false,
        });
        assert!(own && (new == 0 || new == 500), "batch {k} of {last}: {new} new");
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_unknown_and_the_connection_is_left() {
    let url = shared_postgres().fresh_url().unwrap();
    let direct = migrated(&url, &settings()).await;
    let proxy = Proxy::start(("127.0.0.1", shared_postgres().port())).unwrap();
    let through = url.replace(&shared_postgres().port().to_string(), &proxy.port().to_string());
    let store = AnyStore::connect(&through, &quick()).unwrap();
    store.identity().await.unwrap();
    proxy.black_hole();
    let given = batch_of(0, 10);
    let error = store.store(&given).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    // A new connection finds no answer either, but nothing was sent on it.
    let error = store.store(&given).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    let error = store.ask(&ids(&given)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    proxy.sever();
    proxy.pass();
    assert_eq!(store.store(&given).await.unwrap(), vec![Stored::New; 10]);
    assert_eq!(direct.ask(&ids(&given)).await.unwrap().len(), 10);
}

/// The request arrives, its answer does not: the row is there, and the next try says so.
#[tokio::test]
async fn a_lost_answer_is_found_by_storing_again() {
    let url = shared_postgres().fresh_url().unwrap();
    migrated(&url, &settings()).await;
    let proxy = Proxy::start(("127.0.0.1", shared_postgres().port())).unwrap();
    let through = url.replace(&shared_postgres().port().to_string(), &proxy.port().to_string());
    let store = AnyStore::connect(&through, &quick()).unwrap();
    store.store(&batch_of(0, 10)).await.unwrap();
    proxy.hold(tollbridge_rig::Direction::ToClient);
    let given = batch_of(1, 10);
    let error = store.store(&given).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    proxy.sever();
    proxy.pass();
    for (row, answer) in given.rows.iter().zip(store.store(&given).await.unwrap()) {
        assert_eq!(answer, Stored::Kept(Box::new((**row).clone())));
    }
}

#[tokio::test]
async fn a_server_that_restarts_in_order_is_waited_for() {
    let server = Postgres::start().unwrap();
    let store = migrated(&server.url(), &alone()).await;
    store.store(&batch_of(0, 10)).await.unwrap();
    server.stop().unwrap();
    let error = store.store(&batch_of(1, 10)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_) | StoreError::Unknown(_)), "{error:?}");
    let error = store.store(&batch_of(1, 10)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    server.restart().unwrap();
    assert_eq!(store.store(&batch_of(1, 10)).await.unwrap(), vec![Stored::New; 10]);
}

#[tokio::test]
async fn a_row_that_the_server_refuses_is_poison() {
    let store = migrated(&shared_postgres().fresh_url().unwrap(), &settings()).await;
    // Before the first year that a timestamptz can hold: the first is refused by the server, the second has no
    // bytes to be sent as.
    for (year, why) in [(-300_000_000_000_000_000, "22008"), (i64::MIN, "before")] {
        let bad = Outcome { created_at: Wall(year), ..outcome("bad", 0, 1) };
        let error = store.store(&batch([outcome("good", 0, 3), bad])).await.unwrap_err();
        assert!(matches!(&error, StoreError::Poison(text) if text.contains(why)), "{error:?}");
    }
    assert_eq!(store.ask(&[id("good")]).await.unwrap(), []);
    assert_eq!(store.store(&batch([outcome("good", 0, 3)])).await.unwrap(), [Stored::New]);
}

#[tokio::test]
async fn a_read_only_database_is_transient() {
    let url = shared_postgres().fresh_url().unwrap();
    let writable = migrated(&url, &settings()).await;
    let name = url.rsplit('/').next().unwrap();
    let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    shared_postgres().psql(&sql).unwrap();
    let store = AnyStore::connect(&url, &alone()).unwrap();
    let error = store.store(&batch_of(0, 3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    assert!(matches!(store.check().await, Err(StoreError::Transient(_))));
    assert_eq!(store.ask(&ids(&batch_of(0, 3))).await.unwrap(), []);
    writable.store(&batch_of(0, 3)).await.unwrap();
    // After a failover only a new connection can write; the one that was refused must not be used for ever.
    let sql = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
    shared_postgres().psql(&sql).unwrap();
    let error = store.store(&batch_of(1, 3)).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
    assert_eq!(store.store(&batch_of(1, 3)).await.unwrap(), vec![Stored::New; 3]);
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_transient() {
    let url = shared_postgres().fresh_url().unwrap();
    migrated(&url, &settings()).await;
    // The server is told nine tenths of it: the last tenth must be enough for a busy machine to say so.
    let limited = StoreSettings { timeout: Duration::from_secs(12), ..alone() };
    let store = AnyStore::connect(&url, &limited).unwrap();
    let mut holder = PgConnection::connect(&url).await.unwrap();
    holder.execute("BEGIN; LOCK TABLE transactions").await.unwrap();
    let error = store.store(&batch_of(0, 3)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Transient(why) if why.contains("57014")), "{error:?}");
    holder.execute("COMMIT").await.unwrap();
    assert_eq!(store.store(&batch_of(0, 3)).await.unwrap(), vec![Stored::New; 3]);
}

#[tokio::test]
async fn missing_tables_and_rights_are_permanent_and_say_what_to_do() {
    let url = shared_postgres().fresh_url().unwrap();
    let store = AnyStore::connect(&url, &settings()).unwrap();
    for error in [
        store.identity().await.unwrap_err(),
        store.ask(&[id("a")]).await.unwrap_err(),
        store.store(&batch_of(0, 1)).await.unwrap_err(),
    ] {
        let StoreError::Permanent(why) = &error else { panic!("{error:?}") };
        assert!(why.contains("tollbridge migrate --config"), "{why}");
    }
    store.migrate().await.unwrap();
    shared_postgres().psql_at(&url, "CREATE ROLE guest LOGIN").unwrap();
    let guest = AnyStore::connect(&url.replace("postgres@", "guest@"), &settings()).unwrap();
    let error = guest.store(&batch_of(0, 1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(why) if why.contains("grant")), "{error:?}");
    let nobody = AnyStore::connect(&url.replace("postgres@", "nobody@"), &settings()).unwrap();
    let error = nobody.identity().await.unwrap_err();
    assert!(matches!(error, StoreError::Permanent(_)), "{error:?}");
}

#[tokio::test]
async fn tables_of_a_newer_program_are_refused_unless_they_may_be_used() {
    let url = shared_postgres().fresh_url().unwrap();
    let store = migrated(&url, &settings()).await;
    let set = |what: &str| {
        shared_postgres().psql_at(&url, &format!("UPDATE tollbridge_meta SET {what}")).unwrap();
    };
    set("schema_version = 3");
    assert!(matches!(store.migrate().await, Err(StoreError::Permanent(_))));
    assert_eq!(store.identity().await.unwrap().schema_version, 3);
    set("readable_from = 3");
    assert!(matches!(store.identity().await, Err(StoreError::Permanent(_))));
    set("schema_version = 0, readable_from = 0");
    assert!(matches!(store.identity().await, Err(StoreError::Permanent(_))));
}

/// As the first version left them.
#[tokio::test]
async fn tables_of_an_older_program_are_refused_until_they_are_migrated() {
    let url = shared_postgres().fresh_url().unwrap();
    let store = migrated(&url, &settings()).await;
    let sql = |text: &str| shared_postgres().psql_at(&url, text).unwrap();
    sql(
        "DROP INDEX transactions_in_doubt; DROP TABLE told_resolutions; UPDATE tollbridge_meta SET schema_version = 1",
    );
    let error = store.identity().await.unwrap_err();
    let named = |why: &str| why.contains("version 1") && why.contains("tollbridge migrate");
    assert!(matches!(&error, StoreError::Permanent(why) if named(why)), "{error:?}");
    let migrated = store.migrate().await.unwrap();
    assert_eq!((migrated.from, migrated.to), (Some(1), 2));
    assert_eq!(store.identity().await.unwrap().schema_version, 2);
    assert_eq!(sql("SELECT to_regclass('transactions_in_doubt')"), "transactions_in_doubt");
}

#[tokio::test]
async fn a_server_that_may_lose_rows_is_refused_unless_allowed() {
    let url = shared_postgres().fresh_url().unwrap();
    migrated(&url, &settings()).await;
    let name = url.rsplit('/').next().unwrap();
    let sql = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    shared_postgres().psql(&sql).unwrap();
    let error = AnyStore::connect(&url, &settings()).unwrap().check().await.unwrap_err();
    let named = |why: &str| why.contains("synchronous_commit") && why.contains("allow_lossy");
    assert!(matches!(&error, StoreError::Permanent(why) if named(why)), "{error:?}");
    let allowed = StoreSettings { allow_lossy: true, ..settings() };
    // Held, so that its session is still there to be looked at.
    let store = AnyStore::connect(&url, &allowed).unwrap();
    let health = store.check().await.unwrap();
    assert_eq!(health.lossy, ["synchronous_commit = off"]);
    assert!(health.product.starts_with("PostgreSQL "), "{}", health.product);
    let names = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name = 'tollbridge'";
    assert_eq!(shared_postgres().psql(names).unwrap(), "tollbridge");
    store.close().await;

    let server = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let error = AnyStore::connect(&server.url(), &settings()).unwrap().check().await.unwrap_err();
    assert!(matches!(&error, StoreError::Permanent(why) if why.contains("fsync")), "{error:?}");
}

#[tokio::test]
async fn the_audit_is_kept_and_only_added_to() {
    let url = shared_postgres().fresh_url().unwrap();
    let store = migrated(&url, &settings()).await;
    let doubt = crate::outcomes::with(
        tollbridge::domain::outcome::Fate::InDoubt,
        Some("key_expired"),
        outcome("doubt", 0, 1),
    );
    store.store(&batch([doubt])).await.unwrap();
    let finding = Finding::Charged { gateway_id: "ch_found".into() };
    let resolution = Resolution { id: id("doubt"), finding, by: "ada".into(), at: Wall(5_000_000) };
    for _ in 0..2 {
        store.resolve(&resolution).await.unwrap();
    }
    let lines = "SELECT transaction_id, finding, gateway_id, resolved_by, resolved_at AT TIME ZONE 'UTC', \
                 source_topic, source_partition, source_offset, before_code FROM resolutions";
    assert_eq!(
        shared_postgres().psql_at(&url, lines).unwrap(),
        "doubt|charged|ch_found|ada|1970-01-01 00:00:05|transactions|0|1|key_expired"
    );
    for change in ["DELETE FROM resolutions", "UPDATE resolutions SET resolved_by = 'eve'"] {
        let refused = shared_postgres().psql_at(&url, change).unwrap_err().to_string();
        assert!(refused.contains("only added"), "{refused}");
    }
    let views = "SELECT (SELECT count(*) FROM archived_transactions), \
                 (SELECT count(*) FROM declined_transactions), (SELECT count(*) FROM in_doubt_transactions)";
    assert_eq!(shared_postgres().psql_at(&url, views).unwrap(), "1|0|0");
}
