//! The table: status, body, replay marker and attempt, and what the generic profile makes of them.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;

use super::Profile;
use crate::domain::answer::{Answer, Response};
use crate::domain::classify::{Asked, Expected, Verdict};
use crate::domain::id::TransactionId;
use crate::domain::money::{Amount, Currency};

/// A verdict without its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Approved,
    Declined,
    NeedsLookup,
    Duplicate,
    Unconfirmed,
    Unknown,
    NotSent,
    NotTaken,
    Running,
    Mismatch,
    NeverSeen,
}
use Is::{
    Approved, Declined, Duplicate, Mismatch, NeedsLookup, NeverSeen, NotSent, NotTaken, Running,
    Unknown,
};

fn kind(verdict: &Verdict) -> Is {
    match verdict {
        Verdict::Approved { .. } => Approved,
        Verdict::Declined { .. } => Declined,
        Verdict::NeedsLookup { .. } => NeedsLookup,
        Verdict::DuplicateCode { .. } => Duplicate,
        Verdict::Unconfirmed { .. } => Is::Unconfirmed,
        Verdict::Unknown { .. } => Unknown,
        Verdict::NotSent { .. } => NotSent,
        Verdict::NotTaken { .. } => NotTaken,
        Verdict::StillRunning { .. } => Running,
        Verdict::Mismatch { .. } => Mismatch,
        Verdict::NeverSeen => NeverSeen,
    }
}

static GENERIC: LazyLock<Profile> = LazyLock::new(Profile::generic);

const FIRST: Asked = Asked::Charge { first: true };
const LATER: Asked = Asked::Charge { first: false };
const LOOKUP: Asked = Asked::Lookup;

/// Every way to ask: a first attempt, a later one, a later one whose answer is a marked replay, a lookup.
const WAYS: [(Asked, bool); 4] = [(FIRST, false), (LATER, false), (LATER, true), (LOOKUP, false)];

fn judge(asked: Asked, answer: &Answer) -> Verdict {
    let id = TransactionId::parse("tx-1").unwrap();
    let (amount, currency) = (Amount::new(1250).unwrap(), Currency::parse("EUR").unwrap());
    GENERIC.verdict(asked, &Expected { id: &id, amount, currency }, answer)
}

fn response(status: u16, body: &str, replayed: bool) -> Answer {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Answer::Response(Response { status, replayed, retry_after: None, body })
}

/// `expected` in the order of [`WAYS`].
#[track_caller]
fn check(status: u16, body: &str, expected: [Is; 4]) {
    for ((asked, replayed), is) in WAYS.into_iter().zip(expected) {
        let verdict = judge(asked, &response(status, body, replayed));
        assert_eq!(kind(&verdict), is, "{status} {body:?} {asked:?} {replayed} {verdict:?}");
    }
}

#[track_caller]
fn check_unknown(status: u16, body: &str) {
    check(status, body, [Unknown; 4]);
}

const APPROVED: &str =
    r#"{"id":"ch_1","transaction_id":"tx-1","status":"approved","amount":1250,"currency":"EUR"}"#;
const DECLINED: &str = r#"{"id":"ch_1","transaction_id":"tx-1","status":"declined","amount":1250,"currency":"EUR","code":"insufficient_funds"}"#;
const HTML: &str = "<!doctype html><html><body>403 Forbidden</body></html>";

fn error(code: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#)
}

