//! The gate before the gateway: how many calls may leave now, and whose turn it is. Five bounds, each a value of its
//! own that is asked with `now`: calls at once, calls a second, the circuit breaker, the retry budget, and the lane
//! that repeats have to themselves. It knows calls and answers, no transaction.

mod breaker;
mod budget;
mod concurrency;
mod rate;

use std::time::Duration;

use self::breaker::{Breaker, Failed, Question};
use self::budget::Budget;
use self::concurrency::{Answered, Concurrency};
use self::rate::Rate;
use super::answer::Answer;
use super::classify::{Verdict, is_trouble};
use super::time::Boot;

/// Of the calls under way, the share of repeats while first attempts wait: one in this many.
const REPEATS_SHARE: usize = 4;
/// A repeat's turn comes after so many first attempts.
const FIRSTS_A_TURN: usize = REPEATS_SHARE - 1;

/// What the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls at once, at most.
    pub in_flight_max: usize,
    /// Fewer while the gateway is slower than usual.
    pub is_adaptive: bool,
    /// Calls a second of the whole group; `None`: no limit.
    pub rate_limit: Option<u32>,
    /// Repeats without an answer, in percent of the first attempts.
    pub retry_percent: u32,
    /// Calls in a row without an answer that open the breaker.
    pub failures_max: u32,
}

/// What a call is for. Whatever is no first attempt is a repeat here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    First,
    /// Another request for a charge.
    Again,
    Lookup,
}

impl Purpose {
    fn is_repeat(self) -> bool {
        self != Self::First
    }

    fn question(self) -> Question {
        match self {
            Self::First | Self::Again => Question::Charge,
            Self::Lookup => Question::Lookup,
        }
    }
}

/// Whether first attempts wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firsts {
    None,
    /// For something else than room.
    Held,
    /// They could leave.
    Ready,
}

/// What an answer says of the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It has told what was asked.
    Told,
    /// It has answered, and nothing more is known of the transaction.
    Spoke,
    /// It has not taken the request.
    Refused,
    /// It has said that it is in trouble.
    InTrouble,
    /// Nothing came.
    Silent,
}

impl Word {
    /// With how long the gateway wants to be left alone. Without a verdict the answer is about a transaction that is no
    /// longer ours.
    #[must_use]
    pub fn of(answer: &Answer, verdict: Option<&Verdict>) -> (Self, Option<Duration>) {
        match (answer, verdict) {
            (Answer::NotSent(_) | Answer::Lost(_), _) => (Self::Silent, None),
            (_, Some(Verdict::NotTaken { retry_after, .. })) => (Self::Refused, *retry_after),
            (_, Some(Verdict::Unknown { is_outage: true, retry_after, .. })) => {
                (Self::InTrouble, *retry_after)
            }
            (_, Some(Verdict::Unknown { .. } | Verdict::StillRunning { .. })) => {
                (Self::Spoke, None)
            }
            (_, Some(_)) => (Self::Told, None),
            (Answer::Response(response), None) => match is_trouble(response.status) {
                true => (Self::InTrouble, response.retry_after),
                false => (Self::Spoke, None),
            },
        }
    }
}

/// A call that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Underway {
    pub purpose: Purpose,
    pub left_at: Boot,
    in_flight: usize,
}

/// How the gate stands, for whoever shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stand {
    pub in_flight: usize,
    /// Calls at once that are allowed now.
    pub limit: usize,
    /// Calls a second that are our share; `None`: no limit.
    pub rate: Option<f64>,
    pub is_open: bool,
}

/// The five bounds, and the calls that are under way.
#[derive(Debug, Clone)]
pub struct Gate {
    bounds: Bounds,
    concurrency: Concurrency,
    rate: Rate,
    breaker: Breaker,
    budget: Budget,
    in_flight: usize,
    repeats_in_flight: usize,
    /// First attempts that have left since the last repeat's turn.
    firsts: usize,
    /// Partitions that we own, and all.
    share: (usize, usize),
}

impl Gate {
    #[must_use]
    pub fn new(bounds: Bounds, now: Boot) -> Self {
        Self {
            bounds,
            concurrency: Concurrency::new(bounds.in_flight_max, bounds.is_adaptive),
            rate: Rate::new(now),
            breaker: Breaker::default(),
            budget: Budget::new(bounds.retry_percent, bounds.in_flight_max, now),
            in_flight: 0,
            repeats_in_flight: 0,
            firsts: FIRSTS_A_TURN,
            share: (0, 0),
        }
    }

    /// Other bounds from now on. What was learned of the gateway stays.
    pub fn set(&mut self, bounds: Bounds, now: Boot) {
        self.bounds = bounds;
        self.concurrency.set(bounds.in_flight_max, bounds.is_adaptive);
        self.budget.set(bounds.retry_percent, bounds.in_flight_max, now);
        let (owned, all) = self.share;
        self.rate.set(bounds.rate_limit, owned, all, now);
    }

