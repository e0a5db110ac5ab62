//! A processor that is told to end while it is still looking whether all that it needs is there: it has begun nothing,
//! and ends in order, also where a clock was set back meanwhile. Needs no service: one that takes connections and says
//! nothing is enough.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use tollbridge_faults::clock::{self, Clock};
use tollbridge_rig::{Launch, Process, Signal, TempDir, wait_until};

/// A start, or an end, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A processor that waits for the answer of something silent, and what it waits for.
struct Waiting {
    process: Process,
    _silent: TcpListener,
    _asked: TcpStream,
}

/// `redis`: where it is asked first; `None`: at the silent one, too. `prepare` adds to how it is started.
fn start(redis: Option<&str>, prepare: impl FnOnce(Launch) -> Launch) -> Waiting {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let sets = [
        format!("kafka.brokers={address}"),
        "kafka.group_id=g".to_owned(),
        format!("redis.url=redis://{}", redis.unwrap_or(&address)),
        "gateway.url=http://127.0.0.1:1".to_owned(),
        "gateway.key_ttl=24h".to_owned(),
        "store.url=sqlite:/nowhere/at-all.db".to_owned(),
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let launch = Launch::new(env!("CARGO_BIN_EXE_tollbridge")).arg("run").args(sets);
    let process = prepare(launch).start().unwrap();
    // It asks: so it is in the midst of starting.
    silent.set_nonblocking(true).unwrap();
    let mut asked = None;
    wait_until("a connection", SOON, || {
        asked = silent.accept().ok().map(|(connection, _)| connection);
        asked.is_some()
    })
    .unwrap_or_else(|e| panic!("{e}:\n{}", process.log()));
    Waiting { process, _silent: silent, _asked: asked.unwrap() }
}

fn ends_with_0(waiting: &Waiting, signal: Signal) {
    let process = &waiting.process;
    process.signal(signal).unwrap();
    let status = process.wait(SOON).unwrap_or_else(|e| panic!("{e}:\n{}", process.log()));
    assert_eq!(status.code(), Some(0), "{status}:\n{}", process.log());
    let log = process.log();
    assert!(log.contains("told to end before anything was begun"), "{log}");
}

#[test]
fn a_processor_that_is_told_to_end_while_it_starts_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        ends_with_0(&start(None, |launch| launch), signal);
    }
}

/// What asks brokers waits until a moment of the wall clock, which is now half an hour away.
#[test]
fn a_clock_that_is_set_back_while_brokers_are_asked_holds_nobody() {
    let folder = TempDir::new("told-early").unwrap();
    let library = clock::library(folder.path()).unwrap();
    let clock = Clock::new(folder.join("clock")).unwrap();
    clock.set(1_800_000).unwrap();
    let waiting = start(Some("127.0.0.1:1"), |launch| {
        launch.env("LD_PRELOAD", &library).env("FAULTS_CLOCK", clock.path())
    });
    std::thread::sleep(Duration::from_secs(1));
    clock.set(0).unwrap();
    ends_with_0(&waiting, Signal::TERM);
}
