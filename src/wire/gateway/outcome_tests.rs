//! The table of the vendors' answers: status and body, and what each profile makes of it on a first attempt, on a later
//! one, on a later one whose answer is marked as a replay, and on a lookup. The answers have the forms that the sources
//! named in each description give; the generic profile has its own table.

use bytes::Bytes;
use figment::providers::{Format, Toml};

use super::*;
use crate::domain::answer::Response;
use crate::domain::money::{Amount, Currency};

/// What an answer leads to, with the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    /// Into the archive queue.
    Approved,
    /// Marked, stored, told.
    Declined,
    /// A lookup at once; where there is none, the same request again once it has aged.
    Asked,
    /// Waits until it has aged, then a lookup or the same request again.
    Unknown,
    Running,
    /// The same request again, after a delay.
    NotTaken,
    /// The store, then a lookup, then a person.
    Mismatch,
    /// The same request again, or a person.
    NeverSeen,
}
use Is::{Approved, Asked as Doubted, Declined, Mismatch, NeverSeen, NotTaken, Running, Unknown};

fn kind(verdict: &Verdict) -> Is {
    match verdict {
        Verdict::Approved { .. } => Approved,
        Verdict::Declined { .. } => Declined,
        Verdict::Unconfirmed { .. }
        | Verdict::NeedsLookup { .. }
        | Verdict::DuplicateCode { .. } => Doubted,
        Verdict::Unknown { .. } | Verdict::NotSent { .. } => Unknown,
        Verdict::StillRunning { .. } => Running,
        Verdict::NotTaken { .. } => NotTaken,
        Verdict::Mismatch { .. } => Mismatch,
        Verdict::NeverSeen => NeverSeen,
    }
}

const WAYS: [(Asked, bool); 4] = [
    (Asked::Charge { first: true }, false),
    (Asked::Charge { first: false }, false),
    (Asked::Charge { first: false }, true),
    (Asked::Lookup, false),
];

struct Table {
    profile: Profile,
    rows: usize,
}

impl Table {
    fn of(name: &str, text: Option<&str>) -> Self {
        let described = |text: &str| {
            Profile::describe(&Toml::from_str(text).unwrap(), super::builtin::hours).unwrap()
        };
        let profile = text.map_or_else(|| Profile::built_in(name).unwrap(), described);
        assert_eq!(profile.name, name);
        Self { profile, rows: 0 }
    }

    /// One row: four ways to have asked.
    #[track_caller]
    fn row(&mut self, status: u16, body: &str, expected: [Is; 4]) {
        let id = TransactionId::parse("tx-1").unwrap();
        let (amount, currency) = (Amount::new(1250).unwrap(), Currency::parse("EUR").unwrap());
        let expect = Expected { id: &id, amount, currency };
        for ((asked, replayed), is) in WAYS.into_iter().zip(expected) {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let response = Response { status, replayed, retry_after: None, body };
            let verdict = self.profile.verdict(asked, &expect, &Answer::Response(response));
            assert_eq!(kind(&verdict), is, "{status} {asked:?} {replayed} {verdict:?}");
        }
        self.rows += 1;
    }

    /// What no gateway's profile may take for anything.
    fn rows_of_outages(&mut self, approved: &str) {
        for status in [401, 403, 404, 408, 425, 500, 502, 503, 504] {
            self.row(status, "<html><body>nginx</body></html>", [Unknown; 4]);
            self.row(status, approved, [Unknown; 4]);
        }
        self.row(200, "", [Unknown; 4]);
        self.row(200, "OK", [Unknown; 4]);
        self.row(200, &approved[..approved.len() - 1], [Unknown; 4]);
        self.row(200, "{\"object\":\"balance\"}", [Unknown; 4]);
    }
}

fn intent(status: &str, more: &str) -> String {
    format!(
        r#"{{"id":"pi_3","object":"payment_intent","amount":1250,"currency":"eur","livemode":false,
        "metadata":{{"transaction_id":"tx-1","account_id":"acc"}},"status":"{status}"{more}}}"#
    )
}

