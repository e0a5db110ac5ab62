//! The retry budget: repeats that bring nothing may be a share of the first attempts, and a few a second. A repeat that
//! brings an answer costs nothing, so that what was left over from an outage is asked for as fast as it is answered.

use crate::domain::time::Boot;

/// Hundredths of a repeat.
const REPEAT: u64 = 100;
/// A repeat every hundred milliseconds is free: else what is never answered would stand in the way of all others.
const MICROS_A_HUNDREDTH: u64 = 1_000;

/// What repeats may still cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    left: u64,
    most: u64,
    percent: u64,
    /// The free ones are paid in until then.
    at: Boot,
}

impl Budget {
    /// `percent` of the first attempts; `most` repeats may be under way on it.
    #[must_use]
    pub fn new(percent: u32, most: usize, now: Boot) -> Self {
        let most = (most.max(1) as u64).saturating_mul(REPEAT);
        Self { left: most, most, percent: u64::from(percent), at: now }
    }

    /// With other bounds from now on.
    pub fn set(&mut self, percent: u32, most: usize, now: Boot) {
        let left = self.left;
        *self = Self::new(percent, most, now);
        self.left = left.min(self.most);
    }

    /// How many repeats may leave now.
    pub fn room(&mut self, now: Boot) -> usize {
        let passed = now.0.saturating_sub(self.at.0) / MICROS_A_HUNDREDTH;
        self.at.0 += passed * MICROS_A_HUNDREDTH;
        self.pay_in(passed);
        usize::try_from(self.left / REPEAT).unwrap_or(usize::MAX)
    }

    pub fn first_left(&mut self) {
        self.pay_in(self.percent);
    }

    pub fn repeat_left(&mut self) {
        self.left = self.left.saturating_sub(REPEAT);
    }

    /// A repeat has brought what was asked for.
    pub fn repeat_answered(&mut self) {
        self.pay_in(REPEAT);
    }

    /// When the next repeat may leave, where none may now.
    #[must_use]
    pub fn next_at(&self) -> Option<Boot> {
        let lacking = REPEAT.checked_sub(self.left).filter(|lacking| *lacking > 0)?;
        Some(Boot(self.at.0 + lacking * MICROS_A_HUNDREDTH))
    }

    fn pay_in(&mut self, hundredths: u64) {
        self.left = self.left.saturating_add(hundredths).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &mut Budget, now: Boot) -> usize {
        let room = budget.room(now);
        for _ in 0..room {
            budget.repeat_left();
        }
        room
    }

    #[test]
    fn fruitless_repeats_are_a_share_of_first_attempts_and_ten_a_second() {
        let mut budget = Budget::new(10, 50, Boot(0));
        assert_eq!(spend(&mut budget, Boot(0)), 50, "what had been saved up");
        for _ in 0..200 {
            budget.first_left();
        }
        assert_eq!(spend(&mut budget, Boot(0)), 20);
        assert_eq!((spend(&mut budget, Boot(99_999)), budget.next_at()), (0, Some(Boot(100_000))));
        assert_eq!(spend(&mut budget, Boot(1_000_000)), 10);
    }

    #[test]
    fn a_repeat_that_is_answered_costs_nothing() {
        let mut budget = Budget::new(10, 4, Boot(0));
        for _ in 0..1_000 {
            assert_eq!(budget.room(Boot(0)), 4);
            budget.repeat_left();
            budget.repeat_answered();
        }
    }

    #[test]
    fn no_more_is_saved_up_than_may_be_under_way() {
        let mut budget = Budget::new(100, 4, Boot(0));
        for _ in 0..1_000 {
            budget.first_left();
        }
        assert_eq!(budget.room(Boot(60_000_000)), 4);
    }
}
