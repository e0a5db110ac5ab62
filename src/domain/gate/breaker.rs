//! The circuit breaker: calls in a row that a gateway did not answer, or answered with its own trouble, open it. Then
//! nothing leaves for a while, then one call to try (half open).
//!
//! Charges and lookups are counted apart. Whoever answers a charge is there for both. Whoever answers a lookup may
//! refuse every charge meanwhile, so that closes only what lookups have opened. It is there, though: what it never
//! answers may be single transactions, so that others are tried every second while those are waited for.

use std::time::Duration;

use crate::domain::retry::backoff;
use crate::domain::time::Boot;

/// At most one call a second tries an open breaker.
const PACE: Duration = Duration::from_secs(1);
/// Where nothing is answered there are pauses that grow to the cap.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Charges and lookups take turns. Where no charge has tried it for so long although one might have, there is none; and
/// a lookup that was answered longer ago says nothing any more.
const QUIET: Duration = Duration::from_secs(10);

/// What a gateway is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Charge,
    Lookup,
}

/// Failures in a row, and until when nothing is sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Breaker {
    charges: Count,
    lookups: Count,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    answered_at: Option<Boot>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    since: Boot,
    tries: u32,
    until: Boot,
    /// From when on a charge might have tried it.
    untried_since: Boot,
    /// When a lookup was answered, unless one has failed since.
    heard_at: Option<Boot>,
}

impl Open {
    fn is_heard(&self, now: Boot) -> bool {
        self.heard_at.is_some_and(|at| now.since(at) < QUIET)
    }
}

impl Breaker {
    /// A charge that is answered closes it. So does a lookup, unless it is charges that are not answered: then one of
    /// them tries it next.
    pub fn answered(&mut self, question: Question, now: Boot, max: u32) {
        let none = Count { failures: 0, answered_at: Some(now) };
        self.lookups = none;
        if question == Question::Charge {
            (self.charges, self.open) = (none, None);
        }
        let Some(open) = &mut self.open else { return };
        if self.charges.failures >= max && now.since(open.untried_since) < QUIET {
            open.until = open.until.max(now + PACE);
            (open.heard_at, open.tries) = (Some(now), 0);
            return;
        }
        // The first charge that fails opens it again.
        self.charges.failures = self.charges.failures.min(max.saturating_sub(1));
        self.open = None;
    }

    /// A call leaves.
    pub fn left(&mut self, question: Question, now: Boot) {
        let Some(open) = self.open.as_mut().filter(|open| open.is_heard(now)) else { return };
        open.until = open.until.max(now + PACE);
        if question == Question::Charge {
            open.untried_since = open.until;
        }
    }

    /// Counts a call without an answer to use; `true` where this opens it.
    ///
    /// One that left before another's answer came says nothing of how the gateway is now: where half of the calls are
    /// answered, the other half time out together, later. Nor does one that was under way when it opened.
    pub fn failed(&mut self, call: Failed, max: u32, dice: f64) -> bool {
        let Failed { question, left_at, now, after } = call;
        let was_open = self.open.is_some();
        let count = match question {
            Question::Charge => &mut self.charges,
            Question::Lookup => &mut self.lookups,
        };
        let known_at = self.open.map(|open| open.since).max(count.answered_at);
        if known_at.is_some_and(|at| at > left_at) {
            return false;
        }
        count.failures = count.failures.saturating_add(1);
        if !was_open && self.charges.failures.saturating_add(self.lookups.failures) < max {
            return false;
        }
        let open = self.open.get_or_insert(Open {
            since: now,
            tries: 0,
            until: now,
            untried_since: now,
            heard_at: None,
        });
        if question == Question::Lookup {
            open.heard_at = None;
        }
        let mut pause = Duration::ZERO;
        if !open.is_heard(now) {
            open.tries += 1;
            pause = backoff(open.tries, PAUSE, PAUSE_MAX, dice).max(PACE);
        }
        open.until = open.until.max(now + pause.max(after));
        if question == Question::Charge || !was_open {
            open.untried_since = open.until;
        }
        !was_open
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Until when nothing may leave; then one call.
    #[must_use]
    pub fn until(&self) -> Option<Boot> {
        self.open.map(|open| open.until)
    }

    /// Whether one call more may leave while others are under way.
    #[must_use]
    pub fn is_paced(&self, now: Boot) -> bool {
        self.open.is_some_and(|open| open.is_heard(now))
    }
}

/// A call that brought nothing.
#[derive(Debug, Clone, Copy)]
pub struct Failed {
    pub question: Question,
    pub left_at: Boot,
    pub now: Boot,
    /// How long the gateway wants to be left alone.
    pub after: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    use Question::{Charge, Lookup};

    const MAX: u32 = 8;
    const SECOND: Duration = Duration::from_secs(1);

    fn call(question: Question, left_at: u64, now: u64) -> Failed {
        Failed { question, left_at: Boot(left_at), now: Boot(now), after: Duration::ZERO }
    }

