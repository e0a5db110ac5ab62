//! How many calls may be under way at once. At most the configured number; fewer while the gateway is slower than it
//! usually is, or refuses more. What is cut off and brings no relief is given back: then it is not our load that makes
//! it slow. After an outage the number grows from one, with each answer.

use std::time::Duration;

use crate::domain::time::Boot;

/// Thousandths of a call.
const CALL: u64 = 1_000;
/// Never fewer than these, where that many are allowed.
const LEAST: u64 = 4 * CALL;
/// Answers are looked at together: this long, and at least so many of them.
const WINDOW: Duration = Duration::from_millis(500);
const SAMPLES_MIN: usize = 10;
const SAMPLES_MAX: usize = 256;
/// Slow is more than this often what is usual, and more by this: below lies how busy our own machine is, whatever the
/// gateway does.
const SLOW: u32 = 2;
const SLOW_BY: Duration = Duration::from_millis(10);
/// Percent of the answers that may be refusals beyond what is usual.
const REFUSED: u64 = 5;
/// What is usual follows what is worse slowly, what is better at once.
const USUAL_WITHIN: Duration = Duration::from_secs(120);

/// The limit, and what it is learned from.
#[derive(Debug, Clone)]
pub struct Concurrency {
    most: u64,
    is_adaptive: bool,
    limit: u64,
    /// Up to here it grows with each answer.
    steep_to: u64,
    window: Window,
    usual: Option<Condition>,
    cut: Option<Cut>,
}

/// How the gateway is within a window.
#[derive(Debug, Clone, Copy)]
struct Condition {
    /// The median.
    latency: Duration,
    /// Percent of the answers.
    refused: u64,
}

/// A limit that is being lowered: from where, and how the gateway was then.
#[derive(Debug, Clone, Copy)]
struct Cut {
    from: u64,
    then: Condition,
}

#[derive(Debug, Clone, Default)]
struct Window {
    began: Boot,
    /// The last ones.
    latencies: Vec<Duration>,
    answers: usize,
    refused: usize,
    /// The most calls under way at once.
    peak: usize,
}

/// An answer to a charge.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub after: Duration,
    /// Refused without having been looked at, so that it came soon.
    pub is_refusal: bool,
    /// Calls under way meanwhile.
    pub in_flight: usize,
}

impl Concurrency {
    #[must_use]
    pub fn new(most: usize, is_adaptive: bool) -> Self {
        let most = (most.max(1) as u64).saturating_mul(CALL);
        Self {
            most,
            is_adaptive,
            limit: most,
            steep_to: 0,
            window: Window::default(),
            usual: None,
            cut: None,
        }
    }

    /// With other bounds from now on; what was learned stays.
    pub fn set(&mut self, most: usize, is_adaptive: bool) {
        let learned = self.limit;
        let was_most = self.limit == self.most;
        self.most = (most.max(1) as u64).saturating_mul(CALL);
        self.is_adaptive = is_adaptive;
        self.limit = if was_most || !is_adaptive { self.most } else { learned.min(self.most) };
    }

