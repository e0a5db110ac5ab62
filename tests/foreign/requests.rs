//! What both profiles send, held by Stripe's own `stripe-mock` v0.203.0 against Stripe's published description of its
//! API (2026-08-26). It refuses names and values that Stripe doesn't know.
//!
//! It differs from Stripe: it keeps nothing, and answers everything valid from a can, with the amount and the currency
//! that were asked for and no metadata. So it shows what may be sent, and nothing of what is answered.

use super::*;

/// With everything that a transaction may have.
fn full(id: &str) -> Transaction {
    Transaction {
        description: Some("order 7 & more".to_owned()),
        metadata: [("customer".to_owned(), "cus_1".to_owned())].into(),
        ..paying_with(id, "pm_card_visa")
    }
}

#[tokio::test]
async fn what_is_sent_is_valid_and_a_canned_answer_proves_nothing() {
    for name in ["stripe", "stripe-charges"] {
        let stripe = Spoken::built_in(name, stripe_mock());
        let canned = "unknown: status 200, without the transaction's id";
        for tx in [full("requests:full"), paying_with("requests:bare", "pm_card_visa")] {
            stripe.charge(FIRST, &tx).await.assert(200, false, canned);
            stripe.lookup(&tx).await.assert(200, false, canned);
        }
    }
}

#[tokio::test]
async fn what_stripe_does_not_know_is_refused() {
    let refused = "not taken: status 400, error invalid_request_error";
    for name in ["stripe", "stripe-charges"] {
        let text = shown(name);
        for (from, to) in [
            ("[charge.body]\n", "[charge.body]\nreference = \"7\"\n"),
            ("amount = \"{amount}\"", "amount = \"{amount:decimal}\""),
            ("metadata = {", "meta = {"),
        ] {
            let wrong = Spoken::described(&changed(&text, from, to), stripe_mock());
            wrong.charge(FIRST, &full("requests:wrong")).await.assert(400, false, refused);
        }
        let wrong = Spoken::described(&changed(&text, "search?query=", "search?q="), stripe_mock());
        let told = wrong.lookup(&full("requests:wrong")).await;
        told.assert(400, false, "unknown: status 400, error invalid_request_error");
    }
    // Of a charge the description demands nothing.
    let less = changed(&shown("stripe"), "currency = \"{currency:lower}\"\n", "");
    let wrong = Spoken::described(&less, stripe_mock());
    wrong.charge(FIRST, &full("requests:less")).await.assert(400, false, refused);
}
