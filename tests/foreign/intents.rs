//! `stripe` (PaymentIntents) on PyPI's `seahaven-stripe-world` 0.3.0, and its refusals on `localstripe` 1.15.10.
//!
//! The replica has Stripe's API of 2026-08-26 and does not heed `Stripe-Version`. It differs from Stripe: it does not
//! know `error_on_requires_action` (Stripe's description has it, see `requests`); a search's text has to stand in
//! double quotes, where Stripe's own examples have single ones; a search shows all at once. So it gets the built-in
//! profile with these two places changed. It has no 429 and no 500. `localstripe` knows neither
//! `error_on_requires_action` nor `automatic_payment_methods`, and leaves the intent out of a decline.

use super::*;

const AUTHENTICATION: &str = "error_on_requires_action = true\n";
const REFUSED: &str = "requires_payment_method";

/// The profile as the replica takes it.
pub(super) fn for_the_replica() -> String {
    let text = changed(&shown("stripe"), AUTHENTICATION, "");
    changed(&text, "%27{transaction_id}%27", "%22{transaction_id}%22")
}

fn replica() -> (Spoken, &'static Foreign) {
    (Spoken::described(&for_the_replica(), stripe_world()), stripe_world())
}

fn token(server: &Foreign, token: &str) -> String {
    payment_method(server, &format!("card[token]={token}"))
}

fn statuses(server: &Foreign, id: &str) -> Vec<String> {
    let text = |intent: &serde_json::Value| intent["status"].as_str().unwrap().to_owned();
    records(server, "/v1/payment_intents?limit=100", id).iter().map(text).collect()
}

#[tokio::test]
async fn an_intent_is_approved_replayed_and_found() {
    let (stripe, server) = replica();
    let mut tx = paying_with("intents:approved", &token(server, "tok_visa"));
    tx.description = Some("order 7 & more".to_owned());
    stripe.lookup(&tx).await.assert(200, false, "never seen");
    let first = stripe.charge(FIRST, &tx).await;
    let id = first.approved().to_owned();
    assert!(id.starts_with("pi_") && !first.replayed, "{first:?}");
    stripe.charge(LATER, &tx).await.assert(200, true, &format!("approved as {id}"));
    stripe.lookup(&tx).await.assert(200, false, &format!("approved as {id}"));
    assert_eq!(statuses(server, "intents:approved"), ["succeeded"]);
}

#[tokio::test]
async fn a_card_that_is_declined_is_a_decline_at_once_replayed_and_found() {
    let (stripe, server) = replica();
    for (name, code) in [
        ("tok_visa_chargeDeclined", "generic_decline"),
        ("tok_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("tok_chargeDeclinedExpiredCard", "expired_card"),
    ] {
        let tx = paying_with(&format!("intents:{name}"), &token(server, name));
        let expected = format!("declined, {code}");
        let first = stripe.charge(FIRST, &tx).await;
        first.assert(402, false, &expected);
        assert!(
            matches!(&first.verdict, Verdict::Declined { gateway_id: Some(id), .. } if id.starts_with("pi_"))
        );
        stripe.charge(LATER, &tx).await.assert(402, true, &expected);
        stripe.lookup(&tx).await.assert(200, false, &expected);
        assert_eq!(statuses(server, tx.id.as_str()), [REFUSED]);
    }
}

#[tokio::test]
async fn who_would_have_to_authenticate_is_declined() {
    let (stripe, server) = replica();
    let tx = paying_with("intents:3ds", &payment_method(server, &card("4000002500003155")));
    let expected = "declined, authentication_required";
    stripe.charge(FIRST, &tx).await.assert(402, false, expected);
    stripe.lookup(&tx).await.assert(200, false, expected);
    assert_eq!(statuses(server, "intents:3ds"), [REFUSED]);
}

#[tokio::test]
async fn a_key_that_stands_for_another_body_is_a_mismatch() {
    let (stripe, server) = replica();
    let tx = paying_with("intents:reused", &token(server, "tok_visa"));
    stripe.charge(FIRST, &tx).await.approved();
    let other = Transaction { amount: Amount::new(1251).unwrap(), ..tx.clone() };
    let told = stripe.charge(LATER, &other).await;
    told.assert(400, false, "a mismatch: the gateway knows the key with another body");
    // What is there has another amount than what was asked for.
    let told = stripe.lookup(&other).await;
    told.assert(200, false, "a mismatch: the gateway names amount 1250, not 1251");
    assert_eq!(statuses(server, "intents:reused"), ["succeeded"]);
}

#[tokio::test]
async fn what_can_not_be_charged_is_not_taken() {
    let (stripe, server) = replica();
    let tx = paying_with("intents:nobody", "pm_nobody");
    let expected = "not taken: status 400, error resource_missing";
    stripe.charge(FIRST, &tx).await.assert(400, false, expected);
    // It had begun: so it is kept under the key, and asking again leads nowhere.
    stripe.charge(LATER, &tx).await.assert(400, true, expected);
    let built_in = Spoken::built_in("stripe", server);
    let tx = paying_with("intents:built-in", &token(server, "tok_visa"));
    for asked in [FIRST, LATER] {
        let told = built_in.charge(asked, &tx).await;
        told.assert(400, false, "not taken: status 400, error parameter_unknown");
    }
    for id in ["intents:nobody", "intents:built-in"] {
        assert_eq!(statuses(server, id), [""; 0]);
    }
}

#[tokio::test]
async fn what_says_too_little_decides_nothing() {
    let server = localstripe();
    let text = changed(&shown("stripe"), AUTHENTICATION, "");
    let methods = "automatic_payment_methods = { enabled = true, allow_redirects = \"never\" }\n";
    let stripe = Spoken::described(&changed(&text, methods, ""), server);
    let card = |number: &str| payment_method(server, &card(number));
    let tx = paying_with("intents:local", &card("4242424242424242"));
    let first = stripe.charge(FIRST, &tx).await;
    assert_eq!(statuses(server, "intents:local"), ["succeeded"]);
    let again = stripe.charge(LATER, &tx).await;
    assert_ne!(first.approved(), again.approved());
    // A decline that does not say of what.
    let tx = paying_with("intents:vague", &card("4000000000000341"));
    let told = stripe.charge(FIRST, &tx).await;
    told.assert(402, false, "unknown: status 402, error card_declined");
    assert_eq!(statuses(server, "intents:vague"), [REFUSED]);
    // A person would have to act.
    let tx = paying_with("intents:action", &card("4000000000003220"));
    let told = stripe.charge(FIRST, &tx).await;
    told.assert(200, false, "unknown: status 200, a record that the profile does not know");
    assert_eq!(statuses(server, "intents:action"), ["requires_action"]);
}
