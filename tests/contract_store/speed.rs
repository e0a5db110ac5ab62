//! How fast rows go in, to be run by hand on a quiet machine:
//! `cargo test --release --test contract_store speed -- --ignored --nocapture --test-threads 1`.

use std::time::Duration;

use tollbridge::app::store::AnyStore;
use tollbridge::ports::store::{Batch, Store};

use crate::outcomes::{batch, ids, outcome};
use crate::subject::{Subject, clickhouse, postgres, settings, sqlite};

const BATCHES: i64 = 60;

fn batches(rows: i64) -> Vec<Batch> {
    // Ids that are spread over the index, as real ones are.
    let id =
        |n: i64| format!("tx-{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()));
    (0..BATCHES).map(|k| batch((k * rows..(k + 1) * rows).map(|n| outcome(id(n), 3, n)))).collect()
}

fn rate(rows: i64, elapsed: Duration) -> String {
    let rows = f64::from(i32::try_from(rows).unwrap());
    format!(
        "{:>7.0} rows/s, {:>5.1} us/row",
        rows / elapsed.as_secs_f64(),
        elapsed.as_secs_f64() / rows * 1e6
    )
}

async fn measure(subject: &Subject) {
    for rows in [100, 1_000] {
        let batches: Vec<Batch> = batches(rows);
        let total = rows * BATCHES;
        let name = subject.name();
        for what in ["new", "again"] {
            let begun = tokio::time::Instant::now();
            for batch in &batches {
                subject.store(batch).await.unwrap();
            }
            println!("{name}, {rows} a batch, {what}: {}", rate(total, begun.elapsed()));
        }
        let begun = tokio::time::Instant::now();
        for batch in &batches {
            assert_eq!(subject.ask(&ids(batch)).await.unwrap().len(), batch.rows.len());
        }
        println!("{name}, {rows} a question: {}", rate(total, begun.elapsed()));
        let absent: Vec<Vec<_>> = batches
            .iter()
            .map(|b| {
                b.rows
                    .iter()
                    .map(|r| crate::outcomes::id(format!("n{}", r.transaction_id)))
                    .collect()
            })
            .collect();
        let begun = tokio::time::Instant::now();
        for ids in &absent {
            assert_eq!(subject.ask(ids).await.unwrap(), []);
        }
        println!("{name}, {rows} a question, none there: {}", rate(total, begun.elapsed()));
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn rows_per_second() {
    for subject in [sqlite().await, postgres().await, clickhouse().await] {
        measure(&subject).await;
    }
}

/// What a question for a thousand ids costs ClickHouse beside some million rows: `ROWS=` of them.
#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_asking_clickhouse() {
    #[expect(clippy::disallowed_methods, reason = "how a measurement is told its size")]
    let rows = std::env::var("ROWS").map_or(4_000_000, |rows| rows.parse::<u64>().unwrap());
    let engine = tollbridge_rig::shared_clickhouse();
    let url = engine.fresh_url().unwrap();
    let store = AnyStore::connect(&url, &settings()).unwrap();
    store.migrate().await.unwrap();
    for first in (0..rows).step_by(100_000) {
        engine.query_at(&url, &format!(
            "INSERT INTO transactions SELECT leftPad(toString(number), 32, '0'), 'archived', \
             'tx-' || lower(hex(sipHash64(number))), 'account-' || toString(number % 100), number % 1000 + 1, 'EUR', \
             'ch_' || leftPad(toString(number), 16, '0'), NULL, 1, 'transactions', number % 8, number, \
             lower(hex(SHA256(toString(number)))), now64(6), now64(6), now64(6), now64(6), 0 \
             FROM numbers({first}, 100000)"
        )).unwrap();
    }
    let parts = "SELECT count(), sum(rows), sum(marks), sum(bytes_on_disk), sum(primary_key_bytes_in_memory), \
                 sum(secondary_indices_compressed_bytes) FROM system.parts \
                 WHERE active AND database = currentDatabase() AND table = 'transactions'";
    let parts = engine.query_at(&url, parts).unwrap();
    println!("parts|rows|granules|bytes|key in memory|index: {parts}");
    for (what, salt) in [("there", "number"), ("not there", "number + 1000000000")] {
        for count in [1, 100, 1_000] {
            let pick = format!(
                "SELECT 'tx-' || lower(hex(sipHash64(intHash64({salt}) % {rows} \
                 + if({salt} < 1000000000, 0, {rows})))) \
                 FROM numbers({count})"
            );
            let names = engine.query_at(&url, &pick).unwrap();
            let ids: Vec<_> = names.lines().map(crate::outcomes::id).collect();
            let mut spent: Vec<Duration> = Vec::new();
            for _ in 0..7 {
                let begun = tokio::time::Instant::now();
                store.ask(&ids).await.unwrap();
                spent.push(begun.elapsed());
            }
            spent.sort();
            let list: Vec<String> = names.lines().map(|name| format!("'{name}'")).collect();
            let explain = format!(
                "EXPLAIN indexes = 1 SELECT * FROM transactions WHERE transaction_id IN [{}]",
                list.join(",")
            );
            let plan = engine.query_at(&url, &explain).unwrap();
            let granules: Vec<&str> =
                plan.lines().filter_map(|line| line.trim().strip_prefix("Granules: ")).collect();
            println!(
                "{count} {what}: {:?} (of 7: {:?} to {:?}), granules by key, then by bloom filter: {granules:?}",
                spent[3], spent[0], spent[6]
            );
        }
    }
}
