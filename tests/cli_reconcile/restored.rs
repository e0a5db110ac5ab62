//! `rebuild` after a database was restored from a backup of half time: the balance names what is missing, the rows are
//! made again as they were, once, and what is published again is a duplicate. A row that says something else stays,
//! and another store is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use tollbridge::adapters::kafka::{Feed, Feeder};
use tollbridge::app::settings;
use tollbridge::domain::id::Partition;
use tollbridge_rig::Store;

use crate::world::{Place, count};

#[test]
fn a_restored_sqlite_file_is_rebuilt_from_the_events() {
    story(&Place::new(Store::Sqlite));
}

#[test]
fn a_restored_postgres_database_is_rebuilt_from_the_events() {
    story(&Place::new(Store::Postgres));
}

#[test]
fn restored_tables_of_clickhouse_are_rebuilt_from_the_events() {
    story(&Place::new(Store::Clickhouse));
}

const MIX: &str = "declined=5%,invalid=3%,duplicate=5%,conflict=2%";

fn story(place: &Place) {
    place.generate(&["--count", "150", "--seed", "3", "--mix", MIX]);
    for doubt in ["charged-early-", "open-early-"] {
        place.generate(&["--count", "1", "--start-id", doubt]);
    }
    work_off(place);
    place.balances();
    nothing_to_do(place);
    let (open, again) = (place.one("in_doubt", "open-early-").1, place.one("archived", "tx-").1);
    back_up(place);
    let at_half_time = rows(place, "transactions");

    // Doubts that end after the backup, one of them in a second doubt at another place.
    resolve(place, "charged-early-", true);
    resolve(place, "open-early-", false);
    publish_again(place, &open);
    publish_again(place, &again);
    place.generate(&["--count", "150", "--seed", "4", "--mix", MIX]);
    for doubt in ["charged-late-", "open-late-", "open-left-"] {
        place.generate(&["--count", "1", "--start-id", doubt]);
    }
    work_off(place);
    resolve(place, "charged-late-", true);
    resolve(place, "open-late-", false);
    let whole = place.balances();
    let at_the_end = rows(place, "transactions");
    let (audit, sources) = (rows(place, "resolutions"), rows(place, "sources"));
    assert_eq!((audit.len(), count(&whole, "in_doubt")), (4, 6));

    restore(place);
    place.sql("DELETE FROM sources WHERE partition = 1");
    assert_eq!(rows(place, "transactions"), at_half_time);
    let lost = names_what_is_lost(place, &at_half_time, &at_the_end);
    dry_run_changes_nothing(place, &at_half_time, lost);

    let done = rebuild(place, 0, &[]);
    assert_eq!((&done["complete"], &done["resolutions"]), (&true.into(), &4.into()), "{done}");
    assert_eq!(rows(place, "transactions"), at_the_end);
    assert_eq!((rows(place, "resolutions"), rows(place, "sources")), (audit, sources));
    assert_eq!(count(&place.balances(), "consumed"), count(&whole, "consumed"));
    nothing_to_do(place);

    published_again_it_is_a_duplicate(place);
    a_row_that_says_something_else_stays(place);
    another_store_is_refused(place);
    missing_services(place);
}

/// What a test holds of each row, by its id. The times of an open doubt are told by no event.
fn rows(place: &Place, table: &str) -> BTreeMap<String, String> {
    let columns = match table {
        "transactions" => {
            "transaction_id, event_id, fate, account_id, amount, currency, gateway_id, code, attempts, source_topic, \
             source_partition, source_offset, payload_hash, created_at, \
             CASE WHEN fate = 'in_doubt' AND code <> 'not_charged' THEN NULL ELSE admitted_at END, \
             CASE WHEN fate = 'in_doubt' AND code <> 'not_charged' THEN NULL ELSE decided_at END, \
             CASE WHEN fate = 'in_doubt' AND code <> 'not_charged' THEN NULL ELSE stored_at END"
        }
        "resolutions" => {
            "transaction_id, finding, gateway_id, resolved_at, source_partition, source_offset, before_code"
        }
        _ => "partition, start_offset, consumer_group, topic",
    };
    let text = place.sql(&format!("SELECT {columns} FROM {table} ORDER BY 1"));
    let pair = |line: &str| {
        let (id, rest) = line.split_once('|').unwrap();
        (id.to_owned(), rest.to_owned())
    };
    text.lines().map(pair).collect()
}

fn work_off(place: &Place) {
    place.ends(0, "run", &["--until-idle", "1s"]);
}

