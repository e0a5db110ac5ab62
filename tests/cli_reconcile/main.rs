//! `reconcile`, `resolve`, `trace` and `rebuild` after a real run: Kafka, Redis, SQLite, PostgreSQL or ClickHouse, the
//! simulator's ledger. What was processed must balance, and each defect that is planted in the real data must be found
//! and named.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod restored;
mod world;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use tollbridge::adapters::kafka::{Feed, Feeder};
use tollbridge::app::settings;
use tollbridge::app::store::AnyStore;
use tollbridge::domain::id::TransactionId;
use tollbridge::domain::record::Header;
use tollbridge::domain::resolution::{Finding, Resolution};
use tollbridge::domain::time::Wall;
use tollbridge_rig::stack::OUTCOMES;
use tollbridge_rig::{Store, wait_until};
use world::{LIMIT, Place, count};

#[test]
fn a_run_on_sqlite_balances_and_every_defect_is_named() {
    story(&Place::new(Store::Sqlite));
}

#[test]
fn a_run_on_postgres_balances_and_every_defect_is_named() {
    story(&Place::new(Store::Postgres));
}

#[test]
fn a_run_on_clickhouse_balances_and_every_defect_is_named() {
    story(&Place::new(Store::Clickhouse));
}

fn story(place: &Place) {
    let mix = "invalid=3%,duplicate=5%,conflict=2%";
    place.generate(&["--count", "400", "--seed", "3", "--mix", mix]);
    // Ids that are published once, for the defects.
    place.generate(&["--count", "5", "--start-id", "plain-"]);
    place.generate(&["--count", "1", "--start-id", "charged-"]);
    place.generate(&["--count", "1", "--start-id", "open-"]);
    let before = place.balances();
    assert_eq!((count(&before, "consumed"), count(&before, "waiting")), (0, 407));

    place.ends(0, "run", &["--until-idle", "1s"]);
    let after = place.balances();
    assert_eq!((count(&after, "consumed"), count(&after, "waiting")), (407, 0));
    assert_eq!((count(&after, "events"), count(&after, "in_doubt")), (407, 2));
    let fates = ["archived", "declined", "duplicate", "rejected", "in_doubt"];
    assert_eq!(fates.map(|fate| count(&after, fate)).iter().sum::<u64>(), 407);
    assert!(fates.iter().all(|fate| count(&after, fate) > 0), "{after}");

    resolved_as_charged(place);
    resolved_as_not_charged(place);
    traced(place);
    behind_an_open_transaction(place);
    planted_rows(place);
    planted_charges(place);
    planted_event(place);
    missing_services(place);
}

fn resolved_as_charged(place: &Place) {
    let (_, id) = place.one("in_doubt", "charged-");
    let charge = place.charges(&id);
    let gateway_id = charge[0]["id"].as_str().unwrap();
    let word = [id.as_str(), "--charged", gateway_id, "--by", "ada"];
    let said = place.ends(0, "resolve", &word);
    assert!(said.contains("reported on tx-archived, noted as said by ada"), "{said}");
    assert_eq!(place.one("archived", "charged-").1, id);
    place.balances();

    let again = place.ends(0, "resolve", &word);
    assert!(again.contains("an earlier run did all of it"), "{again}");
    let events = place.stack.kafka.read_committed(OUTCOMES[0]).unwrap();
    let resolutions = events.iter().filter(|event| event.header("tollbridge-resolves").is_some());
    assert_eq!(resolutions.count(), 1);
    place.balances();

    let other = place.ends(1, "resolve", &[&id, "--not-charged", "--by", "bob"]);
    assert!(other.contains("was resolved as charged"), "{other}");
    let (_, archived) = place.one("archived", "tx-");
    let refused = place.ends(1, "resolve", &[&archived, "--not-charged", "--by", "bob"]);
    assert!(refused.contains("is archived, not in_doubt"), "{refused}");
    let nobody = place.ends(1, "resolve", &["nobody", "--not-charged", "--by", "bob"]);
    assert!(nobody.contains("nobody has no row"), "{nobody}");
    let audit =
        place.sql("SELECT transaction_id, finding, gateway_id, resolved_by FROM resolutions");
    assert_eq!(audit, format!("{id}|charged|{gateway_id}|ada"));
}

