//! What a seed moves: instants, lengths, victims. Deliberately not a good source of chance. A seed repeats what is
//! done and when; what it meets in real processes differs from run to run.

use std::time::Duration;

/// xorshift.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The dice of this seed; `lane` keeps those of one run apart.
    #[must_use]
    pub fn new(seed: u64, lane: u64) -> Self {
        let mixed = seed.wrapping_add(lane << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = Self(mixed);
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from((self.next() >> 8) % end).unwrap_or(0)
    }

    /// One time in `of`.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// A span between these, in milliseconds.
    pub fn span(&mut self, from: u64, to: u64) -> Duration {
        let range = usize::try_from(to - from).unwrap_or(0);
        Duration::from_millis(from + u64::try_from(self.below(range + 1)).unwrap_or(0))
    }

    /// Sleeps so long.
    pub fn pause(&mut self, from: u64, to: u64) {
        std::thread::sleep(self.span(from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_repeats_itself_and_lanes_differ() {
        let draw = |seed, lane| {
            let mut dice = Dice::new(seed, lane);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 0), draw(7, 0));
        assert_ne!(draw(7, 0), draw(7, 1));
        assert_ne!(draw(7, 0), draw(8, 0));
        let mut dice = Dice::new(1, 0);
        for _ in 0..1000 {
            let span = dice.span(5, 9).as_millis();
            assert!((5..=9).contains(&span), "{span}");
        }
    }
}
