//! The route where the gateway answers at once: everything shares the machine, so this is about CPU time. The input is
//! a backlog of a million, so it is about memory, too.
#![allow(clippy::disallowed_methods, reason = "a bench has its own clock")]

mod parts;

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    parts::route::main(&parts::route::Item {
        name: "route0",
        transactions: 1_000_000,
        partitions: 4,
        latency: Duration::ZERO,
        in_flight: 256,
        rate_min: 15_000.0,
        cpu_max_us: Some(35.0),
        memory_max_mib: Some(150),
    })
}
