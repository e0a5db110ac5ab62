//! What readings mean, apart from how they were read (`wire::gateway` has the table over real bytes).

use bytes::Bytes;

use super::*;

const FIRST: Asked = Asked::Charge { first: true };
const LATER: Asked = Asked::Charge { first: false };

fn rules() -> Rules {
    Rules {
        record_statuses: vec![200],
        errors: vec![ErrorRule {
            to: RequestKind::Charge,
            status: 400,
            code: "bad".into(),
            means: Means::NotTaken,
        }],
        duplicate_codes: vec!["dup".into()],
    }
}

fn record(decision: Decision) -> Record<'static> {
    Record {
        gateway_id: Some("ch_1".into()),
        decision,
        transaction_id: Some("tx-1".into()),
        amount: Some(100),
        currency: Some("EUR".into()),
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
    classify(&rules(), asked, &expected, &Answer::Response(response), |_| reading)
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
    let duplicate = Verdict::DuplicateCode { code: "dup".into() };
    for (asked, replayed) in [(FIRST, false), (FIRST, true), (LATER, false), (LATER, true)] {
        assert_eq!(says(asked, replayed, declined("dup")), duplicate);
    }
    let told = Verdict::Declined { code: "dup".into(), gateway_id: Some("ch_1".into()) };
    assert_eq!(says(Asked::Lookup, false, declined("dup")), told);
}

#[test]
fn an_approval_needs_every_echo() {
    let approved = record(Decision::Approved);
    let verdict = says(LATER, false, Reading::Record(approved.clone()));
    assert_eq!(verdict, Verdict::Approved { gateway_id: "ch_1".into() });
    for broken in [
        Record { gateway_id: None, ..approved.clone() },
        Record { transaction_id: None, ..approved.clone() },
        Record { transaction_id: Some("tx-2".into()), ..approved.clone() },
        Record { amount: None, ..approved.clone() },
        Record { currency: None, ..approved.clone() },
    ] {
        let verdict = says(FIRST, false, Reading::Record(broken.clone()));
        assert!(is_unknown(&verdict), "{broken:?} gave {verdict:?}");
    }
}

#[test]
fn other_money_is_a_mismatch_for_approvals_and_declines_alike() {
    for decision in [Decision::Approved, Decision::Declined { code: "poor".into() }] {
        for asked in [FIRST, LATER, Asked::Lookup] {
            let amount = Record { amount: Some(101), ..record(decision.clone()) };
            let currency = Record { currency: Some("USD".into()), ..record(decision.clone()) };
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
        transaction_id: Some("tx-2".into()),
        amount: Some(7),
        ..record(Decision::Approved)
    };
    assert!(is_unknown(&says(FIRST, false, Reading::Record(other))));
}

#[test]
fn rules_count_only_for_the_request_they_were_made_for() {
    let response = Response { status: 400, replayed: false, retry_after: None, body: Bytes::new() };
    let bad = || Reading::Error("bad".into());
    assert!(matches!(judge(FIRST, response.clone(), bad()), Verdict::NotTaken { .. }));
    assert!(is_unknown(&judge(Asked::Lookup, response.clone(), bad())));
    let other = Response { status: 500, ..response };
    assert!(is_unknown(&judge(FIRST, other, bad())));
}

#[test]
fn texts_from_outside_are_cut_and_cleaned() {
    let response = Response { status: 500, replayed: false, retry_after: None, body: Bytes::new() };
    let code = "a\nb".to_owned() + &"x".repeat(500);
    let Verdict::Unknown { why, .. } = judge(FIRST, response, Reading::Error(code)) else {
        panic!("a 500 is unknown");
    };
    assert_eq!(why, format!("status 500, error ab{}", "x".repeat(62)));
}
