//! How long the stub takes for an answer. Drawn from a fixed seed: both sides of a pair meet the same delays.

use std::fmt;
use std::str::FromStr;

use tollbridge_rig::Error;

use super::steady::whole;

/// Longer ones are cut to this: about two in ten thousand where the median is 500 ms and the p99 2 s.
pub const LONGEST_MS: usize = 4_000;
/// How many standard deviations above the median of a normal distribution one in a hundred stands.
const P99: f64 = 2.326_347_874;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    None,
    /// Milliseconds.
    Always(u32),
    /// Log-normal: its median and its p99, milliseconds.
    Spread(u32, u32),
}

/// As an argument of the stub: `0`, `50`, `500-2000`.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("0"),
            Self::Always(ms) => write!(f, "{ms}"),
            Self::Spread(median, p99) => write!(f, "{median}-{p99}"),
        }
    }
}

impl FromStr for Delay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = |text: &str| text.parse::<u32>().ok().filter(|ms| *ms as usize <= LONGEST_MS);
        let delay = match text.split_once('-') {
            None => read(text).map(|ms| if ms == 0 { Self::None } else { Self::Always(ms) }),
            Some((median, p99)) => read(median).zip(read(p99)).map(|(m, p)| Self::Spread(m, p)),
        };
        delay.ok_or_else(|| Error::new(format!("delay {text:?}: write 0, 50 or 500-2000")))
    }
}

impl Delay {
    /// In words, for a result.
    pub fn words(self) -> String {
        match self {
            Self::None => "answers at once".to_owned(),
            Self::Always(ms) => format!("takes {ms} ms"),
            Self::Spread(median, p99) => {
                format!("takes {median} ms, one in a hundred {p99} ms or more")
            }
        }
    }
}

/// Draws one delay after another.
#[derive(Debug)]
pub struct Dice {
    delay: Delay,
    random: fastrand::Rng,
}

impl Dice {
    pub fn new(delay: Delay) -> Self {
        Self { delay, random: fastrand::Rng::with_seed(1) }
    }

    /// Milliseconds.
    pub fn draw(&mut self) -> usize {
        match self.delay {
            Delay::None => 0,
            Delay::Always(ms) => ms as usize,
            Delay::Spread(median, p99) => {
                let (median, p99) = (f64::from(median), f64::from(p99));
                let sigma = (p99 / median).ln() / P99;
                let drawn = median * (sigma * self.normal()).exp();
                (whole(drawn) as usize).min(LONGEST_MS)
            }
        }
    }

    /// Of the standard normal distribution, by the polar method.
    fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.random.f64() - 1.0, 2.0 * self.random.f64() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }
}
