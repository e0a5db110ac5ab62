//! The gateway's answer, read by the generic profile and classified. A second, simpler reader says what it may mean at
//! most: nothing that can't be read ends a transaction, or says that nothing was taken.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::Value;
use tollbridge::domain::answer::{Answer, Response};
use tollbridge::domain::classify::{Asked, Expected, Verdict};
use tollbridge::domain::id::TransactionId;
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::wire::gateway::Profile;

use super::Input;

const ID: &str = "tx-1";
const AMOUNT: i64 = 1250;
const CURRENCY: &str = "EUR";
const STATUSES: [u16; 12] = [200, 400, 401, 402, 404, 409, 422, 425, 429, 500, 503, 201];
/// The longest text that is taken from an answer into ours.
const WHY_BYTES_MAX: usize = 200;

static PROFILE: LazyLock<Profile> = LazyLock::new(Profile::generic);
/// What others answer, which the second reader does not know.
static OTHERS: LazyLock<[Profile; 2]> =
    LazyLock::new(|| ["stripe", "stripe-charges"].map(|name| Profile::built_in(name).unwrap()));

/// A byte for the status, one for the question, then the body.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let status = STATUSES[usize::from(input.byte()) % STATUSES.len()];
    let (question, body) = (input.byte(), input.0);
    let (first, replayed) = (question & 1 == 1, question & 2 == 2);
    let asked = if question & 4 == 4 { Asked::Lookup } else { Asked::Charge { first } };
    let id = TransactionId::parse(ID).unwrap();
    let expected = Expected {
        id: &id,
        amount: Amount::new(AMOUNT).unwrap(),
        currency: Currency::parse(CURRENCY).unwrap(),
    };
    let response =
        Response { status, replayed, retry_after: None, body: Bytes::copy_from_slice(body) };
    let answer = Answer::Response(response);
    for profile in &*OTHERS {
        is_bounded(&profile.verdict(asked, &expected, &answer));
    }
    let verdict = PROFILE.verdict(asked, &expected, &answer);
    assert_eq!(verdict, PROFILE.verdict(asked, &expected, &answer));
    let second = serde_json::from_slice::<Value>(body).ok();
    if let Some(error) = second.as_ref().and_then(|json| json["error"]["code"].as_str()) {
        of_an_error(status, asked, error, &verdict);
    }
    may_mean(status, asked, replayed, second.as_ref(), &verdict);
    is_bounded(&verdict);
}

/// What a verdict takes at least.
fn may_mean(status: u16, asked: Asked, replayed: bool, json: Option<&Value>, verdict: &Verdict) {
    let field = |name: &str| json.map_or(&Value::Null, |json| &json[name]);
    let is_ours = status == 200
        && field("transaction_id") == ID
        && field("amount") == AMOUNT
        && field("currency").as_str().is_some_and(|text| text.eq_ignore_ascii_case(CURRENCY))
        && field("error")["code"].is_null();
    let has_error = field("error")["code"].is_string() && field("status").is_null();
    match verdict {
        Verdict::Approved { gateway_id } => {
            assert!(is_ours && field("status") == "approved" && field("id") == gateway_id.as_str());
        }
        Verdict::Declined { .. } => {
            assert!(is_ours && field("status") == "declined" && field("id").is_string());
            let believed = matches!(asked, Asked::Lookup | Asked::Charge { first: true });
            assert!(believed || replayed, "a decline that may be about this repeat alone");
        }
        Verdict::NeedsLookup { .. } | Verdict::DuplicateCode { .. } => {
            assert!(is_ours && field("status") == "declined" && asked != Asked::Lookup);
        }
        Verdict::NotTaken { .. } | Verdict::StillRunning { .. } | Verdict::NeverSeen => {
            assert!(has_error, "{verdict:?}");
        }
        Verdict::Mismatch { .. } => assert!(json.is_some()),
        Verdict::Unknown { .. } => {}
        Verdict::Unconfirmed { .. } => panic!("its records repeat all of the request"),
        Verdict::NotSent { .. } => panic!("an answer came"),
    }
}

fn of_an_error(status: u16, asked: Asked, code: &str, verdict: &Verdict) {
    let allowed = match (asked, status, code) {
        (Asked::Charge { .. }, 400, "invalid_request")
        | (Asked::Charge { .. }, 429, "rate_limited") => {
            matches!(verdict, Verdict::NotTaken { .. })
        }
        (_, 409, "in_progress") => matches!(verdict, Verdict::StillRunning { .. }),
        (Asked::Charge { .. }, 422, "key_reused") => matches!(verdict, Verdict::Mismatch { .. }),
        (Asked::Lookup, 404, "not_found") => matches!(verdict, Verdict::NeverSeen),
        _ => false,
    };
    assert!(allowed || matches!(verdict, Verdict::Unknown { .. }), "{status} {code}: {verdict:?}");
}

/// What goes to logs, rows and events has an end, and is fit to be printed.
fn is_bounded(verdict: &Verdict) {
    let texts: &[&str] = match verdict {
        Verdict::Approved { gateway_id } => &[gateway_id],
        Verdict::Declined { code, gateway_id: Some(id) } => &[code, id],
        Verdict::Declined { code, .. }
        | Verdict::NeedsLookup { code }
        | Verdict::DuplicateCode { code } => &[code],
        Verdict::Unknown { why, .. }
        | Verdict::Unconfirmed { why }
        | Verdict::NotSent { why }
        | Verdict::NotTaken { why, .. }
        | Verdict::Mismatch { why } => {
            assert!(why.len() <= WHY_BYTES_MAX && !why.chars().any(char::is_control), "{why}");
            return;
        }
        Verdict::StillRunning { .. } | Verdict::NeverSeen => &[],
    };
    assert!(texts.iter().all(|text| text.len() <= 255 && !text.chars().any(char::is_control)));
}