fn stripe_error(kind: &str, code: Option<&str>, more: &str) -> String {
    let code = code.map(|code| format!(r#""code":"{code}","#)).unwrap_or_default();
    format!(r#"{{"error":{{{code}"message":"m","type":"{kind}"{more}}}}}"#)
}

#[test]
fn stripe_payment_intents() {
    let mut table = Table::of("stripe", None);
    let paid = intent("succeeded", "");
    table.row(200, &paid, [Approved, Approved, Approved, Unknown]);
    table.row(200, &intent("processing", ""), [Running, Running, Running, Unknown]);
    for open in ["requires_action", "requires_confirmation", "requires_capture", "new_word"] {
        table.row(200, &intent(open, ""), [Unknown; 4]);
    }
    let failed =
        r#","last_payment_error":{"code":"card_declined","decline_code":"insufficient_funds"}"#;
    let refused = intent("requires_payment_method", failed);
    table.row(200, &refused, [Declined, Doubted, Declined, Unknown]);
    table.row(200, &intent("canceled", ""), [Declined, Doubted, Declined, Unknown]);
    for code in ["card_declined", "expired_card", "incorrect_cvc", "authentication_required"] {
        let with = format!(r#","payment_intent":{refused}"#);
        let error = stripe_error("card_error", Some(code), &with);
        table.row(402, &error, [Declined, Doubted, Declined, Unknown]);
        table.row(200, &error, [Unknown; 4]);
        table.row(500, &error, [Unknown; 4]);
    }
    let twice = refused.replace("insufficient_funds", "duplicate_transaction");
    let twice =
        stripe_error("card_error", Some("card_declined"), &format!(r#","payment_intent":{twice}"#));
    table.row(402, &twice, [Doubted, Doubted, Doubted, Unknown]);
    // A refusal of nobody knows what.
    table.row(402, &stripe_error("card_error", Some("card_declined"), ""), [Unknown; 4]);
    let other = stripe_error(
        "card_error",
        None,
        &format!(r#","payment_intent":{}"#, refused.replace("tx-1", "tx-2")),
    );
    table.row(402, &other, [Unknown; 4]);
    table.row(200, &paid.replace("tx-1", "tx-2"), [Unknown; 4]);
    table.row(200, &paid.replace("1250", "1251"), [Mismatch, Mismatch, Mismatch, Unknown]);
    table.row(200, &paid.replace("eur", "usd"), [Mismatch, Mismatch, Mismatch, Unknown]);
    let reused = stripe_error("idempotency_error", None, "");
    table.row(400, &reused, [Mismatch, Mismatch, Mismatch, Unknown]);
    for code in ["parameter_missing", "amount_too_small", "resource_missing"] {
        let error = stripe_error("invalid_request_error", Some(code), "");
        table.row(400, &error, [NotTaken, NotTaken, NotTaken, Unknown]);
        table.row(401, &error, [Unknown; 4]);
    }
    let busy = stripe_error("invalid_request_error", Some("idempotency_key_in_use"), "");
    table.row(409, &busy, [Running; 4]);
    let limited = stripe_error("invalid_request_error", Some("rate_limit"), "");
    table.row(429, &limited, [NotTaken, NotTaken, NotTaken, Unknown]);
    table.row(500, &stripe_error("api_error", None, ""), [Unknown; 4]);
    let found =
        |items: &str| format!(r#"{{"object":"search_result","data":[{items}],"has_more":false}}"#);
    table.row(200, &found(&paid), [Unknown, Unknown, Unknown, Approved]);
    table.row(200, &found(""), [Unknown, Unknown, Unknown, NeverSeen]);
    table.row(200, &found(&refused), [Unknown, Unknown, Unknown, Declined]);
    table.row(200, &found(&intent("processing", "")), [Unknown, Unknown, Unknown, Running]);
    table.row(200, &found(&format!("{refused},{paid}")), [Unknown, Unknown, Unknown, Approved]);
    table.row(200, &found(&format!("{paid},{refused}")), [Unknown, Unknown, Unknown, Approved]);
    // A search that does not heed what was asked for.
    let others = paid.replace("tx-1", "tx-2");
    table.row(200, &found(&others), [Unknown; 4]);
    table.row(200, &found(&format!("{others},{paid}")), [Unknown; 4]);
    table.row(200, &found("7"), [Unknown; 4]);
    table.row(500, &found(""), [Unknown; 4]);
    table.rows_of_outages(&paid);
    assert!(table.rows >= 60, "{}", table.rows);
}

#[test]
fn stripe_charges() {
    let mut table = Table::of("stripe-charges", None);
    let charge = |status: &str, more: &str| {
        format!(
            r#"{{"id":"ch_3","object":"charge","amount":1250,"currency":"eur","paid":true,
            "metadata":{{"transaction_id":"tx-1"}},"status":"{status}"{more}}}"#
        )
    };
    let paid = charge("succeeded", "");
    table.row(200, &paid, [Approved, Approved, Approved, Unknown]);
    table.row(200, &charge("pending", ""), [Running, Running, Running, Unknown]);
    let failed = charge("failed", r#","failure_code":"card_declined""#);
    table.row(200, &failed, [Declined, Doubted, Declined, Unknown]);
    // It names the charge and repeats nothing: a search has to find it.
    let refused = stripe_error(
        "card_error",
        Some("card_declined"),
        r#","charge":"ch_3","decline_code":"do_not_honor""#,
    );
    table.row(402, &refused, [Doubted, Doubted, Doubted, Unknown]);
    let found = |items: &str| format!(r#"{{"object":"search_result","data":[{items}]}}"#);
    table.row(200, &found(&failed), [Unknown, Unknown, Unknown, Declined]);
    table.row(200, &found(&paid), [Unknown, Unknown, Unknown, Approved]);
    table.row(200, &found(""), [Unknown, Unknown, Unknown, NeverSeen]);
    table.row(
        400,
        &stripe_error("idempotency_error", None, ""),
        [Mismatch, Mismatch, Mismatch, Unknown],
    );
    table.row(
        429,
        &stripe_error("invalid_request_error", Some("rate_limit"), ""),
        [NotTaken, NotTaken, NotTaken, Unknown],
    );
    table.rows_of_outages(&paid);
    assert!(table.rows >= 30, "{}", table.rows);
}

#[test]
fn adyen_payments() {
    let mut table = Table::of("adyen", Some(include_str!("../../../docs/gateways/adyen.toml")));
    let payment = |code: &str, more: &str| {
        format!(
            r#"{{"pspReference":"V4HZ4RBFJGXXGN82","resultCode":"{code}","merchantReference":"tx-1",
            "amount":{{"currency":"EUR","value":1250}}{more}}}"#
        )
    };
    let paid = payment("Authorised", "");
    table.row(200, &paid, [Approved; 4]);
    for code in ["Pending", "Received"] {
        table.row(200, &payment(code, ""), [Running; 4]);
    }
    for code in ["RedirectShopper", "ChallengeShopper", "Error", "AuthenticationFinished"] {
        table.row(200, &payment(code, ""), [Unknown; 4]);
    }
    let refused =
        payment("Refused", r#","refusalReason":"Not enough balance","refusalReasonCode":"12""#);
    // There is no replay header and no lookup: on a repeat it is doubted.
    table.row(200, &refused, [Declined, Doubted, Declined, Declined]);
    let partly = paid.replace("\"value\":1250", "\"value\":1200");
    table.row(200, &partly, [Mismatch; 4]);
    table.row(200, &paid.replace("tx-1", "tx-9"), [Unknown; 4]);
    let error = |code: &str| {
        format!(r#"{{"status":422,"errorCode":"{code}","message":"m","errorType":"validation"}}"#)
    };
    table.row(422, &error("704"), [Running; 4]);
    table.row(422, &error("14_012"), [NotTaken, NotTaken, NotTaken, Unknown]);
    table.row(401, &error("000"), [Unknown; 4]);
    table.row(403, &error("901"), [Unknown; 4]);
    table.row(500, &error("905"), [Unknown; 4]);
    table.rows_of_outages(&paid);
    assert!(table.rows >= 35, "{}", table.rows);
}

#[test]
fn checkout_payments() {
    let mut table =
        Table::of("checkout", Some(include_str!("../../../docs/gateways/checkout.toml")));
    let payment = |status: &str, code: &str| {
        format!(
            r#"{{"id":"pay_mbabizu24mvu3mela5njyhpit4","amount":1250,"currency":"EUR","approved":true,
            "status":"{status}","response_code":"{code}","reference":"tx-1"}}"#
        )
    };
    let paid = payment("Authorized", "10000");
    table.row(201, &paid, [Approved, Approved, Approved, Unknown]);
    let refused = payment("Declined", "20051");
    table.row(201, &refused, [Declined, Doubted, Declined, Unknown]);
    table.row(202, &payment("Pending", "10000"), [Running, Running, Running, Unknown]);
    table.row(201, &payment("Card Verified", "10000"), [Unknown; 4]);
    let error = |kind: &str| {
        format!(r#"{{"request_id":"0","error_type":"{kind}","error_codes":["amount_invalid"]}}"#)
    };
    table.row(422, &error("request_invalid"), [NotTaken, NotTaken, NotTaken, Unknown]);
    table.row(422, &error("processing_error"), [Unknown; 4]);
    table.row(429, &error("too_many_requests"), [Running; 4]);
    let found =
        |items: &str| format!(r#"{{"limit":100,"skip":0,"total_count":1,"data":[{items}]}}"#);
    table.row(200, &found(&payment("Captured", "10000")), [Unknown, Unknown, Unknown, Approved]);
    table.row(200, &found(&refused), [Unknown, Unknown, Unknown, Declined]);
    table.row(200, &found(""), [Unknown, Unknown, Unknown, NeverSeen]);
    table.row(200, &found(&paid.replace("tx-1", "tx-9")), [Unknown; 4]);
    table.rows_of_outages(&paid);
    assert!(table.rows >= 30, "{}", table.rows);
}
