//! The gateway as a whole: whether it is away, by the calls that got no answer. What is done about it is the charge
//! stage's business.

use crate::domain::time::Boot;

/// Calls without an answer, in a row, after which only single calls go out, with pauses.
pub const FAILURES_MAX: u32 = 8;

/// Calls without an answer in a row, and until when nothing is sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gate {
    failures: u32,
    answered_at: Option<Boot>,
    pub closed_until: Boot,
}

impl Gate {
    pub fn answered(&mut self, now: Boot) {
        *self = Self { answered_at: Some(now), ..Self::default() };
    }

    /// Counts a call that got no answer. One that left before another's answer came says nothing of how the gateway is
    /// now: where half of the calls are answered, the other half time out together, later.
    pub fn failed(&mut self, sent_at: Boot) {
        if self.answered_at.is_none_or(|answered| answered <= sent_at) {
            self.failures = self.failures.saturating_add(1);
        }
    }

    #[must_use]
    pub fn is_away(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// How many single calls have failed since it counts as away, the one included that made it so.
    #[must_use]
    pub fn tries(&self) -> u32 {
        (self.failures + 1).saturating_sub(FAILURES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_left_before_an_answer_came_count_for_nothing() {
        let mut gate = Gate::default();
        gate.answered(Boot(50));
        for _ in 0..100 {
            gate.failed(Boot(49));
        }
        assert!(!gate.is_away());
        for _ in 1..FAILURES_MAX {
            gate.failed(Boot(50));
        }
        assert!(!gate.is_away());
        gate.failed(Boot(51));
        assert!(gate.is_away());
        assert_eq!(gate.tries(), 1);
        gate.answered(Boot(60));
        assert!(!gate.is_away());
    }

    #[test]
    fn a_gateway_that_never_answered_is_away_after_a_few_calls() {
        let mut gate = Gate::default();
        for _ in 0..FAILURES_MAX + 2 {
            gate.failed(Boot(0));
        }
        assert_eq!((gate.is_away(), gate.tries()), (true, 3));
    }
}
