//! What is kept of a run that was not `ok`. Deliberately everything that was ever looked at to find out why.

use crate::world::World;
use std::fs;
use std::time::Duration;
use tollbridge_rig::{Launch, oracle};

const DUMP_LIMIT: Duration = Duration::from_secs(60);

/// Beside the product's own files: what the services wrote, and what stands on the topics.
pub(crate) fn keep(world: &World) {
    let stack = &world.stack;
    let mut logs = vec![("redis.log".to_owned(), stack.redis.log_path())];
    let brokers = stack.kafka.brokers().iter();
    logs.extend(brokers.map(|broker| (format!("kafka-{}.log", broker.id()), broker.log_path())));
    let postgres = stack.postgres.as_ref();
    logs.extend(postgres.map(|postgres| ("postgres.log".to_owned(), postgres.log_path())));
    let clickhouse = stack.clickhouse.as_ref();
    logs.extend(clickhouse.map(|engine| ("clickhouse.log".to_owned(), engine.log_path())));
    for (name, from) in logs {
        fs::copy(from, stack.file(&name)).ok();
    }
    for topic in ["transactions", "tx-archived", "tx-declined", "tx-dead-letter", "tx-alerts"] {
        let dump = Launch::new("kcat")
            .args(["-C", "-e", "-J", "-q", "-b", &stack.kafka.bootstrap(), "-t", topic])
            .args(["-o", "beginning", "-X", "isolation.level=read_committed"])
            .stdout(stack.file(&format!("{topic}.jsonl")));
        dump.run(DUMP_LIMIT).ok();
    }
    if stack.postgres.is_some() || stack.clickhouse.is_some() {
        let rows = oracle::query(stack, "SELECT * FROM transactions ORDER BY transaction_id");
        fs::write(stack.file("rows.txt"), rows.unwrap_or_else(|e| e.to_string())).ok();
    }
    let commits = stack.kafka.read_committed("__consumer_offsets");
    let commits = commits.unwrap_or_default();
    let commits: Vec<String> = commits.iter().map(|commit| format!("{commit:?}")).collect();
    fs::write(stack.file("offsets.txt"), commits.join("\n")).ok();
}
