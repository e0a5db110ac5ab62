//! What a rate takes on many machines, computed from what a transaction was measured to cost on one (s1): processes,
//! partitions, Redis servers, brokers, the store, and which of them is the first that can't be had twice. Nothing here
//! is measured; what is assumed beside the figures stands in [`ASSUMED`] and is printed with the table.

use tollbridge_rig::{Error, Result};

use super::findings::Results;

/// What is taken as given.
#[derive(Debug, Clone, Copy)]
pub struct Assumed {
    /// Of each core, how much is planned for: the rest is for bursts, and for the share of what has failed.
    pub busy: f64,
    /// How long the gateway takes, seconds.
    pub gateway: f64,
    /// Copies of each partition of Kafka. Each is taken to cost as much as the one that was measured, which is more
    /// than a follower costs.
    pub copies: f64,
    /// Partitions for each process: so much of a process's share moves at a time when it goes.
    pub partitions: f64,
    pub cores_of_a_broker: f64,
    pub cores_of_the_store: f64,
    /// What the store's disk takes in order, bytes a second.
    pub disk: f64,
}

pub const ASSUMED: Assumed = Assumed {
    busy: 0.6,
    gateway: 0.05,
    copies: 3.0,
    partitions: 4.0,
    cores_of_a_broker: 16.0,
    cores_of_the_store: 64.0,
    disk: 1.5e9,
};

/// CPU time of each part, microseconds a transaction; what PostgreSQL writes ahead, bytes.
#[derive(Debug, Clone, Copy)]
struct Costs {
    processor: f64,
    redis: f64,
    kafka: f64,
    postgres: f64,
    wal: f64,
}

/// The table for so many transactions a second, from the newest results that have a2.
pub fn of(rate: &str) -> Result<String> {
    let rate: f64 = rate.parse().ok().filter(|rate| *rate >= 1.0).ok_or_else(|| {
        Error::new(format!("RATE is {rate:?}, not a number of transactions a second"))
    })?;
    let results = Results::newest_with(&["a2"])?;
    let measured = |what| results.value("a2", what);
    let costs = Costs {
        processor: measured("processor (c0)")?,
        redis: measured("Redis (c3)")?,
        kafka: measured("Kafka")?,
        postgres: measured("PostgreSQL")?,
        wal: measured("PostgreSQL, written ahead")?,
    };
    Ok(format!("{}\nmeasured: a2 in {}", table(rate, &costs, &ASSUMED), results.file().display()))
}

/// So many of a part that each take so much.
fn parts(rate: f64, of_each: f64) -> f64 {
    (rate / of_each).ceil().max(1.0)
}

fn table(rate: f64, costs: &Costs, given: &Assumed) -> String {
    // What one core takes of a part that costs so much.
    let of_a_core = |cost: f64| given.busy * 1e6 / cost;
    // A processor and a Redis server work on one thread.
    let processes = parts(rate, of_a_core(costs.processor));
    let shards = parts(rate, of_a_core(costs.redis));
    let of_a_broker = given.cores_of_a_broker * of_a_core(costs.kafka * given.copies);
    let by_cores = given.cores_of_the_store * of_a_core(costs.postgres);
    let by_disk = given.busy * given.disk / costs.wal;
    let of_the_store = by_cores.min(by_disk);
    let by = if by_disk < by_cores { "its disk" } else { "its cores" };
    let groups = parts(rate, of_the_store);
    let brokers = parts(rate, of_a_broker).max(given.copies);
    let per_tx = costs.processor + costs.redis + costs.kafka * given.copies + costs.postgres;
    let rows = [
        ("processes, one core each", processes, Some(of_a_core(costs.processor)), "more of them"),
        ("partitions", processes * given.partitions, None, "more of them, from the start"),
        ("Redis masters", shards, Some(of_a_core(costs.redis)), "more of them (cluster)"),
        ("brokers", brokers, Some(of_a_broker), "more of them"),
        ("PostgreSQL servers", groups, Some(of_the_store), "a group, and its topic, for each"),
        ("calls at once", rate * given.gateway, None, "the gateway"),
    ];
    let mut lines = vec![
        format!("{rate:.0} transactions a second"),
        format!("{:<26} {:>9} {:>14}  more by", "part", "how many", "one takes, /s"),
    ];
    lines.extend(rows.into_iter().map(|(name, count, each, more)| {
        let each = each.map_or_else(String::new, |each| format!("{each:.0}"));
        format!("{name:<26} {count:>9.0} {each:>14}  {more}")
    }));
    lines.push(format!(
        "the first that a group can't have twice: the store, at {of_the_store:.0} a second by {by}"
    ));
    lines.push(format!(
        "a billion transactions: {:.1} hours of a core, the gateway's not counted",
        per_tx * 1e9 / 1e6 / 3600.0
    ));
    lines.push(format!(
        "assumed: {:.0} % of a core planned for, a gateway of {:.0} ms, {} copies in Kafka, brokers of {} cores, a \
         store of {} cores and {:.1} GB/s",
        given.busy * 100.0,
        given.gateway * 1e3,
        given.copies,
        given.cores_of_a_broker,
        given.cores_of_the_store,
        given.disk / 1e9,
    ));
    lines.join("\n")
}
