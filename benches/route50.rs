//! The route where the gateway takes 50 ms: 256 calls in flight on one partition. The bound is 256 / 50 ms = 5,120 a
//! second; what is missing to it is the time between an answer and the next call.
#![allow(clippy::disallowed_methods, reason = "a bench has its own clock")]

mod parts;

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    parts::route::main(&parts::route::Item {
        name: "route50",
        transactions: 150_000,
        partitions: 1,
        latency: Duration::from_millis(50),
        in_flight: 256,
        rate_min: 4_500.0,
        cpu_max_us: None,
        memory_max_mib: None,
    })
}
