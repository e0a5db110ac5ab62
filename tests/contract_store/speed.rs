//! How fast rows go in, to be run by hand on a quiet machine:
//! `cargo test --release --test contract_store speed -- --ignored --nocapture --test-threads 1`.

use std::time::Duration;

use tollbridge::ports::store::Batch;

use crate::outcomes::{batch, ids, outcome};
use crate::subject::{Subject, postgres, sqlite};

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
    for subject in [sqlite().await, postgres().await] {
        measure(&subject).await;
    }
}
