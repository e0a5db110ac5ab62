//! Every answer a gateway can give, to every kind of request, and every state an unresolved transaction can be in: all
//! combinations, each held against what must never happen. Deliberately not the order in which things happen over
//! time, which the simulation tries by chance: these state spaces are small, and are tried whole.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends here")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tollbridge::domain::answer::{Answer, Decision, Echo, Means, Reading, Record, Response};
use tollbridge::domain::classify::{Asked, Expected, Verdict, classify};
use tollbridge::domain::id::TransactionId;
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::domain::retry::{
    FRUITLESS_LOOKUPS_MAX, FirstAttempt, KeyLife, NextStep, Unresolved, next_step,
};
use tollbridge::domain::time::{Boot, Now, Wall};

const BOTH: [bool; 2] = [false, true];
const FIRST: Asked = Asked::Charge { first: true };
const LATER: Asked = Asked::Charge { first: false };
const STATUSES: [u16; 9] = [200, 202, 400, 402, 404, 409, 422, 429, 500];

/// What the record echoes of a field: the right thing, another, nothing where something is due, nothing.
const ECHOES: [Echo<bool>; 4] = [Echo::Told(true), Echo::Told(false), Echo::Missing, Echo::Untold];

fn echo<T>(echo: Echo<bool>, right: T, other: T) -> Echo<T> {
    match echo {
        Echo::Told(true) => Echo::Told(right),
        Echo::Told(false) => Echo::Told(other),
        Echo::Missing => Echo::Missing,
        Echo::Untold => Echo::Untold,
    }
}

fn records() -> Vec<Record<'static>> {
    let decisions = [
        Decision::Approved,
        Decision::Declined { code: "no_funds".to_owned() },
        Decision::Duplicate { code: "seen_before".to_owned() },
        Decision::Running,
    ];
    let mut all = Vec::new();
    for id in ECHOES {
        for amount in ECHOES {
            for currency in ECHOES {
                for with_id in BOTH {
                    all.extend(decisions.iter().map(|decision| Record {
                        gateway_id: with_id.then(|| "ch_1".to_owned()),
                        decision: decision.clone(),
                        transaction_id: echo(id, "tx-1".into(), "tx-2".into()),
                        amount: echo(amount, 100, 101),
                        currency: echo(currency, "EUR".into(), "USD".into()),
                    }));
                }
            }
        }
    }
    all
}

fn readings() -> Vec<Reading<'static>> {
    let meanings = [Means::NotTaken, Means::StillRunning, Means::KeyReused, Means::NeverSeen];
    let meanings = meanings.into_iter().map(Some).chain([None]);
    let errors = meanings.map(|means| Reading::Error { code: "oh".to_owned(), means });
    let nothing = [Reading::Unreadable("not JSON".into())];
    records().into_iter().map(Reading::Record).chain(errors).chain(nothing).collect()
}

/// A whole response: how it came, and what its body says.
#[derive(Debug, Clone)]
struct Case {
    asked: Asked,
    response: Response,
    reading: Reading<'static>,
}

impl Case {
    /// A record that echoes something else than was asked, or lacks what it must echo.
    fn is_odd(&self, record: &Record<'static>) -> bool {
        fn is_fine<T: PartialEq>(echo: &Echo<T>, right: &T) -> bool {
            *echo == Echo::Untold || matches!(echo, Echo::Told(found) if found == right)
        }
        !is_fine(&record.transaction_id, &"tx-1".into())
            || !is_fine(&record.amount, &100)
            || !is_fine(&record.currency, &"EUR".into())
    }

    fn sound_record(&self) -> Option<&Record<'static>> {
        let Reading::Record(record) = &self.reading else { return None };
        (!self.is_odd(record)).then_some(record)
    }

    /// All of the request is repeated.
    fn is_whole(&self) -> bool {
        self.sound_record().is_some_and(|record| {
            let id = record.transaction_id != Echo::Untold;
            id && record.amount != Echo::Untold && record.currency != Echo::Untold
        })
    }

    fn named_error(&self) -> Option<Means> {
        let Reading::Error { means, .. } = &self.reading else { return None };
        *means
    }
}

fn cases() -> Vec<Case> {
    let readings = readings();
    let mut all = Vec::new();
    for asked in [FIRST, LATER, Asked::Lookup] {
        for status in STATUSES {
            for replayed in BOTH {
                for retry_after in [None, Some(Duration::from_secs(7))] {
                    let body = Bytes::new();
                    let response = Response { status, replayed, retry_after, body };
                    all.extend(readings.iter().map(|reading| Case {
                        asked,
                        response: response.clone(),
                        reading: reading.clone(),
                    }));
                }
            }
        }
    }
    all
}

fn judge(asked: Asked, answer: &Answer, reading: Reading<'static>) -> Verdict {
    let id = TransactionId::parse("tx-1").unwrap();
    let (amount, currency) = (Amount::new(100).unwrap(), Currency::parse("EUR").unwrap());
    let expected = Expected { id: &id, amount, currency };
    classify(asked, &expected, answer, |_| reading)
}

