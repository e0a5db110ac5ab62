//! What an entry costs in time on a real Redis. A measurement, not a test: `cargo test --release --test
//! contract_queue -- --ignored --nocapture`.

use std::time::Instant;

use tollbridge::ports::queue::Queue;
use tollbridge_rig::RedisOptions;

use crate::values::{E, P, keys, many};
use crate::world::{Real, run};

#[test]
#[ignore = "a measurement"]
fn microseconds_an_entry() {
    for (sync, appendonly) in [("no", false), ("everysec", true), ("always", true)] {
        let options =
            RedisOptions { appendonly, appendfsync: sync.into(), ..RedisOptions::default() };
        let w = Real::with(options);
        for batch in [1, 10, 100, 500] {
            let all = many(20_000.min(batch * 400));
            let parts: Vec<_> = all.chunks(batch).map(|c| (c.to_vec(), keys(c))).collect();
            let cpu = || w.command(&["INFO", "cpu"]).text();
            let before = cpu_micros(&cpu());
            let start = Instant::now();
            run(async {
                let q = w.queue_at(&w.server().url());
                q.claim(P, E).await.unwrap();
                for (entries, keys) in &parts {
                    q.admit(P, E, entries).await.unwrap();
                    q.settle(P, E, entries).await.unwrap();
                    q.remove(P, E, keys).await.unwrap();
                }
            });
            let each = |micros: f64| micros / f64::from(u32::try_from(all.len()).unwrap());
            let wall = each(start.elapsed().as_secs_f64() * 1e6);
            let server = each(cpu_micros(&cpu()) - before);
            println!(
                "append-only {sync}, batches of {batch}: admit, settle and remove take {wall:.2} us \
                 an entry, {server:.2} us of them redis's"
            );
        }
    }
}

fn cpu_micros(info: &str) -> f64 {
    let names = ["used_cpu_sys:", "used_cpu_user:"];
    let seconds = info.lines().filter_map(|l| names.iter().find_map(|n| l.strip_prefix(n)));
    seconds.map(|s| s.trim().parse::<f64>().unwrap()).sum::<f64>() * 1e6
}
