//! What readings mean, apart from how they were read (`wire::gateway` has the table over real bytes).

use bytes::Bytes;

use super::*;

const FIRST: Asked = Asked::Charge { first: true };
const LATER: Asked = Asked::Charge { first: false };

fn record(decision: Decision) -> Record<'static> {
    Record {
        gateway_id: Some("ch_1".into()),
        decision,
        transaction_id: Echo::Told("tx-1".into()),
        amount: Echo::Told(100),
        currency: Echo::Told("EUR".into()),
    }
}

fn declined(code: &str) -> Reading<'static> {
    Reading::Record(record(Decision::Declined { code: code.into() }))
}

fn says(asked: Asked, replayed: bool, reading: Reading<'static>) -> Verdict {
    let response = Response { status: 200, replayed, retry_after: None, body: Bytes::new() };
    judge(asked, response, reading)
}

fn judge(asked: Asked, response: Response, reading: Reading<'static>) -> Verdict {
    let id = TransactionId::parse("tx-1").unwrap();
    let (amount, currency) = (Amount::new(100).unwrap(), Currency::parse("EUR").unwrap());
    let expected = Expected { id: &id, amount, currency };
    classify(asked, &expected, &Answer::Response(response), |_| reading)
}

fn is_unknown(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unknown { .. })
}

#[test]
fn a_decline_is_believed_only_where_nothing_can_be_hidden_behind_it() {
    let believed = Verdict::Declined { code: "poor".into(), gateway_id: Some("ch_1".into()) };
    assert_eq!(says(FIRST, false, declined("poor")), believed);
    assert_eq!(says(FIRST, true, declined("poor")), believed);
    assert_eq!(says(LATER, true, declined("poor")), believed);
    assert_eq!(says(Asked::Lookup, false, declined("poor")), believed);
    let doubted = Verdict::NeedsLookup { code: "poor".into() };
    assert_eq!(says(LATER, false, declined("poor")), doubted);
}

#[test]
fn a_code_that_means_duplicate_is_asked_about_whatever_the_attempt() {
    let reading = || Reading::Record(record(Decision::Duplicate { code: "dup".into() }));
    let duplicate = Verdict::DuplicateCode { code: "dup".into() };
    for (asked, replayed) in [(FIRST, false), (FIRST, true), (LATER, false), (LATER, true)] {
        assert_eq!(says(asked, replayed, reading()), duplicate);
    }
    let told = Verdict::Declined { code: "dup".into(), gateway_id: Some("ch_1".into()) };
    assert_eq!(says(Asked::Lookup, false, reading()), told);
}

#[test]
fn an_approval_needs_every_echo_that_is_due() {
    let approved = record(Decision::Approved);
    let verdict = says(LATER, false, Reading::Record(approved.clone()));
    assert_eq!(verdict, Verdict::Approved { gateway_id: "ch_1".into() });
    for broken in [
        Record { gateway_id: None, ..approved.clone() },
        Record { transaction_id: Echo::Missing, ..approved.clone() },
        Record { transaction_id: Echo::Told("tx-2".into()), ..approved.clone() },
        Record { amount: Echo::Missing, ..approved.clone() },
        Record { currency: Echo::Missing, ..approved.clone() },
    ] {
        let verdict = says(FIRST, false, Reading::Record(broken.clone()));
        assert!(is_unknown(&verdict), "{broken:?} gave {verdict:?}");
    }
}

#[test]
fn what_is_not_repeated_is_confirmed_by_a_lookup_and_never_by_a_second_answer_like_it() {
    for decision in [Decision::Approved, Decision::Declined { code: "poor".into() }] {
        let whole = record(decision.clone());
        for partial in [
            Record { transaction_id: Echo::Untold, ..whole.clone() },
            Record { amount: Echo::Untold, ..whole.clone() },
            Record { currency: Echo::Untold, ..whole.clone() },
        ] {
            for (asked, replayed) in [(FIRST, false), (LATER, false), (LATER, true)] {
                let verdict = says(asked, replayed, Reading::Record(partial.clone()));
                let is_asked_about = match decision {
                    Decision::Approved => matches!(verdict, Verdict::Unconfirmed { .. }),
                    _ => verdict == Verdict::NeedsLookup { code: "poor".into() },
                };
                assert!(is_asked_about, "{partial:?} gave {verdict:?}");
            }
            assert!(is_unknown(&says(Asked::Lookup, false, Reading::Record(partial))));
        }
    }
}

#[test]
fn other_money_is_a_mismatch_for_approvals_and_declines_alike() {
    for decision in [Decision::Approved, Decision::Declined { code: "poor".into() }] {
        for asked in [FIRST, LATER, Asked::Lookup] {
            let amount = Record { amount: Echo::Told(101), ..record(decision.clone()) };
            let currency =
                Record { currency: Echo::Told("USD".into()), ..record(decision.clone()) };
            for record in [amount, currency] {
                let verdict = says(asked, false, Reading::Record(record));
                assert!(matches!(verdict, Verdict::Mismatch { .. }), "{verdict:?}");
            }
        }
    }
}

#[test]
fn another_transactions_answer_says_nothing_even_with_other_money() {
    let other = Record {
        transaction_id: Echo::Told("tx-2".into()),
        amount: Echo::Told(7),
        ..record(Decision::Approved)
    };
    assert!(is_unknown(&says(FIRST, false, Reading::Record(other))));
}

#[test]
fn an_error_says_what_the_profile_takes_it_for() {
    let reading = |means| Reading::Error { code: "bad".into(), means };
    let verdict = says(FIRST, false, reading(Some(Means::NotTaken)));
    assert!(matches!(verdict, Verdict::NotTaken { .. }), "{verdict:?}");
    let verdict = says(LATER, false, reading(Some(Means::KeyReused)));
    assert!(matches!(verdict, Verdict::Mismatch { .. }), "{verdict:?}");
    assert_eq!(says(Asked::Lookup, false, reading(Some(Means::NeverSeen))), Verdict::NeverSeen);
    assert!(is_unknown(&says(FIRST, false, reading(None))));
}

#[test]
fn texts_from_outside_are_cut_and_cleaned() {
    let response = Response { status: 500, replayed: false, retry_after: None, body: Bytes::new() };
    let code = "a\nb".to_owned() + &"x".repeat(500);
    let Verdict::Unknown { why, .. } = judge(FIRST, response, Reading::Error { code, means: None })
    else {
        panic!("a 500 is unknown");
    };
    assert_eq!(why, format!("status 500, error ab{}", "x".repeat(62)));
}
