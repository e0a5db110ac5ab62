//! When to ask again, and when never again: the life of an idempotency key, the next step for an unresolved
//! transaction, and the delay between tries. `now` and the dice come from outside.

use std::time::Duration;

use super::time::{Boot, Now, Wall};

/// How long the gateway remembers a key, and how close to the end we dare to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLife {
    /// `gateway.key_ttl`
    pub ttl: Duration,
    /// `gateway.timeout`, the deadline of a whole call.
    pub deadline: Duration,
}

impl KeyLife {
    /// A tenth of the key's life, at least twice the call's deadline.
    #[must_use]
    pub fn margin(&self) -> Duration {
        (self.ttl / 10).max(self.deadline * 2)
    }

    /// No attempt starts later than this after the earliest possible first one.
    #[must_use]
    pub fn usable(&self) -> Duration {
        self.ttl.saturating_sub(self.margin())
    }

    /// How far a host's clock may be from that of the store. Two hosts are then at most twice as far apart, which
    /// uses up half of the margin.
    #[must_use]
    pub fn apart_max(&self) -> Duration {
        self.margin() / 4
    }
}

/// When the first request for a transaction may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstAttempt {
    /// Nobody can have sent one.
    Never,
    /// We sent it, at this time.
    Own(Boot),
    /// An owner before us may have sent one, in this minute since 1970 or later.
    Inherited { minute: u32 },
}

impl FirstAttempt {
    /// An owner before us may have sent one in this minute already.
    #[must_use]
    pub fn no_later_than(self, minute: u32) -> Self {
        match self {
            Self::Never => Self::Inherited { minute },
            Self::Inherited { minute: other } => Self::Inherited { minute: other.min(minute) },
            Self::Own(_) => self,
        }
    }

    /// Whether another request under the same key is still a replay, not a new charge.
    #[must_use]
    pub fn is_key_safe(self, life: KeyLife, now: Now) -> bool {
        match self {
            Self::Never => true,
            Self::Own(at) => now.boot.since(at) <= life.usable(),
            Self::Inherited { minute } => {
                let since = now.wall.0 - minute_start(minute).0;
                let micros = Duration::from_micros(since.unsigned_abs());
                match since {
                    0.. => micros <= life.usable(),
                    // The clock of who wrote the mark was ahead of ours. Further than clocks may be apart it can't
                    // be believed: it counts as run out.
                    _ => micros <= life.apart_max() * 2,
                }
            }
        }
    }
}

/// The wall clock's minute since 1970; the first one before then.
#[must_use]
pub fn minute_of(wall: Wall) -> u32 {
    u32::try_from(wall.0.div_euclid(60_000_000)).unwrap_or(0)
}

fn minute_start(minute: u32) -> Wall {
    Wall(i64::from(minute) * 60_000_000)
}

/// Whether the gateway can be asked what became of a transaction, and what it is worth that it knows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    None,
    /// This long after a request a lookup surely shows it.
    Settles(Duration),
    /// It may never show what there is.
    NeverSettles,
}

impl Lookup {
    #[must_use]
    pub fn is_there(self) -> bool {
        self != Self::None
    }

    /// When "never seen" is to be believed, of a transaction that was last asked for at `asked_at`.
    #[must_use]
    pub fn settles_at(self, asked_at: Boot) -> Option<Boot> {
        match self {
            Self::Settles(after) => Some(asked_at + after),
            Self::None | Self::NeverSettles => None,
        }
    }
}

/// An unresolved transaction, as its next step sees it.
#[derive(Debug, Clone, Copy)]
pub struct Unresolved {
    pub first: FirstAttempt,
    /// What may have been attempted was attempted with the body that we would send now.
    pub same_recipe: bool,
    /// The gateway's profile has a lookup.
    pub has_lookup: bool,
    /// The last word was a lookup that said "never seen", with no request since, and is to be believed.
    pub never_seen: bool,
    /// The last word was a lookup that told nothing, or what is not to be believed yet: while the key is safe, asking
    /// for the charge again tells more.
    pub not_shown: bool,
    /// An answer contradicted the request (another amount, a reused key): only a lookup may resolve it.
    pub mismatch: bool,
    /// Lookups that gave no answer since the key ran out.
    pub fruitless_lookups: u32,
}

