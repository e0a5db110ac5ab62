//! What a description can say, and what each flaw of one is answered with.

use figment::providers::{Format, Toml};

use super::*;
use crate::wire::gateway::builtin::BUILT_IN;
use crate::wire::gateway::profile::{Says, Values};

/// A gateway with words of its own; every part of the language stands in it.
const ACME: &str = r#"
name = "acme"
replays = "approvals"
key_ttl = "168h"
[auth]
scheme = "header"
header = "X-Api-Key"
[charge]
method = "PUT"
path = "/v3/payments/{transaction_id:uuid}"
[charge.headers]
X-Request = "pay-{transaction_id}"
[charge.body]
ref = "{transaction_id}"
sum = { value = "{amount:decimal}", unit = "{currency}", minor = "{amount:text}" }
lines = [{ text = "order {transaction_id} of {{{account_id}}}", qty = 1 }, "{metadata.note}"]
capture = true
[lookup]
path = "/v3/payments?ref={transaction_id}&limit=10"
list = "/items"
consistent = "90s"
[lookup.answer]
status = "/state"
[replay]
header = "X-Replay"
value = "yes"
[answer]
id = ["/uid", "/payment/uid"]
status = "/result/state"
error = "/fault"
transaction_id = "/ref"
amount = "/sum/value"
amount_form = "decimal"
currency = "/sum/unit"
code = "/result/reason"
id_on_decline = false
[[rule]]
http = ["2xx"]
status = [0, "PAID"]
means = "approved"
[[rule]]
http = 200
status = "REFUSED"
code = ["TWICE"]
means = "duplicate"
[[rule]]
http = 200
status = "REFUSED"
means = "declined"
[[rule]]
http = 429
error = "*"
means = "not_taken"
"#;

fn read(text: &str) -> Result<Profile, Vec<Flaw>> {
    let tree: Tree = Toml::from_str(text).unwrap();
    Profile::describe(&tree, |text| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = if unit == "h" { 3_600 } else { 1 };
        Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
    })
}

/// The description with one piece of it changed has this flaw before all others.
#[track_caller]
fn flawed(from: &str, to: &str, key: &str, problem: &str) {
    assert!(ACME.contains(from), "{from}");
    let flaws = read(&ACME.replacen(from, to, 1)).expect_err(to);
    let found: Vec<String> = flaws.iter().map(ToString::to_string).collect();
    // What follows from it may be noted behind it.
    assert_eq!(flaws[0].key, key, "{found:?}");
    assert!(flaws[0].problem.contains(problem), "{found:?}");
    assert!(flaws[0].remedy.len() > 5, "{found:?}");
}

#[test]
fn every_built_in_profile_is_sound() {
    for (name, text) in BUILT_IN {
        match read(text) {
            Ok(profile) => assert_eq!(profile.name, name),
            Err(flaws) => panic!("{name}: {flaws:?}"),
        }
        let kept = name.starts_with("stripe").then(|| Duration::from_hours(24));
        assert_eq!(Profile::built_in(name).unwrap().key_ttl, kept, "{name}");
    }
    assert!(Profile::built_in("acme").is_none());
}

#[test]
fn the_whole_language_is_read() {
    let acme = read(ACME).unwrap();
    assert_eq!(acme.replays, Replays::Approvals);
    assert_eq!(acme.key_ttl, Some(Duration::from_hours(168)));
    assert_eq!(acme.lookup, Lookup::Settles(Duration::from_secs(90)));
    assert_eq!(acme.endpoints.auth, Auth::Header("x-api-key".into()));
    assert_eq!(acme.endpoints.charge.method, "PUT");
    assert_eq!(acme.endpoints.replay, Some(("x-replay".into(), "yes".into())));
    assert_eq!(acme.lookup_fields.status, [Pointer(vec!["state".into()])]);
    assert_eq!(acme.lookup_fields.gateway_id, acme.charge_fields.gateway_id);
    assert_eq!(acme.rules[0].http, [200..=299]);
    assert_eq!(acme.rules[0].status, Values::OneOf(vec!["0".into(), "PAID".into()]));
    assert_eq!(acme.rules[3].says, Says::Error(crate::domain::answer::Means::NotTaken));
    let lookup = acme.endpoints.lookup.unwrap();
    assert_eq!((lookup.method.as_str(), lookup.content_type), ("GET", None));
}

#[test]
fn a_body_has_numbers_texts_and_what_is_fixed() {
    use crate::domain::money::{Amount, Currency};
    let tx = crate::domain::transaction::Transaction {
        id: crate::domain::id::TransactionId::parse("tx-1").unwrap(),
        account_id: "acc".into(),
        amount: Amount::new(1205).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: "pm".into(),
        created_at: crate::domain::time::Wall(0),
        description: None,
        metadata: [("note".into(), "n".into())].into(),
    };
    let acme = read(ACME).unwrap();
    let body = acme.charge_body(&tx);
    let expected = r#"{"capture":true,"lines":[{"qty":1,"text":"order tx-1 of {acc}"},"n"],"ref":"tx-1","sum":{"minor":"1205","unit":"EUR","value":12.05}}"#;
    assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
    let bare = crate::domain::transaction::Transaction { metadata: [].into(), ..tx };
    assert!(!acme.charge_body(&bare).ends_with(b"\"n\"]"));
}

