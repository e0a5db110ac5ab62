//! `tollbridge gateway check` on the servers of others: what it prints, line by line, and how it ends. Where they
//! differ from Stripe is told in `charges`, `intents` and `requests`.

use std::path::Path;

use super::*;

const WELL: i32 = 0;
const WRONG: i32 = 3;
const DEAD_END: &str = "nothing else can be told";

/// The exit code and the lines of a check, with a built-in profile or one in a file.
fn check(server: &Foreign, profile: &str, id: &str, payment_method: &str) -> (i32, Vec<String>) {
    let key = if Path::new(profile).is_absolute() { "profile_file" } else { "profile" };
    let output = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .env("TOLLBRIDGE_GATEWAY__CREDENTIAL", server.credential())
        .args(["gateway", "check", "--account", "acc", "--amount", "1250", "--currency", "EUR"])
        .args(["--id", id, "--payment-method", payment_method])
        .args(["--set", "kafka.brokers=127.0.0.1:1", "--set", "gateway.key_ttl=24h"])
        .args(["--set", &format!("gateway.{key}={profile}")])
        .args(["--set", &format!("gateway.url={}", server.url())])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("{told}"));
    (code, told.lines().map(without_size).collect())
}

/// How many bytes an answer has is the server's business.
fn without_size(line: &str) -> String {
    let cut = line.split_once(" bytes").and_then(|(before, after)| {
        let (head, _) = before.rsplit_once(", ")?;
        Some(format!("{head}{after}"))
    });
    cut.unwrap_or_else(|| line.to_owned())
}

/// The gateway's id of what a line calls approved.
#[track_caller]
fn approved(line: &str) -> &str {
    line.split_once("; approved as ").unwrap_or_else(|| panic!("{line}")).1
}

#[test]
fn a_gateway_that_does_all_a_profile_says_is_well() {
    let folder = TempDir::new("replica").unwrap();
    let file = folder.join("profile.toml");
    std::fs::write(&file, intents::for_the_replica()).unwrap();
    let profile = file.to_str().unwrap();
    let server = stripe_world();
    let paying = payment_method(server, "card[token]=tok_visa");
    let (code, lines) = check(server, profile, "check:well", &paying);
    assert_eq!((code, lines.len()), (WELL, 4), "{lines:#?}");
    let id = approved(&lines[1]);
    let expected = [
        "check:well: 1250 minor units of EUR".to_owned(),
        format!("charge: HTTP 200; approved as {id}"),
        format!("charge again: HTTP 200, marked as a replay; approved as {id}"),
        format!("lookup: HTTP 200; approved as {id}"),
    ];
    assert_eq!(lines, expected);
    let broke = payment_method(server, "card[token]=tok_visa_chargeDeclinedInsufficientFunds");
    let (code, lines) = check(server, profile, "check:broke", &broke);
    let expected = [
        "check:broke: 1250 minor units of EUR",
        "charge: HTTP 402; declined, insufficient_funds",
        "charge again: HTTP 402, marked as a replay; declined, insufficient_funds",
        "lookup: HTTP 200; declined, insufficient_funds",
    ];
    assert_eq!((code, lines), (WELL, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_gateway_without_idempotency_is_noticed() {
    let server = localstripe();
    let paying = payment_method(server, &card("4242424242424242"));
    let (code, lines) = check(server, "stripe-charges", "check:twice", &paying);
    assert_eq!(code, WRONG, "{lines:#?}");
    let (one, other) = (approved(&lines[1]), approved(&lines[2]));
    assert_ne!(one, other);
    let expected = [
        "check:twice: 1250 minor units of EUR".to_owned(),
        format!("charge: HTTP 200; approved as {one}"),
        format!("charge again: HTTP 200; approved as {other}"),
        "lookup: HTTP 404; unknown: status 404, error invalid_request_error".into(),
        format!(
            "wrong the same key led to two charges, {one} and {other}: the gateway does not heed it; never run \
             against this"
        ),
        "wrong the second answer is not marked as a replay, as the profile says it would be".into(),
        "wrong the lookup is unknown: status 404, error invalid_request_error".into(),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_gateway_without_the_search_of_its_profile_is_noticed() {
    let (code, lines) = check(stateful_mock(), "stripe-charges", "check:search", "tok_visa");
    assert_eq!((code, lines.len()), (WRONG, 5), "{lines:#?}");
    let id = approved(&lines[1]);
    let expected = [
        format!("charge again: HTTP 200, marked as a replay; approved as {id}"),
        "lookup: HTTP 404; unknown: status 404, error resource_missing".into(),
        "wrong the lookup is unknown: status 404, error resource_missing".into(),
    ];
    assert_eq!(lines[2..], expected);
}

#[test]
fn a_first_charge_that_tells_nothing_is_a_dead_end() {
    let mock = stateful_mock();
    for (server, profile, id, paying, read) in [
        (mock, "stripe-charges", "check:429", "tok_429", "not taken: status 429, error rate_limit"),
        (mock, "stripe-charges", "check:500", "tok_500", "unknown: status 500, error api_error"),
        (
            mock,
            "stripe-charges",
            "check:broke",
            "tok_chargeDeclined",
            "declined, to be confirmed: generic_decline",
        ),
        (
            stripe_mock(),
            "stripe",
            "check:can",
            "pm_card_visa",
            "unknown: status 200, without the transaction's id",
        ),
    ] {
        let (code, lines) = check(server, profile, id, paying);
        assert_eq!((code, lines.len()), (WRONG, 5), "{lines:#?}");
        assert!(lines[1].ends_with(&format!("; {read}")), "{lines:#?}");
        assert_eq!(lines[4], format!("wrong the first charge is {read}; {DEAD_END}"));
    }
}
