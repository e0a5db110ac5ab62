//! Holds a rate while records are produced by a command. It blocks, so it has no place on the route.

use std::time::Duration;

use crate::adapters::system::SystemClock;
use crate::domain::time::Boot;
use crate::ports::time::Clock;

/// Record n leaves no earlier than n ÷ rate after the first.
#[derive(Debug)]
pub struct Pace {
    rate: Option<u32>,
    began: Boot,
    sent: u64,
}

impl Pace {
    /// `rate` records a second; `None`: as fast as they come.
    #[must_use]
    pub fn new(rate: Option<u32>) -> Self {
        Self { rate, began: SystemClock.now().boot, sent: 0 }
    }

    /// Sleeps until the next record may leave.
    pub fn wait(&mut self) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_micros(self.sent * 1_000_000 / u64::from(rate));
        let passed = SystemClock.now().boot.since(self.began);
        std::thread::sleep(due.saturating_sub(passed));
        self.sent += 1;
    }
}
