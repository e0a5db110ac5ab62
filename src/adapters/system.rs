//! The real clocks: the only place that asks the system for the time.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::{Boot, Now, Wall};
use crate::ports::time::Clock;

/// `CLOCK_BOOTTIME` for ages (it goes on during suspend, unlike `CLOCK_MONOTONIC`), the wall clock for marks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { boot: boot(), wall: wall() }
    }
}

fn boot() -> Boot {
    let t = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(t.tv_sec).unwrap_or_default();
    Boot(seconds * 1_000_000 + u64::try_from(t.tv_nsec).unwrap_or_default() / 1_000)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Wall {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        Err(before) => Wall(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
    }
}