/// Why this verdict must not follow from this answer; `None` where it may.
fn wrong(case: &Case, verdict: &Verdict) -> Option<&'static str> {
    let record = case.sound_record();
    let decision = record.map(|record| &record.decision);
    let is_lookup = case.asked == Asked::Lookup;
    let approved = decision == Some(&Decision::Approved);
    let with_id = record.is_some_and(|record| record.gateway_id.is_some());
    let declined = matches!(decision, Some(Decision::Declined { .. }));
    let duplicate = matches!(decision, Some(Decision::Duplicate { .. }));
    let is_first = matches!(case.asked, Asked::Charge { first: true });
    let believed = case.is_whole() && (is_lookup || is_first || case.response.replayed);
    let error = case.named_error();
    let fits = match verdict {
        Verdict::Approved { .. } => approved && with_id && case.is_whole(),
        Verdict::Unconfirmed { .. } => approved && with_id && !case.is_whole() && !is_lookup,
        Verdict::Declined { .. } => believed && (declined || duplicate && is_lookup),
        Verdict::NeedsLookup { .. } => declined && !believed && !is_lookup,
        Verdict::DuplicateCode { .. } => duplicate && !is_lookup,
        Verdict::StillRunning { .. } => {
            decision == Some(&Decision::Running) || error == Some(Means::StillRunning)
        }
        Verdict::NotTaken { .. } => error == Some(Means::NotTaken),
        Verdict::NeverSeen => error == Some(Means::NeverSeen),
        Verdict::Mismatch { .. } => contradicts(case) || error == Some(Means::KeyReused),
        Verdict::NotSent { .. } => return Some("it was answered"),
        Verdict::Unknown { .. } => {
            let is_partial = record.is_some() && is_lookup && !case.is_whole();
            let says_nothing = record.is_none() || approved && !with_id || is_partial;
            says_nothing && error.is_none() && !contradicts(case)
        }
    };
    (!fits).then_some("nothing in the answer says so")
}

/// The gateway's record of this very transaction, as far as it says, over other money.
fn contradicts(case: &Case) -> bool {
    let Reading::Record(record) = &case.reading else { return false };
    let is_ours = match &record.transaction_id {
        Echo::Told(id) => id == "tx-1",
        Echo::Missing => false,
        Echo::Untold => true,
    };
    let other_amount = record.amount == Echo::Told(101);
    let other_currency =
        record.amount != Echo::Missing && record.currency == Echo::Told("USD".into());
    is_ours && (other_amount || other_currency)
}

#[test]
fn no_answer_is_taken_for_more_than_it_says() {
    let mut seen = BTreeMap::<String, u32>::new();
    for case in cases() {
        let answer = Answer::Response(case.response.clone());
        let verdict = judge(case.asked, &answer, case.reading.clone());
        if let Some(why) = wrong(&case, &verdict) {
            panic!("{verdict:?}: {why}: {case:?}");
        }
        if let Verdict::Unknown { retry_after, .. }
        | Verdict::NotTaken { retry_after, .. }
        | Verdict::StillRunning { retry_after } = &verdict
        {
            assert_eq!(*retry_after, case.response.retry_after, "{case:?}");
        }
        let name = format!("{verdict:?}");
        let name = name.split([' ', '{']).next().unwrap().to_owned();
        *seen.entry(name).or_default() += 1;
    }
    // So that nothing can pass by never being said.
    assert_eq!(seen.len(), 10, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 4), "{seen:?}");
}

#[test]
fn without_a_response_only_what_was_not_sent_is_known() {
    for asked in [FIRST, LATER, Asked::Lookup] {
        let lost = judge(asked, &Answer::Lost("x".into()), Reading::Unreadable(String::new()));
        assert!(matches!(lost, Verdict::Unknown { .. }), "{asked:?} {lost:?}");
        let refused =
            judge(asked, &Answer::NotSent("x".into()), Reading::Unreadable(String::new()));
        assert!(matches!(refused, Verdict::NotSent { .. }), "{asked:?} {refused:?}");
    }
}

/// When the first attempts of all cases were made; a whole minute, since marks are.
const BEGIN_US: u64 = 60_000_000 * 100_000;

fn lives() -> Vec<KeyLife> {
    let lives =
        [(3_600, 10), (86_400, 30), (60, 10), (60, 29), (60, 31), (7, 1), (0, 1), (3_600, 0)];
    let life = |(ttl, deadline)| KeyLife {
        ttl: Duration::from_secs(ttl),
        deadline: Duration::from_secs(deadline),
    };
    lives.map(life).into()
}