#[test]
fn another_request_is_another_recipe() {
    let recipe = |from: &str, to: &str| read(&ACME.replacen(from, to, 1)).unwrap().recipe;
    let own = read(ACME).unwrap().recipe;
    assert_ne!(own, recipe("capture = true", "capture = false"));
    assert_ne!(own, recipe("/v3/payments/{", "/v4/payments/{"));
    assert_eq!(own, recipe("limit=10", "limit=20"));
}

#[test]
fn a_request_that_carries_no_key_is_refused() {
    let keyless = ACME
        .replacen("/{transaction_id:uuid}", "", 1)
        .replacen("pay-{transaction_id}", "pay", 1)
        .replacen("ref = \"{transaction_id}\"", "ref = \"x\"", 1)
        .replacen("order {transaction_id} of", "order of", 1);
    let flaws = read(&keyless).unwrap_err();
    assert_eq!((flaws.len(), flaws[0].key.as_str()), (1, "charge.key_header"), "{flaws:?}");
}

#[test]
fn flaws_of_templates_name_the_field() {
    flawed("\"{currency}\"", "\"{curency}\"", "charge.body.sum.unit", "no field {curency}");
    flawed("\"{currency}\"", "\"{currency\"", "charge.body.sum.unit", "a brace stands alone");
    flawed("\"{currency}\"", "\"to {metadata}\"", "charge.body.sum.unit", "no field {metadata}");
    flawed("qty = 1", "qty = 1.5", "charge.body.lines.1.qty", "no exact form");
    let header = "X-Request = \"pay-{transaction_id}\"";
    flawed(header, "X-Request = \"{account_id}\"", "charge.headers.x-request", "id alone");
    flawed(header, "Host = \"a\"", "charge.headers.Host", "by Tollbridge itself");
    flawed(header, "\"a b\" = \"a\"", "charge.headers.a b", "no name of a header");
}

#[test]
fn flaws_of_answers_and_rules_name_the_rule() {
    flawed("\"/ref\"", "\"ref\"", "answer.transaction_id", "no place");
    flawed("\"decimal\"", "\"float\"", "answer.amount_form", "no such choice");
    flawed("id = [\"/uid\", \"/payment/uid\"]\n", "", "answer.id", "has to be set");
    flawed("currency = \"/sum/unit\"\n", "", "answer", "held against its request");
    flawed("http = [\"2xx\"]", "http = [503]", "rule.1.http", "503 decides no payment");
    flawed("http = [\"2xx\"]", "http = [\"4xx\"]", "rule.1.http", "401 decides no payment");
    flawed("http = [\"2xx\"]", "http = [\"two\"]", "rule.1.http", "HTTP statuses are expected");
    flawed("http = [\"2xx\"]\n", "", "rule.1.http", "has to be set");
    flawed("error = \"*\"\n", "", "rule.4.means", "any page");
    flawed("means = \"not_taken\"", "means = \"gone\"", "rule.4.means", "no such choice");
    flawed("error = \"*\"", "error = \"*\"\nto = \"lookup\"", "rule.4.to", "no such answer");
    flawed("error = \"/fault\"\n", "", "rule.4.error", "nothing says where");
    flawed("error = \"*\"", "error = \"*\"\nechoes = [\"id\"]", "rule.4.echoes", "held against");
    flawed(
        "means = \"declined\"",
        "means = \"unknown\"",
        "rule",
        "no answer to a charge means declined",
    );
}

#[test]
fn flaws_of_the_rest() {
    flawed("replays = \"approvals\"\n", "", "replays", "has to be set");
    flawed("\"168h\"", "\"a week\"", "key_ttl", "no duration");
    flawed("\"168h\"", "168", "key_ttl", "a text is expected");
    flawed("name = \"acme\"", "nane = \"acme\"", "nane", "there is no such key");
    flawed("header = \"X-Api-Key\"\n", "", "auth.header", "has to be set");
    flawed("scheme = \"header\"", "scheme = \"bearer\"", "auth.header", "header of its own");
    flawed("consistent = \"90s\"\n", "", "lookup.consistent", "has to be set");
    flawed("\"90s\"", "\"soon\"", "lookup.consistent", "no duration");
    flawed("?ref={transaction_id}&", "?", "lookup.path", "asks for no transaction");
    flawed("method = \"PUT\"", "method = \"GET\"", "charge.method", "must not charge");
    flawed("method = \"PUT\"", "method = \"DELETE\"", "charge.method", "asks for nothing");
    flawed("path = \"/v3/payments/", "path = \"v3/payments/", "charge.path", "without a slash");
    flawed("&limit=10", "#limit", "lookup.path", "a fragment");
}