fn resolve(place: &Place, prefix: &str, charged: bool) {
    let (_, id) = place.one("in_doubt", prefix);
    if charged {
        let charges = place.charges(&id);
        let charge = charges[0]["id"].as_str().unwrap();
        place.ends(0, "resolve", &[&id, "--charged", charge, "--by", "ada"]);
    } else {
        place.ends(0, "resolve", &[&id, "--not-charged", "--by", "ada"]);
    }
}

fn publish_again(place: &Place, id: &str) {
    let records = place.stack.kafka.read_committed("transactions").unwrap();
    let record = records.iter().find(|record| record.key.as_deref() == Some(id.as_bytes()));
    let record = record.unwrap();
    let feeder = Feeder::new(&settings::kafka(&place.loaded())).unwrap();
    let feed = Feed {
        topic: "transactions",
        partition: Some(Partition(0)),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &[],
        timestamp_ms: None,
    };
    feeder.send(&feed).unwrap();
    feeder.flush().unwrap();
}

/// What changes in a database.
const TABLES: [&str; 3] = ["transactions", "resolutions", "sources"];

/// A copy of the whole database, as a backup is one.
fn back_up(place: &Place) {
    if place.stack.clickhouse.is_some() {
        for table in TABLES {
            place.sql(&format!("CREATE TABLE half_{table} AS SELECT * FROM {table}"));
        }
        return;
    }
    match &place.stack.postgres {
        Some(postgres) => {
            let outside = postgres.url_of("template1");
            postgres.psql_at(&outside, "CREATE DATABASE half TEMPLATE postgres").unwrap();
        }
        None => {
            drop(place.sql(&format!("VACUUM INTO '{}'", place.stack.file("half.db").display())))
        }
    }
}

fn restore(place: &Place) {
    if let Some(clickhouse) = &place.stack.clickhouse {
        for table in TABLES {
            clickhouse.query(&format!("TRUNCATE TABLE {table}")).unwrap();
            place.sql(&format!("INSERT INTO {table} SELECT * FROM half_{table}"));
        }
        return;
    }
    if let Some(postgres) = &place.stack.postgres {
        let outside = postgres.url_of("template1");
        for sql in ["DROP DATABASE postgres", "ALTER DATABASE half RENAME TO postgres"] {
            postgres.psql_at(&outside, sql).unwrap();
        }
        return;
    }
    for rest in ["tollbridge.db-wal", "tollbridge.db-shm"] {
        std::fs::remove_file(place.stack.file(rest)).ok();
    }
    std::fs::copy(place.stack.file("half.db"), place.stack.file("tollbridge.db")).unwrap();
}

