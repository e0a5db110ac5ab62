//! The rate of what has settled: without the first and the last twentieth, in which a run gets under way and runs dry.

use std::time::Duration;

/// A second, from moments in microseconds of any origin; `None` where there are too few, or all at once.
pub fn steady_rate(mut moments: Vec<u64>) -> Option<f64> {
    moments.sort_unstable();
    let edge = moments.len() / 20;
    let (first, last) = (*moments.get(edge)?, *moments.get(moments.len().checked_sub(edge + 1)?)?);
    let within = u32::try_from(moments.len().checked_sub(2 * edge + 1)?).ok()?;
    (last > first).then(|| f64::from(within) * 1e6 / (last - first) as f64)
}

/// The middle, and the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Self { median, low, high })
    }
}

/// Without what is behind the point; none below zero.
pub fn whole(value: f64) -> u32 {
    let seconds = Duration::try_from_secs_f64(value).unwrap_or_default().as_secs();
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// The value that so many of a thousand do not exceed.
pub fn of_thousand(sorted: &[u64], thousandths: usize) -> u64 {
    let place = (sorted.len() * thousandths).div_ceil(1_000).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