    #[must_use]
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit / CALL).unwrap_or(usize::MAX)
    }

    /// The gateway is away: once it is back the limit grows from one.
    pub fn start_over(&mut self) {
        self.steep_to = self.steep_to.max(self.limit);
        self.limit = CALL;
        self.window = Window::default();
        self.cut = None;
    }

    pub fn answered(&mut self, answer: Answered, now: Boot) {
        if self.limit < self.steep_to {
            self.limit = (self.limit + CALL).min(self.most);
            return;
        }
        self.steep_to = 0;
        if !self.is_adaptive {
            return;
        }
        self.window.take(answer, now);
        if let Some((condition, lasted)) = self.window.close(now) {
            self.adapt(condition, lasted);
        }
    }

    fn adapt(&mut self, now: Condition, lasted: Duration) {
        let usual = *self.usual.get_or_insert(now);
        let slow = (usual.latency * SLOW).max(usual.latency + SLOW_BY);
        let is_bad = now.latency > slow || now.refused > usual.refused + REFUSED;
        let is_used = self.window.peak as u64 * CALL * 2 >= self.limit;
        self.usual = Some(usual.drawn_to(now, lasted));
        if is_bad {
            self.lower(now);
        } else {
            self.cut = None;
            if is_used {
                self.limit = (self.limit + CALL * (self.limit / CALL).isqrt()).min(self.most);
            }
        }
        self.window.peak = 0;
    }

    fn lower(&mut self, now: Condition) {
        let cut = *self.cut.get_or_insert(Cut { from: self.limit, then: now });
        if self.limit * 2 > cut.from {
            self.limit = (self.limit * 4 / 5).max(LEAST.min(self.most));
            self.limit = self.limit.min(cut.from);
            return;
        }
        // Half is gone. Where that helped, there is more to be had.
        if now.is_better_than(cut.then) {
            self.cut = Some(Cut { from: self.limit, then: now });
        } else {
            self.usual = Some(now);
            self.cut = None;
        }
    }
}

impl Condition {
    fn drawn_to(self, now: Self, lasted: Duration) -> Self {
        let latency = if now.latency <= self.latency {
            (self.latency + now.latency) / 2
        } else {
            let share = lasted.as_secs_f64() / USUAL_WITHIN.as_secs_f64();
            self.latency + (now.latency - self.latency).mul_f64(share.min(1.0))
        };
        Self { latency, refused: self.refused.min(now.refused) }
    }

    /// By a fifth at least.
    fn is_better_than(self, then: Self) -> bool {
        self.latency * 5 <= then.latency * 4 || self.refused * 5 + REFUSED <= then.refused * 4
    }
}

impl Window {
    fn take(&mut self, answer: Answered, now: Boot) {
        if self.answers == 0 {
            self.began = now;
        }
        self.peak = self.peak.max(answer.in_flight);
        if answer.is_refusal {
            self.refused += 1;
        } else if self.latencies.len() < SAMPLES_MAX {
            self.latencies.push(answer.after);
        } else {
            self.latencies[self.answers % SAMPLES_MAX] = answer.after;
        }
        self.answers += 1;
    }