#[test]
fn readable_records() {
    check(200, APPROVED, [Approved; 4]);
    check(200, DECLINED, [Declined, NeedsLookup, Declined, Declined]);
    let duplicate = DECLINED.replace("insufficient_funds", "duplicate_transaction");
    check(200, &duplicate, [Duplicate, Duplicate, Duplicate, Declined]);
    let no_code = DECLINED.replace(r#","code":"insufficient_funds""#, "");
    check(200, &no_code, [Declined, NeedsLookup, Declined, Declined]);
    let more = APPROVED.replace("{", r#"{"new":{"field":[1,null,true,1e9]},"#);
    check(200, &more, [Approved; 4]);
    let escaped = APPROVED.replace("tx-1", r"tx\u002d1").replace("\"id\"", r#""\u0069d""#);
    check(200, &escaped, [Approved; 4]);
}

#[test]
fn the_gateways_id_and_code_are_kept() {
    assert_eq!(
        judge(FIRST, &response(200, APPROVED, false)),
        Verdict::Approved { gateway_id: "ch_1".into() }
    );
    let code = "insufficient_funds".to_owned();
    let declined = Verdict::Declined { code: code.clone(), gateway_id: Some("ch_1".into()) };
    assert_eq!(judge(FIRST, &response(200, DECLINED, false)), declined);
    assert_eq!(judge(LATER, &response(200, DECLINED, false)), Verdict::NeedsLookup { code });
}

#[test]
fn other_money_is_a_mismatch() {
    for body in [APPROVED, DECLINED] {
        check(200, &body.replace("1250", "1251"), [Mismatch; 4]);
        check(200, &body.replace("1250", "-1250"), [Mismatch; 4]);
        check(200, &body.replace("EUR", "USD"), [Mismatch; 4]);
    }
}

#[test]
fn records_that_break_the_schema_say_nothing() {
    for body in [APPROVED, DECLINED] {
        for (from, to) in [
            ("\"tx-1\"", "\"tx-2\""),
            ("\"tx-1\"", "\"TX-1\""),
            ("\"tx-1\"", "1"),
            ("\"tx-1\"", "null"),
            ("\"transaction_id\"", "\"transaction\""),
            ("1250", "1250.0"),
            ("1250", "1.25e3"),
            ("1250", "\"1250\""),
            ("1250", "null"),
            ("1250", "18446744073709551615"),
            ("1250", "99999999999999999999999"),
            ("\"EUR\"", "978"),
            ("\"EUR\"", "null"),
            ("\"ch_1\"", "\"\""),
            ("\"ch_1\"", "null"),
            // No store could take these: PostgreSQL has no text with a NUL.
            ("\"ch_1\"", r#""ch\n1""#),
            ("\"ch_1\"", r#""ch\u00001""#),
            ("\"insufficient_funds\"", r#""insufficient\u0000funds""#),
            ("\"insufficient_funds\"", r#""\u007f""#),
            ("roved", "rovedish"),
            ("declined", "pending"),
            ("approved", "pending"),
            ("{", r#"{"error":{"code":"internal"},"#),
            ("{", r#"{"id":"ch_2","#),
            ("{", r#"{"status":"approved","#),
            ("{", r#"{"nested":{"a":1,"a":2},"#),
            ("}", "},"),
            ("}", "}{}"),
        ] {
            let broken = body.replacen(from, to, 1);
            if broken != *body {
                check_unknown(200, &broken);
            }
        }
        for cut in 0..body.len() {
            check_unknown(200, &body[..cut]);
        }
        check_unknown(200, &format!("[{body}]"));
        check_unknown(200, &format!("\u{feff}{body}"));
    }
    check_unknown(200, &APPROVED.replace("ch_1", &"x".repeat(256)));
}

#[test]
fn bodies_that_are_nothing_of_ours_say_nothing() {
    for status in [200, 400, 402, 403, 404, 409, 422, 429, 500, 502, 503, 504] {
        for body in ["", " ", HTML, "OK", "null", "{}", "[]", "\"approved\"", "{\"error\":\"no\"}"]
        {
            check_unknown(status, body);
        }
    }
    let invalid = Bytes::from_static(b"{\"status\":\"\xff\xfe\"}");
    let answer = Response { status: 200, replayed: false, retry_after: None, body: invalid };
    assert_eq!(kind(&judge(FIRST, &Answer::Response(answer))), Unknown);
    check_unknown(200, &"[".repeat(60_000));
}

#[test]
fn records_under_another_status_say_nothing() {
    for status in [
        100, 101, 201, 202, 203, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402,
        403, 404, 405, 408, 409, 410, 413, 418, 422, 425, 429, 431, 451, 500, 501, 502, 503, 504,
        507, 511, 520, 599, 999,
    ] {
        check_unknown(status, APPROVED);
        check_unknown(status, DECLINED);
    }
}

#[test]
fn errors_with_a_meaning() {
    check(400, &error("invalid_request"), [NotTaken, NotTaken, NotTaken, Unknown]);
    check(429, &error("rate_limited"), [NotTaken, NotTaken, NotTaken, Unknown]);
    check(409, &error("in_progress"), [Running; 4]);
    check(422, &error("key_reused"), [Mismatch, Mismatch, Mismatch, Unknown]);
    check(404, &error("not_found"), [Unknown, Unknown, Unknown, NeverSeen]);
}

#[test]
fn every_other_error_leaves_it_unknown() {
    let codes = [
        "internal",
        "unauthorized",
        "forbidden",
        "timeout",
        "conflict",
        "too_early",
        "declined",
        "insufficient_funds",
        "unavailable",
    ];
    for status in [200, 400, 401, 402, 403, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504] {
        for code in codes {
            check_unknown(status, &error(code));
        }
    }
    for (status, code) in [
        (500, "invalid_request"),
        (400, "rate_limited"),
        (503, "rate_limited"),
        (500, "in_progress"),
        (409, "key_reused"),
        (200, "not_found"),
        (500, "not_found"),
        (404, "not_found "),
        (404, "NOT_FOUND"),
    ] {
        check_unknown(status, &error(code));
    }
}

#[test]
fn an_outage_is_never_a_decline_and_never_an_approval() {
    for status in (100..=999).filter(|&status| status != 200) {
        for body in [APPROVED, DECLINED, HTML, "", &error("declined"), &error("not_found")] {
            for (asked, replayed) in WAYS {
                let is = kind(&judge(asked, &response(status, body, replayed)));
                assert!(matches!(is, Unknown | NeverSeen), "{status} {body} {asked:?}: {is:?}");
                let absent = status == 404 && asked == LOOKUP && body == error("not_found");
                assert_eq!(is == NeverSeen, absent, "{status} {body} {asked:?}");
            }
        }
    }
}

#[test]
fn retry_after_is_passed_on() {
    let after = Some(Duration::from_secs(7));
    let given = |status, code: &str| {
        let body = error(code).into();
        judge(
            FIRST,
            &Answer::Response(Response { status, replayed: false, retry_after: after, body }),
        )
    };
    for (status, code) in
        [(429, "rate_limited"), (429, "other"), (503, "unavailable"), (409, "in_progress")]
    {
        let told = match given(status, code) {
            Verdict::NotTaken { retry_after, .. }
            | Verdict::Unknown { retry_after, .. }
            | Verdict::StillRunning { retry_after } => retry_after,
            other => panic!("{status} {code} gave {other:?}"),
        };
        assert_eq!(told, after, "{status} {code}");
    }
}

#[test]
fn no_response_at_all() {
    for (asked, _) in WAYS {
        let not_sent = judge(asked, &Answer::NotSent("refused".into()));
        assert_eq!(kind(&not_sent), NotSent);
        assert_eq!(kind(&judge(asked, &Answer::Lost("deadline".into()))), Unknown);
    }
}

#[test]
fn a_reason_never_quotes_the_body() {
    let secret = r#"{"status":"approved","pan":"4111111111111111","amount":1.5}"#;
    for (status, body) in [(200, secret), (500, secret), (403, "4111111111111111 <html>")] {
        let Verdict::Unknown { why, .. } = judge(FIRST, &response(status, body, false)) else {
            panic!("{status} is unknown");
        };
        assert!(!why.contains("4111"), "{why}");
        assert!(why.starts_with(&format!("status {status}, ")), "{why}");
    }
}
