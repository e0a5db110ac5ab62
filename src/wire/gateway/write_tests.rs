//! Bodies: pinned bytes, and whatever comes in reads back equal.

use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use super::*;
use crate::domain::money::{Amount, Currency};
use crate::domain::time::Wall;
use crate::wire::gateway::builtin::RECIPE;
use crate::wire::gateway::profile::Profile;

fn example() -> Transaction {
    Transaction {
        id: TransactionId::parse("tx-1:a").unwrap(),
        account_id: "acc \"7\"\\".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: "pm_1".into(),
        created_at: Wall(1_700_000_000_000_001),
        description: Some("näher\n\u{1}\u{7f}/".into()),
        metadata: [("b".into(), "2".into()), ("a".into(), String::new())].into(),
    }
}

fn generic_body(tx: &Transaction) -> Bytes {
    Profile::generic().charge_body(tx)
}

/// Whoever changes these bytes makes it another recipe.
#[test]
fn the_bytes_of_the_generic_profile_are_pinned_and_so_is_its_recipe() {
    let expected = "{\"transaction_id\":\"tx-1:a\",\"account_id\":\"acc \\\"7\\\"\\\\\",\"amount\":1250,\
        \"currency\":\"EUR\",\"payment_method\":\"pm_1\",\"description\":\"näher\\n\\u0001\u{7f}/\",\
        \"metadata\":{\"a\":\"\",\"b\":\"2\"}}";
    assert_eq!(std::str::from_utf8(&generic_body(&example())).unwrap(), expected);
    assert_eq!(Profile::generic().recipe, RECIPE);
    assert_eq!((RECIPE.0, MAPPER_VERSION), (0x25bd_867b, 1));
}

#[test]
fn what_is_absent_leaves_no_field() {
    let tx = Transaction { description: None, metadata: [].into(), ..example() };
    let value: Tree = serde_json::from_slice(&generic_body(&tx)).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 5);
}

#[test]
fn the_creation_time_is_no_part_of_the_generic_body() {
    let later = Transaction { created_at: Wall(2), ..example() };
    assert_eq!(generic_body(&example()), generic_body(&later));
}

#[test]
fn a_form_is_pinned_with_its_brackets_and_what_is_absent_left_out() {
    let stripe = Profile::built_in("stripe").unwrap();
    let tx = Transaction { description: Some("a&b=c d".into()), ..example() };
    let expected = "amount=1250&automatic_payment_methods[allow_redirects]=never\
        &automatic_payment_methods[enabled]=true&confirm=true&currency=eur&description=a%26b%3Dc%20d\
        &error_on_requires_action=true&metadata[account_id]=acc%20%227%22%5C&metadata[transaction_id]=tx-1%3Aa\
        &off_session=true&payment_method=pm_1";
    assert_eq!(std::str::from_utf8(&stripe.charge_body(&tx)).unwrap(), expected);
    let with_customer =
        Transaction { metadata: [("customer".into(), "cus_1".into())].into(), ..tx };
    let body = stripe.charge_body(&with_customer);
    assert!(std::str::from_utf8(&body).unwrap().contains("&customer=cus_1&"));
}

#[test]
fn amounts_have_all_the_decimals_of_their_currency() {
    for (units, code, expected) in [
        (1250, "EUR", "12.50"),
        (7, "EUR", "0.07"),
        (100, "JPY", "100"),
        (5, "BHD", "0.005"),
        (1_000_000_000_000_000, "EUR", "10000000000000.00"),
    ] {
        let amount = Amount::new(units).unwrap();
        let currency = Currency::parse(code).unwrap();
        assert_eq!(decimal(&Transaction { amount, currency, ..example() }), expected);
    }
}

#[test]
fn a_uuid_is_of_its_id_alone_and_well_formed() {
    let of = |id: &str| uuid(&TransactionId::parse(id).unwrap());
    assert_eq!(of("tx-1"), of("tx-1"));
    assert_ne!(of("tx-1"), of("tx-2"));
    let text = of("tx-1");
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(&text[14..15], "8");
    assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
}

proptest! {
    #[test]
    fn bodies_are_repeatable_and_read_back_equal(
        account in ".{1,128}", method in ".{1,128}", description in proptest::option::of(".{0,64}"),
        metadata in proptest::collection::btree_map(".{0,16}", "\\PC{0,16}|[\\x00-\\x2f]{0,9}", 0..6),
        amount in 1..=crate::domain::money::AMOUNT_MAX,
    ) {
        let tx = Transaction {
            account_id: account.clone(),
            payment_method: method.clone(),
            description: description.clone(),
            metadata: metadata.clone().into_iter().collect(),
            amount: Amount::new(amount).unwrap(),
            ..example()
        };
        let body = generic_body(&tx);
        prop_assert_eq!(&body, &generic_body(&tx.clone()));
        let mut expected = json!({
            "transaction_id": "tx-1:a", "account_id": account, "amount": amount, "currency": "EUR",
            "payment_method": method,
        });
        if let Some(description) = description {
            expected["description"] = json!(description);
        }
        if !metadata.is_empty() {
            expected["metadata"] = json!(metadata);
        }
        prop_assert_eq!(serde_json::from_slice::<Tree>(&body).unwrap(), expected);
    }
}
