//! A rate limit: so many calls a second for the whole group, of which a process has the share of its partitions. Whole
//! numbers only, so that nothing is lost in rounding however often it is asked.

use std::time::Duration;

use crate::domain::time::Boot;

/// Billionths of a call: what a thousandth of a call a second yields in a microsecond.
const CALL: u64 = 1_000_000_000;
/// What may be saved up while nothing leaves: the calls of this long, and one. Who is woken up late on a busy machine
/// would else never make up for it.
const SAVED_UP_MICROS: u64 = 100_000;
/// A limit that is not reached is asked about again no sooner: what has come meanwhile leaves together.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A process's share of the limit.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Thousandths of a call a second; `None` where there is no limit.
    share: Option<u64>,
    saved: u64,
    at: Boot,
}

impl Rate {
    /// Without a limit.
    #[must_use]
    pub fn new(now: Boot) -> Self {
        Self { share: None, saved: CALL, at: now }
    }

    /// From now on `limit` calls a second are for `all` partitions, of which we own `owned`.
    pub fn set(&mut self, limit: Option<u32>, owned: usize, all: usize, now: Boot) {
        self.save(now);
        let of = |limit: u32| u64::from(limit) * 1_000 * owned as u64 / all.max(1) as u64;
        self.share = limit.map(of);
        self.saved = self.saved.min(self.most());
    }

    /// Calls a second; `None` where there is no limit.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "it is shown, nothing else")]
        self.share.map(|share| share as f64 / 1_000.0)
    }

    /// How many calls may leave now.
    pub fn room(&mut self, now: Boot) -> usize {
        self.save(now);
        match self.share {
            None => usize::MAX,
            Some(0) => 0,
            Some(_) => usize::try_from(self.saved / CALL).unwrap_or(usize::MAX),
        }
    }

    /// One has left.
    pub fn left(&mut self) {
        if self.share.is_some() {
            self.saved = self.saved.saturating_sub(CALL);
        }
    }

    /// When the next call may leave; `None` where the limit holds none up, or all.
    #[must_use]
    pub fn next_at(&self) -> Option<Boot> {
        let share = self.share.filter(|share| *share > 0 && self.saved < CALL)?;
        let wait = Duration::from_micros((CALL - self.saved).div_ceil(share));
        Some(self.at + wait.max(LOOK_AGAIN))
    }

    fn most(&self) -> u64 {
        CALL + self.share.unwrap_or(0).saturating_mul(SAVED_UP_MICROS)
    }

    fn save(&mut self, now: Boot) {
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        let earned = self.share.unwrap_or(0).saturating_mul(passed);
        self.saved = self.saved.saturating_add(earned).min(self.most());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that leave within `seconds`, if it is asked every `step` microseconds.
    fn leave(rate: &mut Rate, from: Boot, seconds: u64, step: u64) -> u64 {
        let mut sent = 0;
        let mut now = from;
        while now < from + Duration::from_secs(seconds) {
            for _ in 0..rate.room(now) {
                rate.left();
                sent += 1;
            }
            now = now + Duration::from_micros(step);
        }
        sent
    }

    #[test]
    fn a_share_is_kept_to_however_often_it_is_asked() {
        for step in [7, 1_000, 3_333, 20_000] {
            let mut rate = Rate::new(Boot(0));
            rate.set(Some(1_000), 4, 12, Boot(0));
            let sent = leave(&mut rate, Boot(0), 30, step);
            assert!((9_990..=10_010).contains(&sent), "{sent} with a look every {step} µs");
        }
    }

    #[test]
    fn shares_of_all_processes_are_the_limit() {
        let share = |owned| {
            let mut rate = Rate::new(Boot(0));
            rate.set(Some(1_000), owned, 7, Boot(0));
            rate.share().unwrap_or_default()
        };
        assert!((999.9..=1_000.0).contains(&(share(1) + share(2) + share(4))));
    }

    #[test]
    fn a_quiet_minute_saves_up_no_burst() {
        let mut rate = Rate::new(Boot(0));
        rate.set(Some(1_000), 1, 1, Boot(0));
        assert_eq!(rate.room(Boot(60_000_000)), 101);
    }

    #[test]
    fn it_says_when_the_next_may_leave() {
        let mut rate = Rate::new(Boot(0));
        assert_eq!((rate.room(Boot(0)), rate.next_at()), (usize::MAX, None));
        rate.set(Some(2), 1, 1, Boot(0));
        assert_eq!((rate.room(Boot(0)), rate.next_at()), (1, None));
        rate.left();
        assert_eq!((rate.room(Boot(0)), rate.next_at()), (0, Some(Boot(500_000))));
        assert_eq!(rate.room(Boot(500_000)), 1);
    }

    #[test]
    fn without_partitions_nothing_leaves() {
        let mut rate = Rate::new(Boot(0));
        rate.set(Some(5), 0, 3, Boot(0));
        assert_eq!((rate.room(Boot(9_000_000)), rate.next_at()), (0, None));
    }
}
