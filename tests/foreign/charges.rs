//! `stripe-charges`, as it is built in, on npm's `stripe-stateful-mock` 0.0.16 and PyPI's `localstripe` 1.15.10.
//!
//! The mock differs from Stripe: it has no search (404), so a lookup can only be shown on the list of all charges; it
//! keeps what fails validation under the key; what a token leads to is written into it. `localstripe` differs: it does
//! not heed keys, has no search, and takes payment methods where Stripe takes tokens.

use super::*;

const LIST: &str = "/v1/charges?limit=100";
const NO_SEARCH: &str = "unknown: status 404, error resource_missing";

fn mock() -> (Spoken, &'static Foreign) {
    (Spoken::built_in("stripe-charges", stateful_mock()), stateful_mock())
}

/// Whether money moved, by the server's own list.
fn paid(server: &Foreign, id: &str) -> Vec<bool> {
    records(server, LIST, id).iter().map(|charge| charge["paid"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn a_charge_is_approved_and_its_replay_is_the_same_charge() {
    let (stripe, server) = mock();
    let mut tx = paying_with("charges:approved", "tok_visa");
    tx.description = Some("order 7 & more".to_owned());
    let first = stripe.charge(FIRST, &tx).await;
    let id = first.approved().to_owned();
    assert!(id.starts_with("ch_") && !first.replayed, "{first:?}");
    let again = stripe.charge(LATER, &tx).await;
    again.assert(200, true, &format!("approved as {id}"));
    assert_eq!(paid(server, "charges:approved"), [true]);
    let charge = &records(server, LIST, "charges:approved")[0];
    let kept = (&charge["amount"], &charge["currency"], &charge["description"]);
    assert_eq!(kept, (&1250.into(), &"eur".into(), &"order 7 & more".into()));
    assert_eq!(charge["metadata"]["account_id"], "acc-1");
}

#[tokio::test]
async fn a_card_that_is_declined_is_believed_only_once_it_is_looked_up() {
    let (stripe, server) = mock();
    for (token, code) in [
        ("tok_chargeDeclined", "generic_decline"),
        ("tok_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("tok_chargeDeclinedExpiredCard", "expired_card"),
    ] {
        let tx = paying_with(&format!("charges:{token}"), token);
        let expected = format!("declined, to be confirmed: {code}");
        stripe.charge(FIRST, &tx).await.assert(402, false, &expected);
        stripe.charge(LATER, &tx).await.assert(402, true, &expected);
        stripe.lookup(&tx).await.assert(404, false, NO_SEARCH);
        assert_eq!(paid(server, tx.id.as_str()), [false]);
    }
}

#[tokio::test]
async fn a_key_that_stands_for_another_body_is_a_mismatch() {
    let (stripe, server) = mock();
    let tx = paying_with("charges:reused", "tok_visa");
    stripe.charge(FIRST, &tx).await.approved();
    let other = Transaction { amount: Amount::new(1251).unwrap(), ..tx.clone() };
    let told = stripe.charge(LATER, &other).await;
    told.assert(400, false, "a mismatch: the gateway knows the key with another body");
    stripe.charge(LATER, &tx).await.approved();
    assert_eq!(paid(server, "charges:reused"), [true]);
}

#[tokio::test]
async fn what_is_throttled_is_not_taken_and_not_kept_under_its_key() {
    let (stripe, server) = mock();
    let tx = paying_with("charges:429", "tok_429");
    for asked in [FIRST, LATER] {
        stripe.charge(asked, &tx).await.assert(
            429,
            false,
            "not taken: status 429, error rate_limit",
        );
    }
    assert_eq!(paid(server, "charges:429"), [false; 0]);
}

#[tokio::test]
async fn trouble_at_the_gateway_is_never_a_decline_though_it_is_replayed() {
    let (stripe, _) = mock();
    let tx = paying_with("charges:500", "tok_500");
    let expected = "unknown: status 500, error api_error";
    stripe.charge(FIRST, &tx).await.assert(500, false, expected);
    let again = stripe.charge(LATER, &tx).await;
    again.assert(500, true, expected);
    assert!(matches!(again.verdict, Verdict::Unknown { is_outage: true, .. }), "{again:?}");
}

#[tokio::test]
async fn what_is_refused_before_it_begins_is_not_taken() {
    let (stripe, server) = mock();
    let little = Transaction {
        amount: Amount::new(1).unwrap(),
        ..paying_with("charges:little", "tok_visa")
    };
    let told = stripe.charge(FIRST, &little).await;
    told.assert(400, false, "not taken: status 400, error amount_too_small");
    // 404 might be anybody's.
    let mut stranger = paying_with("charges:stranger", "card_1");
    stranger.metadata = [("customer".to_owned(), "cus_nobody".to_owned())].into();
    stripe.charge(FIRST, &stranger).await.assert(404, false, NO_SEARCH);
    let wrong = Spoken::with(Profile::built_in("stripe-charges").unwrap(), server, "pk_wrong");
    let tx = paying_with("charges:key", "tok_visa");
    let told = wrong.charge(FIRST, &tx).await;
    told.assert(401, false, "unknown: status 401, error invalid_request_error");
    for id in ["charges:little", "charges:stranger", "charges:key"] {
        assert_eq!(paid(server, id), [false; 0]);
    }
}

/// As Stripe's newer accounts do, by the replica's message.
#[tokio::test]
async fn an_account_that_takes_no_tokens_on_charges_takes_nothing() {
    let stripe = Spoken::built_in("stripe-charges", stripe_world());
    let told = stripe.charge(FIRST, &paying_with("charges:token", "tok_visa")).await;
    told.assert(400, false, "not taken: status 400, error invalid_request_error");
}

/// The list of all charges in place of a search: the id, which a lookup has to carry, is overlooked there. It is right
/// only where one transaction stands in it, so each case has a server of its own.
fn listing(server: &Foreign) -> Spoken {
    let text = shown("stripe-charges");
    let search =
        "/v1/charges/search?query=metadata%5B%27transaction_id%27%5D%3A%27{transaction_id}%27";
    let list = format!("{LIST}&reference={{transaction_id}}");
    Spoken::described(&changed(&text, search, &list), server)
}

#[tokio::test]
async fn a_list_of_charges_tells_what_became_of_one() {
    let server = Foreign::stateful_mock().unwrap();
    let stripe = listing(&server);
    let declined = paying_with("charges:list-1", "tok_chargeDeclinedIncorrectCvc");
    stripe.lookup(&declined).await.assert(200, false, "never seen");
    let told = stripe.charge(FIRST, &declined).await;
    told.assert(402, false, "declined, to be confirmed: incorrect_cvc");
    stripe.lookup(&declined).await.assert(200, false, "declined, incorrect_cvc");
    // Another's charge in the answer: then it is no answer to what was asked.
    let approved = paying_with("charges:list-2", "tok_visa");
    stripe.charge(FIRST, &approved).await.approved();
    for tx in [&declined, &approved] {
        let told = stripe.lookup(tx).await;
        told.assert(200, false, "unknown: status 200, a list with another transaction's record");
    }
    let server = Foreign::stateful_mock().unwrap();
    let stripe = listing(&server);
    let charged = stripe.charge(FIRST, &approved).await;
    stripe.lookup(&approved).await.assert(
        200,
        false,
        &format!("approved as {}", charged.approved()),
    );
}

#[tokio::test]
async fn a_gateway_that_does_not_heed_keys_charges_twice_and_marks_nothing() {
    let server = localstripe();
    let stripe = Spoken::built_in("stripe-charges", server);
    let tx = paying_with("charges:twice", &payment_method(server, &card("4242424242424242")));
    let first = stripe.charge(FIRST, &tx).await;
    let again = stripe.charge(LATER, &tx).await;
    assert_ne!(first.approved(), again.approved());
    assert!(!again.replayed, "{again:?}");
    assert_eq!(paid(server, "charges:twice"), [true, true]);
    let declined = paying_with("charges:no", &payment_method(server, &card("4000000000000341")));
    let told = stripe.charge(FIRST, &declined).await;
    told.assert(402, false, "declined, to be confirmed: card_declined");
    assert_eq!(paid(server, "charges:no"), [false]);
}
