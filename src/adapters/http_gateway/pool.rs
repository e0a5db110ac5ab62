//! Connections that wait for their next request. The one used last is used first; what has waited too long, or was
//! closed meanwhile, is thrown away. How many there are is bounded by the calls in flight.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::line::Line;

/// What was used so shortly before is hardly closed: it is not looked at. Where it is after all, the exchange finds
/// that before it writes, and nothing was sent.
const FRESH: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Pool {
    /// Since when each has been waiting; the longest waiting first.
    waiting: Mutex<VecDeque<(Instant, Line)>>,
    idle: Duration,
}

impl Pool {
    pub(super) fn new(idle: Duration) -> Self {
        Self { waiting: Mutex::default(), idle }
    }

    /// A connection that is still open, as far as can be seen without asking.
    pub(super) async fn take(&self) -> Option<Line> {
        loop {
            let (since, mut line) = self.waiting().pop_back()?;
            let waited = since.elapsed();
            if waited >= self.idle {
                // Those behind it have waited even longer.
                self.waiting().clear();
                return None;
            }
            if (waited < FRESH && line.is_ready()) || line.is_open().await {
                return Some(line);
            }
        }
    }

    pub(super) fn put(&self, line: Line) {
        let now = Instant::now();
        let mut waiting = self.waiting();
        while waiting.front().is_some_and(|(since, _)| now.duration_since(*since) >= self.idle) {
            waiting.pop_front();
        }
        waiting.push_back((now, line));
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Instant, Line)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
