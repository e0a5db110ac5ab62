//! The circuit breaker: calls in a row that a gateway did not answer, or answered with its own trouble, open it. Then
//! nothing leaves for a while, then one call to try (half open); its answer closes it.

use std::time::Duration;

use crate::domain::retry::backoff;
use crate::domain::time::Boot;

/// At most one call a second tries an open breaker; the pauses grow to the cap.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Failures in a row, and until when nothing is sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Breaker {
    failures: u32,
    answered_at: Option<Boot>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Boot,
    tries: u32,
    until: Boot,
}

impl Breaker {
    /// Closes it.
    pub fn answered(&mut self, now: Boot) {
        *self = Self { answered_at: Some(now), ..Self::default() };
    }

    /// Counts a call without an answer to use; `after`: how long the gateway wants to be left alone. `true` where this
    /// opens it.
    ///
    /// One that left before another's answer came says nothing of how the gateway is now: where half of the calls are
    /// answered, the other half time out together, later.
    pub fn failed(&mut self, call: Failed, max: u32, dice: f64) -> bool {
        let Failed { left_at, now, after } = call;
        if let Some(open) = &mut self.open {
            // Of those that were under way when it opened nothing new is learned.
            if left_at >= open.since {
                open.tries += 1;
                open.until = now + pause(open.tries, dice).max(after);
            }
            return false;
        }
        if self.answered_at.is_some_and(|answered| answered > left_at) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= max;
        if opens {
            self.open = Some(Open { since: now, tries: 1, until: now + pause(1, dice).max(after) });
        }
        opens
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Until when nothing may leave; then one call at a time.
    #[must_use]
    pub fn until(&self) -> Option<Boot> {
        self.open.map(|open| open.until)
    }
}

/// A call that brought nothing.
#[derive(Debug, Clone, Copy)]
pub struct Failed {
    pub left_at: Boot,
    pub now: Boot,
    /// How long the gateway wants to be left alone.
    pub after: Duration,
}

fn pause(tries: u32, dice: f64) -> Duration {
    backoff(tries, PAUSE, PAUSE_MAX, dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = 8;

    fn call(left_at: u64, now: u64) -> Failed {
        Failed { left_at: Boot(left_at), now: Boot(now), after: Duration::ZERO }
    }

    #[test]
    fn calls_that_left_before_an_answer_came_count_for_nothing() {
        let mut breaker = Breaker::default();
        breaker.answered(Boot(50));
        for _ in 0..100 {
            assert!(!breaker.failed(call(49, 60), MAX, 0.0));
        }
        for _ in 1..MAX {
            assert!(!breaker.failed(call(50, 60), MAX, 0.0));
        }
        assert!(!breaker.is_open());
        assert!(breaker.failed(call(51, 60), MAX, 0.0));
        assert!(breaker.is_open());
        breaker.answered(Boot(70));
        assert!(!breaker.is_open());
    }

    #[test]
    fn it_is_tried_once_a_second_at_most_and_less_often_the_longer_it_lasts() {
        let mut breaker = Breaker::default();
        for _ in 0..MAX + 100 {
            breaker.failed(call(0, 10), MAX, 1.0);
        }
        assert_eq!(breaker.until(), Some(Boot(10) + PAUSE), "those under way add nothing");
        breaker.failed(call(20, 30), MAX, 1.0);
        assert_eq!(breaker.until(), Some(Boot(30) + PAUSE * 2));
        breaker.failed(call(40, 50), MAX, 1.0);
        assert_eq!(breaker.until(), Some(Boot(50) + PAUSE_MAX));
        breaker.failed(call(60, 70), MAX, 0.0);
        assert_eq!(breaker.until(), Some(Boot(70) + Duration::from_secs(1)));
    }

    #[test]
    fn a_gateway_that_wants_to_be_left_alone_is() {
        let mut breaker = Breaker::default();
        let after = Duration::from_secs(60);
        breaker.failed(Failed { after, ..call(0, 10) }, 1, 1.0);
        assert_eq!(breaker.until(), Some(Boot(10) + after));
    }
}