    /// The next single call leaves as soon as it may, and fails.
    fn fails_next(breaker: &mut Breaker, question: Question) -> Boot {
        let at = breaker.until().unwrap();
        breaker.left(question, at);
        breaker.failed(call(question, at.0, at.0), MAX, 1.0);
        at
    }

    fn opened_by(question: Question) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..MAX {
            breaker.failed(call(question, 0, 10), MAX, 1.0);
        }
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn calls_that_left_before_an_answer_came_count_for_nothing() {
        let mut breaker = Breaker::default();
        breaker.answered(Charge, Boot(50), MAX);
        for question in [Charge, Lookup] {
            for _ in 0..100 {
                assert!(!breaker.failed(call(question, 49, 60), MAX, 0.0));
            }
        }
        for _ in 1..MAX {
            assert!(!breaker.failed(call(Charge, 50, 60), MAX, 0.0));
        }
        assert!(!breaker.is_open());
        assert!(breaker.failed(call(Lookup, 51, 60), MAX, 0.0), "both count");
        assert!(breaker.is_open());
        breaker.answered(Charge, Boot(70), MAX);
        assert!(!breaker.is_open());
    }

    #[test]
    fn it_is_tried_once_a_second_at_most_and_less_often_the_longer_it_lasts() {
        let mut breaker = opened_by(Charge);
        for question in [Charge, Lookup] {
            for _ in 0..100 {
                breaker.failed(call(question, 0, 10), MAX, 1.0);
            }
        }
        assert_eq!(breaker.until(), Some(Boot(10) + PAUSE), "those under way add nothing");
        let at = fails_next(&mut breaker, Charge);
        assert_eq!(breaker.until(), Some(at + PAUSE * 2));
        let at = fails_next(&mut breaker, Lookup);
        assert_eq!(breaker.until(), Some(at + PAUSE_MAX));
        let at = breaker.until().unwrap();
        breaker.failed(call(Charge, at.0, at.0), MAX, 0.0);
        assert_eq!(breaker.until(), Some(at + SECOND));
    }

    /// What it never answers may be some transactions of many: others do not wait until it has been silent about those.
    #[test]
    fn where_lookups_are_answered_it_is_tried_every_second_whatever_is_under_way() {
        let mut breaker = opened_by(Charge);
        let start = breaker.until().unwrap();
        assert!(!breaker.is_paced(start));
        breaker.answered(Lookup, start, MAX);
        for n in 1..QUIET.as_secs() {
            let at = breaker.until().unwrap();
            assert_eq!(at, start + Duration::from_secs(n));
            assert!(breaker.is_paced(at));
            breaker.left(Charge, at);
        }
        let at = breaker.until().unwrap();
        assert!(!breaker.is_paced(at), "the answer was long ago");

        breaker.answered(Lookup, at, MAX);
        assert!(breaker.is_paced(at));
        let at = fails_next(&mut breaker, Lookup);
        assert!(!breaker.is_paced(at));
        assert_eq!(breaker.until(), Some(at + PAUSE), "the pauses begin anew");
    }

    #[test]
    fn a_gateway_that_wants_to_be_left_alone_is() {
        let mut breaker = Breaker::default();
        let after = Duration::from_secs(60);
        breaker.failed(Failed { after, ..call(Charge, 0, 10) }, 1, 1.0);
        breaker.answered(Lookup, Boot(11), 1);
        assert_eq!(breaker.until(), Some(Boot(10) + after), "by what was under way, too");
    }

    #[test]
    fn answered_lookups_open_nothing_for_charges_that_are_not_answered() {
        let mut breaker = Breaker::default();
        for n in 1..=u64::from(MAX) {
            assert!(!breaker.is_open());
            breaker.answered(Lookup, Boot(n), MAX);
            breaker.failed(call(Charge, n, n), MAX, 0.0);
        }
        assert!(breaker.is_open(), "the lookups between them count for nothing");
        for _ in 0..100 {
            let at = breaker.until().unwrap();
            breaker.answered(Lookup, at, MAX);
            assert_eq!(breaker.until(), Some(at + SECOND));
            fails_next(&mut breaker, Charge);
        }
        let at = breaker.until().unwrap();
        breaker.answered(Charge, at, MAX);
        assert!(!breaker.is_open());
    }

    #[test]
    fn an_answered_lookup_closes_what_lookups_have_opened() {
        let mut breaker = opened_by(Lookup);
        let at = fails_next(&mut breaker, Charge);
        breaker.answered(Lookup, at, MAX);
        assert!(!breaker.is_open());
    }

    #[test]
    fn where_no_charge_waits_lookups_close_it_and_the_next_charge_that_fails_opens_it() {
        let mut breaker = opened_by(Charge);
        let start = breaker.until().unwrap();
        let mut lookups = 0;
        while let Some(at) = breaker.until() {
            breaker.answered(Lookup, at, MAX);
            lookups += 1;
        }
        assert_eq!(lookups, 1 + QUIET.as_secs());
        let later = start.0 + 100_000_000;
        breaker.failed(call(Charge, later, later), MAX, 0.0);
        assert!(breaker.is_open());
    }
}
