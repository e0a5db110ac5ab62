//! A processor that is told to end while it is still looking whether all that it needs is there: it has begun nothing,
//! and ends in order. Needs no service: one that takes connections and says nothing is enough.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::net::TcpListener;
use std::time::Duration;

use tollbridge_rig::{Launch, Signal, wait_until};

/// A start, or an end, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_processor_that_is_told_to_end_while_it_starts_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let sets = [
            format!("kafka.brokers={address}"),
            "kafka.group_id=g".to_owned(),
            format!("redis.url=redis://{address}"),
            "gateway.url=http://127.0.0.1:1".to_owned(),
            "gateway.key_ttl=24h".to_owned(),
            "store.url=sqlite:/nowhere/at-all.db".to_owned(),
        ];
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let process = Launch::new(env!("CARGO_BIN_EXE_tollbridge")).arg("run").args(sets);
        let process = process.start().unwrap();
        // It asks: so it is in the midst of starting.
        silent.set_nonblocking(true).unwrap();
        let mut asked = None;
        wait_until("a connection", SOON, || {
            asked = silent.accept().ok();
            asked.is_some()
        })
        .unwrap_or_else(|e| panic!("{e}:\n{}", process.log()));
        process.signal(signal).unwrap();
        let status = process.wait(SOON).unwrap();
        assert_eq!(status.code(), Some(0), "{status}:\n{}", process.log());
        assert!(
            process.log().contains("told to end before anything was begun"),
            "{}",
            process.log()
        );
        drop(asked);
    }
}