    /// Our share of the group's rate is that of our partitions.
    pub fn set_share(&mut self, owned: usize, all: usize, now: Boot) {
        if self.share != (owned, all) {
            self.share = (owned, all);
            self.rate.set(self.bounds.rate_limit, owned, all, now);
        }
    }

    /// How many repeats may leave now: they have a lane and turns of their own, so that neither they nor first attempts
    /// can starve the others.
    pub fn room_for_repeats(&mut self, firsts: Firsts, now: Boot) -> usize {
        let room = self.room(now);
        let turns = match firsts {
            Firsts::Ready => self.firsts,
            Firsts::None | Firsts::Held => usize::MAX,
        };
        // One call at a time is one of each by turns: what got no answer may be all that the gateway has trouble with.
        if self.breaker.is_open() {
            return room.min(turns);
        }
        let lane = match firsts {
            Firsts::None => usize::MAX,
            Firsts::Held | Firsts::Ready => self.lane().saturating_sub(self.repeats_in_flight),
        };
        room.min(self.budget.room(now)).min(lane).min(turns / FIRSTS_A_TURN)
    }

    /// Calls that repeats may have under way while first attempts wait.
    fn lane(&self) -> usize {
        (self.concurrency.limit() / REPEATS_SHARE).max(1)
    }

    /// How many calls may leave now.
    pub fn room(&mut self, now: Boot) -> usize {
        let most = match self.breaker.until() {
            Some(until) if until > now => 0,
            Some(_) if self.breaker.is_paced(now) => {
                (self.in_flight + 1).min(self.bounds.in_flight_max)
            }
            Some(_) => 1,
            None => self.concurrency.limit(),
        };
        most.saturating_sub(self.in_flight).min(self.rate.room(now))
    }

    /// A call leaves.
    pub fn leave(&mut self, purpose: Purpose, now: Boot) -> Underway {
        self.in_flight += 1;
        self.rate.left();
        self.breaker.left(purpose.question(), now);
        if purpose.is_repeat() {
            self.budget.repeat_left();
            self.repeats_in_flight += 1;
            let turn = if self.breaker.is_open() { self.firsts } else { FIRSTS_A_TURN };
            self.firsts = self.firsts.saturating_sub(turn);
        } else {
            self.budget.first_left();
            self.firsts = (self.firsts + 1).min(FIRSTS_A_TURN * self.lane());
        }
        Underway { purpose, left_at: now, in_flight: self.in_flight }
    }

    /// Its answer has come, or is given up. `after`: how long the gateway wants to be left alone. `dice` is uniform in
    /// 0..1.
    pub fn came_back(&mut self, call: Underway, back: Back) {
        let Back { word, after, heard_at, now, dice } = back;
        self.in_flight = self.in_flight.saturating_sub(1);
        let question = call.purpose.question();
        let max = self.bounds.failures_max;
        if call.purpose.is_repeat() {
            self.repeats_in_flight = self.repeats_in_flight.saturating_sub(1);
            if word == Word::Told {
                self.budget.repeat_answered();
            }
        }
        match word {
            Word::Told | Word::Spoke => self.breaker.answered(question, now, max),
            Word::Refused | Word::InTrouble | Word::Silent => {
                let after = after.unwrap_or_default();
                let failed = Failed { question, left_at: call.left_at, now, after };
                if self.breaker.failed(failed, max, dice) {
                    self.concurrency.start_over();
                }
            }
        }
        if matches!(word, Word::Told | Word::Spoke | Word::Refused) && !self.breaker.is_open() {
            let is_refusal = word == Word::Refused;
            let after = heard_at.since(call.left_at);
            self.concurrency
                .answered(Answered { after, is_refusal, in_flight: call.in_flight }, now);
        }
    }

    /// When a call may leave that may not now, if it is time alone that holds it up.
    #[must_use]
    pub fn wake_at(&self) -> Option<Boot> {
        [self.breaker.until(), self.rate.next_at(), self.budget.next_at()]
            .into_iter()
            .flatten()
            .min()
    }

    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Only single calls leave, to try whether the gateway is back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    #[must_use]
    pub fn stand(&self) -> Stand {
        Stand {
            in_flight: self.in_flight,
            limit: self.concurrency.limit(),
            rate: self.rate.share(),
            is_open: self.breaker.is_open(),
        }
    }
}

/// How a call came back.
#[derive(Debug, Clone, Copy)]
pub struct Back {
    pub word: Word,
    /// How long the gateway wants to be left alone.
    pub after: Option<Duration>,
    /// When it may have come at the earliest: how long it was not looked at is not how long the gateway took.
    pub heard_at: Boot,
    pub now: Boot,
    /// Uniform in 0..1.
    pub dice: f64,
}

#[cfg(test)]
mod tests;