impl Unresolved {
    /// Whether asking for the charge again can only repeat what was asked for.
    #[must_use]
    pub fn may_be_asked_again(&self, life: KeyLife, now: Now) -> bool {
        self.same_recipe && !self.mismatch && self.first.is_key_safe(life, now)
    }
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Ask for the charge (again), same key and body.
    Charge,
    /// Ask what became of it.
    Lookup,
    /// Give it to a person, with this code.
    Park(&'static str),
}

/// Lookups without an answer, after the key ran out, before a transaction is parked.
pub const FRUITLESS_LOOKUPS_MAX: u32 = 3;

/// The next step of a transaction that is neither approved nor declined.
#[must_use]
pub fn next_step(case: &Unresolved, life: KeyLife, now: Now) -> NextStep {
    if case.first == FirstAttempt::Never {
        return NextStep::Charge;
    }
    let may_ask_again = case.may_be_asked_again(life, now);
    let is_new = if may_ask_again {
        !case.not_shown
    } else {
        case.fruitless_lookups < FRUITLESS_LOOKUPS_MAX
    };
    let lookup_is_worth_it = case.has_lookup && !case.never_seen && is_new;
    if lookup_is_worth_it {
        NextStep::Lookup
    } else if may_ask_again {
        NextStep::Charge
    } else if case.mismatch {
        NextStep::Park("mismatch")
    } else if case.never_seen {
        NextStep::Park("never_seen")
    } else if !case.same_recipe {
        NextStep::Park("recipe_changed")
    } else {
        NextStep::Park("key_expired")
    }
}

/// The delay before try number `tries` (from 1): anything up to a ceiling that doubles from `base` to `cap` (full
/// jitter). `dice` is uniform in 0..1.
#[must_use]
pub fn backoff(tries: u32, base: Duration, cap: Duration, dice: f64) -> Duration {
    let ceiling = base.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(cap);
    ceiling.mul_f64(dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: KeyLife =
        KeyLife { ttl: Duration::from_secs(3600), deadline: Duration::from_secs(10) };

    fn at(minutes: u64) -> Now {
        Now { boot: Boot(minutes * 60_000_000), wall: Wall(minutes as i64 * 60_000_000) }
    }

    fn case(first: FirstAttempt) -> Unresolved {
        Unresolved {
            first,
            same_recipe: true,
            has_lookup: false,
            never_seen: false,
            not_shown: false,
            mismatch: false,
            fruitless_lookups: 0,
        }
    }

    #[test]
    fn the_margin_is_a_tenth_and_at_least_two_deadlines() {
        assert_eq!(LIFE.margin(), Duration::from_secs(360));
        let short = KeyLife { ttl: Duration::from_secs(60), ..LIFE };
        assert_eq!(short.margin(), Duration::from_secs(20));
        assert_eq!(short.usable(), Duration::from_secs(40));
    }

    #[test]
    fn no_attempt_starts_after_the_usable_life() {
        for first in [FirstAttempt::Own(at(100).boot), FirstAttempt::Inherited { minute: 100 }] {
            assert!(first.is_key_safe(LIFE, at(154)), "{first:?}");
            assert!(!first.is_key_safe(LIFE, at(155)), "{first:?}");
            assert_eq!(next_step(&case(first), LIFE, at(154)), NextStep::Charge);
            assert_eq!(next_step(&case(first), LIFE, at(155)), NextStep::Park("key_expired"));
        }
    }

    #[test]
    fn an_inherited_mark_is_believed_as_far_in_the_future_as_clocks_may_be_apart() {
        let first = FirstAttempt::Inherited { minute: 103 };
        assert_eq!(LIFE.apart_max(), Duration::from_secs(90));
        let ahead = |seconds: i64| {
            let start = minute_start(103).0;
            Now { boot: Boot(0), wall: Wall(start - seconds * 1_000_000) }
        };
        assert!(first.is_key_safe(LIFE, ahead(0)));
        assert!(first.is_key_safe(LIFE, ahead(180)));
        assert!(!first.is_key_safe(LIFE, ahead(181)));
    }

    #[test]
    fn never_attempted_is_charged_however_old() {
        assert_eq!(next_step(&case(FirstAttempt::Never), LIFE, at(1_000_000)), NextStep::Charge);
    }

    #[test]
    fn a_lookup_comes_before_another_request() {
        let first = FirstAttempt::Own(at(100).boot);
        let with_lookup = Unresolved { has_lookup: true, ..case(first) };
        assert_eq!(next_step(&with_lookup, LIFE, at(101)), NextStep::Lookup);
        let never_seen = Unresolved { never_seen: true, ..with_lookup };
        assert_eq!(next_step(&never_seen, LIFE, at(101)), NextStep::Charge);
        assert_eq!(next_step(&never_seen, LIFE, at(200)), NextStep::Park("never_seen"));
        let not_shown = Unresolved { not_shown: true, ..with_lookup };
        assert_eq!(next_step(&not_shown, LIFE, at(101)), NextStep::Charge);
        assert_eq!(next_step(&not_shown, LIFE, at(200)), NextStep::Lookup);
    }

    #[test]
    fn another_recipe_and_a_mismatch_are_never_sent_again() {
        let first = FirstAttempt::Own(at(100).boot);
        let other = Unresolved { same_recipe: false, ..case(first) };
        assert_eq!(next_step(&other, LIFE, at(101)), NextStep::Park("recipe_changed"));
        let mismatch = Unresolved { mismatch: true, ..case(first) };
        assert_eq!(next_step(&mismatch, LIFE, at(101)), NextStep::Park("mismatch"));
        let lookup = Unresolved { has_lookup: true, ..mismatch };
        assert_eq!(next_step(&lookup, LIFE, at(101)), NextStep::Lookup);
        let tired = Unresolved { fruitless_lookups: FRUITLESS_LOOKUPS_MAX, ..lookup };
        assert_eq!(next_step(&tired, LIFE, at(101)), NextStep::Park("mismatch"));
    }

    #[test]
    fn delays_grow_to_their_cap() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(5));
        assert_eq!(backoff(1, base, cap, 1.0), base);
        assert_eq!(backoff(3, base, cap, 1.0), base * 4);
        assert_eq!(backoff(99, base, cap, 1.0), cap);
        assert_eq!(backoff(3, base, cap, 0.25), base);
        assert_eq!(backoff(3, base, cap, 0.0), Duration::ZERO);
    }
}