/// Each id whose row is missing or older than it was; how many.
fn names_what_is_lost(
    place: &Place,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> usize {
    let (report, found) = place.reconcile(3, &place.stack.ledger());
    assert_eq!(report["balanced"], false);
    let named: BTreeSet<&str> = found.iter().filter_map(|f| f.split(' ').nth(2)).collect();
    let is_lost = |id: &&String| before.get(*id) != after.get(*id);
    let lost: Vec<&String> = after.keys().filter(is_lost).collect();
    assert!(lost.iter().all(|id| named.contains(id.as_str())), "{lost:?}, {named:?}");
    for id in after.keys().filter(|id| !before.contains_key(*id)) {
        assert!(
            found.iter().any(|f| f.starts_with("no-row ") && f.ends_with(id)),
            "{id}: {found:?}"
        );
    }
    assert!(lost.len() > 100, "{lost:?}");
    lost.len()
}

/// The summary of a run that ends with this code.
#[track_caller]
fn rebuild(place: &Place, code: i32, args: &[&str]) -> Value {
    let patience = ["--json", "--set=kafka.request_timeout=15s"];
    let timeouts = ["--set=kafka.transaction_timeout=20s", "--set=kafka.session_timeout=30s"];
    let text = place.ends(code, "rebuild", &[&patience[..], &timeouts, args].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn nothing_to_do(place: &Place) {
    let done = rebuild(place, 0, &[]);
    let nothing = (&done["rows"], &done["resolutions"], &done["first_offsets"], &done["found"]);
    let none = Value::from(0);
    let (no_rows, no_offsets) = (serde_json::json!({}), serde_json::json!([]));
    assert_eq!(nothing, (&no_rows, &none, &no_offsets, &none), "{done}");
    let stood: u64 = place.sql("SELECT count(*) FROM transactions").parse().unwrap();
    assert_eq!(done["rows_stood"], stood);
    let text = place.ends(0, "rebuild", &[]);
    assert!(text.contains("complete: nothing was missing"), "{text}");
}

fn dry_run_changes_nothing(place: &Place, before: &BTreeMap<String, String>, lost: usize) {
    let text = place.ends(0, "rebuild", &["--dry-run"]);
    assert!(text.contains("\nwould be complete; nothing was written"), "{text}");
    let planned: BTreeSet<&str> = text
        .lines()
        .filter(|l| l.starts_with("row "))
        .filter_map(|l| l.split_whitespace().nth(2))
        .collect();
    assert_eq!(planned.len(), lost, "{text}");
    let report = rebuild(place, 0, &["--dry-run"]);
    assert_eq!(report["first_offsets"][0]["partition"], 1, "{report}");
    assert_eq!(&rows(place, "transactions"), before);
    assert_eq!(rows(place, "resolutions").len(), 0);
    assert_eq!(place.sql("SELECT count(*) FROM sources"), "3");
}

fn published_again_it_is_a_duplicate(place: &Place) {
    let (_, id) = place.one("archived", "tx-4-");
    let before = place.balances();
    let charges = place.charges(&id);
    publish_again(place, &id);
    work_off(place);
    let after = place.balances();
    assert_eq!(count(&after, "duplicate"), count(&before, "duplicate") + 1);
    assert_eq!(count(&after, "gateway_charges"), count(&before, "gateway_charges"));
    assert_eq!((place.charges(&id), charges.len()), (charges, 1));
    nothing_to_do(place);
}

fn a_row_that_says_something_else_stays(place: &Place) {
    let (_, id) = place.one("archived", "tx-");
    let (_, gone) = place.one("declined", "tx-");
    place
        .sql(&format!("UPDATE transactions SET amount = amount + 1 WHERE transaction_id = '{id}'"));
    place.sql(&format!("DELETE FROM transactions WHERE transaction_id = '{gone}'"));
    let spoilt = rows(place, "transactions")[&id].clone();
    let report = rebuild(place, 3, &[]);
    let finding = &report["findings"][0];
    assert_eq!((&report["found"], &report["complete"]), (&1.into(), &false.into()), "{report}");
    let (flaw, of) = (finding["flaw"].as_str(), finding["transaction_id"].as_str());
    assert_eq!((flaw, of), (Some("other-row"), Some(&*id)));
    assert_eq!(rows(place, "transactions")[&id], spoilt);
    // The others are made all the same.
    assert_eq!(report["rows"]["declined"], 1);
    place
        .sql(&format!("UPDATE transactions SET amount = amount - 1 WHERE transaction_id = '{id}'"));
    nothing_to_do(place);
}

/// Also a new and empty one, until it is given the group's id; then all rows are made, from nothing.
fn another_store_is_refused(place: &Place) {
    let file = place.stack.file("new.db");
    let new = format!("store.url=sqlite:{}", file.display());
    let made = place.ends(0, "migrate", &["--set", &new]);
    let refused = place.ends(78, "rebuild", &["--set", &new]);
    assert!(refused.contains("the group works with store"), "{refused}");
    assert!(refused.contains("A store that was lost"), "{refused}");
    assert!(refused.contains(made.trim().rsplit(' ').next().unwrap()), "{refused}");

    let id = place.sql("SELECT store_id FROM tollbridge_meta");
    let sql = format!("UPDATE tollbridge_meta SET store_id = '{id}'");
    assert!(Command::new("sqlite3").arg(&file).arg(sql).status().unwrap().success());
    let report = rebuild(place, 0, &["--set", &new]);
    let made: u64 = report["rows"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(made, rows(place, "transactions").len() as u64);
    assert_eq!(report["first_offsets"].as_array().unwrap().len(), 4);
    let ledger = place.stack.ledger();
    let text = place.ends(0, "reconcile", &["--set", &new, "--ledger", ledger.to_str().unwrap()]);
    assert!(text.contains("\nbalanced: "), "{text}");
}

fn missing_services(place: &Place) {
    let brokers = ["--set", "kafka.brokers=127.0.0.1:1", "--set", "kafka.request_timeout=2s"];
    let gone = place.ends(69, "rebuild", &brokers);
    assert!(gone.contains("kafka"), "{gone}");
    let store = format!("store.url=sqlite:{}", place.stack.file("nowhere.db").display());
    let gone = place.ends(69, "rebuild", &["--set", &store]);
    assert!(gone.contains("store"), "{gone}");
    let strangers = place.ends(1, "rebuild", &["--set", "kafka.group_id=strangers"]);
    assert!(strangers.contains("the group strangers has committed nothing"), "{strangers}");
}