/// The process died between row and event: the balance says so, and the same word again mends it.
fn resolved_as_not_charged(place: &Place) {
    let (spot, id) = place.one("in_doubt", "open-");
    assert_eq!(place.charges(&id), Vec::<Value>::new());
    let config = place.loaded();
    let resolution = Resolution {
        id: TransactionId::parse(&id).unwrap(),
        finding: Finding::NotCharged,
        by: "ada".into(),
        at: Wall(1_800_000_000_000_000),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = AnyStore::of(&config.store).unwrap();
        assert!(!store.resolve(&resolution).await.unwrap().repeated);
        store.close().await;
    });
    place.finds(&place.stack.ledger(), &[format!("no-resolution {spot} {id}")]);

    let word = [id.as_str(), "--not-charged", "--by", "ada"];
    let said = place.ends(0, "resolve", &word);
    assert!(
        said.contains("an earlier run changed the row, now it is reported on tx-declined"),
        "{said}"
    );
    let again = place.ends(0, "resolve", &word);
    assert!(again.contains("nothing was changed"), "{again}");
    assert_eq!(count(&place.balances(), "in_doubt"), 2);
}

fn traced(place: &Place) {
    let (spot, id) = place.one("archived", "tx-");
    let text = place.ends(0, "trace", &[&id]);
    for needle in
        [format!("source  {spot}  "), "row     archived".into(), "event   tx-archived/".into()]
    {
        assert!(text.contains(&needle), "{needle:?} is not in {text}");
    }
    let (_, open) = place.one("in_doubt", "open-");
    let life: Value = serde_json::from_str(&place.ends(0, "trace", &["--json", &open])).unwrap();
    assert_eq!(life["sources"][0]["state"], "finished");
    assert_eq!(life["row"]["code"], "not_charged");
    let fates: Vec<_> = life["events"].as_array().unwrap().iter().map(|e| &e["fate"]).collect();
    assert_eq!(fates, ["in_doubt", "declined"]);
    assert!(life["events"][1]["resolves"] == life["events"][0]["event_id"], "{life}");
    let nobody = place.ends(1, "trace", &["nobody"]);
    assert!(nobody.contains("neither the topics nor the queues nor the store know it"), "{nobody}");

    // While the gateway is away, a transaction waits in the temp queue, and the balance holds all the same.
    place.stack.kill_simulator();
    // With a key that lives longer: what an earlier process may have asked for is asked for again, not doubted.
    let processor = place.stack.command("run", &place.config);
    let processor = processor.args(["--set", "gateway.key_ttl=24h"]);
    let processor = processor.log(place.stack.file("late.log")).start().unwrap();
    place.generate(&["--count", "1", "--start-id", "late-"]);
    let late = place.stack.kafka.read_committed("transactions").unwrap();
    let late = late.iter().find(|r| r.key.as_deref().is_some_and(|k| k.starts_with(b"late-")));
    let late = String::from_utf8(late.unwrap().key.clone().unwrap()).unwrap();
    let life =
        || -> Value { serde_json::from_str(&place.ends(0, "trace", &["--json", &late])).unwrap() };
    wait_until("an entry of the temp queue", LIMIT, || life()["queues"][0]["queue"] == "temp")
        .unwrap();
    let waiting = place.balances();
    assert_eq!((count(&waiting, "waiting"), count(&waiting, "consumed")), (1, 407));
    place.stack.start_simulator().unwrap();
    wait_until("its row", LIMIT, || life()["row"]["fate"] == "archived").unwrap();
    wait_until("its end", LIMIT, || life()["sources"][0]["state"] == "finished").unwrap();
    assert!(processor.terminate(LIMIT).unwrap().success());
    assert_eq!(count(&place.balances(), "consumed"), 408);
}

/// A killed process leaves a transaction open: until the brokers abort it, readers see nothing behind it, though
/// others report and commit. That is no missing event: the balance waits for it.
fn behind_an_open_transaction(place: &Place) {
    let dead: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", place.stack.kafka.bootstrap())
        .set("transactional.id", "killed")
        .set("transaction.timeout.ms", "300000")
        .create()
        .unwrap();
    dead.init_transactions(LIMIT).unwrap();
    dead.begin_transaction().unwrap();
    for partition in 0..i32::try_from(place.stack.partitions()).unwrap() {
        let record = BaseRecord::<(), str>::to(OUTCOMES[0]).partition(partition).payload("{}");
        dead.send(record).unwrap();
    }
    dead.flush(LIMIT).unwrap();
    place.generate(&["--count", "20", "--start-id", "behind-"]);
    // With a key that lives longer, so that they are archived, not doubted.
    place.ends(0, "run", &["--until-idle", "200ms", "--set", "gateway.key_ttl=24h"]);
    let report = std::thread::scope(|scope| {
        let balance = scope.spawn(|| place.balances());
        std::thread::sleep(Duration::from_secs(5));
        dead.abort_transaction(LIMIT).unwrap();
        balance.join().unwrap()
    });
    assert_eq!((count(&report, "consumed"), count(&report, "waiting")), (428, 0));
}