/// Microseconds since the first attempt at which something may change, and moments beside them.
fn ages(life: KeyLife) -> Vec<i64> {
    let us = |time: Duration| i64::try_from(time.as_micros()).unwrap();
    let corners = [Duration::ZERO, life.usable(), life.usable() + life.margin() / 2, life.ttl];
    let ahead = us(life.margin() / 2);
    let mut all: Vec<i64> =
        corners.iter().flat_map(|corner| [us(*corner) - 1, us(*corner), us(*corner) + 1]).collect();
    all.extend([-61_000_000, -ahead - 1, -ahead, 1 - ahead, us(life.ttl) * 10 + 120_000_000]);
    all.sort_unstable();
    all
}

fn unresolved() -> Vec<Unresolved> {
    let begin = u32::try_from(BEGIN_US / 60_000_000).unwrap();
    let firsts = [
        FirstAttempt::Never,
        FirstAttempt::Own(Boot(BEGIN_US)),
        FirstAttempt::Inherited { minute: begin },
    ];
    let mut all = Vec::new();
    for first in firsts {
        for flags in 0..32_u32 {
            for fruitless_lookups in 0..=FRUITLESS_LOOKUPS_MAX + 1 {
                all.push(Unresolved {
                    first,
                    same_recipe: flags & 1 != 0,
                    has_lookup: flags & 2 != 0,
                    never_seen: flags & 4 != 0,
                    mismatch: flags & 8 != 0,
                    not_shown: flags & 16 != 0,
                    fruitless_lookups,
                });
            }
        }
    }
    all
}

fn at(age: i64) -> Now {
    let us = i64::try_from(BEGIN_US).unwrap() + age;
    Now { boot: Boot(us.cast_unsigned()), wall: Wall(us) }
}

/// By the wall clock or by the boot clock: the first attempt is surely younger than the key's life less its margin.
fn is_young(case: &Unresolved, life: KeyLife, age: i64) -> bool {
    let limit = i64::try_from(life.usable().as_micros()).unwrap();
    match case.first {
        FirstAttempt::Never => true,
        // The boot clock never goes back: earlier than the first attempt is as good as at it.
        FirstAttempt::Own(_) => age <= limit,
        // Whose clock the mark is from may be ahead of ours by as much as the margin leaves room for.
        FirstAttempt::Inherited { .. } => {
            let ahead = i64::try_from(life.margin().as_micros() / 2).unwrap();
            (-ahead..=limit).contains(&age)
        }
    }
}

#[test]
fn every_next_step_is_safe_and_none_is_wasted() {
    let mut seen = BTreeMap::<String, u32>::new();
    for life in lives() {
        assert!(life.margin() >= life.ttl / 10 && life.margin() >= life.deadline * 2);
        assert!(life.usable().is_zero() || life.usable() + life.margin() <= life.ttl);
        for age in ages(life) {
            for case in unresolved() {
                let step = next_step(&case, life, at(age));
                let what = format!("{step:?} of {case:?} at {age} us of {life:?}");
                let never = case.first == FirstAttempt::Never;
                let may_charge =
                    never || is_young(&case, life, age) && case.same_recipe && !case.mismatch;
                let has_told_nothing = case.not_shown && may_charge;
                let may_look = case.has_lookup && !case.never_seen && !has_told_nothing && !never;
                let tired = case.fruitless_lookups >= FRUITLESS_LOOKUPS_MAX;
                match step {
                    NextStep::Charge => assert!(may_charge && !may_look, "{what}"),
                    NextStep::Lookup => assert!(may_look && (may_charge || !tired), "{what}"),
                    NextStep::Park(code) => {
                        assert!(!may_charge && (!may_look || tired), "{what}");
                        let true_of_it = match code {
                            "mismatch" => case.mismatch,
                            "never_seen" => case.never_seen,
                            "recipe_changed" => !case.same_recipe,
                            "key_expired" => !is_young(&case, life, age),
                            _ => false,
                        };
                        assert!(true_of_it, "{what}");
                    }
                }
                *seen.entry(format!("{step:?}")).or_default() += 1;
            }
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

/// Once the key has run out, it never comes to life again; and whoever gets no answer any more ends with a person.
#[test]
fn nothing_is_asked_for_ever() {
    for life in lives() {
        for case in unresolved().into_iter().filter(|case| case.first != FirstAttempt::Never) {
            let mut ages = ages(life);
            ages.retain(|age| *age >= 0);
            let young: Vec<bool> =
                ages.iter().map(|age| case.first.is_key_safe(life, at(*age))).collect();
            assert!(young.is_sorted_by(|a, b| a >= b), "{case:?} {life:?} {young:?}");

            let end = at(*ages.last().unwrap());
            let mut case = case;
            let mut steps = 0;
            while next_step(&case, life, end) == NextStep::Lookup {
                case.fruitless_lookups += 1;
                steps += 1;
                assert!(steps <= FRUITLESS_LOOKUPS_MAX, "{case:?}");
            }
            assert!(matches!(next_step(&case, life, end), NextStep::Park(_)), "{case:?}");
        }
    }
}
