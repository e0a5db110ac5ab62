//! What must hold for whatever bytes come from outside: from producers, from Kafka's offsets, from Redis, from the
//! gateway, from whoever writes the configuration. Each target takes any bytes and panics where it does not hold.
//!
//! The corpus is replayed by a test of this library; the binary `fuzz` finds inputs that reach more. No services, and
//! nothing of what the pipeline does with what was read.

#![allow(
    clippy::unwrap_used,
    reason = "what can't be read here is a fault of the product, and ends the run"
)]

mod config;
mod entry;
mod gateway;
mod metadata;
mod queue;
mod record;

/// One kind of input. A folder of `corpus/` has its name.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "record_json", run: record::json },
    Target { name: "record_avro", run: record::avro },
    Target { name: "record_confluent", run: record::confluent },
    Target { name: "record_auto", run: record::auto },
    Target { name: "metadata", run: metadata::run },
    Target { name: "queue_entry", run: entry::run },
    Target { name: "redis_reply", run: queue::run },
    Target { name: "gateway_answer", run: gateway::run },
    Target { name: "config", run: config::run },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// Takes bytes off the front of an input; where it has ended, zeros.
#[derive(Debug)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their length in one byte; `None` for a length of 255.
    fn sized(&mut self) -> Option<&'a [u8]> {
        match self.byte() {
            255 => None,
            length => Some(self.take(length.into())),
        }
    }
}

#[cfg(test)]
mod replay;