fn planted_rows(place: &Place) {
    let ledger = place.stack.ledger();
    let (spot, id) = place.one("archived", "plain-");
    let of = format!("WHERE transaction_id = '{id}'");
    place.sql(&format!("CREATE TABLE kept AS SELECT * FROM transactions {of}"));
    place.sql(&format!("DELETE FROM transactions {of}"));
    place.finds(&ledger, &[format!("no-row {spot} {id}")]);
    place.sql("INSERT INTO transactions SELECT * FROM kept");
    place.balances();

    place.sql(&format!("UPDATE transactions SET amount = amount + 1 {of}"));
    // The charge no longer agrees with the row either.
    let expected = [format!("other-row {spot} {id}"), format!("other-charge {spot} {id}")];
    place.finds(&ledger, &expected);
    place.sql(&format!("UPDATE transactions SET amount = amount - 1, gateway_id = 'ch_x' {of}"));
    place.finds(&ledger, &[format!("other-row {spot} {id}")]);
    place.sql(&format!("DELETE FROM transactions {of}"));
    place.sql("INSERT INTO transactions SELECT * FROM kept");
    place.balances();
}

fn planted_charges(place: &Place) {
    let (spot, id) = place.one("archived", "plain-");
    let charge = &place.charges(&id)[0];
    let good = std::fs::read_to_string(place.stack.ledger()).unwrap();
    let forged = place.stack.file("forged.jsonl");
    std::fs::write(&forged, format!("{good}{charge}\n")).unwrap();
    place.finds(&forged, &[format!("two-charges {spot} {id}")]);

    let without: String = good
        .lines()
        .filter(|line| !line.contains(&format!("{id:?}")))
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(&forged, without).unwrap();
    place.finds(&forged, &[format!("no-charge {spot} {id}")]);

    let (spot, id) = place.one("declined", "tx-");
    let mut line = charge.clone();
    line["transaction_id"] = Value::from(id.as_str());
    line["key"] = Value::from(id.as_str());
    std::fs::write(&forged, format!("{good}{line}\n")).unwrap();
    place.finds(&forged, &[format!("charged-anyway {spot} {id}")]);

    let csv = good.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).map(|l| {
        format!("{},{},{},{}\n", l["transaction_id"], l["amount"], l["currency"], l["outcome"])
    });
    let csv: String =
        std::iter::once("ref,minor,currency,outcome\n".to_owned()).chain(csv).collect();
    let path = place.stack.file("ledger.csv");
    std::fs::write(&path, csv).unwrap();
    let columns = ["--ledger-columns", "transaction_id=ref,amount=minor"];
    let args = [&["--ledger", path.to_str().unwrap()], &columns[..]].concat();
    let text = place.ends(0, "reconcile", &args);
    assert!(text.contains("\nbalanced: 428 records finished, 0 waiting"), "{text}");
}

/// An event that stands twice can't be taken back, so this comes last.
fn planted_event(place: &Place) {
    let events = place.stack.kafka.read_committed(OUTCOMES[0]).unwrap();
    let event = events.iter().find(|event| event.header("tollbridge-resolves").is_none()).unwrap();
    let headers: Vec<Header> = event
        .headers
        .iter()
        .map(|(name, value)| Header {
            name: name.clone().into(),
            value: value.clone().map(Into::into),
        })
        .collect();
    let feeder = Feeder::new(&settings::kafka(&place.loaded())).unwrap();
    let feed = Feed {
        topic: OUTCOMES[0],
        partition: None,
        key: event.key.as_deref(),
        value: event.value.as_deref(),
        headers: &headers,
        timestamp_ms: None,
    };
    feeder.send(&feed).unwrap();
    feeder.flush().unwrap();
    let told: Value = serde_json::from_slice(event.value.as_ref().unwrap()).unwrap();
    let (partition, offset) = (&told["source_partition"], &told["source_offset"]);
    let id = told["transaction_id"].as_str().unwrap();
    place.finds(&place.stack.ledger(), &[format!("two-events {partition}/{offset} {id}")]);
    let text = place.ends(3, "reconcile", &[]);
    let needle = format!("OFF  two-events               {partition}/{offset} ");
    assert!(text.starts_with(&needle), "{text}");
    assert!(text.contains("no ledger was given"), "{text}");
}

fn missing_services(place: &Place) {
    let brokers = ["--set", "kafka.brokers=127.0.0.1:1", "--set", "kafka.request_timeout=2s"];
    let gone = place.ends(69, "reconcile", &brokers);
    assert!(gone.contains("kafka"), "{gone}");
    let store = format!("store.url=sqlite:{}", place.stack.file("nowhere.db").display());
    let gone = place.ends(69, "reconcile", &["--set", &store]);
    assert!(gone.contains("store"), "{gone}");
    let ledger = place.ends(1, "reconcile", &["--ledger", "/nowhere.jsonl"]);
    assert!(ledger.contains("--ledger /nowhere.jsonl"), "{ledger}");
}
