//! Arbitrary values for the tests of this folder. Not in the program.

use proptest::prelude::*;

use crate::domain::id::TransactionId;
use crate::domain::money::{AMOUNT_MAX, Amount, Currency};
use crate::domain::time::Wall;
use crate::domain::transaction::Transaction;

/// The last microsecond of the year 9999.
pub const TIME_MAX: i64 = 253_402_300_799_999_999;

/// Text without control characters, of so many characters.
fn text(chars: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    let character = any::<char>().prop_filter("no control character", |c| !c.is_control());
    prop::collection::vec(character, chars).prop_map(|chars| chars.into_iter().collect())
}

prop_compose! {
    /// Any transaction that follows every rule.
    pub fn any_transaction()(
        id in "[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}",
        account_id in text(1..=128),
        amount in 1..=AMOUNT_MAX,
        currency in prop::sample::select(vec!["EUR", "USD", "JPY", "BHD", "CLF"]),
        payment_method in "pm_[A-Za-z0-9]{1,125}",
        created_at in 0..=TIME_MAX,
        description in prop::option::of(text(0..=512)),
        metadata in prop::collection::btree_map(text(1..=64), text(0..=512), 0..=4),
    ) -> Transaction {
        Transaction {
            id: TransactionId::parse(&id).unwrap(),
            account_id,
            amount: Amount::new(amount).unwrap(),
            currency: Currency::parse(currency).unwrap(),
            payment_method,
            created_at: Wall(created_at),
            description,
            metadata: metadata.into_iter().collect(),
        }
    }
}

/// A plain transaction.
pub fn transaction() -> Transaction {
    Transaction {
        id: TransactionId::parse("tx-1").unwrap(),
        account_id: "acct_7".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: "pm_secret".into(),
        created_at: Wall(1_700_000_000_000_000),
        description: Some("Tea".into()),
        metadata: [("order".to_owned(), "99".to_owned())].into(),
    }
}
