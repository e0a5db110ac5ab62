//! A processor as its operators see it: signals, exit codes, readiness, metrics, log.

use tollbridge_rig::http::{self, Metrics};
use tollbridge_rig::wait::{wait_for, wait_until};
use tollbridge_rig::{Error, Process, Signal};

use crate::world::LIMIT;

/// A running `tollbridge run`. Dropping it kills it.
pub struct Processor {
    pub process: Process,
    pub port: u16,
    pub name: String,
}

impl Processor {
    pub fn wait_ready(&self) {
        let ready = wait_for("a ready processor", LIMIT, || match self.process.exit_status() {
            Some(status) => Err(Error::new(format!("it ended with {status}"))),
            None => {
                Ok(http::get(self.port, "/readyz").is_ok_and(|(code, _)| code == 200).then_some(()))
            }
        });
        ready.unwrap_or_else(|error| panic!("{error}:\n{}", self.process.log_tail()));
    }

    /// SIGKILL.
    pub fn kill(self) {
        self.process.kill();
    }

    /// SIGTERM; the exit code.
    pub fn terminate(self) -> Option<i32> {
        self.process.terminate(LIMIT).unwrap().code()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    /// The exit code of a process that is expected to end by itself.
    pub fn ended(&self) -> Option<i32> {
        self.process.wait(LIMIT).unwrap().code()
    }

    /// What `/readyz` says: a line for each part.
    pub fn readiness(&self) -> String {
        http::get(self.port, "/readyz").map(|(_, body)| body).unwrap_or_default()
    }

    /// The partitions that it owns.
    pub fn owned(&self) -> Vec<u64> {
        let body: serde_json::Value = serde_json::from_str(&self.readiness()).unwrap_or_default();
        body["owned"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_u64)
            .collect()
    }

    /// Waits until it refuses a partition, for this reason.
    pub fn wait_refuses(&self, why: &str) {
        let says = |ready: &str| ready.contains("refused") && ready.contains(why);
        let refused = wait_until("a refused partition", LIMIT, || says(&self.readiness()));
        refused.unwrap_or_else(|error| {
            panic!("{error}, because {why}: {}\n{}", self.readiness(), self.process.log_tail())
        });
    }

    pub fn wait_says(&self, needle: &str) -> String {
        self.process.wait_for_line(needle, LIMIT).unwrap()
    }

    /// The sum of a metric's series whose labels contain `label`; 0 where it does not answer.
    pub fn metric(&self, name: &str, label: &str) -> u64 {
        let sum = Metrics::of(self.port).unwrap_or_default().sum(name, label);
        format!("{sum:.0}").parse().unwrap_or(0)
    }
}