    /// What it shows, and how long it lasted, once it is full; begins a new one.
    fn close(&mut self, now: Boot) -> Option<(Condition, Duration)> {
        let lasted = now.since(self.began);
        if lasted < WINDOW || self.answers < SAMPLES_MIN {
            return None;
        }
        let middle = self.latencies.len() / 2;
        let latency = if self.latencies.is_empty() {
            Duration::ZERO
        } else {
            *self.latencies.select_nth_unstable(middle).1
        };
        let refused = (self.refused * 100 / self.answers) as u64;
        self.latencies.clear();
        (self.answers, self.refused) = (0, 0);
        Some((Condition { latency, refused }, lasted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    /// A gateway that is asked as much as the limit allows, and how it answers under that many calls.
    fn run(
        limit: &mut Concurrency,
        from: Boot,
        seconds: u64,
        answer: impl Fn(u64) -> (u64, bool),
    ) -> Boot {
        let mut now = from;
        while now < from + Duration::from_secs(seconds) {
            let calls = limit.limit() as u64;
            let (after, _) = answer(calls);
            now = now + Duration::from_micros((after / calls).max(1));
            let (after, is_refusal) = answer(now.0 / 7);
            let after = Duration::from_micros(after);
            let in_flight = limit.limit();
            limit.answered(Answered { after, is_refusal, in_flight }, now);
        }
        now
    }

    fn always(ms: u64) -> impl Fn(u64) -> (u64, bool) {
        move |_| (ms * MS, false)
    }

    #[test]
    fn four_times_the_latency_halves_it_within_five_seconds_and_it_comes_back() {
        let mut limit = Concurrency::new(256, true);
        let now = run(&mut limit, Boot(0), 10, always(50));
        assert_eq!(limit.limit(), 256);
        let mut least = 256;
        let mut now = now;
        for _ in 0..5 {
            now = run(&mut limit, now, 1, always(200));
            least = least.min(limit.limit());
        }
        assert!(least <= 128, "{least}");
        run(&mut limit, now, 10, always(50));
        assert_eq!(limit.limit(), 256);
    }

    #[test]
    fn a_gateway_that_is_slower_with_more_calls_gets_fewer() {
        let mut limit = Concurrency::new(256, true);
        let now = run(&mut limit, Boot(0), 5, always(20));
        // It works on 32 at a time; others wait.
        let crowded = |calls: u64| move |_: u64| (20 * MS * calls.max(32) / 32, false);
        let mut now = now;
        let mut seen = Vec::new();
        for _ in 0..60 {
            let calls = limit.limit() as u64;
            now = run(&mut limit, now, 1, crowded(calls));
            seen.push(limit.limit());
        }
        assert!(seen[5..].iter().all(|calls| (24..=128).contains(calls)), "{seen:?}");
    }

    #[test]
    fn cutting_stops_at_half_where_it_does_not_help() {
        let mut limit = Concurrency::new(256, true);
        let mut now = run(&mut limit, Boot(0), 5, always(20));
        let mut least = usize::MAX;
        for _ in 0..60 {
            now = run(&mut limit, now, 1, always(100));
            least = least.min(limit.limit());
        }
        assert!((100..=128).contains(&least), "{least}");
        assert_eq!(limit.limit(), 256, "it is the gateway's new pace");
    }

    #[test]
    fn a_few_milliseconds_more_are_not_the_gateways() {
        let mut limit = Concurrency::new(256, true);
        let now = run(&mut limit, Boot(0), 5, always(2));
        let now = run(&mut limit, now, 5, always(11));
        assert_eq!(limit.limit(), 256, "five times the latency, and nine milliseconds");
        run(&mut limit, now, 2, always(20));
        assert!(limit.limit() < 256, "ten times, and 18");
    }

    #[test]
    fn refusals_lower_it() {
        let mut limit = Concurrency::new(100, true);
        let now = run(&mut limit, Boot(0), 5, always(20));
        run(&mut limit, now, 2, |n| (20 * MS, n % 5 == 0));
        assert!(limit.limit() <= 64, "{}", limit.limit());
    }

    #[test]
    fn after_an_outage_it_doubles_with_each_round_of_answers() {
        for is_adaptive in [true, false] {
            let mut limit = Concurrency::new(256, is_adaptive);
            limit.start_over();
            limit.start_over();
            let mut rounds = vec![limit.limit()];
            for _ in 0..9 {
                for _ in 0..limit.limit() {
                    let after = Duration::from_millis(50);
                    let answer = Answered { after, is_refusal: false, in_flight: 1 };
                    limit.answered(answer, Boot(0));
                }
                rounds.push(limit.limit());
            }
            assert_eq!(rounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
        }
    }

    #[test]
    fn a_limit_that_is_fixed_stays() {
        let mut limit = Concurrency::new(3, false);
        let now = run(&mut limit, Boot(0), 5, always(20));
        run(&mut limit, now, 5, always(2_000));
        assert_eq!(limit.limit(), 3);
    }

    #[test]
    fn other_bounds_keep_what_was_learned() {
        let mut limit = Concurrency::new(256, true);
        let now = run(&mut limit, Boot(0), 5, always(20));
        run(&mut limit, now, 2, always(100));
        let learned = limit.limit();
        assert!(learned < 256);
        limit.set(512, true);
        assert_eq!(limit.limit(), learned);
        limit.set(10, true);
        assert_eq!(limit.limit(), 10);
        limit.set(20, true);
        assert_eq!(limit.limit(), 20);
        limit.set(30, false);
        assert_eq!(limit.limit(), 30);
    }
}
